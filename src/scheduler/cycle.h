#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/framework.h"

namespace trireme::scheduler {

/// Pods that a preemption has promised a node, which they take once its victims are gone.
class Nominations {
 public:
  void set(const PodInfoPointer& pod, const std::string& node);
  void remove(const std::string& uid);
  /// Empty when the pod has none.
  std::string node_of(const std::string& uid) const;
  const std::vector<PodInfoPointer>& on(const std::string& node) const;
  bool empty() const { return by_uid_.empty(); }

 private:
  std::unordered_map<std::string, std::string> by_uid_;
  std::unordered_map<std::string, std::vector<PodInfoPointer>> by_node_;
};

/// Why a pod found no node.
struct Refusal {
  size_t all_nodes = 0;
  std::vector<std::pair<Reasons::Text, size_t>> reasons;  ///< How many nodes were refused for each.
  uint32_t plugins = 0;                                   ///< Bit i: the profile's i-th plugin refused a node.
  std::string pre_filter;  ///< Why the pod was refused before any node was looked at; may be empty.
  /// Nodes from which removing pods could help.
  std::vector<const NodeInfo*> resolvable;
  std::string preemption;  ///< What preemption had to say; may be empty.

  void count(Reasons::Text reason, size_t nodes = 1);
  void count(std::string_view reason, size_t nodes = 1) { count(Reasons::intern(reason), nodes); }
  /// As upstream's: "0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods."
  std::string message() const;
};

/// The filters of a profile, prepared for one pod.
class PodFilters {
 public:
  PodFilters(const Profile& profile, const Cache& cache, const Nominations& nominations, const PodInfo& pod);

  /// Checks a node as it is and, where pods of the same or higher priority are promised it, with those on it too.
  /// `plugins` gets the bit of the filter that refused.
  Fit check(const NodeInfo& node, Reasons& reasons, uint32_t& plugins);
  /// Without promised pods.
  Fit check_bare(const NodeInfo& node, Reasons& reasons, uint32_t& plugins) const;
  void add_pod(const PodInfo& pod, const NodeInfo& node);
  void remove_pod(const PodInfo& pod, const NodeInfo& node);

  /// What `plan_filter` of a plugin had to say of the pod as a whole: a failure, or a refusal and the plugins' bits.
  const Status& error() const { return error_; }
  const std::string& refused() const { return refused_; }
  Fit refused_as() const { return refused_as_; }
  uint32_t refused_by() const { return refused_by_; }

  /// When set, only these nodes come into question; `narrowed_by` tells the plugins that said so.
  const std::optional<std::vector<std::string>>& names() const { return names_; }
  const std::vector<size_t>& narrowed_by() const { return narrowed_by_; }
  /// Whether no filter refuses the node with this ordinal by its node set.
  bool may_fit(size_t ordinal) const {
    return std::ranges::all_of(node_sets_, [&](const auto& set) { return set->contains(ordinal); });
  }
  bool has_node_sets() const { return !node_sets_.empty(); }
  /// Whether all filters are local, and no pod is promised a node: refusals can be kept.
  bool local() const;
  const PodInfo& pod() const { return pod_; }
  const Profile& profile() const { return profile_; }

 private:
  struct Entry {
    size_t plugin;
    std::unique_ptr<NodeFilter> filter;
  };
  const Profile& profile_;
  const Nominations& nominations_;
  const PodInfo& pod_;
  std::vector<Entry> filters_;
  Status error_;
  std::string refused_;
  Fit refused_as_ = Fit::kUnresolvable;
  uint32_t refused_by_ = 0;
  std::optional<std::vector<std::string>> names_;
  std::vector<size_t> narrowed_by_;
  std::vector<std::shared_ptr<const NodeSet>> node_sets_;
};

/// Refusals of pods by all nodes, kept for pods of the same shape: such a pod is checked only against nodes that have
/// changed since.
class RefusalCache {
 public:
  bool empty() const { return kept_.empty(); }
  /// Fills `refusal` when the pod is still refused by every node.
  bool recall(PodFilters& filters, const Cache& cache, Refusal& refusal);
  /// The scan that follows records its verdicts here, for `keep`.
  void begin();
  void record(const NodeInfo& node, Fit fit, const Reasons& reasons, uint32_t plugins);
  void keep(const PodFilters& filters, const Cache& cache);

 private:
  struct Kind {
    Fit fit;
    uint32_t plugins;
    std::vector<Reasons::Text> reasons;
    size_t nodes = 0;
    bool operator==(const Kind&) const = default;
  };
  struct Kept {
    std::string key;
    uint64_t version = 0;
    std::vector<Kind> kinds;
    std::vector<uint16_t> of_node;  ///< By ordinal: the kind's number plus one.
  };
  static constexpr size_t kMax = 16;
  static std::string key_of(const PodFilters& filters);
  static void set(Kept& kept, size_t ordinal, Fit fit, const Reasons& reasons, uint32_t plugins);
  static void clear(Kept& kept, size_t ordinal);

  std::list<Kept> kept_;
  Kept recording_;
  Reasons reasons_;
};

class Extender;

/// Picks nodes for pods, one at a time. Reads the cache only. Not thread-safe.
class Cycle {
 public:
  /// `cache` and `nominations` outlive it.
  Cycle(const Cache& cache, const Nominations& nominations, uint64_t seed,
        const std::vector<std::unique_ptr<Extender>>* extenders = nullptr)
      : cache_(cache), nominations_(nominations), extenders_(extenders), random_(seed) {}

  struct Decision {
    const NodeInfo* node = nullptr;  ///< Null: see `refusal`.
    Status error;                    ///< The attempt failed; then neither node nor refusal count.
    size_t evaluated = 0;
    size_t feasible = 0;
    Refusal refusal;
  };
  /// `filters` were prepared for the pod and the cache as it is now.
  Decision decide(PodFilters& filters);

 private:
  void find_feasible(PodFilters& filters, Decision& decision);
  void check_named(PodFilters& filters, Decision& decision);
  Status ask_extenders(const PodInfo& pod, Refusal& refusal);
  void check(PodFilters& filters, const NodeInfo& node, Decision& decision, bool record);
  void refuse(const NodeInfo& node, Fit fit, uint32_t plugins, Refusal& refusal);
  const NodeInfo* best(const Profile& profile, const PodInfo& pod);

  const Cache& cache_;
  const Nominations& nominations_;
  const std::vector<std::unique_ptr<Extender>>* extenders_;  ///< Null: none.
  std::mt19937_64 random_;
  size_t next_start_ = 0;
  // Kept from pod to pod for their memory.
  std::vector<const NodeInfo*> feasible_;
  std::vector<int64_t> totals_;
  std::vector<int64_t> scores_;
  Reasons reasons_;
  RefusalCache refusals_;
};

/// How many feasible nodes are enough to choose from, of `all`: all up to 100, then a share that shrinks from 50% to
/// 5% as the cluster grows. https://kubernetes.io/docs/concepts/scheduling-eviction/scheduler-perf-tuning/
/// `percentage` (1 to 100) replaces the share that shrinks.
size_t nodes_to_find(size_t all, int32_t percentage = 0);

}  // namespace trireme::scheduler
