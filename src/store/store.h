#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

/// The cluster's state: the etcd v3 data model cut to what Kubernetes needs.
///
/// One revision counter for the whole store, raised by one with every successful write. Keys are ordered bytes.
/// A range is [start, end), without an upper bound when `end` is empty; `prefix_end` makes the end for a prefix.
/// An empty store is at revision 1, as etcd's: the first write makes revision 2, and 0 never names a revision.
namespace trireme::store {

using Revision = int64_t;
using LeaseId = int64_t;

/// etcd's default limit for a request (--max-request-bytes).
inline constexpr std::size_t kMaxValueBytes = 1572864;
inline constexpr std::size_t kMaxKeyBytes = 4096;

struct KeyValue {
  std::string key;
  SharedBytes value;
  Revision create_revision = 0;
  Revision mod_revision = 0;
  LeaseId lease = 0;
};

struct RangeOptions {
  int64_t limit = 0;      ///< At most this many entries; 0 for all.
  Revision revision = 0;  ///< Read as of this revision; 0 for the newest.
  bool count_only = false;
  bool keys_only = false;
};

struct RangeResult {
  std::vector<KeyValue> entries;
  int64_t count = 0;      ///< Entries in the whole range, whatever the limit.
  Revision revision = 0;  ///< The store's revision when it answered (not the one asked for).
};

struct Event {
  enum class Type { kPut, kDelete };
  Type type;
  KeyValue entry;     ///< For kDelete: key and mod_revision (that of the deletion), no value.
  KeyValue previous;  ///< The entry before; key empty when it was created or compaction has taken it.
};

/// Receives watch events in revision order, whole revisions at a time, on a thread of the store's. Must not block
/// for long and must not call back into the watch's destruction.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  virtual void events(std::vector<Event> batch) = 0;
  /// Everything up to `revision` has been delivered, though nothing in the range changed.
  virtual void progress(Revision revision) = 0;
  /// The watch has ended (Expired when the next revision was compacted); nothing follows.
  virtual void ended(const Status& status) = 0;
};

/// A running watch; destruction ends it and returns once no sink call is under way.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Asks for a `progress` call as soon as everything up to now was delivered.
  virtual void request_progress() = 0;
};

/// Thread-safe. Write calls return when the write is durable (as far as the backend promises at all).
///
/// Limits: a value has at most kMaxValueBytes (RequestEntityTooLarge), a key 1 to kMaxKeyBytes (BadRequest). Reading
/// at a revision that is yet to come is BadRequest; watching from one waits for it.
///
/// Failures: Conflict when a precondition did not hold; Expired when a revision was compacted; ServiceUnavailable
/// when the backend cannot be reached or written (disk full), in which case the write has not happened unless the
/// message says that the outcome is unknown (Timeout).
class Store {
 public:
  virtual ~Store() = default;

  virtual Result<RangeResult> range(std::string_view start, std::string_view end, const RangeOptions& options) = 0;

  /// Writes `value` when the key's mod revision equals `expected` (0: the key must be absent). Returns the new
  /// mod revision. On Conflict the caller reads again. NotFound when there is no such lease.
  virtual Result<Revision> put(std::string_view key, SharedBytes value, Revision expected, LeaseId lease = 0) = 0;

  /// Deletes the key when its mod revision equals `expected`. Returns the deletion's revision. Conflict also when the
  /// key is absent.
  virtual Result<Revision> remove(std::string_view key, Revision expected) = 0;

  /// Events with a revision greater than `after` for keys in [start, end). `after` 0 means from now on.
  virtual Result<std::unique_ptr<Watch>> watch(std::string_view start, std::string_view end, Revision after,
                                               std::shared_ptr<WatchSink> sink) = 0;

  virtual Result<Revision> current_revision() = 0;
  /// Forgets history before `revision`; reading or watching below it then fails with Expired (a watch through its
  /// sink: events from `revision` on are kept). No-op when already compacted that far.
  virtual Status compact(Revision revision) = 0;

  /// Keys put with a lease are deleted, each with a revision of its own, when it expires or is revoked. A put
  /// without a lease takes the key off it. After a restart a lease has its whole time again.
  virtual Result<LeaseId> grant_lease(int64_t ttl_seconds) = 0;
  virtual Status keep_alive(LeaseId lease) = 0;
  virtual Status revoke_lease(LeaseId lease) = 0;

  /// Bytes on disk (memory backend: of keys and values), for metrics and limits.
  virtual Result<int64_t> size_bytes() = 0;

  /// One entry, or NotFound.
  Result<KeyValue> get(std::string_view key);
};

/// The smallest key after all keys that begin with `prefix`.
std::string prefix_end(std::string_view prefix);

}  // namespace trireme::store
