#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "scheduler/cache.h"

/// What a scheduling plugin is. https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/
namespace trireme::scheduler {

/// What a filter says of one node.
enum class Fit : uint8_t {
  kFits,
  kUnschedulable,  ///< Not now; removing pods from the node could help.
  kUnresolvable,   ///< Not while the node is what it is.
};
/// Why a node was refused. Texts are kept once and for all, because the same ones come for thousands of nodes.
class Reasons {
 public:
  using Text = const std::string*;  ///< Equal texts have equal pointers.
  static Text intern(std::string_view text);

  void emplace_back(std::string_view text) { texts_.push_back(intern(text)); }
  void push_back(std::string_view text) { emplace_back(text); }
  void add(Text text) { texts_.push_back(text); }
  const std::vector<Text>& texts() const { return texts_; }
  const std::string& front() const { return *texts_.front(); }
  bool empty() const { return texts_.empty(); }
  void clear() { texts_.clear(); }

 private:
  std::vector<Text> texts_;
};

/// One plugin's filter for one pod: what it learned before looking at nodes, and the check of a node.
class NodeFilter {
 public:
  virtual ~NodeFilter() = default;
  /// Unless it fits, appends upstream's reasons. Only `node` counts for what is on the node: it may be a copy from
  /// which pods were taken for a trial.
  virtual Fit check(const NodeInfo& node, Reasons& reasons) const = 0;
  /// Whether the verdict depends on nothing but the node and what PodInfo::shape tells of the pod.
  virtual bool local() const { return false; }
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
  std::unique_ptr<NodeFilter> filter{};             ///< Null: every node passes.
  std::optional<std::vector<std::string>> names{};  ///< When set, only these nodes come into question.
  std::shared_ptr<const NodeSet> nodes{};           ///< When set, the filter refuses all others; it says why.
  std::string refused{};                            ///< Not empty: no node will do, and this is why.
  Fit refused_as = Fit::kUnresolvable;              ///< With `refused`: whether removing pods could help.
  Status error{};                                   ///< The attempt fails and is repeated after a back-off.
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
  kPodScaledDown = 1U << 7,  ///< of an assigned pod
  kPodGone = 1U << 8,        ///< An assigned pod ended, or was not bound after all.
  kNamespaceLabels = 1U << 9,
  kOwnLabels = 1U << 10,  ///< The waiting pod itself; `pod` is the pod.
  kOwnScaledDown = 1U << 11,
  kOwnTolerations = 1U << 12,
  kOwnGates = 1U << 13,    ///< Its last scheduling gate was removed.
  kClaimAdded = 1U << 14,  ///< PersistentVolumeClaim; this and the next have `object`.
  kClaimUpdated = 1U << 15,
  kVolumeAdded = 1U << 16,  ///< PersistentVolume
  kVolumeUpdated = 1U << 17,
  kStorageClassAdded = 1U << 18,
  kStorageClassUpdated = 1U << 19,
  kCsiNodeAdded = 1U << 20,
  kCsiNodeUpdated = 1U << 21,
  kCsiNodeRemoved = 1U << 22,
  kCsiDriverAdded = 1U << 23,
  kCsiDriverUpdated = 1U << 24,
  kCsiCapacityAdded = 1U << 25,  ///< CSIStorageCapacity
  kCsiCapacityUpdated = 1U << 26,
};
struct ClusterChange {
  uint32_t kinds = 0;
  NodePointer node{};         ///< As it is now; null unless a node was added or changed.
  PodInfoPointer pod{};       ///< As it is now, or was last; null unless pods changed.
  NodePointer node_before{};  ///< Null unless the node changed.
  PodInfoPointer pod_before{};
  std::shared_ptr<const void> object{};  ///< Of any other kind, as it is now (or was last, when it was removed).
  std::shared_ptr<const void> object_before{};

  /// T must be the kind that `kinds` names.
  template <typename T>
  const T* object_as() const {
    return static_cast<const T*>(object.get());
  }
  template <typename T>
  const T* before_as() const {
    return static_cast<const T*>(object_before.get());
  }
};

/// What a plugin has set aside for a pod on its way to a node, and what it has to do before and after the binding.
/// Made by Plugin::reserve. The scheduling thread ends it by `unreserve` or `post_bind`, one of which is called
/// unless the process ends; never while `pre_bind` runs.
class Reservation {
 public:
  virtual ~Reservation() = default;

  struct Progress {
    bool done = true;
    /// With `done` false: when (of the clock's monotonic time) to ask again, though nothing has changed.
    std::optional<Duration> look_again{};
  };
  /// Writes to the API what the binding depends on. Runs beside the scheduling thread, one call at a time. It must not
  /// wait for others: when something is still to come from them it returns `done` false, and is called again after the
  /// next change of a kind in the plugin's `changes()` (informers know it by then) and at `look_again`; its own time
  /// limit it checks itself. A failure gives the pod back: SchedulerError, and another try after its back-off.
  virtual Result<Progress> pre_bind() { return Progress{}; }
  /// The pod will not be bound to this node after all. On the scheduling thread.
  virtual void unreserve() {}
  /// The pod is bound. On the scheduling thread.
  virtual void post_bind() {}
};

/// Whether a pod may go on to its binding.
struct Permission {
  enum class Answer : uint8_t { kGo, kWait, kRefuse };
  Answer answer = Answer::kGo;
  Duration limit{};  ///< With kWait: after this long without WaitingPods::allow the pod is refused.
  std::string message{};
};

/// What a plugin that rescues a pod that fits nowhere (preemption) proposes.
struct Rescue {
  bool eligible = false;                  ///< False: the pod may not be helped now; a promise it has stays.
  const NodeInfo* node = nullptr;         ///< The node promised to the pod. Null: nothing can be done.
  std::vector<PodInfoPointer> victims{};  ///< To be deleted, the most important first.
  std::string message{};                  ///< Why nothing can be done, as upstream's.
};

class PodFilters;
struct Refusal;

/// A plugin of the scheduler. Except where said otherwise it is called on the scheduling thread only. Plugins keep what
/// they know of other kinds in informers (PluginContext), and what they have set aside for pods being bound.
class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view name() const = 0;
  /// The extension points it serves (Point).
  virtual uint32_t points() const = 0;

  /// Why the pod must not be tried yet; nothing when it may. Asked again when the pod changes, or the cluster by a kind
  /// in `changes()`.
  virtual std::optional<std::string> pre_enqueue(const PodInfo& /*pod*/) const { return std::nullopt; }

  /// Prepares to filter nodes for `pod`. Pods and cache outlive the filter.
  virtual FilterPlan plan_filter(const PodInfo& /*pod*/, const Cache& /*cache*/) const { return {}; }
  /// What to do for a pod that all nodes refused; nothing when the plugin has no idea. `filters` are left as they were.
  virtual std::optional<Rescue> post_filter(PodFilters& /*filters*/, const Refusal& /*refusal*/) {
    return std::nullopt;
  }
  /// Prepares to score `feasible`; null when it has no opinion on this pod.
  virtual std::unique_ptr<NodeScorer> plan_score(const PodInfo& /*pod*/, const Cache& /*cache*/,
                                                 std::span<const NodeInfo* const> /*feasible*/) const {
    return nullptr;
  }

  /// `node` was chosen and passed this plugin's filter in this very cycle: sets aside what the pod takes. Null when
  /// that is nothing. A failure gives the pod back, as an error.
  virtual Result<std::unique_ptr<Reservation>> reserve(const PodInfo& /*pod*/, const NodeInfo& /*node*/,
                                                       const Cache& /*cache*/) {
    return std::unique_ptr<Reservation>();
  }
  virtual Permission permit(const PodInfo& /*pod*/, const NodeInfo& /*node*/) { return {}; }
  /// Binds the pod; nothing when it leaves that to the next plugin. Runs beside the scheduling thread.
  virtual std::optional<Status> bind(const api::corev1::Pod& /*pod*/, const std::string& /*node*/) {
    return std::nullopt;
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

/// Moments of a pod's way at which plugins have a say. preFilter and preScore stand for configurations only:
/// `plan_filter` is part of kFilter, `plan_score` of kScore, and what binding needs (preBind, postBind) of kReserve.
enum class Point : uint8_t { kPreEnqueue, kQueueSort, kFilter, kPostFilter, kScore, kReserve, kPermit, kBind };
inline constexpr size_t kPoints = 8;
constexpr uint32_t point_bit(Point point) { return 1U << static_cast<uint32_t>(point); }

/// The plugins of one scheduler name.
struct Profile {
  struct Use {
    size_t plugin;       ///< Its index in `plugins`.
    int64_t weight = 0;  ///< Of its score.
  };
  std::string scheduler_name = "default-scheduler";
  /// All that take part at some point. At most 31: sets of them are bits, the last of which stands for extenders.
  std::vector<std::shared_ptr<Plugin>> plugins;
  std::array<std::vector<Use>, kPoints> uses;  ///< By point, in the order in which they are asked.
  /// Of all nodes, how many feasible ones are enough, in percent; 0: as `nodes_to_find` has it.
  int32_t percentage_of_nodes_to_score = 0;

  const std::vector<Use>& at(Point point) const { return uses[static_cast<size_t>(point)]; }
  /// The plugin's bit; 0 when it takes no part.
  uint32_t bit_of(std::string_view plugin) const;
  /// Adds a plugin at every point it serves.
  void add(std::shared_ptr<Plugin> plugin, int64_t weight = 0);
};

/// In sets of plugins: an extender refused the pod. Any change may move it.
inline constexpr uint32_t kExtenders = 1U << 31;

/// The profile that serves the pod; null when none does.
const Profile* find_profile(std::span<const Profile> profiles, std::string_view scheduler_name);

}  // namespace trireme::scheduler
