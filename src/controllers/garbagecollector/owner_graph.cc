#include "controllers/garbagecollector/owner_graph.h"

#include <algorithm>
#include <charconv>

namespace trireme::controllers {

std::string ObjectPlace::to_key() const { return std::to_string(resource) + "|" + ns + "|" + name + "|" + uid; }

std::optional<ObjectPlace> ObjectPlace::from_key(std::string_view key) {
  ObjectPlace place;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), place.resource);
  if (error != std::errc()) return std::nullopt;
  key.remove_prefix(static_cast<size_t>(end - key.data()));
  for (std::string* part : {&place.ns, &place.name, &place.uid}) {
    if (!key.starts_with('|')) return std::nullopt;
    key.remove_prefix(1);
    const size_t length = std::min(key.find('|'), key.size());
    *part = key.substr(0, length);
    key.remove_prefix(length);
  }
  return place;
}

bool has_finalizer(const api::metav1::ObjectMeta& metadata, std::string_view finalizer) {
  return std::ranges::find(metadata.finalizers, finalizer) != metadata.finalizers.end();
}

bool deletes_dependents(const api::metav1::ObjectMeta& metadata) {
  return metadata.deletion_timestamp && has_finalizer(metadata, api::metav1::kFinalizerDeleteDependents);
}

bool orphans_dependents(const api::metav1::ObjectMeta& metadata) {
  return metadata.deletion_timestamp && has_finalizer(metadata, api::metav1::kFinalizerOrphanDependents);
}

void OwnerGraph::update(const ObjectPlace& place, const api::metav1::ObjectMeta* metadata_before,
                        const api::metav1::ObjectMeta& metadata) {
  const std::lock_guard lock(mutex_);
  present_[place.uid] = deletes_dependents(metadata);
  if (metadata_before) {
    for (const auto& owner : metadata_before->owner_references) {
      const auto found = dependents_.find(owner.uid);
      if (found == dependents_.end()) continue;
      found->second.erase(place);
      if (found->second.empty()) dependents_.erase(found);
    }
  }
  for (const auto& owner : metadata.owner_references) dependents_[owner.uid].insert(place);
}

void OwnerGraph::remove(const ObjectPlace& place, const api::metav1::ObjectMeta& metadata) {
  const std::lock_guard lock(mutex_);
  present_.erase(place.uid);
  absent_[place.uid] = true;
  for (const auto& owner : metadata.owner_references) {
    const auto found = dependents_.find(owner.uid);
    if (found == dependents_.end()) continue;
    found->second.erase(place);
    if (found->second.empty()) dependents_.erase(found);
  }
}

OwnerGraph::Presence OwnerGraph::presence(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (const auto found = present_.find(uid); found != present_.end()) {
    return found->second ? Presence::kWaiting : Presence::kSolid;
  }
  return absent_.contains(uid) ? Presence::kAbsent : Presence::kUnknown;
}

void OwnerGraph::set_absent(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (!present_.contains(uid)) absent_[uid] = true;
}

std::vector<ObjectPlace> OwnerGraph::dependents(const std::string& owner_uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = dependents_.find(owner_uid);
  if (found == dependents_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

bool OwnerGraph::has_dependents(const std::string& owner_uid) const {
  const std::lock_guard lock(mutex_);
  return dependents_.contains(owner_uid);
}

}  // namespace trireme::controllers
