#include "proxy/service_route.h"

#include <sys/socket.h>

#include "linux/netlink_client.h"

namespace trireme::proxy {
namespace {

constexpr uint8_t kScopeLink = 253;

Result<linux::Link> nowhere(linux::Netlink& netlink) {
  Status added =
      netlink.add_link({.name = kServiceDevice, .kind = "bridge", .mtu = 0, .mac = {}, .vxlan = {}, .peer = {}});
  if (!added.ok() && !added.is(Reason::kAlreadyExists)) return added;
  TRY_ASSIGN(linux::Link device, netlink.link(kServiceDevice));
  if (!device.up) TRY(netlink.set_up(device.index, true));
  return device;
}

linux::Route route_to(const Prefix& prefix, const linux::Link& device) {
  linux::Route route;
  route.destination = {IpAddress::from_bytes(prefix.address.data(), prefix.address.size()),
                       static_cast<uint8_t>(prefix.length)};
  route.protocol = kServiceRoute;
  route.link = device.index;
  return route;
}

Result<std::vector<linux::Route>> service_routes(linux::Netlink& netlink) {
  std::vector<linux::Route> all;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    TRY_ASSIGN(auto routes, netlink.routes({.family = family, .protocol = kServiceRoute}));
    all.insert(all.end(), routes.begin(), routes.end());
  }
  return all;
}

Status unless(Reason reason, Status status) { return status.is(reason) ? Status() : status; }

}  // namespace

Status add_service_routes(const std::vector<Prefix>& service_cidrs) {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  for (const Prefix& prefix : service_cidrs) {
    const bool ip6 = is_ip6(prefix.address);
    TRY_ASSIGN(const linux::Link device, ip6 ? nowhere(netlink) : netlink.link("lo"));
    linux::Route route = route_to(prefix, device);
    if (!ip6) route.scope = kScopeLink;
    TRY(unless(Reason::kAlreadyExists, netlink.add_route(route)));
  }
  return {};
}

Status keep_host_routes(const std::vector<Prefix>& hosts) {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  TRY_ASSIGN(auto standing, service_routes(netlink));
  std::erase_if(standing,
                [](const linux::Route& each) { return each.destination.length < each.destination.address.bits(); });
  for (const Prefix& host : hosts) {
    TRY_ASSIGN(const linux::Link device, nowhere(netlink));
    const linux::Route wanted = route_to(host, device);
    std::erase_if(standing, [&](const linux::Route& each) {
      return each.destination == wanted.destination && each.link == wanted.link;
    });
    TRY(unless(Reason::kAlreadyExists, netlink.add_route(wanted)));
  }
  for (const linux::Route& route : standing) TRY(unless(Reason::kNotFound, netlink.delete_route(route)));
  return {};
}

Status remove_service_routes() {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  TRY_ASSIGN(const auto routes, service_routes(netlink));
  for (const linux::Route& route : routes) TRY(unless(Reason::kNotFound, netlink.delete_route(route)));
  const auto device = netlink.link(kServiceDevice);
  return unless(Reason::kNotFound, device.ok() ? netlink.delete_link(device->index) : device.status());
}

}  // namespace trireme::proxy
