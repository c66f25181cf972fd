#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

bool matches_all(const std::vector<AffinityTerm>& terms, const api::corev1::Pod& pod, const Labels* namespace_labels) {
  return !terms.empty() &&
         std::ranges::all_of(terms, [&](const auto& term) { return term.matches(pod, namespace_labels); });
}

bool matches_any(const std::vector<AffinityTerm>& terms, const api::corev1::Pod& pod, const Labels* namespace_labels) {
  return std::ranges::any_of(terms, [&](const auto& term) { return term.matches(pod, namespace_labels); });
}

const Labels* namespace_of(const PodInfo& pod, const Cache& cache) {
  return cache.namespace_labels(pod.pod->metadata.namespace_);
}

/// Pods whose required anti-affinity the new pod would break.
std::shared_ptr<const Tally> tally_repelling(const PodInfo& pod, const Cache& cache) {
  return cache.tally("repelling\n" + pod.identity(), [&] {
    Tally::Rule rule;
    rule.scope = Tally::Scope::kPodsWithRequiredAntiAffinity;
    rule.weigh = [object = pod.pod, &cache](const PodInfo& other, const Tally::Add& add) {
      const Labels* labels = cache.namespace_labels(object->metadata.namespace_);
      for (const AffinityTerm& term : other.required_anti_affinity()) {
        if (term.matches(*object, labels)) add(term.topology_key(), 1);
      }
    };
    return rule;
  });
}

/// Pods that all required affinity terms match.
std::shared_ptr<const Tally> tally_wanted(const PodInfo& pod, const Cache& cache) {
  return cache.tally("wanted\n" + pod.affinity_key(), [&] {
    Tally::Rule rule;
    rule.weigh = [terms = pod.required_affinity(), &cache](const PodInfo& other, const Tally::Add& add) {
      if (!matches_all(terms, *other.pod, namespace_of(other, cache))) return;
      for (const AffinityTerm& term : terms) add(term.topology_key(), 1);
    };
    return rule;
  });
}

/// Pods that a required anti-affinity term matches.
std::shared_ptr<const Tally> tally_unwanted(const PodInfo& pod, const Cache& cache) {
  return cache.tally("unwanted\n" + pod.affinity_key(), [&] {
    Tally::Rule rule;
    rule.weigh = [terms = pod.required_anti_affinity(), &cache](const PodInfo& other, const Tally::Add& add) {
      for (const AffinityTerm& term : terms) {
        if (term.matches(*other.pod, namespace_of(other, cache))) add(term.topology_key(), 1);
      }
    };
    return rule;
  });
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, const Cache& cache) : pod_(pod), own_namespace_(namespace_of(pod, cache)) {
    if (!cache.nodes_with_anti_affinity().empty()) repelling_.emplace(tally_repelling(pod, cache));
    if (!pod.required_affinity().empty()) wanted_.emplace(tally_wanted(pod, cache));
    if (!pod.required_anti_affinity().empty()) unwanted_.emplace(tally_unwanted(pod, cache));
    for (const AffinityTerm& term : pod.required_affinity()) wanted_at_.push_back(&cache.topology(term.topology_key()));
    for (const AffinityTerm& term : pod.required_anti_affinity()) {
      unwanted_at_.push_back(&cache.topology(term.topology_key()));
    }
  }

  /// Whether any node could be refused.
  bool useful() const { return wanted_ || unwanted_ || (repelling_ && repelling_->total() > 0); }

  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (wanted_ && !satisfies_affinity(node)) {
      reasons.emplace_back("node(s) didn't match pod affinity rules");
      return Fit::kUnresolvable;
    }
    for (const Topology* topology : unwanted_at_) {
      if (unwanted_->at(*topology, node) <= 0) continue;
      reasons.emplace_back("node(s) didn't match pod anti-affinity rules");
      return Fit::kUnschedulable;
    }
    if (repelling_ && repelling_->any_at(node)) {
      reasons.emplace_back("node(s) didn't satisfy existing pods anti-affinity rules");
      return Fit::kUnschedulable;
    }
    return Fit::kFits;
  }

  void add_pod(const PodInfo& pod, const NodeInfo& node) override { change(pod, node, 1); }
  void remove_pod(const PodInfo& pod, const NodeInfo& node) override { change(pod, node, -1); }

 private:
  void change(const PodInfo& pod, const NodeInfo& node, int by) {
    for (auto* tally : {&repelling_, &wanted_, &unwanted_}) {
      if (*tally) (*tally)->change(pod, node, by);
    }
  }

  bool satisfies_affinity(const NodeInfo& node) const {
    bool others_there = true;
    for (const Topology* topology : wanted_at_) {
      if (topology->domain_of(node) == Topology::kNone) return false;
      if (wanted_->at(*topology, node) <= 0) others_there = false;
    }
    if (others_there) return true;
    // The first of a group that wants to be together has nobody to join.
    return wanted_->total() == 0 && matches_all(pod_.required_affinity(), *pod_.pod, own_namespace_);
  }

  const PodInfo& pod_;
  const Labels* own_namespace_;
  std::optional<TrialTally> repelling_, wanted_, unwanted_;
  std::vector<const Topology*> wanted_at_, unwanted_at_;  ///< Of the pod's terms.
};

class Scorer final : public NodeScorer {
 public:
  explicit Scorer(std::shared_ptr<const Tally> weights) : weights_(std::move(weights)) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    int64_t lowest = std::numeric_limits<int64_t>::max();
    int64_t highest = std::numeric_limits<int64_t>::min();
    for (size_t i = 0; i < nodes.size(); ++i) {
      scores[i] = 0;
      for (const Tally::Counts& counts : weights_->all()) scores[i] += counts.at(*nodes[i]);
      lowest = std::min(lowest, scores[i]);
      highest = std::max(highest, scores[i]);
    }
    const int64_t range = highest - lowest;
    for (int64_t& score : scores) score = range > 0 ? kMaxScore * (score - lowest) / range : 0;
  }

 private:
  std::shared_ptr<const Tally> weights_;
};

class InterPodAffinity final : public Plugin {
 public:
  explicit InterPodAffinity(const InterPodAffinityArgs& args) : args_(args) {}
  std::string_view name() const override { return "InterPodAffinity"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    const bool own = !pod.required_affinity().empty() || !pod.required_anti_affinity().empty();
    if (!own && cache.nodes_with_anti_affinity().empty()) return {};
    auto filter = std::make_unique<Filter>(pod, cache);
    if (!filter->useful()) return {};
    return {std::move(filter), {}};
  }

  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache& cache,
                                         std::span<const NodeInfo* const>) const override {
    const bool own = !pod.preferred_affinity().empty() || !pod.preferred_anti_affinity().empty();
    if (!own && (args_.ignore_preferred_terms_of_existing_pods || cache.nodes_with_affinity().empty())) return nullptr;
    auto weights = weigh(pod, cache, own);
    if (weights->all().empty()) return nullptr;
    return std::make_unique<Scorer>(std::move(weights));
  }

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kPodAssigned | kPodRelabelled | kPodGone | kNamespaceLabels | kOwnLabels;
  }

  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache& cache) const override {
    if (change.kinds & (kOwnLabels | kNamespaceLabels)) return true;
    if (!change.pod) return node_may_help(pod, change);
    const PodInfo& other = *change.pod;
    const Labels* labels = namespace_of(other, cache);
    if (change.kinds & kPodAssigned) return matches_all(pod.required_affinity(), *other.pod, labels);
    if (change.kinds & kPodRelabelled) {
      if (!change.pod_before) return true;
      const api::corev1::Pod& before = *change.pod_before->pod;
      const Labels* own = namespace_of(pod, cache);
      const bool repelled = matches_any(change.pod_before->required_anti_affinity(), *pod.pod, own) &&
                            !matches_any(other.required_anti_affinity(), *pod.pod, own);
      return repelled ||
             (!matches_all(pod.required_affinity(), before, labels) &&
              matches_all(pod.required_affinity(), *other.pod, labels)) ||
             (matches_any(pod.required_anti_affinity(), before, labels) &&
              !matches_any(pod.required_anti_affinity(), *other.pod, labels));
    }
    return matches_any(pod.required_anti_affinity(), *other.pod, labels) ||
           matches_any(other.required_anti_affinity(), *pod.pod, namespace_of(pod, cache));
  }

 private:
  static bool node_may_help(const PodInfo& pod, const ClusterChange& change) {
    if (!change.node) return true;
    const auto value = [](const api::corev1::Node& node, const std::string& key) {
      const auto found = node.metadata.labels.find(key);
      return found == node.metadata.labels.end() ? std::string() : found->second;
    };
    if (!std::ranges::all_of(pod.required_affinity(), [&](const AffinityTerm& term) {
          return change.node->metadata.labels.contains(term.topology_key());
        })) {
      return false;
    }
    if (!change.node_before) return true;
    const auto moved = [&](const AffinityTerm& term) {
      return value(*change.node_before, term.topology_key()) != value(*change.node, term.topology_key());
    };
    // Without own terms it is others that keep the pod away: by any topology.
    if (pod.required_affinity().empty() && pod.required_anti_affinity().empty()) return true;
    return std::ranges::any_of(pod.required_affinity(), moved) ||
           std::ranges::any_of(pod.required_anti_affinity(), moved);
  }

  /// What draws the pod to domains, or keeps it away: its own preferences and those of the pods that are there.
  /// Required affinity of pods that are there draws it, too.
  std::shared_ptr<const Tally> weigh(const PodInfo& pod, const Cache& cache, bool own) const {
    const std::string key = fmt::format("drawing\n{}\n{}\n{}", args_.hard_pod_affinity_weight, own, pod.affinity_key());
    return cache.tally(key, [&] {
      Tally::Rule rule;
      rule.scope = own ? Tally::Scope::kAllPods : Tally::Scope::kPodsWithAffinity;
      rule.weigh = [object = pod.pod, towards = pod.preferred_affinity(), away = pod.preferred_anti_affinity(),
                    hard = int64_t{args_.hard_pod_affinity_weight},
                    &cache](const PodInfo& other, const Tally::Add& add) {
        const Labels* labels = namespace_of(other, cache);
        const Labels* own_labels = cache.namespace_labels(object->metadata.namespace_);
        for (const AffinityTerm& term : towards) {
          if (term.matches(*other.pod, labels)) add(term.topology_key(), term.weight());
        }
        for (const AffinityTerm& term : away) {
          if (term.matches(*other.pod, labels)) add(term.topology_key(), -term.weight());
        }
        for (const AffinityTerm& term : other.required_affinity()) {
          if (hard != 0 && term.matches(*object, own_labels)) add(term.topology_key(), hard);
        }
        for (const AffinityTerm& term : other.preferred_affinity()) {
          if (term.matches(*object, own_labels)) add(term.topology_key(), term.weight());
        }
        for (const AffinityTerm& term : other.preferred_anti_affinity()) {
          if (term.matches(*object, own_labels)) add(term.topology_key(), -term.weight());
        }
      };
      return rule;
    });
  }

  InterPodAffinityArgs args_;
};

}  // namespace

std::shared_ptr<Plugin> inter_pod_affinity(const InterPodAffinityArgs& args) {
  return std::make_shared<InterPodAffinity>(args);
}

}  // namespace trireme::scheduler::plugins
