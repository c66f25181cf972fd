#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

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

/// Whether `after` offers more of anything that is wanted.
bool offers_more(const Resources& wanted, const Resources& before, const Resources& after) {
  if (after.pods > before.pods || (wanted.milli_cpu > 0 && after.milli_cpu > before.milli_cpu) ||
      (wanted.memory > 0 && after.memory > before.memory) ||
      (wanted.ephemeral_storage > 0 && after.ephemeral_storage > before.ephemeral_storage)) {
    return true;
  }
  return std::ranges::any_of(wanted.scalar, [&](const auto& each) {
    return amount(after.scalar, each.first) > amount(before.scalar, each.first);
  });
}

/// Whether a pod that scaled down gave something that is wanted.
bool frees(const Resources& wanted, const Resources& before, const Resources& after) {
  if ((wanted.milli_cpu > 0 && after.milli_cpu < before.milli_cpu) ||
      (wanted.memory > 0 && after.memory < before.memory) ||
      (wanted.ephemeral_storage > 0 && after.ephemeral_storage < before.ephemeral_storage)) {
    return true;
  }
  return std::ranges::any_of(wanted.scalar, [&](const auto& each) {
    return amount(after.scalar, each.first) < amount(before.scalar, each.first);
  });
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, const FitArgs& args) : wanted_(pod.requests), args_(args) {}
  bool local() const override { return true; }

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
      if (!ignored(args_, name))
        compare(name, wanted, amount(allocatable.scalar, name), amount(requested.scalar, name));
    }
    return fit;
  }

 private:
  static bool ignored(const FitArgs& args, const std::string& name) {
    const std::string_view group = std::string_view(name).substr(0, name.find('/'));
    return std::ranges::count(args.ignored_resources, name) > 0 ||
           std::ranges::count(args.ignored_resource_groups, group) > 0;
  }

  const Resources& wanted_;
  const FitArgs& args_;
};

/// The weighted mean of what the strategy gives for each resource.
class Scorer final : public NodeScorer {
 public:
  Scorer(const PodInfo& pod, const FitArgs& args) : pod_(pod), args_(args) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) scores[i] = score_of(*nodes[i]);
  }

 private:
  struct Use {
    int64_t allocatable = 0;
    int64_t taken = 0;  ///< With the pod.
  };

  Use use_of(const NodeInfo& node, const std::string& name) const {
    if (name == api::corev1::kResourceCPU) {
      return {node.allocatable.milli_cpu, node.non_zero_milli_cpu + pod_.non_zero_milli_cpu};
    }
    if (name == api::corev1::kResourceMemory) {
      return {node.allocatable.memory, node.non_zero_memory + pod_.non_zero_memory};
    }
    if (name == api::corev1::kResourceEphemeralStorage) {
      return {node.allocatable.ephemeral_storage, node.requested.ephemeral_storage + pod_.requests.ephemeral_storage};
    }
    // What the pod does not want of the rarer resources says nothing of where it belongs.
    const int64_t wanted = amount(pod_.requests.scalar, name);
    if (wanted == 0) return {};
    return {amount(node.allocatable.scalar, name), amount(node.requested.scalar, name) + wanted};
  }

  int64_t score_of(const NodeInfo& node) const {
    const bool by_ratio = args_.strategy == FitArgs::Strategy::kRequestedToCapacityRatio;
    int64_t sum = 0;
    int64_t weights = 0;
    for (const ResourceWeight& resource : args_.resources) {
      const Use use = use_of(node, resource.name);
      if (use.allocatable == 0) continue;
      const int64_t score = score_of(use);
      if (by_ratio && score == 0) continue;
      sum += score * resource.weight;
      weights += resource.weight;
    }
    if (weights == 0) return 0;
    return by_ratio ? std::llround(static_cast<double>(sum) / static_cast<double>(weights)) : sum / weights;
  }

  int64_t score_of(const Use& use) const {
    switch (args_.strategy) {
      case FitArgs::Strategy::kLeastAllocated:
        return use.taken > use.allocatable ? 0 : (use.allocatable - use.taken) * kMaxScore / use.allocatable;
      case FitArgs::Strategy::kMostAllocated:
        return std::min(use.taken, use.allocatable) * kMaxScore / use.allocatable;
      case FitArgs::Strategy::kRequestedToCapacityRatio:
        break;
    }
    constexpr int64_t kFull = 100;
    return on_shape(use.taken > use.allocatable ? kFull : use.taken * kFull / use.allocatable);
  }

  int64_t on_shape(int64_t utilization) const {
    constexpr int64_t kScale = kMaxScore / 10;  // Shapes score from 0 to 10.
    const auto& points = args_.shape.points;
    const auto after = std::ranges::find_if(points, [&](const auto& each) { return utilization <= each.utilization; });
    if (after == points.end()) return points.back().score * kScale;
    if (after == points.begin()) return after->score * kScale;
    const auto before = std::prev(after);
    return before->score * kScale + (after->score - before->score) * kScale * (utilization - before->utilization) /
                                        (after->utilization - before->utilization);
  }

  const PodInfo& pod_;
  const FitArgs& args_;
};

class NodeResourcesFit final : public Plugin {
 public:
  explicit NodeResourcesFit(FitArgs args) : args_(std::move(args)) {}
  std::string_view name() const override { return "NodeResourcesFit"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    return {std::make_unique<Filter>(pod, args_), {}};
  }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    return std::make_unique<Scorer>(pod, args_);
  }
  uint32_t changes() const override {
    return kNodeAdded | kNodeAllocatable | kPodGone | kPodScaledDown | kOwnScaledDown;
  }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (change.kinds & kPodScaledDown) {
      return !change.pod_before || frees(pod.requests, change.pod_before->requests, change.pod->requests);
    }
    if (!change.node) return true;
    const Resources now = resources_of(change.node->status.allocatable);
    if (!fits_empty(pod.requests, now)) return false;
    return !change.node_before || offers_more(pod.requests, resources_of(change.node_before->status.allocatable), now);
  }

 private:
  FitArgs args_;
};

}  // namespace

std::shared_ptr<Plugin> node_resources_fit(const FitArgs& args) { return std::make_shared<NodeResourcesFit>(args); }

}  // namespace trireme::scheduler::plugins
