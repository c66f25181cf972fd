#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/metrics.h"

namespace trireme::client {

/// How fast failing keys come back: per key exponentially from `base` to `maximum`, and all together through a token
/// bucket. The defaults are client-go's DefaultTypedControllerRateLimiter's.
struct RateLimit {
  Duration base = std::chrono::milliseconds(5);
  Duration maximum = std::chrono::seconds(1000);
  double bucket_per_second = 10;
  int bucket_size = 100;
};

/// Totals of a queue since it was made, as client-go counts them: "adds" are keys that began to wait, "retries" keys
/// that were to come later.
struct QueueStatistics {
  QueueStatistics();
  std::atomic<uint64_t> adds{0};
  std::atomic<uint64_t> retries{0};
  metrics::Distribution waited;  ///< From a key's first add until it is handed out.
  metrics::Distribution worked;  ///< From then until `done`.
};

/// A queue of keys for the workers of one controller. Thread-safe.
///
/// A key waits at most once however often it is added; a key that is added while a worker has it waits until `done` and
/// is then handed out again, so that two workers never have the same key. First come, first served.
/// Nothing runs while nothing is due: the earliest delayed key has a timer, no thread polls.
class WorkQueue {
 public:
  explicit WorkQueue(std::shared_ptr<Clock> clock, RateLimit limit = {});
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  void add(std::string key);
  /// Adds after `delay`. A key that waits already keeps the earlier time.
  void add_after(std::string key, Duration delay);
  /// Adds after the key's back-off, which grows with every call until `forget`.
  void add_rate_limited(std::string key);
  void forget(const std::string& key);
  /// Calls of `add_rate_limited` since the last `forget`.
  int requeues(const std::string& key) const;

  /// Blocks for the next key; empty when the queue was shut down or a stop is requested. Call `done` with the key
  /// after.
  std::optional<std::string> get(std::stop_token stop = {});
  /// `get` without waiting: empty when no key is ready.
  std::optional<std::string> try_get();
  void done(const std::string& key);

  /// Keys ready to be handed out.
  size_t size() const;
  const QueueStatistics& statistics() const { return statistics_; }
  /// The keys that workers have now: since when, all together and the longest.
  struct UnderWay {
    Duration total{};
    Duration longest{};
  };
  UnderWay under_way() const;
  /// Drops later adds and wakes all workers once the keys that are ready have been handed out.
  void shut_down();
  bool shutting_down() const;

 private:
  void add_locked(std::string key);
  std::string take_locked();
  void on_timer();
  void arm(std::unique_lock<std::mutex>& lock);
  Duration bucket_delay(Duration now);

  const std::shared_ptr<Clock> clock_;
  const RateLimit limit_;
  mutable std::mutex mutex_;
  std::condition_variable_any ready_changed_;
  std::deque<std::string> ready_;
  /// Waiting in ready_, or to be added again at `done`; since when.
  std::unordered_map<std::string, Duration> dirty_;
  std::unordered_map<std::string, Duration> processing_;  ///< Handed out and not done; since when.
  std::unordered_map<std::string, int> failures_;
  double tokens_;
  Duration tokens_at_;
  std::set<std::pair<Duration, std::string>> delayed_;
  std::unordered_map<std::string, Duration> due_;  ///< Of every key in delayed_.
  std::optional<Duration> armed_for_;
  uint64_t armings_ = 0;
  bool shut_down_ = false;
  QueueStatistics statistics_;
  std::unique_ptr<Clock::Timer> timer_;
};

}  // namespace trireme::client
