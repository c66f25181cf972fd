#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace trireme::store {

/// Part of a store's history, as `HistoryReader` returns it.
struct HistorySlice {
  std::vector<Event> events;  ///< In revision order.
  Revision through = 0;       ///< Everything in the range up to this revision is in `events`.
};

/// Reads events with a revision greater than `after` for keys in [start, end), at most about `limit` of them.
/// Expired when compaction has taken `after` + 1. Called without any lock of the hub.
using HistoryReader = std::function<Result<HistorySlice>(std::string_view start, std::string_view end, Revision after,
                                                         std::size_t limit)>;

/// What of a backlog a hub keeps in memory before it drops it and reads history instead.
struct WatchHubLimits {
  std::size_t backlog_events = 16384;
  std::size_t backlog_bytes = 16u << 20;
  std::size_t history_chunk = 512;  ///< Events read from history for one call of a sink.
};

/// Where a hub calls its sinks.
enum class Dispatch {
  kOwnThread,
  /// On the thread of the call that gave it something to deliver, before that call returns: for a process of one thread
  /// alone. `publish` only queues; the store calls `deliver` when it has released its locks.
  kInline,
};

/// Hands the events of one store to its watches, by default on one thread of its own.
///
/// A watch that has seen everything dispatched so far lives on the backlog of fresh events, which finds the watches of
/// a key by hashing its registered prefixes instead of asking each watch. A watch that starts in the past, and every
/// watch after slow sinks let the backlog overflow, catches up from the store's history in chunks. So writers never
/// wait for sinks and memory stays bounded. Thread-safe. Asleep when there is nothing to deliver.
class WatchHub {
 public:
  /// `current`: the store's revision; what is published next is newer.
  WatchHub(Revision current, HistoryReader read_history, Dispatch dispatch = Dispatch::kOwnThread,
           WatchHubLimits limits = {});
  /// Ends the watches that still run with ServiceUnavailable. Watch objects may outlive the hub.
  ~WatchHub();

  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  /// Adds the events of one or more whole revisions, in order. Only queues; to be called in the order of the
  /// revisions, after the history reader can see them and before their writers are told of success.
  void publish(std::vector<Event> events);

  /// Inline hubs: calls the sinks until nothing is left to deliver. Called without any lock that a sink or the history
  /// reader takes. Does nothing in other hubs.
  void deliver();

  /// From now on, watches that want events before `revision` end with Expired, even if the backlog still has them.
  void compacted(Revision revision);

  std::unique_ptr<Watch> add(std::string_view start, std::string_view end, Revision after,
                             std::shared_ptr<WatchSink> sink);

 private:
  class Core;
  class HubWatch;
  std::shared_ptr<Core> core_;
};

}  // namespace trireme::store
