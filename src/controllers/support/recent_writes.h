#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/types/corev1.h"

namespace trireme::controllers {

/// What a controller has just written and its cache may not show yet, so that the next pass does not write it again.
///
/// Not a truth of its own: an entry counts only while the cache is older than the write, which the resource versions
/// tell, and vanishes then. So nothing can leak or stall, whatever happened to the object meanwhile. Thread-safe.
class RecentWrites {
 public:
  using PodPointer = std::shared_ptr<const api::corev1::Pod>;

  void created(const std::string& owner, api::corev1::Pod pod);
  void deleted(const std::string& owner, const std::string& pod_uid);

  /// The pods as they will be: without those deleted, with those created after `cache_version`.
  std::vector<PodPointer> apply(const std::string& owner, std::vector<PodPointer> pods, uint64_t cache_version);
  void forget(const std::string& owner);

 private:
  struct Entry {
    std::vector<PodPointer> created;
    std::set<std::string> deleted;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

/// A resource version as a number; 0 when it is none. Newer versions of one server are greater.
uint64_t version_number(const std::string& resource_version);

}  // namespace trireme::controllers
