#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/object.h"
#include "api/scheme.h"
#include "apiserver/watch/caches.h"
#include "apiserver/watch/resource_cache.h"
#include "base/clock.h"
#include "store/store.h"

namespace trireme::apiserver {

/// Writes objects to the store under upstream's keys, and hands them to the watch cache on the way so that they are not
/// decoded again. Objects are in their storage version. Thread-safe.
class Storage {
 public:
  Storage(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock, Duration event_ttl);

  /// The current object, own writes included; NotFound.
  Result<CachedPointer> get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name);

  /// Writes when the key's revision is `expected` (0: absent). Conflict otherwise. With `dry_run` nothing is written
  /// and the object comes back as it would be.
  Result<CachedPointer> put(const api::ResourceInfo& resource, api::Object object, store::Revision expected,
                            bool dry_run);
  /// Deletes exactly this state of the object. Conflict when it has changed.
  Status remove(const api::ResourceInfo& resource, const CachedObject& object, bool dry_run);

  Caches& caches() { return *caches_; }
  /// "/registry/pods/default/redis".
  std::string key(const api::ResourceInfo& resource, std::string_view ns, std::string_view name) const;

 private:
  /// A lease that events written within a minute share, so that there are few of them.
  Result<store::LeaseId> event_lease();

  std::shared_ptr<Caches> caches_;
  std::shared_ptr<Clock> clock_;
  const Duration event_ttl_;
  std::mutex lease_mutex_;
  store::LeaseId lease_ = 0;
  Duration lease_since_{};
  int lease_uses_ = 0;
};

}  // namespace trireme::apiserver
