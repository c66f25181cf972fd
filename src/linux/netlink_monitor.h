#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "linux/netlink_parse.h"

namespace trireme::linux {

/// Reports what changes among the links, addresses, routes and neighbours of the network namespace it was started in.
class NetlinkMonitor {
 public:
  /// Called on the monitor's own thread; it only takes note and returns. A message without an object means that
  /// reports were lost (the kernel's queue was full): everything may have changed.
  using Handler = std::function<void(const NetlinkMessage&)>;

  static Result<std::unique_ptr<NetlinkMonitor>> start(Handler handler);
  /// Stops the thread and waits for a call that is under way.
  ~NetlinkMonitor();
  NetlinkMonitor(const NetlinkMonitor&) = delete;
  NetlinkMonitor& operator=(const NetlinkMonitor&) = delete;

 private:
  explicit NetlinkMonitor(Handler handler) : handler_(std::move(handler)) {}
  void run();

  const Handler handler_;
  int socket_ = -1;
  int wake_ = -1;  ///< An eventfd that ends the wait.
  std::thread thread_;
};

}  // namespace trireme::linux
