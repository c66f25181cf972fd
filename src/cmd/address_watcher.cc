#include "cmd/address_watcher.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "base/log.h"
#include "cmd/cluster_options.h"
#include "linux/file.h"
#include "linux/own_addresses.h"

namespace trireme::cmd {
namespace {

constexpr int kSettleMilliseconds = 250;
constexpr int kRetryMilliseconds = 5000;

class KernelWatcher final : public AddressWatcher {
 public:
  KernelWatcher(AddressWatcherOptions options, Changed changed)
      : options_(std::move(options)), changed_(std::move(changed)), present_(options_.present) {}

  ~KernelWatcher() override {
    const uint64_t one = 1;
    if (wake_ >= 0) [[maybe_unused]]
      ssize_t written = ::write(wake_, &one, sizeof one);
    if (thread_.joinable()) thread_.join();
    if (socket_ >= 0) ::close(socket_);
    if (wake_ >= 0) ::close(wake_);
  }

  Status begin() {
    socket_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    sockaddr_nl groups{};
    groups.nl_family = AF_NETLINK;
    groups.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    if (socket_ < 0 || wake_ < 0 || ::bind(socket_, reinterpret_cast<sockaddr*>(&groups), sizeof groups) != 0) {
      return linux::errno_status("listen", "rtnetlink", errno);
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

 private:
  /// False when it is time to stop. `milliseconds` -1: until something happens.
  bool wait(int milliseconds) {
    std::array<pollfd, 2> files{pollfd{wake_, POLLIN, 0}, pollfd{socket_, POLLIN, 0}};
    ::poll(files.data(), files.size(), milliseconds);
    return files[0].revents == 0;
  }

  /// What the messages say is looked up afterwards; also when some were lost (ENOBUFS).
  void drain() const {
    std::array<char, 16384> buffer;
    while (::recv(socket_, buffer.data(), buffer.size(), 0) >= 0 || errno == ENOBUFS || errno == EINTR) {
    }
  }

  bool usable(const std::vector<std::string>& addresses) const {
    return !addresses.empty() && addresses.front() != "127.0.0.1" &&
           !in_networks(options_.cluster_cidr, addresses.front());
  }

  void run() {
    int patience = -1;
    while (wait(patience)) {
      patience = -1;
      // Addresses come one by one; the sleep ends early only to stop.
      pollfd stop{wake_, POLLIN, 0};
      if (::poll(&stop, 1, kSettleMilliseconds) > 0) return;
      drain();
      const std::vector<std::string> now = linux::own_addresses();
      if (now == present_ || !usable(now)) continue;
      log::info("This machine's addresses have changed",
                {{"before", present_.front()}, {"now", now.front()}, {"count", now.size()}});
      if (Status status = changed_(now); !status.ok()) {
        log::warning("Not everything follows the machine's addresses yet; will try again", {{"error", status}});
        patience = kRetryMilliseconds;
        continue;
      }
      present_ = now;
    }
  }

  const AddressWatcherOptions options_;
  const Changed changed_;
  std::vector<std::string> present_;
  int socket_ = -1;
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<AddressWatcher>> AddressWatcher::start(AddressWatcherOptions options, Changed changed) {
  auto watcher = std::make_unique<KernelWatcher>(std::move(options), std::move(changed));
  TRY(watcher->begin());
  return std::unique_ptr<AddressWatcher>(std::move(watcher));
}

Status advertise(client::Client admin, const std::string& address, uint16_t port) {
  TRY_ASSIGN(auto endpoints, admin.get<api::corev1::Endpoints>("default", "kubernetes"));
  endpoints.subsets.resize(1);
  endpoints.subsets[0].addresses.resize(1);
  endpoints.subsets[0].addresses[0].ip = address;
  for (auto& each : endpoints.subsets[0].ports) each.port = port;
  TRY(admin.update(endpoints).status());
  TRY_ASSIGN(auto slice, admin.get<api::discoveryv1::EndpointSlice>("default", "kubernetes"));
  slice.endpoints.resize(1);
  slice.endpoints[0].addresses = {address};
  for (auto& each : slice.ports) each.port = port;
  return admin.update(slice).status();
}

}  // namespace trireme::cmd
