#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

/// Hosts of a test's own: network namespaces, from which nothing can reach, or change, the machine's network.
namespace trireme::test {

/// A namespace without a name, whose only interface is lo. It goes when this object and all that was started inside
/// have gone.
class TestMachine {
 public:
  TestMachine() {
    std::thread([this] {
      if (::unshare(CLONE_NEWNET) == 0) fd_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    }).join();
  }
  ~TestMachine() {
    if (fd_ >= 0) ::close(fd_);
  }
  TestMachine(TestMachine&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestMachine& operator=(TestMachine&&) = delete;

  /// Why there can be none here, for GTEST_SKIP.
  static std::optional<std::string> why_not() {
    if (::geteuid() != 0) return "making network namespaces needs root";
    if (TestMachine().fd() < 0) return "this kernel or container allows no network namespaces";
    return std::nullopt;
  }

  int fd() const { return fd_; }

  /// Runs `work` inside, on a thread of its own, to its end. Threads that it starts stay inside.
  template <typename Work>
  auto run(Work work) const {
    using Out = decltype(work());
    if constexpr (std::is_void_v<Out>) {
      std::thread([&] {
        if (::setns(fd_, CLONE_NEWNET) == 0) work();
      }).join();
    } else {
      std::optional<Out> out;
      std::thread([&] {
        if (::setns(fd_, CLONE_NEWNET) == 0) out.emplace(work());
      }).join();
      return std::move(out.value());
    }
  }

 private:
  int fd_ = -1;
};

}  // namespace trireme::test
