#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::NodeSelectorTerm;
using api::corev1::PreferredSchedulingTerm;

const api::corev1::NodeAffinity* affinity_of(const PodInfo& pod) {
  const auto& affinity = pod.pod->spec.affinity;
  return affinity ? affinity->node_affinity.get() : nullptr;
}

/// The only nodes that the required terms allow, when every term names its nodes (as a DaemonSet's pods do).
std::optional<std::vector<std::string>> named_nodes(const api::corev1::NodeAffinity& affinity) {
  const auto& required = affinity.required_during_scheduling_ignored_during_execution;
  if (!required) return std::nullopt;
  std::vector<std::string> all;
  for (const NodeSelectorTerm& term : required->node_selector_terms) {
    std::optional<std::vector<std::string>> names;
    for (const auto& field : term.match_fields) {
      if (field.key != "metadata.name" || field.operator_ != api::corev1::kNodeSelectorOpIn) continue;
      if (!names) {
        names = field.values;
      } else {
        std::erase_if(*names, [&](const std::string& name) { return std::ranges::count(field.values, name) == 0; });
      }
    }
    if (!names) return std::nullopt;
    all.insert(all.end(), names->begin(), names->end());
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

class Filter final : public NodeFilter {
 public:
  explicit Filter(const PodInfo& pod) : pod_(*pod.pod) {}
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (matches_required_node_affinity(pod_, *node.node)) return Fit::kFits;
    reasons.emplace_back("node(s) didn't match Pod's node affinity/selector");
    return Fit::kUnresolvable;
  }

 private:
  const api::corev1::Pod& pod_;
};

class Scorer final : public NodeScorer {
 public:
  explicit Scorer(const std::vector<PreferredSchedulingTerm>& terms) : terms_(terms) {}
  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) {
      scores[i] = 0;
      for (const PreferredSchedulingTerm& term : terms_) {
        if (term.weight != 0 && matches_term(term.preference, *nodes[i]->node)) scores[i] += term.weight;
      }
    }
    normalize_by_maximum(scores, /*reverse=*/false);
  }

 private:
  const std::vector<PreferredSchedulingTerm>& terms_;
};

class NodeAffinity final : public Plugin {
 public:
  std::string_view name() const override { return "NodeAffinity"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    const auto* affinity = affinity_of(pod);
    const bool required = affinity && affinity->required_during_scheduling_ignored_during_execution;
    if (!required && pod.pod->spec.node_selector.empty()) return {};
    FilterPlan plan;
    plan.filter = std::make_unique<Filter>(pod);
    if (required) plan.names = named_nodes(*affinity);
    return plan;
  }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    const auto* affinity = affinity_of(pod);
    if (!affinity || affinity->preferred_during_scheduling_ignored_during_execution.empty()) return nullptr;
    return std::make_unique<Scorer>(affinity->preferred_during_scheduling_ignored_during_execution);
  }
  uint32_t changes() const override { return kNodeAdded | kNodeLabels; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    return !change.node || matches_required_node_affinity(*pod.pod, *change.node);
  }
};

}  // namespace

std::shared_ptr<Plugin> node_affinity() { return std::make_shared<NodeAffinity>(); }

}  // namespace trireme::scheduler::plugins
