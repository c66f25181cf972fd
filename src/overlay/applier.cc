#include "overlay/applier.h"

#include <utility>

#include "base/log.h"
#include "linux/file.h"

namespace trireme::overlay {

void Applier::note(const Status& status) {
  if (status.ok()) {
    ++changes_;
  } else if (first_failure_.ok()) {
    first_failure_ = status;
  }
}

Result<int> Applier::ensure_device(const PlannedDevice& device) {
  const std::string& name = device.link.name;
  auto present = netlink_.link(name);
  if (!present.ok() && !present.status().is(Reason::kNotFound)) return present.status();
  if (present.ok()) {
    const std::string reason = incompatibility(device.link, *present);
    if (!reason.empty()) {
      log::warning("Making a VXLAN device anew", {{"device", name}, {"why", reason}});
      TRY(netlink_.delete_link(present->index));
      present = Status::not_found(name);
    }
  }
  if (!present.ok()) {
    TRY(netlink_.add_link(device.link));
    ++changes_;
    TRY_ASSIGN(linux::Link made, netlink_.link(name));
    present = std::move(made);
    // Nobody sends router advertisements through a tunnel. Absent where there is no IPv6.
    (void)linux::write_existing("/proc/sys/net/ipv6/conf/" + name + "/accept_ra", "0\n");
    log::info("Made a VXLAN device", {{"device", name}, {"vni", device.link.vxlan->vni}, {"mtu", present->mtu}});
  }
  if (present->mac != device.link.mac) {
    TRY(netlink_.set_mac(present->index, device.link.mac));
    ++changes_;
  }
  if (present->mtu != device.link.mtu) {
    TRY(netlink_.set_mtu(present->index, device.link.mtu));
    ++changes_;
  }
  if (!present->up) {
    TRY(netlink_.set_up(present->index, true));
    ++changes_;
  }
  return present->index;
}

Result<KernelState> Applier::read_state() const {
  KernelState state;
  TRY_ASSIGN(state.routes, netlink_.routes());
  for (const int link : device_links_) {
    TRY_ASSIGN(const auto addresses, netlink_.addresses(link));
    TRY_ASSIGN(const auto neighbours, netlink_.neighbours(link));
    TRY_ASSIGN(const auto forwarding, netlink_.forwarding(link));
    state.addresses.insert(state.addresses.end(), addresses.begin(), addresses.end());
    state.neighbours.insert(state.neighbours.end(), neighbours.begin(), neighbours.end());
    state.neighbours.insert(state.neighbours.end(), forwarding.begin(), forwarding.end());
  }
  return state;
}

Status Applier::apply(const Plan& plan, const PlanInput& input) {
  changes_ = 0;
  first_failure_ = {};
  device_links_.clear();
  for (const PlannedDevice& device : plan.devices) {
    TRY_ASSIGN(const int link, ensure_device(device));
    device_links_.push_back(link);
  }
  TRY_ASSIGN(const KernelState now, read_state());
  const Changes changes = find_changes(plan, input, device_links_, now);
  for (const auto& each : changes.add_addresses) note(netlink_.add_address(each));
  for (const auto& each : changes.delete_addresses) note(netlink_.delete_address(each));
  for (const auto& each : changes.set_neighbours) note(netlink_.set_neighbour(each));
  for (const auto& each : changes.set_routes) note(netlink_.replace_route(each));
  for (const auto& each : changes.delete_routes) note(netlink_.delete_route(each));
  for (const auto& each : changes.delete_neighbours) note(netlink_.delete_neighbour(each));
  if (!changes.empty()) {
    log::info("Changed the ways to other nodes", {{"routes", changes.set_routes.size()},
                                                  {"routesRemoved", changes.delete_routes.size()},
                                                  {"neighbours", changes.set_neighbours.size()},
                                                  {"neighboursRemoved", changes.delete_neighbours.size()}});
  }
  return first_failure_;
}

}  // namespace trireme::overlay
