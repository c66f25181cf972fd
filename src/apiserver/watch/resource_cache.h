#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apiserver/watch/cached_object.h"
#include "apiserver/watch/caches.h"
#include "apiserver/watch/object_tree.h"

namespace trireme::apiserver {

class Watcher;

/// One change of one object, shared by everybody who is told about it.
struct Change {
  store::Revision revision = 0;
  CachedPointer before;  ///< Null when the object was created.
  CachedPointer after;   ///< Null when it was deleted.
  Duration at{};         ///< Monotonic.
  size_t bytes = 0;      ///< Estimate of what keeping it costs.

  const std::string& key() const { return after ? after->key() : before->key(); }
  /// The object as it was, at the revision of the change: what a DELETED event shows. Made at first need.
  CachedPointer tombstone() const;

 private:
  mutable std::once_flag made_;
  mutable CachedPointer tombstone_;
};
using ChangePointer = std::shared_ptr<const Change>;

/// Which changes concern a watcher at all; the dispatcher's index. At most one of the three narrower forms is set.
struct WatchScope {
  std::string key_prefix;           ///< Of the whole resource or of one namespace.
  std::string key;                  ///< Exactly one object.
  std::optional<std::string> node;  ///< Pods with this spec.nodeName.
};

/// Everything of one resource, decoded, following the store. Reads take an immutable tree and never hold the lock while
/// they use it. Thread-safe.
///
/// Changes arrive on a thread of the store's, one at a time; recent ones are kept, so that watches can resume.
class ResourceCache : public std::enable_shared_from_this<ResourceCache> {
 public:
  struct Snapshot {
    ObjectTree tree;
    store::Revision revision = 0;
  };

  /// Reads the store and follows it from there.
  static Result<std::shared_ptr<ResourceCache>> start(const CachesOptions& options, const api::ResourceInfo& resource,
                                                      std::string prefix);
  ~ResourceCache();

  const std::string& prefix() const { return prefix_; }
  /// The resource in its storage version.
  const api::ResourceInfo& resource() const { return resource_; }

  /// Whatever the cache holds now.
  Snapshot latest() const;
  /// At least as new as every write that was acknowledged before the call. ServiceUnavailable or Timeout when the
  /// store cannot tell.
  Result<Snapshot> current();
  /// At least as new as `revision`; after three seconds a Timeout in upstream's words, "Too large resource version".
  Result<Snapshot> not_older_than(store::Revision revision);
  /// As it was at `revision`, or nothing when that is older than what is remembered (the store may still know).
  /// Worked out from the newest state by taking changes back, and kept for the next page of the same list.
  std::optional<Snapshot> at(store::Revision revision) const;
  store::Revision changed_at() const;

  /// A write under way whose object is known here already, so that it need not be decoded again when the store
  /// reports it.
  class PendingWrite;
  std::shared_ptr<PendingWrite> begin_write(std::string key, SharedBytes value, api::Object object);
  /// The write succeeded at `revision`: reads from now on wait for it. Returns the object as cached.
  CachedPointer finish_write(const std::shared_ptr<PendingWrite>& write, store::Revision revision);
  void abandon_write(const std::shared_ptr<PendingWrite>& write);
  /// A deletion succeeded at `revision`.
  void note_write(store::Revision revision);

  /// Adds `watcher`, which then pulls what it missed. Expired when `after` is too old to resume from.
  Status add_watcher(const std::shared_ptr<Watcher>& watcher, store::Revision after);
  void remove_watcher(const Watcher* watcher);
  /// Up to `limit` changes after `revision`. None left: the watcher is live from here on, atomically. Expired when
  /// some were forgotten.
  Result<std::vector<ChangePointer>> changes_after(store::Revision revision, size_t limit, Watcher& watcher);
  /// Called by a live watcher that cannot take more for now.
  void pause_watcher(Watcher& watcher);
  /// Asks the store for a progress mark; when it comes, live watchers that are due send their bookmarks.
  void request_bookmarks();

  /// The watch on the store has ended; the cache must be replaced.
  bool broken() const;
  /// Ends every watch and stops following.
  void stop();
  size_t watcher_count() const;

 private:
  class Sink;
  struct WatcherIndex;
  ResourceCache(const CachesOptions& options, const api::ResourceInfo& resource, std::string prefix);
  Status load();
  void apply(store::Event event);
  void progress(store::Revision revision);
  void ended(const Status& status);
  CachedPointer decode(const store::KeyValue& entry);
  void remember(ChangePointer change);
  void arm_bookmarks();
  void request_progress();
  Result<Snapshot> wait_for(store::Revision revision);

  const CachesOptions options_;
  const api::ResourceInfo& resource_;
  const std::string prefix_;
  const bool by_node_;  ///< Pods: index watchers by spec.nodeName.

  mutable std::mutex mutex_;
  std::condition_variable advanced_;
  ObjectTree tree_;
  store::Revision revision_ = 0;      ///< Everything up to here is in the tree.
  store::Revision changed_ = 0;       ///< The last change.
  store::Revision written_ = 0;       ///< The last write of this process.
  store::Revision forgotten_ = 0;     ///< Changes up to here are not remembered.
  std::deque<ChangePointer> recent_;  ///< In order.
  size_t recent_bytes_ = 0;
  mutable std::deque<Snapshot> asked_;  ///< The last that `at` gave out.
  bool broken_ = false;
  std::unordered_map<const std::string*, std::shared_ptr<PendingWrite>> pending_;
  std::unique_ptr<WatcherIndex> watchers_;
  bool bookmarks_due_ = false;
  bool bookmark_timer_armed_ = false;
  std::unique_ptr<Clock::Timer> bookmark_timer_;
  std::shared_ptr<Sink> sink_;

  /// Taken alone or before `mutex_`, never after it: the store may answer a progress request at once.
  std::mutex watch_mutex_;
  std::unique_ptr<store::Watch> watch_;
};

/// `spec.nodeName` of a pod, "" for anything else.
const std::string& node_of(const api::Object& object);

}  // namespace trireme::apiserver
