#include "linux/route.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

namespace trireme::linux {
namespace {

// Loses against every other route to the same prefix: a proxy's or another node's.
constexpr uint32_t kUnreachableMetric = 4278198272U;

struct Prefix {
  uint8_t family;
  uint8_t length;
  std::array<uint8_t, 16> address;
  size_t address_size;
};

std::optional<Prefix> parse_prefix(const std::string& cidr) {
  size_t slash = cidr.find('/');
  if (slash == std::string::npos) return std::nullopt;
  Prefix prefix{};
  std::string address = cidr.substr(0, slash);
  if (::inet_pton(AF_INET, address.c_str(), prefix.address.data()) == 1) {
    prefix.family = AF_INET;
    prefix.address_size = 4;
  } else if (::inet_pton(AF_INET6, address.c_str(), prefix.address.data()) == 1) {
    prefix.family = AF_INET6;
    prefix.address_size = 16;
  } else {
    return std::nullopt;
  }
  const char* end = cidr.data() + cidr.size();
  auto [rest, error] = std::from_chars(cidr.data() + slash + 1, end, prefix.length);
  if (error != std::errc() || rest != end || prefix.length > prefix.address_size * 8) return std::nullopt;
  return prefix;
}

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

/// Sends one request and waits for its acknowledgement; returns 0 or the kernel's errno.
int transact(nlmsghdr* message) {
  std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return errno;
  message->nlmsg_seq = 1;
  if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) return errno;
  std::array<char, 8192> buffer;
  ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  if (got < 0) return errno;
  int result =
      mnl_cb_run(buffer.data(), static_cast<size_t>(got), 1, mnl_socket_get_portid(socket.get()), nullptr, nullptr);
  return result < 0 ? errno : 0;
}

Status change_route(const std::string& cidr, uint16_t type, uint16_t flags, int harmless_error) {
  auto prefix = parse_prefix(cidr);
  if (!prefix) return Status::bad_request(fmt::format("\"{}\" is not a network in CIDR notation", cidr));
  std::array<char, 1024> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  route->rtm_family = prefix->family;
  route->rtm_dst_len = prefix->length;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_UNIVERSE;
  route->rtm_type = RTN_UNREACHABLE;
  mnl_attr_put(message, RTA_DST, prefix->address_size, prefix->address.data());
  mnl_attr_put_u32(message, RTA_PRIORITY, kUnreachableMetric);
  int error = transact(message);
  if (error == 0 || error == harmless_error) return {};
  return Status::internal(fmt::format("unreachable route for {}: {}", cidr, std::strerror(error)));
}

}  // namespace

Status add_unreachable_route(const std::string& cidr) {
  return change_route(cidr, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, EEXIST);
}

Status remove_unreachable_route(const std::string& cidr) { return change_route(cidr, RTM_DELROUTE, 0, ESRCH); }

Status delete_link(const std::string& name) {
  if (::if_nametoindex(name.c_str()) == 0) return {};
  std::array<char, 1024> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_DELLINK;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  int error = transact(message);
  if (error == 0 || error == ENODEV) return {};
  return Status::internal(fmt::format("delete interface {}: {}", name, std::strerror(error)));
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
