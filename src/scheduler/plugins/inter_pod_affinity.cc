#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

/// Required affinity of pods that are there already draws the new one, with this weight.
constexpr int64_t kHardAffinityWeight = 1;

/// Counts by topology: label key and value.
using Counts = std::map<std::string, std::unordered_map<std::string, int64_t>, std::less<>>;

void count(Counts& counts, const AffinityTerm& term, const NodeInfo& node, int64_t by) {
  const std::string* value = node.label(term.topology_key());
  if (!value) return;
  auto& values = counts[term.topology_key()];
  int64_t& entry = values[*value];
  entry += by;
  if (entry != 0) return;
  values.erase(*value);
  if (values.empty()) counts.erase(term.topology_key());
}

int64_t count_at(const Counts& counts, std::string_view key, const std::string& value) {
  const auto values = counts.find(key);
  if (values == counts.end()) return 0;
  const auto found = values->second.find(value);
  return found == values->second.end() ? 0 : found->second;
}

bool matches_all(const std::vector<AffinityTerm>& terms, const api::corev1::Pod& pod, const Labels* namespace_labels) {
  return !terms.empty() &&
         std::ranges::all_of(terms, [&](const auto& term) { return term.matches(pod, namespace_labels); });
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, const Cache& cache)
      : pod_(pod), cache_(cache), own_namespace_(cache.namespace_labels(pod.pod->metadata.namespace_)) {
    if (pod.required_affinity.empty() && pod.required_anti_affinity.empty()) {
      for (const NodeInfo* node : cache.nodes_with_anti_affinity()) {
        for (const PodInfoPointer& each : node->pods_with_required_anti_affinity) count_existing(*each, *node, 1);
      }
      return;
    }
    for (const NodeInfo* node : cache.nodes()) {
      for (const PodInfoPointer& each : node->pods) count_pod(*each, *node, 1);
    }
  }

  /// Whether any node could be refused.
  bool useful() const {
    return !pod_.required_affinity.empty() || !pod_.required_anti_affinity.empty() || !existing_.empty();
  }

  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (!satisfies_affinity(node)) {
      reasons.emplace_back("node(s) didn't match pod affinity rules");
      return Fit::kUnresolvable;
    }
    for (const AffinityTerm& term : pod_.required_anti_affinity) {
      const std::string* value = node.label(term.topology_key());
      if (value && count_at(anti_affinity_, term.topology_key(), *value) > 0) {
        reasons.emplace_back("node(s) didn't match pod anti-affinity rules");
        return Fit::kUnschedulable;
      }
    }
    for (const auto& [key, values] : existing_) {
      const std::string* value = node.label(key);
      if (value && values.contains(*value)) {
        reasons.emplace_back("node(s) didn't satisfy existing pods anti-affinity rules");
        return Fit::kUnschedulable;
      }
    }
    return Fit::kFits;
  }

  void add_pod(const PodInfo& pod, const NodeInfo& node) override { count_pod(pod, node, 1); }
  void remove_pod(const PodInfo& pod, const NodeInfo& node) override { count_pod(pod, node, -1); }

 private:
  void count_existing(const PodInfo& other, const NodeInfo& node, int64_t by) {
    for (const AffinityTerm& term : other.required_anti_affinity) {
      if (term.matches(*pod_.pod, own_namespace_)) count(existing_, term, node, by);
    }
  }

  void count_pod(const PodInfo& other, const NodeInfo& node, int64_t by) {
    count_existing(other, node, by);
    const Labels* labels = cache_.namespace_labels(other.pod->metadata.namespace_);
    if (matches_all(pod_.required_affinity, *other.pod, labels)) {
      for (const AffinityTerm& term : pod_.required_affinity) count(affinity_, term, node, by);
    }
    for (const AffinityTerm& term : pod_.required_anti_affinity) {
      if (term.matches(*other.pod, labels)) count(anti_affinity_, term, node, by);
    }
  }

  bool satisfies_affinity(const NodeInfo& node) const {
    bool others_there = true;
    for (const AffinityTerm& term : pod_.required_affinity) {
      const std::string* value = node.label(term.topology_key());
      if (!value) return false;
      if (count_at(affinity_, term.topology_key(), *value) == 0) others_there = false;
    }
    if (others_there) return true;
    // The first of a group that wants to be together has nobody to join.
    return affinity_.empty() && matches_all(pod_.required_affinity, *pod_.pod, own_namespace_);
  }

  const PodInfo& pod_;
  const Cache& cache_;
  const Labels* own_namespace_;
  Counts existing_;       ///< Pods whose anti-affinity the new pod would break.
  Counts affinity_;       ///< Pods that all affinity terms match.
  Counts anti_affinity_;  ///< Pods that an anti-affinity term matches.
};

class Scorer final : public NodeScorer {
 public:
  explicit Scorer(Counts weights) : weights_(std::move(weights)) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    int64_t lowest = std::numeric_limits<int64_t>::max();
    int64_t highest = std::numeric_limits<int64_t>::min();
    for (size_t i = 0; i < nodes.size(); ++i) {
      scores[i] = 0;
      for (const auto& [key, values] : weights_) {
        const std::string* value = nodes[i]->label(key);
        const auto found = value ? values.find(*value) : values.end();
        if (found != values.end()) scores[i] += found->second;
      }
      lowest = std::min(lowest, scores[i]);
      highest = std::max(highest, scores[i]);
    }
    const int64_t range = highest - lowest;
    for (int64_t& score : scores) score = range > 0 ? kMaxScore * (score - lowest) / range : 0;
  }

 private:
  Counts weights_;
};

Counts weigh(const PodInfo& pod, const Cache& cache) {
  Counts weights;
  const Labels* own_namespace = cache.namespace_labels(pod.pod->metadata.namespace_);
  const auto weigh_pod = [&](const PodInfo& other, const NodeInfo& node) {
    const Labels* labels = cache.namespace_labels(other.pod->metadata.namespace_);
    for (const AffinityTerm& term : pod.preferred_affinity) {
      if (term.matches(*other.pod, labels)) count(weights, term, node, term.weight());
    }
    for (const AffinityTerm& term : pod.preferred_anti_affinity) {
      if (term.matches(*other.pod, labels)) count(weights, term, node, -term.weight());
    }
    for (const AffinityTerm& term : other.required_affinity) {
      if (term.matches(*pod.pod, own_namespace)) count(weights, term, node, kHardAffinityWeight);
    }
    for (const AffinityTerm& term : other.preferred_affinity) {
      if (term.matches(*pod.pod, own_namespace)) count(weights, term, node, term.weight());
    }
    for (const AffinityTerm& term : other.preferred_anti_affinity) {
      if (term.matches(*pod.pod, own_namespace)) count(weights, term, node, -term.weight());
    }
  };
  if (!pod.preferred_affinity.empty() || !pod.preferred_anti_affinity.empty()) {
    for (const NodeInfo* node : cache.nodes()) {
      for (const PodInfoPointer& each : node->pods) weigh_pod(*each, *node);
    }
  } else {
    for (const NodeInfo* node : cache.nodes_with_affinity()) {
      for (const PodInfoPointer& each : node->pods_with_affinity) weigh_pod(*each, *node);
    }
  }
  return weights;
}

class InterPodAffinity final : public Plugin {
 public:
  std::string_view name() const override { return "InterPodAffinity"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    const bool own = !pod.required_affinity.empty() || !pod.required_anti_affinity.empty();
    if (!own && cache.nodes_with_anti_affinity().empty()) return {};
    auto filter = std::make_unique<Filter>(pod, cache);
    if (!filter->useful()) return {};
    return {std::move(filter), {}};
  }

  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache& cache,
                                         std::span<const NodeInfo* const>) const override {
    const bool own = !pod.preferred_affinity.empty() || !pod.preferred_anti_affinity.empty();
    if (!own && cache.nodes_with_affinity().empty()) return nullptr;
    Counts weights = weigh(pod, cache);
    if (weights.empty()) return nullptr;
    return std::make_unique<Scorer>(std::move(weights));
  }

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kPodAssigned | kPodRelabelled | kPodGone | kNamespaceLabels | kOwnLabels;
  }

  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache& cache) const override {
    if (!change.pod || (change.kinds & kOwnLabels)) return true;
    const PodInfo& other = *change.pod;
    const Labels* labels = cache.namespace_labels(other.pod->metadata.namespace_);
    const auto matches_other = [&](const AffinityTerm& term) { return term.matches(*other.pod, labels); };
    if (change.kinds & (kPodAssigned | kPodRelabelled)) {
      if (std::ranges::any_of(pod.required_affinity, matches_other)) return true;
      // A relabelled pod may have stopped being one to keep away from.
      return (change.kinds & kPodRelabelled) != 0;
    }
    const Labels* own_namespace = cache.namespace_labels(pod.pod->metadata.namespace_);
    return std::ranges::any_of(pod.required_anti_affinity, matches_other) ||
           std::ranges::any_of(other.required_anti_affinity,
                               [&](const AffinityTerm& term) { return term.matches(*pod.pod, own_namespace); });
  }
};

}  // namespace

std::shared_ptr<Plugin> inter_pod_affinity() { return std::make_shared<InterPodAffinity>(); }

}  // namespace trireme::scheduler::plugins
