#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "scheduler/framework.h"

namespace trireme::scheduler {

/// A pod waiting for a node, or on its way to one.
struct QueuedPod {
  PodInfoPointer info;
  Duration first_seen{};  ///< When it could first have been scheduled.
  Duration since{};       ///< When it was queued last.
  int attempts = 0;       ///< Decisions made for it.
  const Profile* profile = nullptr;
  uint32_t refused_by = 0;      ///< Bits of the profile's plugins that refused it last, or keep it out of the queue.
  bool waits_for_node = false;  ///< The cluster had no node at all.
};

/// The pods that have no node, by what they wait for:
///   active       to be decided on, the highest priority first, then who waits longest
///   back-off     for their time to come: 1 s after the first failure, doubling to 10 s
///   unschedulable  for a change of the cluster that may help, or five minutes
///   gated        for what a plugin's `pre_enqueue` wants, such as the removal of their scheduling gates
///   in flight    handed out by `pop`, until `remove` or `requeue`
/// A change that comes while a pod is in flight counts when it is requeued: no change is lost.
/// Owned by the scheduling thread: no locks, no timers; `next_due` tells when to come back.
/// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-scheduling/scheduler_queues.md
class Queue {
 public:
  enum class Place : uint8_t { kActive, kBackoff, kUnschedulable, kGated, kInFlight };
  static constexpr size_t kPlaces = 5;

  struct Times {
    Duration initial_backoff = std::chrono::seconds(1);
    Duration maximum_backoff = std::chrono::seconds(10);
    /// After this long an unschedulable pod is tried again, whatever happened.
    Duration unschedulable_timeout = std::chrono::minutes(5);
  };
  /// `profiles` and `cache` outlive the queue.
  Queue(std::span<const Profile> profiles, const Cache& cache, Times times)
      : profiles_(profiles), cache_(cache), times_(times) {}

  /// A new pod, or a newer version of one that is here, which is worth another try when a plugin that refused it says
  /// so. The pod must name a profile's scheduler.
  void put(const PodInfoPointer& pod, Duration now);
  /// Null when it was not here.
  PodInfoPointer remove(const std::string& uid);

  /// The next active pod, counted as an attempt; null when there is none. Valid until it is removed.
  const QueuedPod* pop();
  /// A pod in flight was refused by `plugins` and waits for the cluster to change. Without plugins (and with nodes in
  /// the cluster) it failed for an error, and waits for its back-off only.
  void requeue(const std::string& uid, uint32_t plugins, bool waits_for_node, Duration now);

  /// A pod in flight can only be requeued for an error from now on: changes need not be kept for it.
  void settle(const std::string& uid);

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
    Duration due{};                       ///< End of the back-off, or of the five minutes.
    uint64_t number = 0;                  ///< Orders pods queued at the same time.
    uint32_t care = 0;                    ///< Unschedulable or gated: the kinds of change that could help.
    std::optional<uint64_t> seen_from{};  ///< In flight: the number of the first change that it has not seen.
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
  /// To the gated or the active ones.
  void admit(Entry& entry, Duration now);
  bool gated(Entry& entry) const;
  uint32_t care_of(const Entry& entry) const;
  void stop_recording(Entry& entry);
  Duration backoff_end(const Entry& entry) const;

  struct Earlier {
    bool operator()(const Entry* a, const Entry* b) const { return a->number < b->number; }
  };

  const std::span<const Profile> profiles_;
  const Cache& cache_;
  const Times times_;
  std::unordered_map<std::string, Entry> entries_;  ///< By UID.
  std::set<Entry*, Before> active_;
  std::set<Entry*, Sooner> backoff_;
  std::set<Entry*, Sooner> unschedulable_;
  /// The unschedulable and the gated ones, by what could help them.
  std::map<uint32_t, std::set<Entry*, Earlier>> by_care_;
  std::array<size_t, kPlaces> sizes_{};
  /// The changes that some pod in flight has not seen; the first has the number `first_change_`.
  std::deque<ClusterChange> changes_;
  uint64_t first_change_ = 0;
  std::multiset<uint64_t> seen_from_;
  uint64_t last_number_ = 0;
};

}  // namespace trireme::scheduler
