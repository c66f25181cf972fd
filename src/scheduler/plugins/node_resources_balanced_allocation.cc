#include <algorithm>
#include <cmath>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

/// The nearer the used shares of CPU and memory are to each other, the better.
class Scorer final : public NodeScorer {
 public:
  explicit Scorer(const PodInfo& pod) : milli_cpu_(pod.requests.milli_cpu), memory_(pod.requests.memory) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const NodeInfo& node = *nodes[i];
      double deviation = 0;
      // A resource that the node has not got does not count, and one alone is always in balance.
      if (node.allocatable.milli_cpu > 0 && node.allocatable.memory > 0) {
        const double cpu = share(node.requested.milli_cpu + milli_cpu_, node.allocatable.milli_cpu);
        const double memory = share(node.requested.memory + memory_, node.allocatable.memory);
        deviation = std::abs(cpu - memory) / 2;
      }
      scores[i] = static_cast<int64_t>((1 - deviation) * static_cast<double>(kMaxScore));
    }
  }

 private:
  static double share(int64_t taken, int64_t allocatable) {
    return std::min(1.0, static_cast<double>(taken) / static_cast<double>(allocatable));
  }

  int64_t milli_cpu_;
  int64_t memory_;
};

class NodeResourcesBalancedAllocation final : public Plugin {
 public:
  std::string_view name() const override { return "NodeResourcesBalancedAllocation"; }
  uint32_t points() const override { return point_bit(Point::kScore); }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    // A pod that asks for nothing changes no balance; scoring it would heap such pods on one node.
    if (pod.requests.milli_cpu == 0 && pod.requests.memory == 0) return nullptr;
    return std::make_unique<Scorer>(pod);
  }
};

}  // namespace

std::shared_ptr<Plugin> node_resources_balanced_allocation() {
  return std::make_shared<NodeResourcesBalancedAllocation>();
}

}  // namespace trireme::scheduler::plugins
