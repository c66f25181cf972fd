#include "controllers/support/recent_writes.h"

#include <algorithm>
#include <charconv>

namespace trireme::controllers {

uint64_t version_number(const std::string& resource_version) {
  uint64_t number = 0;
  std::from_chars(resource_version.data(), resource_version.data() + resource_version.size(), number);
  return number;
}

void RecentWrites::created(const std::string& owner, api::corev1::Pod pod) {
  auto shared = std::make_shared<const api::corev1::Pod>(std::move(pod));
  const std::lock_guard lock(mutex_);
  entries_[owner].created.push_back(std::move(shared));
}

void RecentWrites::deleted(const std::string& owner, const std::string& pod_uid) {
  const std::lock_guard lock(mutex_);
  entries_[owner].deleted.insert(pod_uid);
}

std::vector<RecentWrites::PodPointer> RecentWrites::apply(const std::string& owner, std::vector<PodPointer> pods,
                                                          uint64_t cache_version) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(owner);
  if (found == entries_.end()) return pods;
  Entry& entry = found->second;
  std::erase_if(entry.created, [&](const PodPointer& made) {
    return version_number(made->metadata.resource_version) <= cache_version;
  });
  std::set<std::string> present;
  for (const PodPointer& pod : pods) present.insert(pod->metadata.uid);
  for (const PodPointer& made : entry.created) {
    if (present.insert(made->metadata.uid).second) pods.push_back(made);
  }
  std::erase_if(entry.deleted, [&](const std::string& uid) { return !present.contains(uid); });
  std::erase_if(pods, [&](const PodPointer& pod) { return entry.deleted.contains(pod->metadata.uid); });
  if (entry.created.empty() && entry.deleted.empty()) entries_.erase(found);
  return pods;
}

void RecentWrites::forget(const std::string& owner) {
  const std::lock_guard lock(mutex_);
  entries_.erase(owner);
}

}  // namespace trireme::controllers
