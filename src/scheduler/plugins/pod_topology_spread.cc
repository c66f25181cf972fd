#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::Pod;
using api::corev1::TopologySpreadConstraint;

struct Constraint {
  std::string key;
  int64_t max_skew;
  int64_t min_domains;
  api::LabelSelector selector;
  bool honor_affinity;
  bool honor_taints;
};

std::vector<Constraint> constraints_of(const Pod& pod, std::string_view when_unsatisfiable) {
  std::vector<Constraint> out;
  for (const TopologySpreadConstraint& each : pod.spec.topology_spread_constraints) {
    if (each.when_unsatisfiable != when_unsatisfiable) continue;
    out.push_back({each.topology_key, each.max_skew, each.min_domains.value_or(1),
                   effective_selector(each.label_selector.get(), pod.metadata.labels, each.match_label_keys),
                   each.node_affinity_policy.value_or("Honor") == api::corev1::kNodeInclusionPolicyHonor,
                   each.node_taints_policy.value_or("Ignore") == api::corev1::kNodeInclusionPolicyHonor});
  }
  return out;
}

/// What pods without constraints of their own are spread by.
std::vector<Constraint> default_constraints(const Pod& pod, const Cache& cache) {
  const api::LabelSelector siblings = cache.siblings_of(pod);
  if (siblings == api::LabelSelector::nothing() || siblings.empty()) return {};
  return {{std::string(api::corev1::kLabelHostname), 3, 1, siblings, true, false},
          {std::string(api::corev1::kLabelTopologyZone), 5, 1, siblings, true, false}};
}

/// Whether the node takes part in the constraint's counts.
bool included(const Constraint& constraint, const Pod& pod, const NodeInfo& node) {
  if (constraint.honor_affinity && !matches_required_node_affinity(pod, *node.node)) return false;
  return !constraint.honor_taints || std::ranges::all_of(node.hard_taints, [&](const api::corev1::Taint& taint) {
    return tolerates(pod.spec.tolerations, taint);
  });
}

bool has_all_keys(const std::vector<Constraint>& constraints, const NodeInfo& node) {
  return std::ranges::all_of(constraints, [&](const Constraint& each) { return node.label(each.key) != nullptr; });
}

bool counts(const Constraint& constraint, const Pod& pod, const Pod& other) {
  return other.metadata.namespace_ == pod.metadata.namespace_ && !other.metadata.deletion_timestamp &&
         constraint.selector.matches(other.metadata.labels);
}

int64_t count_pods(const Constraint& constraint, const Pod& pod, const NodeInfo& node) {
  return std::ranges::count_if(node.pods, [&](const auto& each) { return counts(constraint, pod, *each->pod); });
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, const Cache& cache, std::vector<Constraint> constraints) : pod_(*pod.pod) {
    for (Constraint& each : constraints) {
      const bool self = each.selector.matches(pod_.metadata.labels);
      keys_.push_back(each);
      domains_.push_back({std::move(each), self, {}, 0});
    }
    for (const NodeInfo* node : cache.nodes()) {
      if (!has_all_keys(keys_, *node)) continue;
      for (Domains& each : domains_) {
        if (!included(each.constraint, pod_, *node)) continue;
        each.pods[*node->label(each.constraint.key)] += count_pods(each.constraint, pod_, *node);
      }
    }
    for (Domains& each : domains_) each.update_lowest();
  }

  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    for (const Domains& each : domains_) {
      const std::string* value = node.label(each.constraint.key);
      if (!value) {
        reasons.emplace_back("node(s) didn't match pod topology spread constraints (missing required label)");
        return Fit::kUnresolvable;
      }
      const auto found = each.pods.find(*value);
      const int64_t there = found == each.pods.end() ? 0 : found->second;
      if (there + (each.self ? 1 : 0) - each.lowest > each.constraint.max_skew) {
        reasons.emplace_back("node(s) didn't match pod topology spread constraints");
        return Fit::kUnschedulable;
      }
    }
    return Fit::kFits;
  }

  void add_pod(const PodInfo& pod, const NodeInfo& node) override { change(*pod.pod, node, 1); }
  void remove_pod(const PodInfo& pod, const NodeInfo& node) override { change(*pod.pod, node, -1); }

 private:
  struct Domains {
    Constraint constraint;
    bool self;  ///< The new pod counts, too.
    std::unordered_map<std::string, int64_t> pods;
    int64_t lowest;

    void update_lowest() {
      lowest = 0;
      // With fewer domains than asked for, an empty one is thought to exist.
      if (pods.empty() || static_cast<int64_t>(pods.size()) < constraint.min_domains) return;
      lowest = std::ranges::min_element(pods, {}, [](const auto& each) { return each.second; })->second;
    }
  };

  void change(const Pod& other, const NodeInfo& node, int64_t by) {
    if (!has_all_keys(keys_, node)) return;
    for (Domains& each : domains_) {
      if (!counts(each.constraint, pod_, other) || !included(each.constraint, pod_, node)) continue;
      each.pods[*node.label(each.constraint.key)] += by;
      each.update_lowest();
    }
  }

  const Pod& pod_;
  std::vector<Constraint> keys_;
  std::vector<Domains> domains_;
};

class Scorer final : public NodeScorer {
 public:
  Scorer(const PodInfo& pod, const Cache& cache, std::vector<Constraint> constraints,
         std::span<const NodeInfo* const> feasible, bool require_all_keys)
      : pod_(*pod.pod), constraints_(std::move(constraints)), require_all_keys_(require_all_keys) {
    domains_.resize(constraints_.size());
    size_t counted = 0;
    for (const NodeInfo* node : feasible) {
      if (require_all_keys_ && !has_all_keys(constraints_, *node)) continue;
      ++counted;
      for (size_t i = 0; i < constraints_.size(); ++i) {
        if (by_host(i)) continue;
        if (const std::string* value = node->label(constraints_[i].key)) domains_[i].emplace(*value, 0);
      }
    }
    bool all_by_host = true;
    for (size_t i = 0; i < constraints_.size(); ++i) {
      all_by_host = all_by_host && by_host(i);
      // The more domains, the less one pod means in each.
      weights_.push_back(std::log(static_cast<double>(by_host(i) ? counted : domains_[i].size()) + 2));
    }
    if (all_by_host) return;  // A host's pods are counted when it is scored.
    for (const NodeInfo* node : cache.nodes()) count_node(*node);
  }

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    constexpr int64_t kIgnored = -1;
    int64_t lowest = std::numeric_limits<int64_t>::max();
    int64_t highest = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (require_all_keys_ && !has_all_keys(constraints_, *nodes[i])) {
        scores[i] = kIgnored;
        continue;
      }
      scores[i] = raw_score(*nodes[i]);
      lowest = std::min(lowest, scores[i]);
      highest = std::max(highest, scores[i]);
    }
    for (int64_t& score : scores) {
      if (score == kIgnored) {
        score = 0;
      } else {
        score = highest == 0 ? kMaxScore : kMaxScore * (highest + lowest - score) / highest;
      }
    }
  }

 private:
  bool by_host(size_t i) const { return constraints_[i].key == api::corev1::kLabelHostname; }

  void count_node(const NodeInfo& node) {
    if (require_all_keys_ && !has_all_keys(constraints_, node)) return;
    for (size_t i = 0; i < constraints_.size(); ++i) {
      if (by_host(i)) continue;
      const std::string* value = node.label(constraints_[i].key);
      const auto domain = value ? domains_[i].find(*value) : domains_[i].end();
      if (domain == domains_[i].end() || !included(constraints_[i], pod_, node)) continue;
      domain->second += count_pods(constraints_[i], pod_, node);
    }
  }

  int64_t raw_score(const NodeInfo& node) const {
    double sum = 0;
    for (size_t i = 0; i < constraints_.size(); ++i) {
      const std::string* value = node.label(constraints_[i].key);
      if (!value) continue;
      const auto domain = domains_[i].find(*value);
      const int64_t there = by_host(i)                    ? count_pods(constraints_[i], pod_, node)
                            : domain == domains_[i].end() ? 0
                                                          : domain->second;
      sum += static_cast<double>(there) * weights_[i] + static_cast<double>(constraints_[i].max_skew - 1);
    }
    return std::llround(sum);
  }

  const Pod& pod_;
  std::vector<Constraint> constraints_;
  bool require_all_keys_;
  std::vector<std::unordered_map<std::string, int64_t>> domains_;
  std::vector<double> weights_;
};

class PodTopologySpread final : public Plugin {
 public:
  std::string_view name() const override { return "PodTopologySpread"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    if (pod.pod->spec.topology_spread_constraints.empty()) return {};
    std::vector<Constraint> constraints = constraints_of(*pod.pod, api::corev1::kDoNotSchedule);
    if (constraints.empty()) return {};
    return {std::make_unique<Filter>(pod, cache, std::move(constraints)), {}};
  }

  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache& cache,
                                         std::span<const NodeInfo* const> feasible) const override {
    const bool own = !pod.pod->spec.topology_spread_constraints.empty();
    std::vector<Constraint> constraints =
        own ? constraints_of(*pod.pod, api::corev1::kScheduleAnyway) : default_constraints(*pod.pod, cache);
    if (constraints.empty()) return nullptr;
    return std::make_unique<Scorer>(pod, cache, std::move(constraints), feasible, /*require_all_keys=*/own);
  }

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kNodeTaints | kNodeRemoved | kPodAssigned | kPodRelabelled | kPodGone |
           kOwnLabels;
  }

  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (!change.pod || (change.kinds & (kPodRelabelled | kOwnLabels))) return true;
    const std::vector<Constraint> constraints = constraints_of(*pod.pod, api::corev1::kDoNotSchedule);
    const Pod& other = *change.pod->pod;
    return other.metadata.namespace_ == pod.pod->metadata.namespace_ &&
           std::ranges::any_of(constraints,
                               [&](const auto& each) { return each.selector.matches(other.metadata.labels); });
  }
};

}  // namespace

std::shared_ptr<Plugin> pod_topology_spread() { return std::make_shared<PodTopologySpread>(); }

}  // namespace trireme::scheduler::plugins
