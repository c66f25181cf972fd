#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/clock.h"

namespace trireme {

/// A clock that stands still until its owner moves it: tests, and the simulator. Thread-safe.
///
/// Timers fire inside `advance`, on the thread that calls it, in the order in which they are due (those due at the
/// same time in the order of their creation); during a callback the clock shows the time the timer was due at.
/// A timer that a callback sets for a time inside the same advance fires in it too.
class VirtualClock final : public Clock {
 public:
  /// 2024-01-01T00:00:00Z: a round date, so that timestamps in expectations can be read.
  static constexpr WallTime kDefaultStart{std::chrono::seconds(1704067200)};

  /// What `sleep_for` does: wait until another thread moves the time, or move it itself, where there is only one
  /// thread.
  enum class Sleep { kWaits, kAdvances };

  explicit VirtualClock(WallTime start = kDefaultStart, Sleep sleep = Sleep::kWaits) : start_(start), sleep_(sleep) {}

  WallTime now() const override;
  Duration monotonic() const override;
  bool sleep_for(Duration duration, std::stop_token stop) override;
  [[nodiscard]] std::unique_ptr<Timer> call_after(Duration delay, std::function<void()> callback) override;

  /// Moves time forward, fires what falls due and wakes sleepers. Returns when every due callback has returned;
  /// woken sleepers run on in their own threads. Not from inside a callback.
  void advance(Duration duration);

  /// Moves to the next timer's or sleeper's time. Returns false, and does nothing, when there is none.
  bool advance_to_next();

  /// How long until the next timer or sleeper is due; nothing when neither exists.
  std::optional<Duration> next_due() const;

  std::size_t timers() const;    ///< Timers that have not fired.
  std::size_t sleepers() const;  ///< Threads inside `sleep_for` whose time has not come.

  /// Blocks until at least `count` threads sleep or timers wait, so that an `advance` is sure to meet them.
  /// Gives up after `limit` of real time and returns false.
  [[nodiscard]] bool wait_for_waiters(std::size_t count, Duration limit = std::chrono::seconds(10));

 private:
  using Key = std::pair<Duration, uint64_t>;  // when due, and a number that orders and names the timer
  class VirtualTimer;

  void cancel(const Key& key);
  std::optional<Duration> next_due_locked() const;

  const WallTime start_;
  const Sleep sleep_;
  std::mutex advance_mutex_;  // one advance at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<Key, std::function<void()>> timers_;
  std::multiset<Duration> sleepers_;
  Duration elapsed_{};
  uint64_t last_id_ = 0;
  uint64_t running_id_ = 0;
  std::thread::id running_thread_;
};

}  // namespace trireme
