#include "proxy/service_route.h"

#include <sys/socket.h>

#include "linux/netlink_client.h"

namespace trireme::proxy {
namespace {

/// By which `ip route show proto 117` finds them. Not the overlay's number, which looks after its own.
constexpr uint8_t kServiceRoute = 117;
constexpr uint8_t kScopeLink = 253;
constexpr auto kDevice = "trireme-svc";

/// A bridge without ports: the one kind of device that leads nowhere and that every kernel has which runs pods.
Result<linux::Link> nowhere(linux::Netlink& netlink) {
  Status added = netlink.add_link({.name = kDevice, .kind = "bridge", .mtu = 0, .mac = {}, .vxlan = {}, .peer = {}});
  if (!added.ok() && !added.is(Reason::kAlreadyExists)) return added;
  TRY_ASSIGN(linux::Link device, netlink.link(kDevice));
  if (!device.up) TRY(netlink.set_up(device.index, true));
  return device;
}

}  // namespace

Status add_service_routes(const std::vector<Prefix>& service_cidrs) {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  for (const Prefix& prefix : service_cidrs) {
    linux::Route route;
    route.destination = {IpAddress::from_bytes(prefix.address.data(), prefix.address.size()),
                         static_cast<uint8_t>(prefix.length)};
    route.protocol = kServiceRoute;
    if (is_ip6(prefix.address)) {
      TRY_ASSIGN(const linux::Link device, nowhere(netlink));
      route.link = device.index;
    } else {
      TRY_ASSIGN(const linux::Link loopback, netlink.link("lo"));
      route.link = loopback.index;
      route.scope = kScopeLink;
    }
    Status added = netlink.add_route(route);
    if (!added.ok() && !added.is(Reason::kAlreadyExists)) return added;
  }
  return {};
}

Status remove_service_routes() {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    TRY_ASSIGN(auto routes, netlink.routes({.family = family, .protocol = kServiceRoute}));
    for (const linux::Route& route : routes) {
      Status removed = netlink.delete_route(route);
      if (!removed.ok() && !removed.is(Reason::kNotFound)) return removed;
    }
  }
  const auto device = netlink.link(kDevice);
  Status removed = device.ok() ? netlink.delete_link(device->index) : device.status();
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

}  // namespace trireme::proxy
