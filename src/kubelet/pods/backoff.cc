#include "kubelet/pods/backoff.h"

#include <algorithm>

namespace trireme::kubelet {

Duration Backoff::remaining(const std::string& key, WallTime since) {
  std::lock_guard lock(mutex_);
  auto entry = entries_.find(key);
  if (entry == entries_.end() || expired(entry->second, since)) return Duration::zero();
  Duration waited = clock_->now() - since;
  return std::max(entry->second.delay - waited, Duration::zero());
}

void Backoff::next(const std::string& key, WallTime since) {
  std::lock_guard lock(mutex_);
  auto [entry, added] = entries_.try_emplace(key);
  if (added || expired(entry->second, since)) {
    entry->second.delay = base_;
  } else {
    entry->second.delay = std::min(entry->second.delay * 2, maximum_);
  }
  entry->second.updated = clock_->now();
}

Duration Backoff::delay(const std::string& key) const {
  std::lock_guard lock(mutex_);
  auto entry = entries_.find(key);
  return entry == entries_.end() ? Duration::zero() : entry->second.delay;
}

void Backoff::forget_prefix(std::string_view prefix) {
  std::lock_guard lock(mutex_);
  auto entry = entries_.lower_bound(prefix);
  while (entry != entries_.end() && std::string_view(entry->first).starts_with(prefix)) entry = entries_.erase(entry);
}

}  // namespace trireme::kubelet
