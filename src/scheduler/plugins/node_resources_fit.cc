#include <fmt/format.h>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

int64_t amount(const api::Map<int64_t>& amounts, std::string_view name) {
  const auto found = amounts.find(name);
  return found == amounts.end() ? 0 : found->second;
}

/// Whether a node with nothing on it could take the pod.
bool fits_empty(const Resources& wanted, const Resources& allocatable) {
  if (allocatable.pods < 1 || wanted.milli_cpu > allocatable.milli_cpu || wanted.memory > allocatable.memory ||
      wanted.ephemeral_storage > allocatable.ephemeral_storage) {
    return false;
  }
  for (const auto& [name, value] : wanted.scalar) {
    if (value > amount(allocatable.scalar, name)) return false;
  }
  return true;
}

class Filter final : public NodeFilter {
 public:
  explicit Filter(const PodInfo& pod) : wanted_(pod.requests) {}

  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    Fit fit = Fit::kFits;
    const auto refuse = [&](std::string_view name, bool never) {
      reasons.push_back(fmt::format("Insufficient {}", name));
      fit = never || fit == Fit::kUnresolvable ? Fit::kUnresolvable : Fit::kUnschedulable;
    };
    const auto compare = [&](std::string_view name, int64_t wanted, int64_t allocatable, int64_t requested) {
      if (wanted > 0 && wanted > allocatable - requested) refuse(name, wanted > allocatable);
    };
    if (static_cast<int64_t>(node.pods.size()) + 1 > node.allocatable.pods) {
      reasons.emplace_back("Too many pods");
      fit = Fit::kUnschedulable;
    }
    const Resources& allocatable = node.allocatable;
    const Resources& requested = node.requested;
    compare("cpu", wanted_.milli_cpu, allocatable.milli_cpu, requested.milli_cpu);
    compare("memory", wanted_.memory, allocatable.memory, requested.memory);
    compare("ephemeral-storage", wanted_.ephemeral_storage, allocatable.ephemeral_storage, requested.ephemeral_storage);
    for (const auto& [name, wanted] : wanted_.scalar) {
      compare(name, wanted, amount(allocatable.scalar, name), amount(requested.scalar, name));
    }
    return fit;
  }

 private:
  const Resources& wanted_;
};

/// LeastAllocated: the share of CPU and memory that stays free, both weighing the same.
class Scorer final : public NodeScorer {
 public:
  explicit Scorer(const PodInfo& pod) : milli_cpu_(pod.non_zero_milli_cpu), memory_(pod.non_zero_memory) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const NodeInfo& node = *nodes[i];
      int64_t sum = 0;
      int64_t counted = 0;
      const auto add = [&](int64_t allocatable, int64_t taken) {
        if (allocatable == 0) return;
        ++counted;
        if (taken <= allocatable) sum += (allocatable - taken) * kMaxScore / allocatable;
      };
      add(node.allocatable.milli_cpu, node.non_zero_milli_cpu + milli_cpu_);
      add(node.allocatable.memory, node.non_zero_memory + memory_);
      scores[i] = counted == 0 ? 0 : sum / counted;
    }
  }

 private:
  int64_t milli_cpu_;
  int64_t memory_;
};

class NodeResourcesFit final : public Plugin {
 public:
  std::string_view name() const override { return "NodeResourcesFit"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    return {std::make_unique<Filter>(pod), {}};
  }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    return std::make_unique<Scorer>(pod);
  }
  uint32_t changes() const override {
    return kNodeAdded | kNodeAllocatable | kPodGone | kPodScaledDown | kOwnScaledDown;
  }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    return !change.node || fits_empty(pod.requests, resources_of(change.node->status.allocatable));
  }
};

}  // namespace

std::shared_ptr<Plugin> node_resources_fit() { return std::make_shared<NodeResourcesFit>(); }

}  // namespace trireme::scheduler::plugins
