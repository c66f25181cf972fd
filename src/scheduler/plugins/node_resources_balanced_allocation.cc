#include <algorithm>
#include <cmath>
#include <vector>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

int64_t amount(const Resources& amounts, const std::string& name) {
  if (name == api::corev1::kResourceCPU) return amounts.milli_cpu;
  if (name == api::corev1::kResourceMemory) return amounts.memory;
  if (name == api::corev1::kResourceEphemeralStorage) return amounts.ephemeral_storage;
  const auto found = amounts.scalar.find(name);
  return found == amounts.scalar.end() ? 0 : found->second;
}

bool is_scalar(const std::string& name) {
  return name != api::corev1::kResourceCPU && name != api::corev1::kResourceMemory &&
         name != api::corev1::kResourceEphemeralStorage;
}

/// The nearer the used shares of the resources are to each other, the better.
class Scorer final : public NodeScorer {
 public:
  Scorer(const PodInfo& pod, const BalancedAllocationArgs& args) : wanted_(pod.requests), args_(args) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    std::vector<double> shares;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const NodeInfo& node = *nodes[i];
      shares.clear();
      for (const ResourceWeight& resource : args_.resources) {
        const int64_t wanted = amount(wanted_, resource.name);
        if (wanted == 0 && is_scalar(resource.name)) continue;
        // A resource that the node has not got does not count.
        const int64_t allocatable = amount(node.allocatable, resource.name);
        if (allocatable == 0) continue;
        const auto taken = static_cast<double>(amount(node.requested, resource.name) + wanted);
        shares.push_back(std::min(1.0, taken / static_cast<double>(allocatable)));
      }
      scores[i] = static_cast<int64_t>((1 - deviation(shares)) * static_cast<double>(kMaxScore));
    }
  }

 private:
  /// Standard deviation; one alone is always in balance.
  static double deviation(const std::vector<double>& shares) {
    if (shares.size() < 2) return 0;
    if (shares.size() == 2) return std::abs(shares[0] - shares[1]) / 2;
    const auto count = static_cast<double>(shares.size());
    double mean = 0;
    for (const double each : shares) mean += each / count;
    double variance = 0;
    for (const double each : shares) variance += (each - mean) * (each - mean);
    return std::sqrt(variance / count);
  }

  const Resources& wanted_;
  const BalancedAllocationArgs& args_;
};

class NodeResourcesBalancedAllocation final : public Plugin {
 public:
  explicit NodeResourcesBalancedAllocation(BalancedAllocationArgs args) : args_(std::move(args)) {}
  std::string_view name() const override { return "NodeResourcesBalancedAllocation"; }
  uint32_t points() const override { return point_bit(Point::kScore); }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    // A pod that asks for nothing changes no balance; scoring it would heap such pods on one node.
    if (std::ranges::none_of(args_.resources,
                             [&](const ResourceWeight& each) { return amount(pod.requests, each.name) != 0; })) {
      return nullptr;
    }
    return std::make_unique<Scorer>(pod, args_);
  }

 private:
  BalancedAllocationArgs args_;
};

}  // namespace

std::shared_ptr<Plugin> node_resources_balanced_allocation(const BalancedAllocationArgs& args) {
  return std::make_shared<NodeResourcesBalancedAllocation>(args);
}

}  // namespace trireme::scheduler::plugins
