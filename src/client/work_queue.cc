#include "client/work_queue.h"

#include <algorithm>
#include <cmath>

namespace trireme::client {

namespace {

/// client-go's: ten nanoseconds to ten seconds.
std::vector<double> queue_bounds() { return metrics::exponential_bounds(1e-8, 10, 10); }

}  // namespace

QueueStatistics::QueueStatistics() : waited(queue_bounds()), worked(queue_bounds()) {}

WorkQueue::WorkQueue(std::shared_ptr<Clock> clock, RateLimit limit)
    : clock_(std::move(clock)), limit_(limit), tokens_(limit.bucket_size), tokens_at_(clock_->monotonic()) {}

WorkQueue::~WorkQueue() { shut_down(); }

void WorkQueue::add(std::string key) {
  const std::lock_guard lock(mutex_);
  add_locked(std::move(key));
}

void WorkQueue::add_locked(std::string key) {
  if (shut_down_) return;
  if (!dirty_.try_emplace(key, clock_->monotonic()).second) return;
  ++statistics_.adds;
  if (processing_.contains(key)) return;
  ready_.push_back(std::move(key));
  ready_changed_.notify_one();
}

void WorkQueue::add_after(std::string key, Duration delay) {
  std::unique_lock lock(mutex_);
  if (shut_down_) return;
  ++statistics_.retries;
  if (delay <= Duration::zero()) {
    add_locked(std::move(key));
    return;
  }
  const Duration due = clock_->monotonic() + delay;
  const auto [known, fresh] = due_.try_emplace(key, due);
  if (!fresh) {
    if (known->second <= due) return;
    delayed_.erase({known->second, key});
    known->second = due;
  }
  delayed_.emplace(due, std::move(key));
  arm(lock);
}

void WorkQueue::add_rate_limited(std::string key) {
  Duration delay{};
  {
    const std::lock_guard lock(mutex_);
    const int failures = failures_[key]++;
    const double backoff = static_cast<double>(limit_.base.count()) * std::pow(2.0, failures);
    delay = backoff >= static_cast<double>(limit_.maximum.count()) ? limit_.maximum
                                                                   : Duration(static_cast<int64_t>(backoff));
    delay = std::max(delay, bucket_delay(clock_->monotonic()));
  }
  add_after(std::move(key), delay);
}

Duration WorkQueue::bucket_delay(Duration now) {
  if (limit_.bucket_per_second <= 0) return Duration::zero();
  const double passed = std::chrono::duration<double>(now - tokens_at_).count();
  tokens_ = std::min<double>(limit_.bucket_size, tokens_ + passed * limit_.bucket_per_second);
  tokens_at_ = now;
  tokens_ -= 1;
  if (tokens_ >= 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-tokens_ / limit_.bucket_per_second));
}

void WorkQueue::forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

int WorkQueue::requeues(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::arm(std::unique_lock<std::mutex>& lock) {
  if (delayed_.empty() || shut_down_) return;
  const Duration due = delayed_.begin()->first;
  if (armed_for_ && *armed_for_ <= due) return;
  armed_for_ = due;
  const uint64_t arming = ++armings_;
  const Duration delay = std::max(Duration::zero(), due - clock_->monotonic());
  // A timer's destruction waits for its callback, which takes the mutex: so both happen without it.
  lock.unlock();
  std::unique_ptr<Clock::Timer> timer = clock_->call_after(delay, [this] { on_timer(); });
  lock.lock();
  if (arming == armings_ && !shut_down_) std::swap(timer_, timer);
  lock.unlock();
}

void WorkQueue::on_timer() {
  std::unique_lock lock(mutex_);
  armed_for_.reset();
  const Duration now = clock_->monotonic();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    std::string key = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    due_.erase(key);
    add_locked(std::move(key));
  }
  arm(lock);
}

std::optional<std::string> WorkQueue::get(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  ready_changed_.wait(lock, stop, [this] { return !ready_.empty() || shut_down_; });
  if (ready_.empty() || stop.stop_requested()) return std::nullopt;
  return take_locked();
}

std::optional<std::string> WorkQueue::try_get() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) return std::nullopt;
  return take_locked();
}

std::string WorkQueue::take_locked() {
  std::string key = std::move(ready_.front());
  ready_.pop_front();
  const Duration now = clock_->monotonic();
  const auto waiting = dirty_.find(key);
  statistics_.waited.observe(now - waiting->second);
  dirty_.erase(waiting);
  processing_.insert_or_assign(key, now);
  return key;
}

void WorkQueue::done(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (const auto begun = processing_.find(key); begun != processing_.end()) {
    statistics_.worked.observe(clock_->monotonic() - begun->second);
    processing_.erase(begun);
  }
  if (!dirty_.contains(key)) return;
  ready_.push_back(key);
  ready_changed_.notify_one();
}

size_t WorkQueue::size() const {
  const std::lock_guard lock(mutex_);
  return ready_.size();
}

WorkQueue::UnderWay WorkQueue::under_way() const {
  const std::lock_guard lock(mutex_);
  UnderWay out;
  const Duration now = clock_->monotonic();
  for (const auto& [key, begun] : processing_) {
    out.total += now - begun;
    out.longest = std::max(out.longest, now - begun);
  }
  return out;
}

bool WorkQueue::shutting_down() const {
  const std::lock_guard lock(mutex_);
  return shut_down_;
}

void WorkQueue::shut_down() {
  std::unique_ptr<Clock::Timer> timer;
  {
    const std::lock_guard lock(mutex_);
    shut_down_ = true;
    timer = std::move(timer_);
    delayed_.clear();
    due_.clear();
  }
  ready_changed_.notify_all();
}

}  // namespace trireme::client
