#include <fmt/format.h>

#include <algorithm>
#include <array>

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
  /// Null sets refuse nothing.
  Filter(std::shared_ptr<const NodeSet> added, std::shared_ptr<const NodeSet> own)
      : added_(std::move(added)), own_(std::move(own)) {}
  bool local() const override { return true; }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (added_ && !added_->contains(node.ordinal)) {
      reasons.emplace_back("node(s) didn't match scheduler-enforced node affinity");
      return Fit::kUnresolvable;
    }
    if (own_ && !own_->contains(node.ordinal)) {
      reasons.emplace_back("node(s) didn't match Pod's node affinity/selector");
      return Fit::kUnresolvable;
    }
    return Fit::kFits;
  }

 private:
  std::shared_ptr<const NodeSet> added_;
  std::shared_ptr<const NodeSet> own_;
};

using PreferredTerms = std::vector<PreferredSchedulingTerm>;

class Scorer final : public NodeScorer {
 public:
  Scorer(const PreferredTerms* added, const PreferredTerms* own) : terms_{added, own} {}
  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    for (size_t i = 0; i < nodes.size(); ++i) {
      scores[i] = 0;
      for (const PreferredTerms* terms : terms_) {
        if (!terms) continue;
        for (const PreferredSchedulingTerm& term : *terms) {
          if (term.weight != 0 && matches_term(term.preference, *nodes[i]->node)) scores[i] += term.weight;
        }
      }
    }
    normalize_by_maximum(scores, /*reverse=*/false);
  }

 private:
  std::array<const PreferredTerms*, 2> terms_;
};

class NodeAffinity final : public Plugin {
 public:
  explicit NodeAffinity(const NodeAffinityArgs& args) {
    if (!args.added_affinity) return;
    const auto& required = args.added_affinity->required_during_scheduling_ignored_during_execution;
    if (required) {
      added_terms_ = required->node_selector_terms;
      // Added affinity differs between profiles: its set is known by the plugin that has it.
      added_key_ = fmt::format("added affinity {}", static_cast<const void*>(this));
    }
    added_preferred_ = args.added_affinity->preferred_during_scheduling_ignored_during_execution;
  }
  std::string_view name() const override { return "NodeAffinity"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    if (added_key_.empty() && pod.placement.empty()) return {};
    FilterPlan plan;
    std::shared_ptr<const NodeSet> added;
    std::shared_ptr<const NodeSet> own;
    if (!added_key_.empty()) {
      added = cache.node_set(added_key_, [this]() -> NodeSet::Condition {
        return [terms = added_terms_](const NodeInfo& node) { return matches_any(terms, *node.node); };
      });
      plan.nodes = added;
    }
    if (!pod.placement.empty()) {
      own = cache.node_set(pod.placement, [&]() -> NodeSet::Condition {
        return [pod = pod.pod](const NodeInfo& node) { return matches_required_node_affinity(*pod, *node.node); };
      });
      plan.nodes = own;
      const auto* affinity = affinity_of(pod);
      if (affinity && affinity->required_during_scheduling_ignored_during_execution) {
        plan.names = named_nodes(*affinity);
      }
    }
    plan.filter = std::make_unique<Filter>(std::move(added), std::move(own));
    return plan;
  }

  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache&,
                                         std::span<const NodeInfo* const>) const override {
    const auto* affinity = affinity_of(pod);
    const PreferredTerms* own = affinity ? &affinity->preferred_during_scheduling_ignored_during_execution : nullptr;
    if (own && own->empty()) own = nullptr;
    if (!own && added_preferred_.empty()) return nullptr;
    return std::make_unique<Scorer>(added_preferred_.empty() ? nullptr : &added_preferred_, own);
  }

  uint32_t changes() const override { return kNodeAdded | kNodeLabels; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    const auto matches = [&](const api::corev1::Node& node) {
      return matches_required_node_affinity(*pod.pod, node) && (added_key_.empty() || matches_any(added_terms_, node));
    };
    return !change.node || (matches(*change.node) && !(change.node_before && matches(*change.node_before)));
  }

 private:
  static bool matches_any(const std::vector<NodeSelectorTerm>& terms, const api::corev1::Node& node) {
    return std::ranges::any_of(terms, [&](const NodeSelectorTerm& term) { return matches_term(term, node); });
  }

  std::vector<NodeSelectorTerm> added_terms_;
  std::string added_key_;
  PreferredTerms added_preferred_;
};

}  // namespace

std::shared_ptr<Plugin> node_affinity(const NodeAffinityArgs& args) { return std::make_shared<NodeAffinity>(args); }

}  // namespace trireme::scheduler::plugins
