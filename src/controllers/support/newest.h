#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "client/informer.h"
#include "controllers/support/recent_writes.h"

namespace trireme::controllers {

/// The newest version of an object that a controller knows: the informer's, or what the controller itself has written
/// and the informer does not show yet. Not a truth of its own: an entry counts only until the cache has reached its
/// version. Thread-safe.
template <typename T>
class Newest {
 public:
  using Pointer = std::shared_ptr<const T>;
  explicit Newest(client::Informer<T>& informer) : informer_(informer) {}

  void wrote(T object) {
    const std::lock_guard lock(mutex_);
    std::string key = client::key_of(object.metadata);
    written_.insert_or_assign(std::move(key), std::make_shared<const T>(std::move(object)));
  }
  /// Null when there is none.
  Pointer get(const std::string& key) { return newer_of(key, informer_.get(key)); }
  /// What the cache holds, each object as new as it is known. Objects that only this controller knows are left out.
  std::vector<Pointer> list(std::string_view ns = {}) {
    std::vector<Pointer> all = informer_.list(ns);
    for (Pointer& each : all) {
      const std::string key = client::key_of(each->metadata);
      each = newer_of(key, each);
    }
    std::erase(all, nullptr);
    return all;
  }

 private:
  Pointer newer_of(const std::string& key, Pointer cached) {
    const std::lock_guard lock(mutex_);
    const auto found = written_.find(key);
    if (found == written_.end()) return cached;
    const uint64_t version = version_number(found->second->metadata.resource_version);
    if (informer_.version() >= version) {
      written_.erase(found);
      // The cache may have moved on since `cached` was read from it.
      return informer_.get(key);
    }
    return found->second;
  }

  client::Informer<T>& informer_;
  std::mutex mutex_;
  std::map<std::string, Pointer> written_;
};

}  // namespace trireme::controllers
