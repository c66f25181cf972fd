#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "api/codec.h"
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

Constraint make_constraint(const TopologySpreadConstraint& from, api::LabelSelector selector) {
  return {from.topology_key,
          from.max_skew,
          from.min_domains.value_or(1),
          std::move(selector),
          from.node_affinity_policy.value_or("Honor") == api::corev1::kNodeInclusionPolicyHonor,
          from.node_taints_policy.value_or("Ignore") == api::corev1::kNodeInclusionPolicyHonor};
}

std::vector<Constraint> constraints_of(const Pod& pod, std::string_view when_unsatisfiable) {
  std::vector<Constraint> out;
  for (const TopologySpreadConstraint& each : pod.spec.topology_spread_constraints) {
    if (each.when_unsatisfiable != when_unsatisfiable) continue;
    out.push_back(make_constraint(
        each, effective_selector(each.label_selector.get(), pod.metadata.labels, each.match_label_keys)));
  }
  return out;
}

bool has_all_keys(const std::vector<std::string>& keys, const NodeInfo& node) {
  return std::ranges::all_of(keys, [&](const std::string& each) { return node.label(each) != nullptr; });
}

std::vector<std::string> keys_of(const std::vector<Constraint>& constraints) {
  std::vector<std::string> keys;
  for (const Constraint& each : constraints) keys.push_back(each.key);
  return keys;
}

bool counts(const api::LabelSelector& selector, const std::string& ns, const Pod& other) {
  return other.metadata.namespace_ == ns && !other.metadata.deletion_timestamp &&
         selector.matches(other.metadata.labels);
}

/// Pods that the constraint counts, by the domains of `key`. Nodes take part that have all of `needed_keys` and that
/// the constraint's policies let the pod use.
std::shared_ptr<const Tally> count_pods(const Constraint& constraint, const std::string& key,
                                        const std::vector<std::string>& needed_keys, const PodInfo& pod,
                                        const Cache& cache) {
  const std::string& ns = pod.pod->metadata.namespace_;
  const bool any_node = key == Topology::kEachNode;
  std::string name =
      fmt::format("spread\n{}\n{}\n{}\n{}\n", ns, constraint.selector.to_string(), key, fmt::join(needed_keys, ","));
  if (!any_node && constraint.honor_affinity) name += pod.placement;
  if (!any_node && constraint.honor_taints) {
    name += '\n';
    for (const auto& toleration : pod.pod->spec.tolerations) name += api::encode_json(toleration);
    name += "\ntaints";
  }
  return cache.tally(name, [&] {
    Tally::Rule rule;
    rule.weigh = [ns, selector = constraint.selector, key](const PodInfo& other, const Tally::Add& add) {
      if (counts(selector, ns, *other.pod)) add(key, 1);
    };
    rule.keys = {key};
    if (any_node) return rule;
    rule.includes = [needed_keys, pod = pod.pod, affinity = constraint.honor_affinity && !pod.placement.empty(),
                     taints = constraint.honor_taints](const NodeInfo& node) {
      if (!has_all_keys(needed_keys, node)) return false;
      if (affinity && !matches_required_node_affinity(*pod, *node.node)) return false;
      return !taints || std::ranges::all_of(node.hard_taints, [&](const api::corev1::Taint& taint) {
        return tolerates(pod->spec.tolerations, taint);
      });
    };
    return rule;
  });
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, const Cache& cache, std::vector<Constraint> constraints) {
    const std::vector<std::string> keys = keys_of(constraints);
    for (Constraint& each : constraints) {
      const bool self = each.selector.matches(pod.pod->metadata.labels);
      TrialTally tally(count_pods(each, each.key, keys, pod, cache));
      entries_.push_back({std::move(each), self, std::move(tally)});
    }
  }

  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    for (const Entry& each : entries_) {
      const Tally::Counts& counts = *each.tally.tally().counts(each.constraint.key);
      const int32_t domain = counts.topology().domain_of(node);
      if (domain == Topology::kNone) {
        reasons.emplace_back("node(s) didn't match pod topology spread constraints (missing required label)");
        return Fit::kUnresolvable;
      }
      // With fewer domains than asked for, an empty one is thought to exist.
      const bool enough = static_cast<int64_t>(counts.domains()) >= each.constraint.min_domains;
      const int64_t lowest = enough ? each.tally.lowest(counts) : 0;
      if (each.tally.at(counts, domain) + (each.self ? 1 : 0) - lowest > each.constraint.max_skew) {
        reasons.emplace_back("node(s) didn't match pod topology spread constraints");
        return Fit::kUnschedulable;
      }
    }
    return Fit::kFits;
  }

  void add_pod(const PodInfo& pod, const NodeInfo& node) override { change(pod, node, 1); }
  void remove_pod(const PodInfo& pod, const NodeInfo& node) override { change(pod, node, -1); }

 private:
  struct Entry {
    Constraint constraint;
    bool self;  ///< The new pod counts, too.
    TrialTally tally;
  };
  void change(const PodInfo& pod, const NodeInfo& node, int by) {
    for (Entry& each : entries_) each.tally.change(pod, node, by);
  }

  std::vector<Entry> entries_;
};

class Scorer final : public NodeScorer {
 public:
  Scorer(const PodInfo& pod, const Cache& cache, const std::vector<Constraint>& constraints,
         std::span<const NodeInfo* const> feasible, bool require_all_keys) {
    std::vector<std::string> needed;
    if (require_all_keys) needed = keys_of(constraints);
    size_t ignored = 0;
    if (require_all_keys) {
      for (const Constraint& each : constraints) required_.push_back(&cache.topology(each.key));
      ignored =
          static_cast<size_t>(std::ranges::count_if(feasible, [&](const auto* node) { return !takes_part(*node); }));
    }
    for (const Constraint& each : constraints) {
      const bool by_host = each.key == api::corev1::kLabelHostname;
      const std::string key(by_host ? std::string(Topology::kEachNode) : each.key);
      Entry entry{count_pods(each, key, needed, pod, cache), &cache.topology(each.key), nullptr,
                  static_cast<double>(each.max_skew - 1), 0};
      entry.counts = entry.tally->counts(key);
      // The more domains, the less one pod means in each.
      const size_t size = by_host ? feasible.size() - ignored : domains_among(feasible, *entry.labels);
      entry.weight = std::log(static_cast<double>(size) + 2);
      entries_.push_back(std::move(entry));
    }
  }

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    constexpr int64_t kIgnored = -1;
    int64_t lowest = std::numeric_limits<int64_t>::max();
    int64_t highest = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (!takes_part(*nodes[i])) {
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
  struct Entry {
    std::shared_ptr<const Tally> tally;
    const Topology* labels;  ///< The constraint's own topology.
    const Tally::Counts* counts;
    double base;
    double weight;
  };

  bool takes_part(const NodeInfo& node) const {
    return std::ranges::all_of(required_,
                               [&](const Topology* each) { return each->domain_of(node) != Topology::kNone; });
  }

  size_t domains_among(std::span<const NodeInfo* const> feasible, const Topology& topology) const {
    std::vector<bool> seen(topology.size() + 1);
    size_t size = 0;
    for (const NodeInfo* node : feasible) {
      if (!takes_part(*node)) continue;
      // Nodes without the label are one domain of their own here.
      auto mark = seen[static_cast<size_t>(topology.domain_of(*node) + 1)];
      if (!mark) ++size;
      mark = true;
    }
    return size;
  }

  int64_t raw_score(const NodeInfo& node) const {
    double sum = 0;
    for (const Entry& each : entries_) {
      if (each.labels->domain_of(node) == Topology::kNone) continue;
      sum += static_cast<double>(each.counts->at(node)) * each.weight + each.base;
    }
    return std::llround(sum);
  }

  std::vector<Entry> entries_;
  std::vector<const Topology*> required_;  ///< Nodes that lack one of these labels are the last choice.
};

class PodTopologySpread final : public Plugin {
 public:
  explicit PodTopologySpread(TopologySpreadArgs args) : args_(std::move(args)) {
    if (!args_.system_defaults) return;
    const auto add = [this](std::string_view key, int32_t skew) {
      auto& constraint = args_.constraints.emplace_back();
      constraint.topology_key = key;
      constraint.max_skew = skew;
      constraint.when_unsatisfiable = api::corev1::kScheduleAnyway;
    };
    args_.constraints.clear();
    add(api::corev1::kLabelHostname, 3);
    add(api::corev1::kLabelTopologyZone, 5);
  }
  std::string_view name() const override { return "PodTopologySpread"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kScore); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    std::vector<Constraint> constraints = constraints_for(*pod.pod, api::corev1::kDoNotSchedule, cache);
    if (constraints.empty()) return {};
    return {std::make_unique<Filter>(pod, cache, std::move(constraints)), {}};
  }

  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache& cache,
                                         std::span<const NodeInfo* const> feasible) const override {
    const std::vector<Constraint> constraints = constraints_for(*pod.pod, api::corev1::kScheduleAnyway, cache);
    if (constraints.empty()) return nullptr;
    const bool own = !pod.pod->spec.topology_spread_constraints.empty();
    return std::make_unique<Scorer>(pod, cache, constraints, feasible, own || !args_.system_defaults);
  }

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kNodeTaints | kNodeRemoved | kPodAssigned | kPodRelabelled | kPodGone |
           kOwnLabels;
  }

  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache& cache) const override {
    if (change.kinds & kOwnLabels) return true;
    const std::vector<Constraint> constraints = constraints_for(*pod.pod, api::corev1::kDoNotSchedule, cache);
    if (change.pod) {
      const auto involved = [&](const PodInfo& other) {
        return other.pod->metadata.namespace_ == pod.pod->metadata.namespace_ &&
               std::ranges::any_of(constraints, [&](const Constraint& each) {
                 return each.selector.matches(other.pod->metadata.labels);
               });
      };
      return involved(*change.pod) || (change.pod_before && involved(*change.pod_before));
    }
    if ((change.kinds & kNodeTaints) && std::ranges::any_of(constraints, &Constraint::honor_taints)) return true;
    const auto value = [](const NodePointer& node, const std::string& key) {
      const auto found = node ? node->metadata.labels.find(key) : Labels::const_iterator();
      return !node || found == node->metadata.labels.end() ? nullptr : &found->second;
    };
    const auto takes_part = [&](const NodePointer& node) {
      return node && std::ranges::all_of(constraints, [&](const Constraint& each) { return value(node, each.key); });
    };
    const bool before = takes_part(change.node_before);
    const bool after = takes_part(change.node);
    if (before != after) return true;
    return after && std::ranges::any_of(constraints, [&](const Constraint& each) {
             return *value(change.node_before, each.key) != *value(change.node, each.key);
           });
  }

 private:
  /// The pod's own constraints or, when it has none at all, those that spread it among its siblings.
  std::vector<Constraint> constraints_for(const Pod& pod, std::string_view when_unsatisfiable,
                                          const Cache& cache) const {
    if (!pod.spec.topology_spread_constraints.empty()) return constraints_of(pod, when_unsatisfiable);
    if (std::ranges::none_of(args_.constraints,
                             [&](const auto& each) { return each.when_unsatisfiable == when_unsatisfiable; })) {
      return {};
    }
    const api::LabelSelector siblings = cache.siblings_of(pod);
    if (siblings == api::LabelSelector::nothing() || siblings.empty()) return {};
    std::vector<Constraint> out;
    for (const TopologySpreadConstraint& each : args_.constraints) {
      if (each.when_unsatisfiable == when_unsatisfiable) out.push_back(make_constraint(each, siblings));
    }
    return out;
  }

  TopologySpreadArgs args_;
};

}  // namespace

std::shared_ptr<Plugin> pod_topology_spread(const TopologySpreadArgs& args) {
  return std::make_shared<PodTopologySpread>(args);
}

}  // namespace trireme::scheduler::plugins
