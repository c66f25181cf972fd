#include "dns/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace trireme::dns {

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<Loop>> Loop::create(std::shared_ptr<Clock> clock) {
  OwnedFd poll(::epoll_create1(EPOLL_CLOEXEC));
  OwnedFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!poll || !wake) return Status::internal(std::string("epoll: ") + std::strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return Status::internal(std::string("epoll: ") + std::strerror(errno));
  }
  return std::unique_ptr<Loop>(new Loop(std::move(clock), std::move(poll), std::move(wake)));
}

bool Loop::watch(int fd, uint32_t events, Ready ready) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  watched_[fd] = std::make_shared<Ready>(std::move(ready));
  return true;
}

void Loop::change(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(poll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::forget(int fd) {
  watched_.erase(fd);
  ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Loop::TimerId Loop::after(Duration delay, std::function<void()> callback) {
  const TimerId id = ++last_timer_;
  const Duration at = now() + delay;
  timers_.emplace(std::pair(at, id), std::move(callback));
  due_.emplace(id, at);
  return id;
}

void Loop::cancel(TimerId id) {
  const auto due = due_.find(id);
  if (due == due_.end()) return;
  timers_.erase({due->second, id});
  due_.erase(due);
}

void Loop::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Loop::post(std::function<void()> task) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) wake();
}

void Loop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake();
}

void Loop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) task();
}

/// Runs what is due; returns the milliseconds until the next, -1 for none.
int Loop::run_timers() {
  while (!timers_.empty()) {
    const auto first = timers_.begin();
    const Duration wait = first->first.first - now();
    if (wait > Duration::zero()) {
      return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count()) + 1;
    }
    const auto callback = std::move(first->second);
    due_.erase(first->first.second);
    timers_.erase(first);
    callback();
  }
  return -1;
}

void Loop::run() {
  std::array<epoll_event, 64> events;
  while (true) {
    run_posted();
    const int timeout = run_timers();
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      if (!posted_.empty()) continue;
    }
    const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.fd == wake_.get()) {
        uint64_t value = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &value, sizeof value);
        continue;
      }
      // Held while it runs: it may forget its own descriptor.
      const auto found = watched_.find(event.data.fd);
      if (found == watched_.end()) continue;
      const std::shared_ptr<Ready> ready = found->second;
      (*ready)(event.events);
    }
  }
}

}  // namespace trireme::dns
