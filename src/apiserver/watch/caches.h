#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/object.h"
#include "api/scheme.h"
#include "apiserver/watch/cached_object.h"
#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace trireme::apiserver {

class ResourceCache;

struct CachesOptions {
  std::shared_ptr<store::Store> store;
  std::shared_ptr<Clock> clock;
  std::string prefix = "/registry";
  /// No other process writes to the store: a read is current as soon as this process' own writes have arrived.
  /// Otherwise every consistent read asks the store for its revision.
  bool sole_writer = true;
  /// See Caches::set_refine.
  std::function<void(const api::ResourceInfo& resource, api::Object& object)> refine = nullptr;
};

/// The watch caches of all resources: the server's shared, decoded view of the store. A resource's cache starts with
/// its first use and then stays. Versions of one resource share one cache. Thread-safe.
class Caches {
 public:
  explicit Caches(CachesOptions options);
  ~Caches();
  Caches(const Caches&) = delete;
  Caches& operator=(const Caches&) = delete;

  /// The running cache of `resource` (any of its versions). Fails when the store cannot be read.
  Result<std::shared_ptr<ResourceCache>> of(const api::ResourceInfo& resource);

  /// One current object (all own writes included), in its storage version; NotFound.
  Result<CachedPointer> get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name);
  /// All current objects in `ns` ("" for all), in their storage version.
  Result<std::vector<CachedPointer>> list(const api::ResourceInfo& resource, std::string_view ns = {});

  /// `get` of a type that is its resource's storage version: roles, secrets, namespaces, pods, …
  template <typename T>
  Result<std::shared_ptr<const T>> get(std::string_view ns, std::string_view name) {
    auto found = get(api::resource_of<T>(), ns, name);
    if (!found.ok()) return found.status();
    return std::shared_ptr<const T>(*found, (*found)->object().template as<T>());
  }
  template <typename T>
  Result<std::vector<std::shared_ptr<const T>>> list(std::string_view ns = {}) {
    auto found = list(api::resource_of<T>(), ns);
    if (!found.ok()) return found.status();
    std::vector<std::shared_ptr<const T>> typed;
    typed.reserve(found->size());
    for (const CachedPointer& each : *found) typed.emplace_back(each, each->object().template as<T>());
    return typed;
  }
  /// The revision of the newest change of `resource` that its cache holds: unchanged means that derived state (RBAC
  /// indexes) is still good. Cheap.
  Result<store::Revision> changed_at(const api::ResourceInfo& resource);

  /// Called with every object that is decoded from the store from now on, by caches that start later. It must not wait.
  /// Set before serving.
  void set_refine(std::function<void(const api::ResourceInfo& resource, api::Object& object)> refine);
  /// Drops what is known of `resource`: watches end, and the next use reads the store again.
  void forget(const api::ResourceInfo& resource);

  /// Ends every watch and stops following the store. Called before the store goes away.
  void stop();

  const CachesOptions& options() const { return options_; }

 private:
  /// One resource's place, so that reading a large one at its first use does not hold up the others.
  struct Slot {
    std::mutex mutex;
    std::shared_ptr<ResourceCache> cache;
  };
  std::shared_ptr<Slot> slot_of(const api::ResourceInfo& resource);

  CachesOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Slot>, std::less<>> slots_;  ///< By key prefix.
  std::unordered_map<const api::ResourceInfo*, std::shared_ptr<Slot>> known_;
  bool stopped_ = false;
};

/// "/registry/pods/" for pods: where upstream keeps a resource, with a slash at the end.
std::string key_prefix(std::string_view registry, const api::ResourceInfo& resource);

}  // namespace trireme::apiserver
