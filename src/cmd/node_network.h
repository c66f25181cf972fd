#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace trireme::cmd {

/// What a node's network needs of the machine, whoever makes its pods' interfaces.
struct NodeNetworkOptions {
  std::string folder;                 ///< CNI configuration and address leases live below it.
  std::vector<std::string> networks;  ///< Addresses of pods and services, in CIDR notation.
};

/// The bridge's name, made from the folder so that two clusters on one machine do not meet.
std::string bridge_name(const std::string& folder);

/// Turns on forwarding (remembering what was set before) and makes addresses of pods and
/// services that nothing serves unreachable, so that packets to them never leave by the default route.
Status set_up_node_network(const NodeNetworkOptions& options);

/// Undoes it: the bridge, the routes, the sysctls.
Status remove_node_network(const NodeNetworkOptions& options);

/// Where the CNI plugins are: `given`, if it is not empty; else where the standard ones are found, in Debian's folder
/// or in upstream's. NotFound when they are in neither.
Result<std::string> cni_program_folder(const std::string& given);

}  // namespace trireme::cmd
