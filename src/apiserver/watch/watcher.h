#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apiserver/watch/cached_object.h"
#include "apiserver/watch/resource_cache.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "net/http.h"

namespace trireme::apiserver {

/// One event as a watcher's client takes it: bytes, or for a client in this process the object itself.
struct Frame {
  SharedBytes bytes;
  net::LocalPart part;  ///< When there are no bytes.
};

/// Turns objects into what one kind of client reads. Watchers with the same format share encoded frames.
class WatchFormat {
 public:
  virtual ~WatchFormat() = default;
  /// Two formats with the same identity produce the same bytes.
  virtual std::string_view identity() const = 0;
  /// The whole frame of an event. `first` is true for the first of a watch (a Table then has its columns).
  virtual Result<Frame> frame(std::string_view event, const CachedPointer& object, bool first) const = 0;
  /// A BOOKMARK at `revision`; `initial_end` marks the end of the initial events.
  virtual Frame bookmark(store::Revision revision, bool initial_end) const = 0;
  virtual Frame error(const Status& status) const = 0;
  /// Whether the first frame differs from later ones.
  virtual bool first_differs() const { return false; }
};

/// Frames of one change, encoded once for all watchers that want them.
class FrameCache {
 public:
  const Frame* find(std::string_view format, std::string_view event) const;
  void add(std::string_view format, std::string_view event, Frame frame);

 private:
  struct Entry {
    std::string_view format;
    std::string_view event;
    Frame frame;
  };
  std::vector<Entry> entries_;
};

struct WatcherOptions {
  WatchScope scope;
  /// Whether an object is selected; null selects everything in scope.
  std::function<bool(const api::Object& object)> selects;
  std::shared_ptr<const WatchFormat> format;
  std::shared_ptr<net::Exchange> exchange;
  /// Objects to report as ADDED first, as of `after`.
  std::optional<ObjectTree> initial;
  store::Revision after = 0;
  bool bookmarks = false;
  bool bookmark_after_initial = false;
  /// Called once, when the watch has ended.
  std::function<void()> on_end;
};

/// One client's watch. Live, it is handed every change in its scope; when the client reads too slowly it stops
/// listening and pulls from the cache's memory whenever its queue has drained, so that a slow client costs no memory;
/// it is ended when it falls behind what the cache remembers.
class Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  explicit Watcher(WatcherOptions options);

  /// Registers with `cache` and begins to send. The response must have been started.
  Status start(const std::shared_ptr<ResourceCache>& cache);

  const WatchScope& scope() const { return options_.scope; }
  /// Bookmarks are sent now and then (allowWatchBookmarks).
  bool wants_bookmarks() const { return options_.bookmarks; }

  /// On the cache's dispatching thread, live watchers only.
  void deliver(const ChangePointer& change, FrameCache& frames, ResourceCache& cache);
  void deliver_progress(store::Revision revision, bool bookmark);
  /// Ends the watch when `delay` has passed: with the next progress mark a last bookmark is sent.
  void expire_after(Clock& clock, Duration delay);
  /// Ends the response (with an ERROR event when `status` is a failure) and leaves the cache.
  void close(const Status& status = {});

  /// Changed by the cache, under its lock, so that no change falls between pulling and being handed.
  std::atomic<bool> live = false;

 private:
  void expire();
  void pump(ResourceCache& cache);
  void pump_once(ResourceCache& cache);
  void send_change(const Change& change, FrameCache& frames);
  size_t send(Frame frame);
  bool in_scope(const CachedPointer& object) const;

  static constexpr size_t kQueueLimit = 1 << 20;  ///< Bytes waiting in the exchange.

  WatcherOptions options_;
  std::weak_ptr<ResourceCache> cache_;
  std::atomic<int> pump_requests_ = 0;
  std::atomic<unsigned> drains_ = 0;
  std::atomic<bool> full_ = false;
  std::atomic<bool> expiring_ = false;
  std::atomic<bool> closed_ = false;
  std::unique_ptr<Clock::Timer> timer_;

  // Owned by whoever delivers: the pump while not live, the dispatcher while live.
  std::optional<ObjectTree::Cursor> initial_;
  store::Revision position_ = 0;
  bool first_ = true;
};

}  // namespace trireme::apiserver
