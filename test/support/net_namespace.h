#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <optional>
#include <string>

namespace trireme::test {

/// A fresh network namespace for the calling thread, and for those it starts from then on, until destruction. Nothing
/// is in it but a loopback that is down.
class NetNamespace {
 public:
  /// Why there can be none here; nothing when there can.
  static std::optional<std::string> why_not() {
    if (::geteuid() != 0) return "network namespaces need root";
    return std::nullopt;
  }

  NetNamespace() : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    entered_ = before_ >= 0 && ::unshare(CLONE_NEWNET) == 0;
  }
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;
  ~NetNamespace() {
    if (entered_ && ::setns(before_, CLONE_NEWNET) != 0) ::_exit(1);  // what follows must not run in the wrong place
    if (before_ >= 0) ::close(before_);
  }
  bool entered() const { return entered_; }

 private:
  int before_;
  bool entered_ = false;
};

}  // namespace trireme::test
