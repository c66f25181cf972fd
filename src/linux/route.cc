#include "linux/route.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "linux/netlink_client.h"

namespace trireme::linux {
namespace {

// Loses against every other route to the same prefix: a proxy's or another node's.
constexpr uint32_t kUnreachableMetric = 4278198272U;

Result<Route> unreachable(const std::string& cidr) {
  const auto prefix = IpPrefix::parse(cidr);
  if (!prefix) return Status::bad_request(fmt::format("\"{}\" is not a network in CIDR notation", cidr));
  Route route;
  route.destination = prefix->masked();
  route.type = RouteType::kUnreachable;
  route.metric = kUnreachableMetric;
  return route;
}

}  // namespace

Status add_unreachable_route(const std::string& cidr) {
  TRY_ASSIGN(const Route route, unreachable(cidr));
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  const Status status = netlink.add_route(route);
  return status.is(Reason::kAlreadyExists) ? Status() : status;
}

Status remove_unreachable_route(const std::string& cidr) {
  TRY_ASSIGN(Route route, unreachable(cidr));
  route.protocol = 0;  // of whoever set it: earlier releases had no number of their own
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  const Status status = netlink.delete_route(route);
  return status.is(Reason::kNotFound) ? Status() : status;
}

Status delete_link(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return {};
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  const Status status = netlink.delete_link(static_cast<int>(index));
  return status.is(Reason::kNotFound) ? Status() : status.with_context("interface " + name);
}

std::string primary_address() {
  // Connecting a datagram socket makes the kernel choose a route and source address; nothing is sent. The
  // destination is of the range reserved for documentation (RFC 5737).
  std::array<char, INET_ADDRSTRLEN> text{};
  if (int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); socket >= 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    ::inet_pton(AF_INET, "198.51.100.1", &address.sin_addr);
    socklen_t size = sizeof address;
    bool found = ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                 ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(socket);
    if (found) return ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  }
  std::string result = "127.0.0.1";
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return result;
  for (ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    bool usable = entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                  (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable) continue;
    auto* address = reinterpret_cast<sockaddr_in*>(entry->ifa_addr);
    result = ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    break;
  }
  ::freeifaddrs(list);
  return result;
}

}  // namespace trireme::linux
