#include "kubelet/volumes/object_source.h"

#include <utility>

namespace trireme::kubelet {

using api::corev1::ConfigMap;
using api::corev1::Secret;

ObjectSource::ObjectSource(client::Client client, std::shared_ptr<Clock> clock,
                           std::function<void(const std::string&)> on_change)
    : client_(std::move(client)), clock_(std::move(clock)), on_change_(std::move(on_change)) {}

void ObjectSource::stop() {
  std::map<Key, Entry> ending;
  {
    std::lock_guard lock(mutex_);
    ending.swap(entries_);
  }
  for (auto& [key, entry] : ending) entry.reflector->request_stop();
  for (auto& [key, entry] : ending) entry.reflector->join();
}

std::shared_ptr<client::Reflector> ObjectSource::reference(const std::string& pod_uid, const Key& key,
                                                           const api::ResourceInfo& resource) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  entry.pods.insert(pod_uid);
  if (!entry.reflector) {
    client::Scope scope;
    scope.ns = key.ns;
    scope.field_selector = "metadata.name=" + key.name;
    entry.reflector = std::make_shared<client::Reflector>(client_.raw_pointer(), clock_, resource, scope, nullptr);
    entry.reflector->add_handler([this, key](const client::AnyPointer&, const client::AnyPointer& after) {
      if (after == nullptr) return notify(key, "");
      notify(key, key.secret ? static_cast<const Secret*>(after.get())->metadata.resource_version
                             : static_cast<const ConfigMap*>(after.get())->metadata.resource_version);
    });
    entry.reflector->start();
  }
  return entry.reflector;
}

template <typename T>
Result<std::shared_ptr<const T>> ObjectSource::find(const std::string& pod_uid, Key key) {
  bool watched_before;
  {
    std::lock_guard lock(mutex_);
    auto entry = entries_.find(key);
    watched_before = entry != entries_.end() && entry->second.reflector->synced();
  }
  auto reflector = reference(pod_uid, key, api::resource_of<T>());
  if (watched_before) {
    auto cached = std::static_pointer_cast<const T>(reflector->cache().get(key.ns + "/" + key.name));
    if (cached) return cached;
  }
  // Absent from the cache can also mean that it has just been made: ask.
  TRY_ASSIGN(T object, client_.get<T>(key.ns, key.name));
  {
    std::lock_guard lock(mutex_);
    if (auto entry = entries_.find(key); entry != entries_.end()) {
      entry->second.seen_version = object.metadata.resource_version;
    }
  }
  return std::shared_ptr<const T>(std::make_shared<T>(std::move(object)));
}

Result<std::shared_ptr<const ConfigMap>> ObjectSource::config_map(const std::string& pod_uid, const std::string& ns,
                                                                  const std::string& name) {
  return find<ConfigMap>(pod_uid, {false, ns, name});
}

Result<std::shared_ptr<const Secret>> ObjectSource::secret(const std::string& pod_uid, const std::string& ns,
                                                           const std::string& name) {
  return find<Secret>(pod_uid, {true, ns, name});
}

void ObjectSource::notify(const Key& key, const std::string& version) {
  std::set<std::string> pods;
  {
    std::lock_guard lock(mutex_);
    auto entry = entries_.find(key);
    // The first listing tells what `find` has just read.
    if (entry == entries_.end() || (!version.empty() && entry->second.seen_version == version)) return;
    pods = entry->second.pods;
  }
  for (const std::string& pod : pods) on_change_(pod);
}

void ObjectSource::release(const std::string& pod_uid) {
  std::vector<std::shared_ptr<client::Reflector>> ending;
  {
    std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      entry->second.pods.erase(pod_uid);
      if (!entry->second.pods.empty()) {
        ++entry;
        continue;
      }
      ending.push_back(std::move(entry->second.reflector));
      entry = entries_.erase(entry);
    }
  }
  for (auto& reflector : ending) reflector->request_stop();
  for (auto& reflector : ending) reflector->join();
}

}  // namespace trireme::kubelet
