#include <fmt/format.h>

#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::Taint;
using api::corev1::Toleration;

class Filter final : public NodeFilter {
 public:
  explicit Filter(const PodInfo& pod) : tolerations_(pod.pod->spec.tolerations) {}
  bool local() const override { return true; }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    for (const Taint& taint : node.hard_taints) {
      if (tolerates(tolerations_, taint)) continue;
      reasons.push_back(fmt::format("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value));
      return Fit::kUnresolvable;
    }
    return Fit::kFits;
  }

 private:
  const std::vector<Toleration>& tolerations_;
};

/// Fewer untolerated soft taints are better.
class Scorer final : public NodeScorer {
 public:
  explicit Scorer(const PodInfo& pod) {
    for (const Toleration& toleration : pod.pod->spec.tolerations) {
      if (toleration.effect.empty() || toleration.effect == api::corev1::kTaintEffectPreferNoSchedule) {
        tolerations_.push_back(toleration);
      }
    }
  }
  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) {
      scores[i] = std::ranges::count_if(nodes[i]->soft_taints,
                                        [&](const Taint& taint) { return !tolerates(tolerations_, taint); });
    }
    normalize_by_maximum(scores, /*reverse=*/true);
  }

 private:
  std::vector<Toleration> tolerations_;
};

class TaintToleration final : public Plugin {
 public:
  std::string_view name() const override { return "TaintToleration"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    return {std::make_unique<Filter>(pod), {}};
  }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const> feasible) const override {
    // Without soft taints all nodes are equal.
    if (std::ranges::all_of(feasible, [](const NodeInfo* node) { return node->soft_taints.empty(); })) return nullptr;
    return std::make_unique<Scorer>(pod);
  }
  uint32_t changes() const override { return kNodeAdded | kNodeTaints | kOwnTolerations; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (!change.node) return true;
    const auto kept_away = [&](const api::corev1::Node& node) {
      return std::ranges::any_of(node.spec.taints, [&](const Taint& taint) {
        return taint.effect != api::corev1::kTaintEffectPreferNoSchedule &&
               !tolerates(pod.pod->spec.tolerations, taint);
      });
    };
    return !kept_away(*change.node) && (!change.node_before || kept_away(*change.node_before));
  }
};

}  // namespace

std::shared_ptr<Plugin> taint_toleration() { return std::make_shared<TaintToleration>(); }

}  // namespace trireme::scheduler::plugins
