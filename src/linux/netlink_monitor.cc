#include "linux/netlink_monitor.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "linux/file.h"

namespace trireme::linux {
namespace {

constexpr int kQueueBytes = 4 << 20;
constexpr int kGroups[] = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                           RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEIGH};

Status last_error() { return errno_status("watch", "rtnetlink", errno); }

}  // namespace

Result<std::unique_ptr<NetlinkMonitor>> NetlinkMonitor::start(Handler handler) {
  std::unique_ptr<NetlinkMonitor> monitor(new NetlinkMonitor(std::move(handler)));
  monitor->socket_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  monitor->wake_ = ::eventfd(0, EFD_CLOEXEC);
  if (monitor->socket_ < 0 || monitor->wake_ < 0) return last_error();
  if (::setsockopt(monitor->socket_, SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof kQueueBytes) != 0) {
    ::setsockopt(monitor->socket_, SOL_SOCKET, SO_RCVBUF, &kQueueBytes, sizeof kQueueBytes);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(monitor->socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return last_error();
  for (const int group : kGroups) {
    if (::setsockopt(monitor->socket_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      return last_error();
    }
  }
  monitor->thread_ = std::thread([raw = monitor.get()] { raw->run(); });
  return monitor;
}

NetlinkMonitor::~NetlinkMonitor() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
    thread_.join();
  }
  if (socket_ >= 0) ::close(socket_);
  if (wake_ >= 0) ::close(wake_);
}

void NetlinkMonitor::run() {
  alignas(8) static thread_local std::array<char, size_t{64} << 10> buffer;
  std::array<pollfd, 2> waiting{pollfd{socket_, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
  while (true) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (got > 0) {
      const bool whole = parse_netlink({buffer.data(), static_cast<size_t>(got)}, [&](const NetlinkMessage& message) {
        if (!std::holds_alternative<std::monostate>(message.object)) handler_(message);
      });
      if (!whole) handler_(NetlinkMessage());
    } else if (got < 0 && errno == ENOBUFS) {
      handler_(NetlinkMessage());
    }
  }
}

}  // namespace trireme::linux
