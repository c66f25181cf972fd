#include "apiserver/watch/resource_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "api/status_convert.h"
#include "api/types/corev1.h"
#include "apiserver/watch/watcher.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace {

using namespace std::chrono_literals;

/// How much of the past is remembered for watches that resume: all of the last minutes, within these bounds.
constexpr size_t kRecentMost = 4000;
constexpr size_t kRecentLeast = 100;
constexpr size_t kRecentBytes = 16 << 20;
/// What a remembered change costs: the change itself and the object it replaced, which is several times its encoding.
constexpr size_t kChangeBytes = 200;
constexpr size_t kBytesDecoded = 5;
constexpr size_t kTypicalObject = 500;
constexpr size_t kKeptSnapshots = 4;
constexpr Duration kRecentAge = 5min;
constexpr Duration kBookmarkInterval = 1min;
/// Real time: a safety net against a store that never answers, not part of the model's time.
constexpr auto kWaitForStore = 3s;

}  // namespace

const std::string& node_of(const api::Object& object) {
  static const std::string none;
  const auto* pod = object.as<api::corev1::Pod>();
  return pod != nullptr ? pod->spec.node_name : none;
}

CachedPointer Change::tombstone() const {
  std::call_once(made_, [this] {
    api::Object last = before->object().clone();
    last.metadata().resource_version = std::to_string(revision);
    tombstone_ = std::make_shared<const CachedObject>(before->key(), revision, last);
  });
  return tombstone_;
}

class ResourceCache::PendingWrite {
 public:
  PendingWrite(std::string key, SharedBytes value, api::Object object)
      : value(std::move(value)), key_(std::move(key)), object_(std::move(object)) {}

  /// Called by the writer and by the store's thread, whichever comes first, with the same revision.
  CachedPointer resolve(store::Revision revision) {
    std::scoped_lock lock(mutex_);
    if (!result_) {
      object_.metadata().resource_version = std::to_string(revision);
      result_ = std::make_shared<const CachedObject>(std::move(key_), revision, object_);
      object_ = {};
    }
    return result_;
  }

  const SharedBytes value;  ///< Kept, so that its address stays unique.

 private:
  std::mutex mutex_;
  std::string key_;
  api::Object object_;
  CachedPointer result_;
};

/// The watchers by what they look at.
struct ResourceCache::WatcherIndex {
  using List = std::vector<std::shared_ptr<Watcher>>;
  std::unordered_map<std::string, List> by_prefix;
  std::unordered_map<std::string, List> by_key;
  std::unordered_map<std::string, List> by_node;
  size_t count = 0;

  std::pair<std::unordered_map<std::string, List>*, const std::string*> place(const WatchScope& scope) {
    if (scope.node) return {&by_node, &*scope.node};
    if (!scope.key.empty()) return {&by_key, &scope.key};
    return {&by_prefix, &scope.key_prefix};
  }
  static void collect(const std::unordered_map<std::string, List>& from, const std::string& what, List& out) {
    auto found = from.find(what);
    if (found == from.end()) return;
    for (const auto& watcher : found->second) {
      if (watcher->live) out.push_back(watcher);
    }
  }
  List all() const {
    List out;
    out.reserve(count);
    for (const auto* map : {&by_prefix, &by_key, &by_node}) {
      for (const auto& [what, list] : *map) out.insert(out.end(), list.begin(), list.end());
    }
    return out;
  }
};

class ResourceCache::Sink : public store::WatchSink {
 public:
  explicit Sink(ResourceCache& cache) : cache_(cache) {}
  void events(std::vector<store::Event> batch) override {
    for (store::Event& event : batch) cache_.apply(std::move(event));
  }
  void progress(store::Revision revision) override { cache_.progress(revision); }
  void ended(const Status& status) override { cache_.ended(status); }

 private:
  ResourceCache& cache_;  ///< Outlives the watch, which the cache ends first.
};

ResourceCache::ResourceCache(const CachesOptions& options, const api::ResourceInfo& resource, std::string prefix)
    : options_(options),
      resource_(resource),
      prefix_(std::move(prefix)),
      by_node_(resource.type == &api::type_info<api::corev1::Pod>()),
      watchers_(std::make_unique<WatcherIndex>()),
      sink_(std::make_shared<Sink>(*this)) {}

ResourceCache::~ResourceCache() { stop(); }

Result<std::shared_ptr<ResourceCache>> ResourceCache::start(const CachesOptions& options,
                                                            const api::ResourceInfo& resource, std::string prefix) {
  std::shared_ptr<ResourceCache> cache(new ResourceCache(options, resource, std::move(prefix)));
  TRY(cache->load());
  return cache;
}

Status ResourceCache::load() {
  std::string end = store::prefix_end(prefix_);
  TRY_ASSIGN(store::RangeResult range, options_.store->range(prefix_, end, {}));
  for (const store::KeyValue& entry : range.entries) {
    if (CachedPointer object = decode(entry)) tree_ = tree_.with(std::move(object));
  }
  revision_ = changed_ = forgotten_ = range.revision;
  TRY_ASSIGN(watch_, options_.store->watch(prefix_, end, range.revision, sink_));
  return {};
}

CachedPointer ResourceCache::decode(const store::KeyValue& entry) {
  std::shared_ptr<PendingWrite> known;
  {
    std::scoped_lock lock(mutex_);
    auto found = pending_.find(entry.value.get());
    if (found != pending_.end()) known = found->second;
  }
  if (known) return known->resolve(entry.mod_revision);
  Result<api::Object> object = decode_stored(resource_, *entry.value);
  if (!object.ok()) {
    log::error("Cannot decode a stored object", {{"key", entry.key}, {"error", object.status()}});
    return nullptr;
  }
  if (options_.refine) options_.refine(resource_, *object);
  object->metadata().resource_version = std::to_string(entry.mod_revision);
  return std::make_shared<const CachedObject>(entry.key, entry.mod_revision, *object);
}

void ResourceCache::apply(store::Event event) {
  // Only this thread changes the tree, so it may read it without the lock.
  auto change = std::make_shared<Change>();
  change->revision = event.entry.mod_revision;
  change->before = tree_.find(event.entry.key);
  change->bytes = kChangeBytes;
  if (event.type == store::Event::Type::kPut) {
    change->after = decode(event.entry);
  }
  if (change->before) {
    change->bytes += kBytesDecoded * (change->after ? event.entry.value->size() : kTypicalObject);
  }
  ObjectTree tree = change->after ? tree_.with(change->after) : tree_.without(event.entry.key);
  change->at = options_.clock->monotonic();

  WatcherIndex::List concerned;
  {
    std::scoped_lock lock(mutex_);
    std::swap(tree_, tree);  // the old one goes after the lock
    revision_ = std::max(revision_, change->revision);
    if (change->before || change->after) {
      changed_ = change->revision;
      remember(change);
      if (watchers_->count > 0) {
        const std::string& key = change->key();
        WatcherIndex::collect(watchers_->by_prefix, prefix_, concerned);
        size_t slash = key.find('/', prefix_.size());
        if (slash != std::string::npos && !watchers_->by_prefix.empty()) {
          WatcherIndex::collect(watchers_->by_prefix, key.substr(0, slash + 1), concerned);
        }
        if (!watchers_->by_key.empty()) WatcherIndex::collect(watchers_->by_key, key, concerned);
        if (by_node_ && !watchers_->by_node.empty()) {
          const std::string* before = change->before ? &node_of(change->before->object()) : nullptr;
          const std::string* after = change->after ? &node_of(change->after->object()) : nullptr;
          if (before != nullptr) WatcherIndex::collect(watchers_->by_node, *before, concerned);
          if (after != nullptr && (before == nullptr || *before != *after)) {
            WatcherIndex::collect(watchers_->by_node, *after, concerned);
          }
        }
      }
    }
  }
  advanced_.notify_all();
  if (concerned.empty()) return;
  FrameCache frames;
  for (const auto& watcher : concerned) watcher->deliver(change, frames, *this);
}

void ResourceCache::remember(ChangePointer change) {
  if (change->before) change->before->drop_encodings();
  recent_bytes_ += change->bytes;
  Duration oldest = change->at - kRecentAge;
  recent_.push_back(std::move(change));
  while (recent_.size() > kRecentMost || recent_bytes_ > kRecentBytes ||
         (recent_.size() > kRecentLeast && recent_.front()->at < oldest)) {
    forgotten_ = recent_.front()->revision;
    recent_bytes_ -= recent_.front()->bytes;
    recent_.pop_front();
  }
  std::erase_if(asked_, [&](const Snapshot& each) { return each.revision < forgotten_; });
}

void ResourceCache::progress(store::Revision revision) {
  WatcherIndex::List told;
  bool bookmark = false;
  {
    std::scoped_lock lock(mutex_);
    revision_ = std::max(revision_, revision);
    if (bookmarks_due_) {
      bookmark = true;
      bookmarks_due_ = false;
      told = watchers_->all();
    }
  }
  advanced_.notify_all();
  for (const auto& watcher : told) watcher->deliver_progress(revision, bookmark);
}

void ResourceCache::ended(const Status& status) {
  log::warning("The store ended a watch", {{"prefix", prefix_}, {"error", status}});
  WatcherIndex::List watchers;
  {
    std::scoped_lock lock(mutex_);
    broken_ = true;
    watchers = watchers_->all();
  }
  advanced_.notify_all();
  for (const auto& watcher : watchers) watcher->close();
}

void ResourceCache::stop() {
  std::unique_ptr<store::Watch> watch;
  std::unique_ptr<Clock::Timer> timer;
  WatcherIndex::List watchers;
  {
    std::scoped_lock lock(watch_mutex_, mutex_);
    broken_ = true;
    watch = std::move(watch_);
    timer = std::move(bookmark_timer_);
    watchers = watchers_->all();
  }
  advanced_.notify_all();
  watch.reset();
  timer.reset();
  for (const auto& watcher : watchers) watcher->close();
}

bool ResourceCache::broken() const {
  std::scoped_lock lock(mutex_);
  return broken_;
}

// Reading.

ResourceCache::Snapshot ResourceCache::latest() const {
  std::scoped_lock lock(mutex_);
  return {tree_, revision_};
}

store::Revision ResourceCache::changed_at() const {
  std::scoped_lock lock(mutex_);
  return changed_;
}

Result<ResourceCache::Snapshot> ResourceCache::wait_for(store::Revision revision) {
  std::unique_lock lock(mutex_);
  bool reached = advanced_.wait_for(lock, kWaitForStore, [&] { return broken_ || revision_ >= revision; }) &&
                 revision_ >= revision;
  if (reached) return Snapshot{tree_, revision_};
  if (broken_) return Status::unavailable("the watch cache is being rebuilt");
  return Status(Reason::kTimeout, fmt::format("Too large resource version: {}, current: {}", revision, revision_),
                {.causes = {{"ResourceVersionTooLarge", "Too large resource version", ""}}, .retry_after_seconds = 1});
}

Result<ResourceCache::Snapshot> ResourceCache::current() {
  if (options_.sole_writer) {
    std::unique_lock lock(mutex_);
    if (revision_ >= written_ && !broken_) return Snapshot{tree_, revision_};
    store::Revision target = written_;
    lock.unlock();
    return wait_for(target);
  }
  TRY_ASSIGN(store::Revision newest, options_.store->current_revision());
  return not_older_than(newest);
}

Result<ResourceCache::Snapshot> ResourceCache::not_older_than(store::Revision revision) {
  {
    std::scoped_lock lock(mutex_);
    if (revision_ >= revision) return Snapshot{tree_, revision_};
  }
  // The revision may belong to another resource's change: the store tells when this one has everything up to it.
  request_progress();
  return wait_for(revision);
}

std::optional<ResourceCache::Snapshot> ResourceCache::at(store::Revision revision) const {
  ObjectTree tree;
  std::vector<ChangePointer> later;
  {
    std::scoped_lock lock(mutex_);
    if (revision < forgotten_) return std::nullopt;
    auto first =
        std::upper_bound(recent_.begin(), recent_.end(), revision,
                         [](store::Revision asked, const ChangePointer& each) { return asked < each->revision; });
    if (first == recent_.end()) return Snapshot{tree_, revision};
    for (const Snapshot& known : asked_) {
      if (known.revision == revision) return known;
    }
    tree = tree_;
    later.assign(first, recent_.end());
  }
  for (auto change = later.rbegin(); change != later.rend(); ++change) {
    tree = (*change)->before ? tree.with((*change)->before) : tree.without((*change)->key());
  }
  std::scoped_lock lock(mutex_);
  if (asked_.size() == kKeptSnapshots) asked_.pop_front();
  return asked_.emplace_back(Snapshot{std::move(tree), revision});
}

// Writing.

std::shared_ptr<ResourceCache::PendingWrite> ResourceCache::begin_write(std::string key, SharedBytes value,
                                                                        api::Object object) {
  auto write = std::make_shared<PendingWrite>(std::move(key), std::move(value), std::move(object));
  std::scoped_lock lock(mutex_);
  pending_[write->value.get()] = write;
  return write;
}

CachedPointer ResourceCache::finish_write(const std::shared_ptr<PendingWrite>& write, store::Revision revision) {
  {
    std::scoped_lock lock(mutex_);
    pending_.erase(write->value.get());
    written_ = std::max(written_, revision);
  }
  return write->resolve(revision);
}

void ResourceCache::abandon_write(const std::shared_ptr<PendingWrite>& write) {
  std::scoped_lock lock(mutex_);
  pending_.erase(write->value.get());
}

void ResourceCache::note_write(store::Revision revision) {
  std::scoped_lock lock(mutex_);
  written_ = std::max(written_, revision);
}

// Watchers.

Status ResourceCache::add_watcher(const std::shared_ptr<Watcher>& watcher, store::Revision after) {
  std::scoped_lock lock(mutex_);
  if (broken_) return Status::unavailable("the watch cache is being rebuilt");
  if (after < forgotten_) return api::too_old_resource_version(after, forgotten_);
  auto [map, what] = watchers_->place(watcher->scope());
  (*map)[*what].push_back(watcher);
  ++watchers_->count;
  if (watcher->wants_bookmarks() && !bookmark_timer_armed_) arm_bookmarks();
  return {};
}

void ResourceCache::remove_watcher(const Watcher* watcher) {
  std::shared_ptr<Watcher> removed;  // released after the lock
  std::scoped_lock lock(mutex_);
  auto [map, what] = watchers_->place(watcher->scope());
  auto list = map->find(*what);
  if (list == map->end()) return;
  auto found = std::find_if(list->second.begin(), list->second.end(),
                            [&](const std::shared_ptr<Watcher>& each) { return each.get() == watcher; });
  if (found == list->second.end()) return;
  removed = std::move(*found);
  *found = std::move(list->second.back());
  list->second.pop_back();
  if (list->second.empty()) map->erase(list);
  --watchers_->count;
}

Result<std::vector<ChangePointer>> ResourceCache::changes_after(store::Revision revision, size_t limit,
                                                                Watcher& watcher) {
  std::scoped_lock lock(mutex_);
  if (revision < forgotten_) return api::too_old_resource_version(revision, forgotten_);
  auto next = std::upper_bound(recent_.begin(), recent_.end(), revision,
                               [](store::Revision asked, const ChangePointer& each) { return asked < each->revision; });
  std::vector<ChangePointer> changes;
  for (; next != recent_.end() && changes.size() < limit; ++next) changes.push_back(*next);
  if (changes.empty()) watcher.live = true;
  return changes;
}

void ResourceCache::pause_watcher(Watcher& watcher) {
  std::scoped_lock lock(mutex_);
  watcher.live = false;
}

void ResourceCache::request_progress() {
  std::scoped_lock lock(watch_mutex_);
  if (watch_) watch_->request_progress();
}

void ResourceCache::request_bookmarks() {
  {
    std::scoped_lock lock(mutex_);
    bookmarks_due_ = true;
  }
  request_progress();
}

void ResourceCache::arm_bookmarks() {
  bookmark_timer_armed_ = true;
  bookmark_timer_ = options_.clock->call_after(kBookmarkInterval, [this] {
    {
      std::scoped_lock lock(mutex_);
      bookmark_timer_armed_ = false;
      if (broken_ || watchers_->count == 0) return;
      arm_bookmarks();
    }
    request_bookmarks();
  });
}

size_t ResourceCache::watcher_count() const {
  std::scoped_lock lock(mutex_);
  return watchers_->count;
}

}  // namespace trireme::apiserver
