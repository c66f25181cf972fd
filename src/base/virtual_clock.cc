#include "base/virtual_clock.h"

#include <algorithm>
#include <utility>

namespace trireme {

class VirtualClock::VirtualTimer final : public Clock::Timer {
 public:
  VirtualTimer(VirtualClock& clock, Key key) : clock_(clock), key_(key) {}
  ~VirtualTimer() override { clock_.cancel(key_); }

 private:
  VirtualClock& clock_;
  Key key_;
};

WallTime VirtualClock::now() const {
  std::lock_guard lock(mutex_);
  return start_ + std::chrono::duration_cast<WallTime::duration>(elapsed_);
}

Duration VirtualClock::monotonic() const {
  std::lock_guard lock(mutex_);
  return elapsed_;
}

bool VirtualClock::sleep_for(Duration duration, std::stop_token stop) {
  if (sleep_ == Sleep::kAdvances) {
    if (stop.stop_requested()) return false;
    advance(duration);
    return !stop.stop_requested();
  }
  std::unique_lock lock(mutex_);
  const Duration due = elapsed_ + std::max(duration, Duration::zero());
  if (due == elapsed_) return !stop.stop_requested();
  auto position = sleepers_.insert(due);
  changed_.notify_all();
  bool woken = changed_.wait(lock, stop, [&] { return elapsed_ >= due; });
  sleepers_.erase(position);
  return woken && !stop.stop_requested();
}

std::unique_ptr<Clock::Timer> VirtualClock::call_after(Duration delay, std::function<void()> callback) {
  std::lock_guard lock(mutex_);
  Key key{elapsed_ + std::max(delay, Duration::zero()), ++last_id_};
  timers_.emplace(key, std::move(callback));
  changed_.notify_all();
  return std::make_unique<VirtualTimer>(*this, key);
}

void VirtualClock::cancel(const Key& key) {
  std::function<void()> dropped;  // destroyed after the lock is released
  std::unique_lock lock(mutex_);
  if (auto entry = timers_.find(key); entry != timers_.end()) {
    dropped = std::move(entry->second);
    timers_.erase(entry);
    return;
  }
  if (running_thread_ == std::this_thread::get_id()) return;
  changed_.wait(lock, [&] { return running_id_ != key.second; });
}

void VirtualClock::advance(Duration duration) {
  std::lock_guard one_at_a_time(advance_mutex_);
  std::unique_lock lock(mutex_);
  const Duration target = elapsed_ + std::max(duration, Duration::zero());
  while (!timers_.empty() && timers_.begin()->first.first <= target) {
    auto first = timers_.begin();
    elapsed_ = std::max(elapsed_, first->first.first);
    running_id_ = first->first.second;
    running_thread_ = std::this_thread::get_id();
    std::function<void()> callback = std::move(first->second);
    timers_.erase(first);
    changed_.notify_all();
    lock.unlock();
    callback();
    callback = nullptr;
    lock.lock();
    running_id_ = 0;
    running_thread_ = {};
    changed_.notify_all();
  }
  elapsed_ = target;
  changed_.notify_all();
}

bool VirtualClock::advance_to_next() {
  std::optional<Duration> due = next_due();
  if (!due) return false;
  advance(*due);
  return true;
}

std::optional<Duration> VirtualClock::next_due_locked() const {
  std::optional<Duration> due;
  if (!timers_.empty()) due = timers_.begin()->first.first;
  if (auto sleeper = sleepers_.upper_bound(elapsed_); sleeper != sleepers_.end()) {
    due = due ? std::min(*due, *sleeper) : *sleeper;
  }
  if (due) *due = std::max(*due - elapsed_, Duration::zero());
  return due;
}

std::optional<Duration> VirtualClock::next_due() const {
  std::lock_guard lock(mutex_);
  return next_due_locked();
}

std::size_t VirtualClock::timers() const {
  std::lock_guard lock(mutex_);
  return timers_.size();
}

std::size_t VirtualClock::sleepers() const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::distance(sleepers_.upper_bound(elapsed_), sleepers_.end()));
}

bool VirtualClock::wait_for_waiters(std::size_t count, Duration limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] {
    auto asleep = static_cast<std::size_t>(std::distance(sleepers_.upper_bound(elapsed_), sleepers_.end()));
    return asleep + timers_.size() >= count;
  });
}

}  // namespace trireme
