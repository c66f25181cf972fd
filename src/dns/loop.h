#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::dns {

/// A file descriptor that is closed with its owner.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~OwnedFd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Sockets and timers of one thread. Everything but `post` and `stop` belongs to the thread that runs it, or to whoever
/// sets it up before.
class Loop {
 public:
  static Result<std::unique_ptr<Loop>> create(std::shared_ptr<Clock> clock);

  using Ready = std::function<void(uint32_t events)>;
  /// `events` as epoll has them. False when the kernel refused.
  bool watch(int fd, uint32_t events, Ready ready);
  void change(int fd, uint32_t events);
  /// Before the descriptor is closed.
  void forget(int fd);

  using TimerId = uint64_t;  ///< Never 0.
  TimerId after(Duration delay, std::function<void()> callback);
  void cancel(TimerId id);

  /// Runs `task` on the loop's thread, soon. Any thread.
  void post(std::function<void()> task);
  Duration now() const { return clock_->monotonic(); }

  /// Until `stop` is called.
  void run();
  void stop();

 private:
  Loop(std::shared_ptr<Clock> clock, OwnedFd poll, OwnedFd wake)
      : clock_(std::move(clock)), poll_(std::move(poll)), wake_(std::move(wake)) {}
  void wake();
  void run_posted();
  int run_timers();

  const std::shared_ptr<Clock> clock_;
  const OwnedFd poll_;
  const OwnedFd wake_;
  std::unordered_map<int, std::shared_ptr<Ready>> watched_;
  std::map<std::pair<Duration, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, Duration> due_;
  TimerId last_timer_ = 0;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace trireme::dns
