#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "linux/netlink_client.h"
#include "overlay/plan.h"

namespace trireme::overlay {

/// Which interface carries the packets between nodes, as flannel's flags of these names say it.
struct InterfaceOptions {
  std::vector<std::string> iface;        ///< Names or addresses, tried in order.
  std::vector<std::string> iface_regex;  ///< Tried after them, against names and addresses.
  std::string iface_can_reach;           ///< The interface of the route to this address.
};

/// What the choice is made from.
struct InterfaceFacts {
  std::vector<linux::Link> links;
  std::vector<linux::Address> addresses;
  int default_link = 0;    ///< Of the default route; 0: there is none.
  int reachable_link = 0;  ///< Of the route to `iface_can_reach`.
};

/// Pure. NotFound says what was looked for; without any option it is the interface of the default route. Loopback
/// counts as 1,500 bytes wide: nothing beyond it is wider.
Result<ExternalInterface> choose_interface(const InterfaceFacts& facts, const InterfaceOptions& options,
                                           const NetworkConfig& config);

/// With the facts of this network namespace.
Result<ExternalInterface> find_interface(linux::Netlink& netlink, const InterfaceOptions& options,
                                         const NetworkConfig& config);

}  // namespace trireme::overlay
