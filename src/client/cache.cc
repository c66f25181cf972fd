#include "client/cache.h"

#include "client/informer.h"

namespace trireme::client {

std::string key_of(const api::metav1::ObjectMeta& metadata) {
  return metadata.namespace_.empty() ? metadata.name : metadata.namespace_ + "/" + metadata.name;
}

ObjectKey split_key(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

const api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, const void* object) {
  return *reinterpret_cast<const api::metav1::ObjectMeta*>(static_cast<const char*>(object) + type.metadata_offset);
}

api::metav1::ObjectMeta& metadata_in(const api::TypeInfo& type, void* object) {
  return *reinterpret_cast<api::metav1::ObjectMeta*>(static_cast<char*>(object) + type.metadata_offset);
}

AnyPointer Cache::get(const std::string& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<AnyPointer> Cache::list(std::string_view ns) const {
  const std::shared_lock lock(mutex_);
  std::vector<AnyPointer> out;
  if (ns.empty()) {
    out.reserve(objects_.size());
    for (const auto& [key, object] : objects_) out.push_back(object);
    return out;
  }
  const std::string prefix = std::string(ns) + "/";
  for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at) {
    out.push_back(at->second);
  }
  return out;
}

std::vector<std::string> Cache::keys() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> out;
  out.reserve(objects_.size());
  for (const auto& [key, object] : objects_) out.push_back(key);
  return out;
}

std::vector<AnyPointer> Cache::by_index(std::string_view name, std::string_view value) const {
  const std::shared_lock lock(mutex_);
  std::vector<AnyPointer> out;
  const auto index = indexes_.find(name);
  if (index == indexes_.end()) return out;
  const auto entry = index->second.entries.find(value);
  if (entry == index->second.entries.end()) return out;
  out.reserve(entry->second.size());
  for (const auto& [key, object] : entry->second) out.push_back(object);
  return out;
}

size_t Cache::size() const {
  const std::shared_lock lock(mutex_);
  return objects_.size();
}

void Cache::add_index(std::string name, IndexFunction function) {
  const std::unique_lock lock(mutex_);
  const auto [index, fresh] = indexes_.try_emplace(std::move(name));
  if (!fresh) return;
  index->second.function = std::move(function);
  for (const auto& [key, object] : objects_) insert_into(index->second, key, object);
}

void Cache::insert_into(Index& index, const std::string& key, const AnyPointer& object) {
  for (std::string& value : index.function(object.get())) index.entries[std::move(value)][key] = object;
}

void Cache::remove_from(Index& index, const std::string& key, const AnyPointer& object) {
  for (const std::string& value : index.function(object.get())) {
    const auto entry = index.entries.find(value);
    if (entry == index.entries.end()) continue;
    entry->second.erase(key);
    if (entry->second.empty()) index.entries.erase(entry);
  }
}

AnyPointer Cache::put(const std::string& key, AnyPointer object) {
  const std::unique_lock lock(mutex_);
  AnyPointer& place = objects_[key];
  AnyPointer before = std::exchange(place, object);
  for (auto& [name, index] : indexes_) {
    if (before) remove_from(index, key, before);
    insert_into(index, key, object);
  }
  return before;
}

AnyPointer Cache::remove(const std::string& key) {
  const std::unique_lock lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return nullptr;
  AnyPointer before = std::move(found->second);
  objects_.erase(found);
  for (auto& [name, index] : indexes_) remove_from(index, key, before);
  return before;
}

}  // namespace trireme::client
