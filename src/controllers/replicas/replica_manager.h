#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/selectors.h"
#include "api/types/corev1.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "client/event_recorder.h"
#include "controllers/support/pods.h"
#include "controllers/support/recent_writes.h"

/// Keeping a number of equal pods: the part that ReplicationController and ReplicaSet have in common.
namespace trireme::controllers {

/// The object that asks for replicas, whatever its kind.
struct ReplicaOwner {
  api::corev1::ObjectReference reference;
  bool deleting = false;
  api::LabelSelector selector;
  const api::corev1::PodTemplateSpec* pod_template = nullptr;  ///< Null: nothing can be made.
  int32_t replicas = 0;
  int32_t min_ready_seconds = 0;
};

/// The pod that the template asks for: named after the owner, owned by it.
api::corev1::Pod pod_from_template(const ReplicaOwner& owner);

/// The `count` pods to delete first, by upstream's order: unassigned, pending, not ready, cheap by
/// pod-deletion-cost, on nodes with many related pods, ready for a shorter time, often restarted, young.
/// `related` are the pods counted per node (usually `pods` themselves).
std::vector<PodPointer> choose_for_deletion(std::vector<PodPointer> pods, std::span<const PodPointer> related,
                                            size_t count, WallTime now);

/// Counts of the status, over the owner's active pods.
struct ReplicaCounts {
  int32_t replicas = 0;
  int32_t fully_labeled = 0;
  int32_t ready = 0;
  int32_t available = 0;
  std::optional<Duration> next_available;  ///< When the next ready pod becomes available, if one will.
  bool operator==(const ReplicaCounts&) const = default;
};
ReplicaCounts count_replicas(const ReplicaOwner& owner, std::span<const PodPointer> active, WallTime now);

/// Creates, deletes, adopts and releases pods. Thread-safe.
class ReplicaManager {
 public:
  /// At most so many pods are created or deleted in one pass.
  static constexpr size_t kBurst = 500;

  /// `parallel`: see run_batch.
  ReplicaManager(client::Client client, std::shared_ptr<Clock> clock, client::EventRecorder events, bool parallel)
      : client_(std::move(client)), clock_(std::move(clock)), events_(std::move(events)), parallel_(parallel) {}

  /// Of `candidates` (everything that might concern the owner) those that are its own and active, after adopting and
  /// releasing. `confirm` asks the server once, before the first adoption, whether the owner still lives as known.
  Result<std::vector<PodPointer>> claim(const ReplicaOwner& owner, std::vector<PodPointer> candidates,
                                        uint64_t cache_version, const std::function<Status()>& confirm);

  struct Scaling {
    std::string failure_reason;  ///< "FailedCreate", "FailedDelete", or empty.
    Status failure;
  };
  /// Brings the number of `active` pods to what the owner asks for. `related` gives the pods that count as a crowd on
  /// a node when some must go (choose_for_deletion); it is asked only then.
  Scaling scale(const ReplicaOwner& owner, const std::vector<PodPointer>& active,
                const std::function<std::vector<PodPointer>()>& related);

  /// Of the ready pods chosen for deletion: how many times as old they are as the youngest ready one.
  const metrics::Histograms& deletion_ages() const { return deletion_ages_; }
  void forget(const std::string& owner_uid) { recent_.forget(owner_uid); }

 private:
  void note_ages(const std::vector<PodPointer>& active, const std::vector<PodPointer>& chosen);
  Status create_one(const ReplicaOwner& owner);
  Status delete_one(const ReplicaOwner& owner, const api::corev1::Pod& pod);

  client::Client client_;
  std::shared_ptr<Clock> clock_;
  client::EventRecorder events_;
  const bool parallel_;
  RecentWrites recent_;
  metrics::Histograms deletion_ages_{
      "replicaset_controller_sorting_deletion_age_ratio",
      "The ratio of chosen deleted pod's ages to the current youngest pod's age (at the time). Should be <2. This only "
      "considers Ready pods when calculating and reporting.",
      {},
      metrics::exponential_bounds(0.25, 2, 6)};
};

}  // namespace trireme::controllers
