#include "kubelet/pods/status_manager.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Pod;
using api::corev1::PodStatus;

constexpr int kConflictTries = 5;

uint64_t version_of(const Pod& pod) {
  uint64_t version = 0;
  const std::string& text = pod.metadata.resource_version;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

}  // namespace

void StatusManager::set(std::shared_ptr<const Pod> pod, PodStatus status) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  const std::string& uid = pod->metadata.uid;
  Entry& entry = entries_[uid];
  // The answer to the last write may be newer than what the watch has brought.
  if (!entry.base || version_of(*entry.base) < version_of(*pod)) entry.base = std::move(pod);
  entry.status = std::move(status);
  entry.dirty = true;
  kick(entry.base->metadata.uid, entry);
}

void StatusManager::finish(std::shared_ptr<const Pod> pod) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  Entry& entry = entries_[pod->metadata.uid];
  if (!entry.base) entry.base = pod;
  entry.remove = true;
  kick(pod->metadata.uid, entry);
}

void StatusManager::forget(const std::string& pod_uid) {
  std::lock_guard lock(mutex_);
  auto entry = entries_.find(pod_uid);
  if (entry == entries_.end()) return;
  if (entry->second.busy) {
    entry->second.forgotten = true;
  } else {
    entries_.erase(entry);
  }
}

void StatusManager::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& [uid, entry] : entries_) entry.retry.reset();
}

void StatusManager::kick(const std::string& uid, Entry& entry) {
  if (entry.busy || stopped_) return;
  entry.busy = true;
  entry.retry.reset();
  pool_.post([this, uid] { run(uid); });
}

void StatusManager::run(const std::string& uid) {
  while (true) {
    std::shared_ptr<const Pod> base;
    PodStatus status;
    bool dirty, remove;
    {
      std::lock_guard lock(mutex_);
      Entry& entry = entries_[uid];
      if (entry.forgotten) {
        entries_.erase(uid);
        return;
      }
      if (stopped_ || (!entry.dirty && !entry.remove)) {
        entry.busy = false;
        return;
      }
      base = entry.base;
      status = entry.status;
      dirty = std::exchange(entry.dirty, false);
      remove = entry.remove;
    }
    Status result;
    if (dirty) {
      result = write(base, status);
    } else if (remove) {
      client::DeleteOptions options;
      options.grace_period_seconds = 0;
      options.uid = uid;
      result = client_.remove<Pod>(base->metadata.namespace_, base->metadata.name, options);
      // A conflict: another pod has the name by now.
      if (result.is(Reason::kNotFound) || result.is(Reason::kConflict)) result = {};
    }
    std::lock_guard lock(mutex_);
    auto found = entries_.find(uid);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    if (result.is(Reason::kNotFound) || (result.ok() && !dirty && remove)) {
      entries_.erase(found);
      return;
    }
    if (result.ok()) {
      if (version_of(*entry.base) < version_of(*base)) entry.base = base;
      entry.failures = 0;
      continue;
    }
    if (dirty) entry.dirty = true;
    if (entry.failures == 0) {
      log::warning("Could not write a pod's status; will try again",
                   {{"pod", base->metadata.name}, {"namespace", base->metadata.namespace_}, {"error", result}});
    }
    entry.busy = false;
    auto delay = std::chrono::milliseconds(250) * (1 << std::min(entry.failures++, 6));
    if (stopped_) return;
    entry.retry = clock_->call_after(delay, [this, uid] {
      // Not under the lock here: the timer's end waits for its callback.
      pool_.post([this, uid] {
        std::unique_lock retry_lock(mutex_);
        auto again = entries_.find(uid);
        if (again == entries_.end() || again->second.busy || stopped_) return;
        again->second.busy = true;
        retry_lock.unlock();
        run(uid);
      });
    });
    return;
  }
}

Status StatusManager::write(std::shared_ptr<const Pod>& base, const PodStatus& status) {
  Status result;
  for (int attempt = 0; attempt < kConflictTries; ++attempt) {
    Pod changed = *base;
    changed.status = status;
    auto written = client_.update_status(changed);
    if (written.ok()) {
      base = std::make_shared<Pod>(std::move(*written));
      return {};
    }
    result = written.status();
    if (!result.is(Reason::kConflict)) return result;
    auto fresh = client_.get<Pod>(base->metadata.namespace_, base->metadata.name);
    if (!fresh.ok()) return fresh.status();
    if (fresh->metadata.uid != base->metadata.uid) return Status::not_found("another pod has this name now");
    base = std::make_shared<Pod>(std::move(*fresh));
  }
  return result;
}

}  // namespace trireme::kubelet
