#include "apiserver/watch/caches.h"

#include <array>

#include "api/custom_resource.h"
#include "api/status_convert.h"
#include "apiserver/watch/resource_cache.h"

namespace trireme::apiserver {

namespace {

/// Resources that upstream keeps under another name than their own.
struct OddPrefix {
  std::string_view group;
  std::string_view resource;
  std::string_view prefix;
};
constexpr std::array<OddPrefix, 5> kOddPrefixes = {{
    {"", "replicationcontrollers", "controllers"},
    {"", "nodes", "minions"},
    {"", "services", "services/specs"},
    {"", "endpoints", "services/endpoints"},
    {"networking.k8s.io", "ingresses", "ingress"},
}};

}  // namespace

std::string key_prefix(std::string_view registry, const api::ResourceInfo& resource) {
  std::string prefix(registry);
  prefix += '/';
  for (const OddPrefix& odd : kOddPrefixes) {
    if (odd.group == resource.group && odd.resource == resource.resource) return prefix.append(odd.prefix) + '/';
  }
  // Custom kinds, and the two API groups that upstream serves by servers of their own, keep the group in the key.
  if (api::is_custom(*resource.type) || resource.group == "apiextensions.k8s.io" ||
      resource.group == "apiregistration.k8s.io") {
    prefix.append(resource.group) += '/';
  }
  return prefix.append(resource.resource) + '/';
}

Caches::Caches(CachesOptions options) : options_(std::move(options)) {}

Caches::~Caches() { stop(); }

std::shared_ptr<Caches::Slot> Caches::slot_of(const api::ResourceInfo& resource) {
  std::scoped_lock lock(mutex_);
  if (stopped_) return nullptr;
  std::shared_ptr<Slot>& known = known_[&resource];
  if (!known) {
    std::shared_ptr<Slot>& slot = slots_[key_prefix(options_.prefix, resource)];
    if (!slot) slot = std::make_shared<Slot>();
    known = slot;
  }
  return known;
}

Result<std::shared_ptr<ResourceCache>> Caches::of(const api::ResourceInfo& resource) {
  std::shared_ptr<Slot> slot = slot_of(resource);
  if (!slot) return Status::unavailable("the server is shutting down");
  std::scoped_lock lock(slot->mutex);
  if (slot->cache && slot->cache->broken()) slot->cache.reset();
  if (!slot->cache) {
    const api::ResourceInfo* stored =
        api::find_resource(resource.storage.group, resource.storage.version, resource.resource);
    CachesOptions options;
    {
      std::scoped_lock options_lock(mutex_);
      options = options_;
    }
    TRY_ASSIGN(slot->cache, ResourceCache::start(options, stored != nullptr ? *stored : resource,
                                                 key_prefix(options_.prefix, resource)));
  }
  return slot->cache;
}

Result<CachedPointer> Caches::get(const api::ResourceInfo& resource, std::string_view ns, std::string_view name) {
  TRY_ASSIGN(auto cache, of(resource));
  TRY_ASSIGN(auto snapshot, cache->current());
  std::string key = cache->prefix();
  if (resource.namespaced) key.append(ns) += '/';
  CachedPointer found = snapshot.tree.find(key.append(name));
  if (!found) return api::not_found(resource, name);
  return found;
}

Result<std::vector<CachedPointer>> Caches::list(const api::ResourceInfo& resource, std::string_view ns) {
  TRY_ASSIGN(auto cache, of(resource));
  TRY_ASSIGN(auto snapshot, cache->current());
  std::string start = cache->prefix();
  if (!ns.empty()) start.append(ns) += '/';
  std::vector<CachedPointer> found;
  ObjectTree::Cursor cursor(snapshot.tree, start, store::prefix_end(start));
  while (const CachedPointer* each = cursor.next()) found.push_back(*each);
  return found;
}

Result<store::Revision> Caches::changed_at(const api::ResourceInfo& resource) {
  TRY_ASSIGN(auto cache, of(resource));
  TRY_ASSIGN(auto snapshot, cache->current());
  return cache->changed_at();
}

void Caches::set_refine(std::function<void(const api::ResourceInfo&, api::Object&)> refine) {
  std::scoped_lock lock(mutex_);
  options_.refine = std::move(refine);
}

void Caches::forget(const api::ResourceInfo& resource) {
  std::shared_ptr<Slot> slot;
  {
    std::scoped_lock lock(mutex_);
    auto found = slots_.find(key_prefix(options_.prefix, resource));
    if (found == slots_.end()) return;
    slot = std::move(found->second);
    slots_.erase(found);
    std::erase_if(known_, [&](const auto& each) { return each.second == slot; });
  }
  std::scoped_lock lock(slot->mutex);
  if (slot->cache) slot->cache->stop();
  slot->cache.reset();
}

void Caches::stop() {
  std::map<std::string, std::shared_ptr<Slot>, std::less<>> slots;
  {
    std::scoped_lock lock(mutex_);
    stopped_ = true;
    slots.swap(slots_);
    known_.clear();
  }
  for (auto& [prefix, slot] : slots) {
    std::scoped_lock lock(slot->mutex);
    if (slot->cache) slot->cache->stop();
    slot->cache.reset();
  }
}

}  // namespace trireme::apiserver
