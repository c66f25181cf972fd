#include "apiserver/watch/watcher.h"

#include "store/store.h"

namespace trireme::apiserver {

const Frame* FrameCache::find(std::string_view format, std::string_view event) const {
  for (const Entry& entry : entries_) {
    if (entry.event == event && entry.format == format) return &entry.frame;
  }
  return nullptr;
}

void FrameCache::add(std::string_view format, std::string_view event, Frame frame) {
  entries_.push_back({format, event, std::move(frame)});
}

Watcher::Watcher(WatcherOptions options) : options_(std::move(options)), position_(options_.after) {
  if (options_.initial) {
    const WatchScope& scope = options_.scope;
    if (scope.key.empty()) {
      initial_.emplace(*options_.initial, scope.key_prefix, store::prefix_end(scope.key_prefix));
    } else {
      initial_.emplace(*options_.initial, scope.key, scope.key + '\0');
    }
    options_.initial.reset();
  }
}

Status Watcher::start(const std::shared_ptr<ResourceCache>& cache) {
  cache_ = cache;
  TRY(cache->add_watcher(shared_from_this(), position_));
  std::weak_ptr<Watcher> weak = weak_from_this();
  options_.exchange->on_closed([weak] {
    if (auto self = weak.lock()) self->close();
  });
  options_.exchange->on_drained([weak] {
    auto self = weak.lock();
    if (!self) return;
    ++self->drains_;
    if (!self->full_.exchange(false) || self->live) return;
    if (auto cache = self->cache_.lock()) self->pump(*cache);
  });
  pump(*cache);
  return {};
}

bool Watcher::in_scope(const CachedPointer& object) const {
  if (!object) return false;
  const WatchScope& scope = options_.scope;
  if (!object->key().starts_with(scope.key_prefix)) return false;
  if (!scope.key.empty() && object->key() != scope.key) return false;
  if (scope.node && node_of(object->object()) != *scope.node) return false;
  return !options_.selects || options_.selects(object->object());
}

size_t Watcher::send(Frame frame) {
  unsigned drains = drains_;
  size_t waiting = frame.bytes ? options_.exchange->write(std::move(frame.bytes))
                               : options_.exchange->write_local(std::move(frame.part));
  if (waiting > kQueueLimit) {
    full_ = true;
    // Drained since: the callback may have come before `full_` was there to be seen.
    if (drains_ != drains) full_ = false;
  }
  return waiting;
}

void Watcher::send_change(const Change& change, FrameCache& frames) {
  bool was = in_scope(change.before);
  bool is = in_scope(change.after);
  if (!was && !is) return;
  std::string_view event = was ? (is ? "MODIFIED" : "DELETED") : "ADDED";
  const WatchFormat& format = *options_.format;
  bool special = first_ && format.first_differs();
  first_ = false;
  if (!special) {
    if (const Frame* made = frames.find(format.identity(), event)) {
      send(*made);
      return;
    }
  }
  CachedPointer shown = is ? change.after : change.tombstone();
  Result<Frame> frame = format.frame(event, shown, special);
  if (!frame.ok()) return close(frame.status());
  if (!special) frames.add(format.identity(), event, *frame);
  send(std::move(*frame));
}

void Watcher::deliver(const ChangePointer& change, FrameCache& frames, ResourceCache& cache) {
  if (closed_ || change->revision <= position_) return;
  send_change(*change, frames);
  if (!full_) return;
  position_ = change->revision;
  cache.pause_watcher(*this);
  if (!full_) pump(cache);
}

void Watcher::deliver_progress(store::Revision revision, bool bookmark) {
  if (closed_) return;
  if (live) {
    if (options_.bookmarks && (bookmark || expiring_)) send(options_.format->bookmark(revision, false));
  }
  if (expiring_) close();
}

void Watcher::expire_after(Clock& clock, Duration delay) {
  timer_ = clock.call_after(delay, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->expire();
  });
}

void Watcher::expire() {
  expiring_ = true;
  auto cache = cache_.lock();
  if (cache && !cache->broken()) {
    cache->request_bookmarks();
  } else {
    close();
  }
}

void Watcher::close(const Status& status) {
  if (closed_.exchange(true)) return;
  if (!status.ok()) send(options_.format->error(status));
  options_.exchange->finish();
  if (options_.on_end) options_.on_end();
  if (auto cache = cache_.lock()) cache->remove_watcher(this);
}

void Watcher::pump(ResourceCache& cache) {
  // Whoever comes while another thread pumps leaves its request to that one.
  if (pump_requests_.fetch_add(1) != 0) return;
  int served = 1;
  for (;;) {
    pump_once(cache);
    int waiting = pump_requests_.fetch_sub(served) - served;
    if (waiting == 0) return;
    served = waiting;
  }
}

void Watcher::pump_once(ResourceCache& cache) {
  while (!closed_ && !full_ && !live) {
    if (initial_) {
      if (const CachedPointer* object = initial_->next()) {
        if (!in_scope(*object)) continue;
        auto frame = options_.format->frame("ADDED", *object, std::exchange(first_, false));
        if (!frame.ok()) return close(frame.status());
        send(std::move(*frame));
      } else {
        initial_.reset();
        if (options_.bookmark_after_initial) send(options_.format->bookmark(position_, true));
      }
      continue;
    }
    auto changes = cache.changes_after(position_, 64, *this);
    if (!changes.ok()) return close(changes.status());
    for (const ChangePointer& change : *changes) {
      FrameCache frames;
      send_change(*change, frames);
      position_ = change->revision;
    }
  }
}

}  // namespace trireme::apiserver
