#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "scheduler/framework.h"

namespace trireme::scheduler {

/// A pod waiting for a node, or on its way to one.
struct QueuedPod {
  PodInfoPointer info;
  Duration first_seen{};        ///< When it could first have been scheduled.
  Duration since{};             ///< When it was queued last.
  int attempts = 0;             ///< Decisions made for it.
  uint32_t refused_by = 0;      ///< Bits of the profile's plugins that refused it last.
  bool waits_for_node = false;  ///< The cluster had no node at all.
};

/// The pods that have no node, by what they wait for:
///   active       to be decided on, the highest priority first, then who waits longest
///   back-off     for their time to come: 1 s after the first failure, doubling to 10 s
///   unschedulable  for a change of the cluster that may help, or five minutes
///   gated        for the removal of their scheduling gates
///   in flight    handed out by `pop`, until `remove` or `requeue`
/// Owned by the scheduling thread: no locks, no timers; `next_due` tells when to come back.
/// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-scheduling/scheduler_queues.md
class Queue {
 public:
  enum class Place : uint8_t { kActive, kBackoff, kUnschedulable, kGated, kInFlight };
  static constexpr size_t kPlaces = 5;

  /// `profile` and `cache` outlive the queue.
  Queue(const Profile& profile, const Cache& cache, Duration initial_backoff, Duration maximum_backoff)
      : profile_(profile), cache_(cache), initial_backoff_(initial_backoff), maximum_backoff_(maximum_backoff) {}

  /// A new pod, or a newer version of one that is here. A change of what scheduling depends on (not of the status)
  /// makes an unschedulable pod worth another try.
  void put(const PodInfoPointer& pod, Duration now);
  /// Null when it was not here.
  PodInfoPointer remove(const std::string& uid);

  /// The next active pod, counted as an attempt; null when there is none. Valid until it is removed.
  const QueuedPod* pop();
  /// A pod in flight was refused by `plugins` and waits for the cluster to change. Without plugins (and with nodes in
  /// the cluster) it failed for an error, and waits for its back-off only.
  void requeue(const std::string& uid, uint32_t plugins, bool waits_for_node, Duration now);

  /// Gives pods that were refused by a plugin that cares another try.
  void on_change(const ClusterChange& change, Duration now);
  /// Moves what is due: pods whose back-off has ended, and those unschedulable for five minutes.
  void advance(Duration now);
  /// When `advance` has something to do next; nothing while nothing waits for a time.
  std::optional<Duration> next_due() const;

  size_t size(Place place) const { return sizes_[static_cast<size_t>(place)]; }
  /// Where the pod is, if here.
  std::optional<Place> place_of(const std::string& uid) const;

 private:
  struct Entry {
    QueuedPod pod;
    Place place = Place::kInFlight;
    Duration due{};       ///< End of the back-off, or of the five minutes.
    uint64_t number = 0;  ///< Orders pods queued at the same time.
  };
  struct Before {
    bool operator()(const Entry* a, const Entry* b) const;
  };
  struct Sooner {
    bool operator()(const Entry* a, const Entry* b) const;
  };

  void enter(Entry& entry, Place place);
  void leave(Entry& entry);
  /// To the back-off if that has not ended, else to the active ones.
  void retry(Entry& entry, Duration now);
  bool helps(const Entry& entry, const ClusterChange& change) const;
  Duration backoff_end(const Entry& entry) const;

  const Profile& profile_;
  const Cache& cache_;
  const Duration initial_backoff_;
  const Duration maximum_backoff_;
  std::unordered_map<std::string, Entry> entries_;  ///< By UID.
  std::set<Entry*, Before> active_;
  std::set<Entry*, Sooner> backoff_;
  std::set<Entry*, Sooner> unschedulable_;
  std::array<size_t, kPlaces> sizes_{};
  uint64_t last_number_ = 0;
};

}  // namespace trireme::scheduler
