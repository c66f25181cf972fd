#pragma once

#include <functional>
#include <string>
#include <vector>

#include "linux/netlink_client.h"
#include "overlay/config.h"
#include "overlay/lease.h"

/// What the kernel should hold so that packets reach the other nodes' pods, computed from the leases. Pure.
namespace trireme::overlay {

/// The interface that carries the packets between nodes.
struct ExternalInterface {
  int index = 0;
  std::string name;
  uint32_t mtu = 0;
  IpAddress address;       ///< From which tunnels are built.
  IpAddress address_ipv6;  ///< None when the interface has no global one.

  bool operator==(const ExternalInterface&) const = default;
};

struct PlanInput {
  NetworkConfig config;
  ExternalInterface external;
  Lease own;
  std::vector<Lease> others;
  /// Make the VXLAN device although nobody is reached through it yet.
  bool device_always = true;
  /// Whether an address is on one of this machine's own links, without a router between (for DirectRouting).
  std::function<bool(const IpAddress&)> is_on_link;
};

/// A VXLAN device, one per family.
struct PlannedDevice {
  linux::NewLink link;
  IpPrefix address;  ///< The subnet's first, as /32 or /128: what packets of the node itself carry as their source.
};

struct Plan {
  std::vector<PlannedDevice> devices;
  /// `link` of routes, neighbours and forwarding entries is an index into `devices`, or kExternal.
  static constexpr int kExternal = -1;
  std::vector<linux::Route> routes;
  std::vector<linux::Neighbour> neighbours;  ///< ARP, NDP and forwarding entries.
  /// Leases that cannot be served, and why: for the log.
  std::vector<std::string> problems;
};

std::string device_name(const NetworkConfig& config, bool ipv6);
Plan make_plan(const PlanInput& input);

/// What is there now, as far as it concerns the overlay.
struct KernelState {
  std::vector<linux::Route> routes;          ///< Of the main table.
  std::vector<linux::Address> addresses;     ///< Of the devices.
  std::vector<linux::Neighbour> neighbours;  ///< Of the devices, with the forwarding entries.
};

/// The steps from what is to what should be, in the order in which they are safe: what a route needs comes before it.
struct Changes {
  std::vector<linux::Address> add_addresses;
  std::vector<linux::Address> delete_addresses;
  std::vector<linux::Neighbour> set_neighbours;
  std::vector<linux::Route> set_routes;
  std::vector<linux::Route> delete_routes;
  std::vector<linux::Neighbour> delete_neighbours;

  bool empty() const;
};

/// `device_links`: the devices' interface indexes, in the plan's order. Routes of the overlay's own protocol number
/// inside the cluster's networks that are not planned are deleted; other routes are left alone, but one to a planned
/// destination is replaced (a flannel that ran here before).
Changes find_changes(const Plan& plan, const PlanInput& input, const std::vector<int>& device_links,
                     const KernelState& now);

/// How a device differs from the plan in what cannot be changed while it exists; empty when it can be kept.
std::string incompatibility(const linux::NewLink& planned, const linux::Link& present);

}  // namespace trireme::overlay
