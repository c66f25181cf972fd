#include "proxy/service_route.h"

#include <sys/socket.h>

#include "linux/netlink_client.h"

namespace trireme::proxy {
namespace {

/// By which `ip route show proto 117` finds them. Not the overlay's number, which looks after its own.
constexpr uint8_t kServiceRoute = 117;
constexpr uint8_t kScopeLink = 253;

}  // namespace

Status add_service_routes(const std::vector<Prefix>& service_cidrs) {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  TRY_ASSIGN(linux::Link loopback, netlink.link("lo"));
  for (const Prefix& prefix : service_cidrs) {
    if (is_ip6(prefix.address)) continue;
    linux::Route route;
    route.destination = {IpAddress::from_bytes(prefix.address.data(), prefix.address.size()),
                         static_cast<uint8_t>(prefix.length)};
    route.link = loopback.index;
    route.protocol = kServiceRoute;
    route.scope = kScopeLink;
    Status added = netlink.add_route(route);
    if (!added.ok() && !added.is(Reason::kAlreadyExists)) return added;
  }
  return {};
}

Status remove_service_routes() {
  TRY_ASSIGN(linux::Netlink netlink, linux::Netlink::open());
  TRY_ASSIGN(auto routes, netlink.routes({.family = AF_INET, .protocol = kServiceRoute}));
  for (const linux::Route& route : routes) {
    Status removed = netlink.delete_route(route);
    if (!removed.ok() && !removed.is(Reason::kNotFound)) return removed;
  }
  return {};
}

}  // namespace trireme::proxy
