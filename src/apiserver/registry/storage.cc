#include "apiserver/registry/storage.h"

#include <chrono>

#include "api/status_convert.h"

namespace trireme::apiserver {

namespace {

constexpr Duration kLeaseSharing = std::chrono::minutes(1);
constexpr int kLeaseObjects = 1000;

/// After a conflict: waits until the cache holds what the write collided with. Otherwise whoever tries again would read
/// the same old state, as often as it likes.
void catch_up(ResourceCache& cache, store::Store& store, const Status& status) {
  if (!status.is(Reason::kConflict)) return;
  if (auto newest = store.current_revision(); newest.ok()) (void)cache.not_older_than(*newest);
}

}  // namespace

Storage::Storage(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, Duration event_ttl)
    : caches_(std::move(caches)), clock_(std::move(clock)), event_ttl_(event_ttl) {}

std::string Storage::key(const api::ResourceInfo& resource, std::string_view ns, std::string_view name) const {
  std::string key = key_prefix(caches_->options().prefix, resource);
  if (resource.namespaced) key.append(ns) += '/';
  return key.append(name);
}

Result<CachedPointer> Storage::get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name) {
  return caches_->get(resource, ns, name);
}

Result<CachedPointer> Storage::put(const api::ResourceInfo& resource, api::Object object, store::Revision expected,
                                   bool dry_run) {
  std::string key = this->key(resource, object.metadata().namespace_, object.metadata().name);
  TRY_ASSIGN(auto cache, caches_->of(resource));
  if (dry_run) {
    if (expected == 0) {
      TRY_ASSIGN(auto snapshot, cache->current());
      if (snapshot.tree.find(key)) return Status(Reason::kConflict, "the key exists already");
      object.metadata().resource_version.clear();
    }
    return std::make_shared<const CachedObject>(std::move(key), expected, std::move(object));
  }
  store::LeaseId lease = 0;
  if (resource.resource == "events") {
    TRY_ASSIGN(lease, event_lease());
  }
  SharedBytes value = share(encode_stored(object));
  auto write = cache->begin_write(key, value, std::move(object));
  auto revision = caches_->options().store->put(key, value, expected, lease);
  if (!revision.ok()) {
    cache->abandon_write(write);
    catch_up(*cache, *caches_->options().store, revision.status());
    return revision.status();
  }
  return cache->finish_write(write, *revision);
}

Status Storage::remove(const api::ResourceInfo& resource, const CachedObject& object, bool dry_run) {
  if (dry_run) return {};
  TRY_ASSIGN(auto cache, caches_->of(resource));
  auto revision = caches_->options().store->remove(object.key(), object.revision());
  if (!revision.ok()) {
    catch_up(*cache, *caches_->options().store, revision.status());
    return revision.status();
  }
  cache->note_write(*revision);
  return {};
}

Result<store::LeaseId> Storage::event_lease() {
  std::scoped_lock lock(lease_mutex_);
  Duration now = clock_->monotonic();
  if (lease_ == 0 || now - lease_since_ > kLeaseSharing || lease_uses_ >= kLeaseObjects) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(event_ttl_ + kLeaseSharing).count();
    TRY_ASSIGN(lease_, caches_->options().store->grant_lease(seconds));
    lease_since_ = now;
    lease_uses_ = 0;
  }
  ++lease_uses_;
  return lease_;
}

}  // namespace trireme::apiserver
