#include "linux/netlink_client.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "linux/netlink_parse.h"

namespace trireme::linux {
namespace {

constexpr size_t kRequestSize = 2048;
constexpr size_t kAnswerSize = size_t{64} << 10;  // a dump's datagrams are 32 KiB at most
constexpr int kInterruptedTries = 5;

Status failure(std::string_view what, int error, std::string_view explanation) {
  std::string message = fmt::format("{}: {}", what, std::strerror(error));
  if (!explanation.empty()) message += fmt::format(" ({})", explanation);
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ESRCH:
    case EADDRNOTAVAIL:
      return Status::not_found(std::move(message));
    case EEXIST:
      return {Reason::kAlreadyExists, std::move(message)};
    case EPERM:
    case EACCES:
      return {Reason::kForbidden, std::move(message)};
    default:
      return Status::internal(std::move(message));
  }
}

/// A request under construction.
struct Request {
  alignas(8) std::array<char, kRequestSize> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());

  Request(uint16_t type, uint16_t flags) {
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  }
  template <typename Header>
  Header* header() {
    return static_cast<Header*>(mnl_nlmsg_put_extra_header(message, sizeof(Header)));
  }
  void put(uint16_t type, const IpAddress& address) {
    mnl_attr_put(message, type, address.size(), address.bytes.data());
  }
  void put(uint16_t type, const MacAddress& mac) { mnl_attr_put(message, type, mac.bytes.size(), mac.bytes.data()); }
};

uint16_t to_network(uint16_t value) { return static_cast<uint16_t>(value << 8 | value >> 8); }

void put_vxlan(Request& request, const Vxlan& vxlan) {
  nlmsghdr* message = request.message;
  mnl_attr_put_u32(message, IFLA_VXLAN_ID, vxlan.vni);
  if (!vxlan.local.empty()) request.put(vxlan.local.is_ipv6() ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, vxlan.local);
  if (vxlan.link > 0) mnl_attr_put_u32(message, IFLA_VXLAN_LINK, static_cast<uint32_t>(vxlan.link));
  mnl_attr_put_u8(message, IFLA_VXLAN_LEARNING, vxlan.learning ? 1 : 0);
  mnl_attr_put_u16(message, IFLA_VXLAN_PORT, to_network(vxlan.port));
  if (vxlan.gbp) mnl_attr_put(message, IFLA_VXLAN_GBP, 0, nullptr);
}

void put_peer(Request& request, const NewLink& link) {
  nlattr* peer = mnl_attr_nest_start(request.message, VETH_INFO_PEER);
  mnl_nlmsg_put_extra_header(request.message, sizeof(ifinfomsg));
  mnl_attr_put_strz(request.message, IFLA_IFNAME, link.peer.c_str());
  if (link.mtu > 0) mnl_attr_put_u32(request.message, IFLA_MTU, link.mtu);
  if (link.peer_namespace >= 0) {
    mnl_attr_put_u32(request.message, IFLA_NET_NS_FD, static_cast<uint32_t>(link.peer_namespace));
  }
  mnl_attr_nest_end(request.message, peer);
}

}  // namespace

std::string to_string(const Route& route) {
  std::string text = route.destination.to_string();
  if (route.type == RouteType::kUnreachable) text = "unreachable " + text;
  if (!route.gateway.empty()) text += " via " + route.gateway.to_string();
  return text;
}

void Netlink::CloseSocket::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<Netlink> Netlink::open() {
  Netlink result(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!result.socket_ || mnl_socket_bind(result.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return failure("open rtnetlink", errno, {});
  }
  // Both are of newer kernels and only make answers better: their words for an error, and listings that the kernel
  // filters. Without them everything works, too.
  int on = 1;
  mnl_socket_setsockopt(result.socket_.get(), NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(result.socket_.get(), NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return result;
}

template <typename T, typename Keep>
Result<std::vector<T>> Netlink::dump(nlmsghdr* request, std::string_view what, Keep keep) {
  alignas(8) static thread_local std::array<char, kAnswerSize> buffer;
  request->nlmsg_flags |= NLM_F_DUMP;
  for (int tries = 0; tries < kInterruptedTries; ++tries) {
    request->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return failure(what, errno, {});
    std::vector<T> found;
    bool done = false;
    bool interrupted = false;
    int error = 0;
    std::string explanation;
    while (!done) {
      const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
      if (got < 0) return failure(what, errno, {});
      const bool whole = parse_netlink({buffer.data(), static_cast<size_t>(got)}, [&](const NetlinkMessage& message) {
        if (message.sequence != sequence_) return;
        done = done || message.done || message.error.has_value();
        interrupted = interrupted || message.interrupted;
        if (message.error.value_or(0) != 0) error = *message.error;
        if (!message.explanation.empty()) explanation = message.explanation;
        const auto* object = std::get_if<T>(&message.object);
        if (object != nullptr && !message.removed && keep(*object)) found.push_back(*object);
      });
      if (!whole) return failure(what, EBADMSG, {});
    }
    if (error != 0) return failure(what, error, explanation);
    if (!interrupted) return found;
  }
  return failure(what, EAGAIN, "it changed all the time");
}

Status Netlink::change(nlmsghdr* request, std::string_view what) {
  alignas(8) std::array<char, 8192> buffer;
  request->nlmsg_flags |= NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return failure(what, errno, {});
  std::optional<int> error;
  std::string explanation;
  while (!error) {
    const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (got < 0) return failure(what, errno, {});
    const bool whole = parse_netlink({buffer.data(), static_cast<size_t>(got)}, [&](const NetlinkMessage& message) {
      if (message.sequence != sequence_ || !message.error) return;
      error = message.error;
      explanation = message.explanation;
    });
    if (!whole) return failure(what, EBADMSG, {});
  }
  return *error == 0 ? Status() : failure(what, *error, explanation);
}

Result<std::vector<Link>> Netlink::links() {
  Request request(RTM_GETLINK, 0);
  request.header<ifinfomsg>();
  return dump<Link>(request.message, "list links", [](const Link&) { return true; });
}

Result<Link> Netlink::link(std::string_view name) {
  TRY_ASSIGN(auto all, links());
  for (Link& each : all) {
    if (each.name == name) return std::move(each);
  }
  return Status::not_found(fmt::format("there is no link {}", name));
}

Status Netlink::add_link(const NewLink& link) {
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  request.header<ifinfomsg>();
  nlmsghdr* message = request.message;
  mnl_attr_put_strz(message, IFLA_IFNAME, link.name.c_str());
  if (link.mtu > 0) mnl_attr_put_u32(message, IFLA_MTU, link.mtu);
  if (!link.mac.empty()) request.put(IFLA_ADDRESS, link.mac);
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, link.kind.c_str());
  if (link.vxlan || !link.peer.empty()) {
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    if (link.vxlan) put_vxlan(request, *link.vxlan);
    if (!link.peer.empty()) put_peer(request, link);
    mnl_attr_nest_end(message, data);
  }
  mnl_attr_nest_end(message, info);
  return change(message, fmt::format("add {} link {}", link.kind, link.name));
}

Status Netlink::delete_link(int index) {
  Request request(RTM_DELLINK, 0);
  request.header<ifinfomsg>()->ifi_index = index;
  return change(request.message, fmt::format("delete link {}", index));
}

Status Netlink::set_up(int index, bool up) {
  Request request(RTM_NEWLINK, 0);
  auto* header = request.header<ifinfomsg>();
  header->ifi_index = index;
  header->ifi_change = IFF_UP;
  header->ifi_flags = up ? IFF_UP : 0;
  return change(request.message, fmt::format("set link {} {}", index, up ? "up" : "down"));
}

Status Netlink::set_mtu(int index, uint32_t mtu) {
  Request request(RTM_NEWLINK, 0);
  request.header<ifinfomsg>()->ifi_index = index;
  mnl_attr_put_u32(request.message, IFLA_MTU, mtu);
  return change(request.message, fmt::format("set MTU {} of link {}", mtu, index));
}

Status Netlink::set_mac(int index, const MacAddress& mac) {
  Request request(RTM_NEWLINK, 0);
  request.header<ifinfomsg>()->ifi_index = index;
  request.put(IFLA_ADDRESS, mac);
  return change(request.message, fmt::format("set address {} of link {}", mac.to_string(), index));
}

Status Netlink::set_master(int index, int bridge) {
  Request request(RTM_NEWLINK, 0);
  request.header<ifinfomsg>()->ifi_index = index;
  mnl_attr_put_u32(request.message, IFLA_MASTER, static_cast<uint32_t>(bridge));
  return change(request.message, fmt::format("put link {} into bridge {}", index, bridge));
}

Result<std::vector<Address>> Netlink::addresses(int link) {
  Request request(RTM_GETADDR, 0);
  request.header<ifaddrmsg>();
  return dump<Address>(request.message, "list addresses",
                       [&](const Address& address) { return link == 0 || address.link == link; });
}

Status Netlink::add_address(const Address& address) {
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  auto* header = request.header<ifaddrmsg>();
  header->ifa_family = address.prefix.address.family;
  header->ifa_prefixlen = address.prefix.length;
  header->ifa_scope = address.scope;
  header->ifa_index = static_cast<uint32_t>(address.link);
  request.put(IFA_LOCAL, address.prefix.address);
  request.put(IFA_ADDRESS, address.prefix.address);
  if (address.flags != 0) mnl_attr_put_u32(request.message, IFA_FLAGS, address.flags);
  return change(request.message, fmt::format("add address {} to link {}", address.prefix.to_string(), address.link));
}

Status Netlink::delete_address(const Address& address) {
  Request request(RTM_DELADDR, 0);
  auto* header = request.header<ifaddrmsg>();
  header->ifa_family = address.prefix.address.family;
  header->ifa_prefixlen = address.prefix.length;
  header->ifa_index = static_cast<uint32_t>(address.link);
  request.put(IFA_LOCAL, address.prefix.address);
  request.put(IFA_ADDRESS, address.prefix.address);
  return change(request.message, fmt::format("delete address {} of link {}", address.prefix.to_string(), address.link));
}

Result<std::vector<Route>> Netlink::routes(const RouteFilter& filter) {
  Request request(RTM_GETROUTE, 0);
  auto* header = request.header<rtmsg>();
  header->rtm_family = filter.family;
  header->rtm_table = RT_TABLE_MAIN;
  header->rtm_protocol = filter.protocol;
  if (filter.link != 0) mnl_attr_put_u32(request.message, RTA_OIF, static_cast<uint32_t>(filter.link));
  return dump<Route>(request.message, "list routes", [&](const Route& route) {
    return route.table == RT_TABLE_MAIN && (filter.family == 0 || route.destination.address.family == filter.family) &&
           (filter.protocol == 0 || route.protocol == filter.protocol) &&
           (filter.link == 0 || route.link == filter.link);
  });
}

Status Netlink::write_route(const Route& route, uint16_t type, uint16_t flags, std::string_view verb) {
  Request request(type, flags);
  auto* header = request.header<rtmsg>();
  header->rtm_family = route.destination.address.family;
  header->rtm_dst_len = route.destination.length;
  header->rtm_table = RT_TABLE_UNSPEC;
  header->rtm_protocol = route.protocol;
  header->rtm_scope = route.scope;
  header->rtm_type = static_cast<uint8_t>(route.type);
  header->rtm_flags = route.onlink ? RTNH_F_ONLINK : 0;
  if (route.destination.length > 0) request.put(RTA_DST, route.destination.address);
  mnl_attr_put_u32(request.message, RTA_TABLE, route.table);
  if (!route.gateway.empty()) request.put(RTA_GATEWAY, route.gateway);
  if (route.link != 0) mnl_attr_put_u32(request.message, RTA_OIF, static_cast<uint32_t>(route.link));
  if (!route.source.empty()) request.put(RTA_PREFSRC, route.source);
  if (route.metric != 0) mnl_attr_put_u32(request.message, RTA_PRIORITY, route.metric);
  return change(request.message, fmt::format("{} route {}", verb, to_string(route)));
}

Status Netlink::add_route(const Route& route) {
  return write_route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "add");
}

Status Netlink::replace_route(const Route& route) {
  return write_route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "set");
}

Status Netlink::delete_route(const Route& route) {
  Route exact = route;
  if (exact.scope == 0) exact.scope = RT_SCOPE_NOWHERE;  // matches any
  return write_route(exact, RTM_DELROUTE, 0, "delete");
}

Result<Route> Netlink::route_to(const IpAddress& destination) {
  Request request(RTM_GETROUTE, 0);
  auto* header = request.header<rtmsg>();
  header->rtm_family = destination.family;
  header->rtm_dst_len = static_cast<uint8_t>(destination.bits());
  request.put(RTA_DST, destination);
  const std::string what = "look up the route to " + destination.to_string();
  alignas(8) std::array<char, 8192> buffer;
  request.message->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request.message, request.message->nlmsg_len) < 0) {
    return failure(what, errno, {});
  }
  const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
  if (got < 0) return failure(what, errno, {});
  std::optional<Route> route;
  int error = ENOENT;
  std::string explanation;
  parse_netlink({buffer.data(), static_cast<size_t>(got)}, [&](const NetlinkMessage& message) {
    if (message.error) error = *message.error;
    if (!message.explanation.empty()) explanation = message.explanation;
    if (const auto* found = std::get_if<Route>(&message.object)) route = *found;
  });
  if (!route) return failure(what, error, explanation);
  return *route;
}

Result<std::vector<Neighbour>> Netlink::neighbours(int link) {
  Request request(RTM_GETNEIGH, 0);
  request.header<ndmsg>();
  mnl_attr_put_u32(request.message, NDA_IFINDEX, static_cast<uint32_t>(link));
  return dump<Neighbour>(request.message, "list neighbours",
                         [&](const Neighbour& each) { return !each.fdb && each.link == link; });
}

Result<std::vector<Neighbour>> Netlink::forwarding(int link) {
  Request request(RTM_GETNEIGH, 0);
  auto* header = request.header<ndmsg>();
  header->ndm_family = AF_BRIDGE;
  header->ndm_ifindex = link;
  return dump<Neighbour>(request.message, "list forwarding entries",
                         [&](const Neighbour& each) { return each.fdb && each.link == link; });
}

Result<std::vector<Neighbour>> Netlink::proxies() {
  std::vector<Neighbour> all;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    Request request(RTM_GETNEIGH, 0);
    auto* header = request.header<ndmsg>();
    header->ndm_family = family;
    header->ndm_flags = NTF_PROXY;
    TRY_ASSIGN(auto found, dump<Neighbour>(request.message, "list proxy neighbours", [&](const Neighbour& each) {
                 return each.proxy && each.address.family == family;
               }));
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

Status Netlink::write_neighbour(const Neighbour& neighbour, uint16_t type, uint16_t flags, std::string_view verb) {
  Request request(type, flags);
  auto* header = request.header<ndmsg>();
  header->ndm_family = neighbour.fdb ? AF_BRIDGE : neighbour.address.family;
  header->ndm_ifindex = neighbour.link;
  header->ndm_state = neighbour.permanent ? NUD_PERMANENT : NUD_REACHABLE;
  header->ndm_flags = neighbour.fdb ? NTF_SELF : neighbour.proxy ? NTF_PROXY : 0;
  if (!neighbour.address.empty()) request.put(NDA_DST, neighbour.address);
  if (neighbour.fdb || (type == RTM_NEWNEIGH && !neighbour.proxy)) request.put(NDA_LLADDR, neighbour.mac);
  if (neighbour.proxy && neighbour.protocol != 0) mnl_attr_put_u8(request.message, NDA_PROTOCOL, neighbour.protocol);
  return change(request.message,
                fmt::format("{} {} {} {} of link {}", verb, neighbour.fdb ? "forwarding entry" : "neighbour",
                            neighbour.address.to_string(), neighbour.mac.to_string(), neighbour.link));
}

Status Netlink::set_neighbour(const Neighbour& neighbour) {
  return write_neighbour(neighbour, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "set");
}

Status Netlink::delete_neighbour(const Neighbour& neighbour) {
  return write_neighbour(neighbour, RTM_DELNEIGH, 0, "delete");
}

}  // namespace trireme::linux
