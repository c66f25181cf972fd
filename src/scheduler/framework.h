#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/cache.h"

/// What a scheduling plugin is. https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/
namespace trireme::scheduler {

/// What a filter says of one node.
enum class Fit : uint8_t {
  kFits,
  kUnschedulable,  ///< Not now; removing pods from the node could help.
  kUnresolvable,   ///< Not while the node is what it is.
};
using Reasons = std::vector<std::string>;

/// One plugin's filter for one pod: what it learned before looking at nodes, and the check of a node.
class NodeFilter {
 public:
  virtual ~NodeFilter() = default;
  /// Unless it fits, appends upstream's reasons. Only `node` counts for what is on the node: it may be a copy from
  /// which pods were taken for a trial.
  virtual Fit check(const NodeInfo& node, Reasons& reasons) const = 0;
  /// `pod` is now thought to be on `node`, or no longer; for filters that look beyond one node.
  virtual void add_pod(const PodInfo& /*pod*/, const NodeInfo& /*node*/) {}
  virtual void remove_pod(const PodInfo& /*pod*/, const NodeInfo& /*node*/) {}
};

/// One plugin's score for one pod.
class NodeScorer {
 public:
  virtual ~NodeScorer() = default;
  /// Sets a score of 0 to 100, normalized, for each of `nodes`.
  virtual void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const = 0;
};
inline constexpr int64_t kMaxScore = 100;

struct FilterPlan {
  std::unique_ptr<NodeFilter> filter;             ///< Null: every node passes.
  std::optional<std::vector<std::string>> names;  ///< When set, only these nodes come into question.
};

/// Kinds of change in the cluster that can make room for a pod that was refused.
enum Change : uint32_t {
  kNodeAdded = 1U << 0,
  kNodeAllocatable = 1U << 1,
  kNodeLabels = 1U << 2,
  kNodeTaints = 1U << 3,  ///< and spec.unschedulable
  kNodeRemoved = 1U << 4,
  kPodAssigned = 1U << 5,
  kPodRelabelled = 1U << 6,  ///< of an assigned pod
  kPodScaledDown = 1U << 7,
  kPodGone = 1U << 8,  ///< An assigned pod ended, or was not bound after all.
  kNamespaceLabels = 1U << 9,
};
struct ClusterChange {
  uint32_t kinds = 0;
  const api::corev1::Node* node = nullptr;  ///< As it is now; null unless nodes changed.
  const PodInfo* pod = nullptr;             ///< As it is now, or was last; null unless pods changed.
};

/// A plugin of the scheduler. Stateless between pods; called on the scheduling thread only.
class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view name() const = 0;

  /// Prepares to filter nodes for `pod`. Pods and cache outlive the filter.
  virtual FilterPlan plan_filter(const PodInfo& /*pod*/, const Cache& /*cache*/) const { return {}; }
  /// Prepares to score `feasible`; null when it has no opinion on this pod.
  virtual std::unique_ptr<NodeScorer> plan_score(const PodInfo& /*pod*/, const Cache& /*cache*/,
                                                 std::span<const NodeInfo* const> /*feasible*/) const {
    return nullptr;
  }

  /// The kinds of change (Change) after which a pod it refused is worth another try.
  virtual uint32_t changes() const { return 0; }
  /// Whether this very change may help the pod (upstream's queueing hint). Asked only for kinds in `changes()`.
  virtual bool may_help(const PodInfo& /*pod*/, const ClusterChange& /*change*/, const Cache& /*cache*/) const {
    return true;
  }
};

/// Brings raw scores to 0..100 by the highest; `reverse` makes the highest the worst.
void normalize_by_maximum(std::span<int64_t> scores, bool reverse);

struct WeightedPlugin {
  std::shared_ptr<const Plugin> plugin;
  int64_t weight;  ///< 0: it does not score.
};
/// The plugins of one scheduler, in the order in which they filter.
using Profile = std::vector<WeightedPlugin>;

/// Upstream's default plugins and weights.
/// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
Profile default_profile();

}  // namespace trireme::scheduler
