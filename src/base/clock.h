#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>

namespace trireme {

using Duration = std::chrono::nanoseconds;
using WallTime = std::chrono::system_clock::time_point;

/// The source of time, passed in everywhere so that a whole cluster can run on a virtual clock. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Wall-clock time, for timestamps in objects and certificates.
  virtual WallTime now() const = 0;
  /// Monotonic time since an arbitrary start, for intervals and back-off.
  virtual Duration monotonic() const = 0;
  /// Blocks for `duration`, or until a stop is requested. Returns false when stopped.
  virtual bool sleep_for(Duration duration, std::stop_token stop) = 0;

  /// Cancels its callback when destroyed, unless that has begun; destruction waits for a running callback
  /// (except from inside that callback).
  class Timer {
   public:
    virtual ~Timer() = default;
  };
  /// Calls `callback` once, `delay` from now, on the clock's own thread: callbacks only enqueue and return.
  [[nodiscard]] virtual std::unique_ptr<Timer> call_after(Duration delay, std::function<void()> callback) = 0;
};

/// The machine's clock. One shared timer thread, which starts with the first timer and sleeps until the next is due.
std::shared_ptr<Clock> real_clock();

}  // namespace trireme
