#include "overlay/plan.h"

#include <fmt/format.h>
#include <linux/if_addr.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace trireme::overlay {

using linux::Address;
using linux::Neighbour;
using linux::Route;
using linux::RouteType;

namespace {

/// One family's part of a lease.
struct Side {
  IpPrefix subnet;
  IpAddress public_ip;
  MacAddress mac;
};

Side side_of(const Lease& lease, bool ipv6) {
  if (ipv6) return {lease.ipv6_subnet, lease.public_ipv6, lease.vtep_mac_ipv6};
  return {lease.subnet, lease.public_ip, lease.vtep_mac};
}

class Planner {
 public:
  explicit Planner(const PlanInput& input) : input_(input) {}

  Plan run() {
    for (const bool ipv6 : {false, true}) {
      if (ipv6 ? input_.config.enable_ipv6 : input_.config.enable_ipv4) plan_family(ipv6);
    }
    return std::move(plan_);
  }

 private:
  void plan_family(bool ipv6) {
    const Side own = side_of(input_.own, ipv6);
    if (own.subnet.empty()) return;
    const IpPrefix& network = ipv6 ? input_.config.ipv6_network : input_.config.network;
    const int device = static_cast<int>(plan_.devices.size());
    std::vector<IpPrefix> taken{own.subnet};
    bool device_needed = input_.device_always;
    for (const Lease& lease : input_.others) {
      const Side other = side_of(lease, ipv6);
      if (other.subnet.empty()) continue;
      if (!network.contains(other.subnet)) {
        problem(lease, fmt::format("its subnet {} is outside of the network {}", other.subnet.to_string(),
                                   network.to_string()));
        continue;
      }
      const auto same = std::ranges::find_if(taken, [&](const IpPrefix& each) { return each.overlaps(other.subnet); });
      if (same != taken.end()) {
        problem(lease, fmt::format("its subnet {} overlaps {}, which another node has", other.subnet.to_string(),
                                   same->to_string()));
        continue;
      }
      taken.push_back(other.subnet);
      if (lease.backend_type != to_string(input_.config.backend)) {
        problem(lease,
                fmt::format("its backend is \"{}\", ours {}", lease.backend_type, to_string(input_.config.backend)));
      } else if (is_direct(other.public_ip)) {
        add_direct(other);
      } else if (other.mac.empty()) {
        problem(lease, "it has announced no VTEP address");
      } else {
        add_tunnel(other, device);
        device_needed = true;
      }
    }
    if (input_.config.backend == Backend::kVxlan && device_needed) add_device(own, ipv6);
  }

  bool is_direct(const IpAddress& public_ip) const {
    if (input_.config.backend == Backend::kHostGw) return true;
    return input_.config.direct_routing && input_.is_on_link && input_.is_on_link(public_ip);
  }

  void add_direct(const Side& other) {
    Route route;
    route.destination = other.subnet;
    route.gateway = other.public_ip;
    route.link = Plan::kExternal;
    plan_.routes.push_back(route);
  }

  void add_tunnel(const Side& other, int device) {
    Route route;
    route.destination = other.subnet;
    route.gateway = other.subnet.address;
    route.link = device;
    route.onlink = true;
    plan_.routes.push_back(route);
    plan_.neighbours.push_back({device, other.subnet.address, other.mac, /*fdb=*/false, /*permanent=*/true});
    plan_.neighbours.push_back({device, other.public_ip, other.mac, /*fdb=*/true, /*permanent=*/true});
  }

  void add_device(const Side& own, bool ipv6) {
    const NetworkConfig& config = input_.config;
    PlannedDevice device;
    device.link.name = device_name(config, ipv6);
    device.link.kind = "vxlan";
    device.link.mtu = pod_mtu(config, input_.external.mtu);
    device.link.mac = own.mac;
    linux::Vxlan vxlan;
    vxlan.vni = config.vni;
    if (config.port != 0) vxlan.port = config.port;
    vxlan.local = ipv6 ? input_.external.address_ipv6 : input_.external.address;
    vxlan.link = input_.external.index;
    vxlan.learning = config.learning;
    vxlan.gbp = config.gbp;
    device.link.vxlan = vxlan;
    device.address = IpPrefix::host(own.subnet.address);
    plan_.devices.push_back(std::move(device));
  }

  void problem(const Lease& lease, const std::string& what) {
    plan_.problems.push_back(fmt::format("node {}: {}", lease.name, what));
  }

  const PlanInput& input_;
  Plan plan_;
};

/// Metrics aside: the kernel fills in IPv6's.
bool serves(const Route& present, const Route& wanted) {
  return std::tie(present.destination, present.gateway, present.link, present.onlink, present.type, present.protocol) ==
         std::tie(wanted.destination, wanted.gateway, wanted.link, wanted.onlink, wanted.type, wanted.protocol);
}

int resolve(int link, const PlanInput& input, const std::vector<int>& device_links) {
  return link == Plan::kExternal ? input.external.index : device_links.at(static_cast<size_t>(link));
}

bool is_own(const Route& route, const PlanInput& input, const std::vector<int>& device_links) {
  if (route.protocol != linux::kRouteProtocol || route.type != RouteType::kUnicast) return false;
  return std::ranges::find(device_links, route.link) != device_links.end() ||
         input.config.network.contains(route.destination) || input.config.ipv6_network.contains(route.destination);
}

}  // namespace

std::string device_name(const NetworkConfig& config, bool ipv6) {
  return fmt::format("{}.{}", ipv6 ? "flannel-v6" : "flannel", config.vni);
}

Plan make_plan(const PlanInput& input) { return Planner(input).run(); }

bool Changes::empty() const {
  return add_addresses.empty() && delete_addresses.empty() && set_neighbours.empty() && set_routes.empty() &&
         delete_routes.empty() && delete_neighbours.empty();
}

Changes find_changes(const Plan& plan, const PlanInput& input, const std::vector<int>& device_links,
                     const KernelState& now) {
  Changes changes;
  for (size_t i = 0; i < plan.devices.size(); ++i) {
    const IpPrefix& wanted = plan.devices[i].address;
    bool found = false;
    for (const Address& each : now.addresses) {
      if (each.link != device_links[i] || each.prefix.address.family != wanted.address.family) continue;
      if (each.prefix == wanted) {
        found = true;
      } else if (each.scope == 0) {
        changes.delete_addresses.push_back(each);  // of a subnet that the node had before
      }
    }
    if (!found) {
      const uint32_t flags = wanted.address.is_ipv6() ? IFA_F_NODAD : 0;
      changes.add_addresses.push_back({device_links[i], wanted, 0, flags});
    }
  }

  std::set<Neighbour> wanted_neighbours;
  for (Neighbour each : plan.neighbours) {
    each.link = resolve(each.link, input, device_links);
    wanted_neighbours.insert(each);
  }
  const std::set<Neighbour> present(now.neighbours.begin(), now.neighbours.end());
  // Two entries for one address, or for one mac in a forwarding table, are the same entry with other contents.
  std::set<std::tuple<int, bool, std::string>> kept;
  const auto identity = [](const Neighbour& each) {
    return std::tuple(each.link, each.fdb, each.fdb ? each.mac.to_string() : each.address.to_string());
  };
  for (const Neighbour& each : wanted_neighbours) {
    kept.insert(identity(each));
    if (!present.contains(each)) changes.set_neighbours.push_back(each);
  }
  for (const Neighbour& each : present) {
    if (each.permanent && !each.mac.empty() && !each.address.empty() && !kept.contains(identity(each))) {
      changes.delete_neighbours.push_back(each);
    }
  }

  std::set<IpPrefix> destinations;
  for (Route wanted : plan.routes) {
    wanted.link = resolve(wanted.link, input, device_links);
    destinations.insert(wanted.destination);
    const bool there = std::ranges::any_of(now.routes, [&](const Route& each) { return serves(each, wanted); });
    if (!there) changes.set_routes.push_back(wanted);
  }
  for (const Route& each : now.routes) {
    if (is_own(each, input, device_links) && !destinations.contains(each.destination)) {
      changes.delete_routes.push_back(each);
    }
  }
  return changes;
}

std::string incompatibility(const linux::NewLink& planned, const linux::Link& present) {
  if (present.kind != planned.kind) return fmt::format("it is of type \"{}\"", present.kind);
  const linux::Vxlan& wanted = planned.vxlan.value();
  const linux::Vxlan& found = present.vxlan.value();
  if (found.vni != wanted.vni) return fmt::format("its VNI is {}", found.vni);
  if (found.link != 0 && found.link != wanted.link) return fmt::format("it is on interface {}", found.link);
  if (!found.local.empty() && found.local != wanted.local) {
    return fmt::format("its address is {}", found.local.to_string());
  }
  if (found.port != wanted.port) return fmt::format("its port is {}", found.port);
  if (found.gbp != wanted.gbp) return found.gbp ? "it has GBP" : "it has no GBP";
  return {};
}

}  // namespace trireme::overlay
