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

Cache::Key Cache::Less::key(const Item& item) const {
  const api::metav1::ObjectMeta& metadata = metadata_in(*type, item.object.get());
  return {metadata.namespace_, metadata.name};
}

AnyPointer Cache::get(std::string_view ns, std::string_view name) const {
  const std::shared_lock lock(mutex_);
  const auto found = objects_.find(Key{ns, name});
  return found == objects_.end() ? nullptr : found->object;
}

AnyPointer Cache::get(std::string_view key) const {
  const size_t slash = key.find('/');
  return slash == std::string_view::npos ? get({}, key) : get(key.substr(0, slash), key.substr(slash + 1));
}

std::vector<AnyPointer> Cache::all(const Items& items) {
  std::vector<AnyPointer> out;
  out.reserve(items.size());
  for (const Item& item : items) out.push_back(item.object);
  return out;
}

std::vector<AnyPointer> Cache::list(std::string_view ns) const {
  const std::shared_lock lock(mutex_);
  if (ns.empty()) return all(objects_);
  std::vector<AnyPointer> out;
  for (auto at = objects_.lower_bound(Key{ns, {}});
       at != objects_.end() && metadata_in(type_, at->object.get()).namespace_ == ns; ++at) {
    out.push_back(at->object);
  }
  return out;
}

std::vector<AnyPointer> Cache::by_index(std::string_view name, std::string_view value) const {
  const std::shared_lock lock(mutex_);
  const auto index = indexes_.find(name);
  if (index == indexes_.end()) return {};
  const auto entry = index->second.entries.find(value);
  return entry == index->second.entries.end() ? std::vector<AnyPointer>() : all(entry->second);
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
  for (const Item& item : objects_) insert_into(index->second, item.object);
}

void Cache::insert_into(Index& index, const AnyPointer& object) {
  for (std::string& value : index.function(object.get())) {
    index.entries.try_emplace(std::move(value), Less{&type_}).first->second.insert(Item{object});
  }
}

void Cache::remove_from(Index& index, const AnyPointer& object) {
  for (const std::string& value : index.function(object.get())) {
    const auto entry = index.entries.find(value);
    if (entry == index.entries.end()) continue;
    entry->second.erase(Item{object});
    if (entry->second.empty()) index.entries.erase(entry);
  }
}

AnyPointer Cache::put(AnyPointer object) {
  const std::unique_lock lock(mutex_);
  const auto [place, fresh] = objects_.insert(Item{object});
  AnyPointer before = fresh ? nullptr : std::exchange(place->object, object);
  for (auto& [name, index] : indexes_) {
    if (before) remove_from(index, before);
    insert_into(index, object);
  }
  return before;
}

AnyPointer Cache::remove(std::string_view ns, std::string_view name) {
  const std::unique_lock lock(mutex_);
  const auto found = objects_.find(Key{ns, name});
  if (found == objects_.end()) return nullptr;
  AnyPointer before = found->object;
  for (auto& [index_name, index] : indexes_) remove_from(index, before);
  objects_.erase(found);
  return before;
}

}  // namespace trireme::client
