#include "controllers/support/write_fence.h"

#include <algorithm>

#include "controllers/support/recent_writes.h"

namespace trireme::controllers {

void WriteFence::wrote(const std::string& owner, const std::string& version) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[owner];
  entry.version = std::max(entry.version, version_number(version));
}

void WriteFence::deleted(const std::string& owner, const api::corev1::Pod& pod) {
  const std::lock_guard lock(mutex_);
  entries_[owner].deleted.insert({pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid});
}

bool WriteFence::passed(const std::string& owner, uint64_t version, const Terminating& terminating) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(owner);
  if (found == entries_.end()) return true;
  Entry& entry = found->second;
  std::erase_if(entry.deleted, [&](const Deleted& each) { return terminating(each.ns, each.name, each.uid); });
  if (version < entry.version || !entry.deleted.empty()) return false;
  entries_.erase(found);
  return true;
}

bool WriteFence::passed(const std::string& owner, const client::Informer<api::corev1::Pod>& pods) {
  return passed(owner, pods.version(), [&](const std::string& ns, const std::string& name, const std::string& uid) {
    const auto pod = pods.get(ns, name);
    return !pod || pod->metadata.uid != uid || pod->metadata.deletion_timestamp;
  });
}

bool WriteFence::waits(const std::string& owner) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(owner);
}

void WriteFence::forget(const std::string& owner) {
  const std::lock_guard lock(mutex_);
  entries_.erase(owner);
}

}  // namespace trireme::controllers
