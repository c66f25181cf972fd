#pragma once

#include <string>

#include "base/result.h"

namespace trireme::cmd {

/// The network of one node without an overlay: the standard CNI bridge for its pods.
struct NodeNetworkOptions {
  std::string folder;        ///< CNI configuration and address leases live below it.
  std::string pod_cidr;      ///< This node's pods: "10.244.0.0/24".
  std::string cluster_cidr;  ///< All pods.
  std::string service_cidr;
  int mtu = 0;  ///< 0: the kernel's.
};

/// The bridge's name, made from the folder so that two clusters on one machine do not meet.
std::string bridge_name(const std::string& folder);

/// Writes the CNI configuration, turns on forwarding (remembering what was set before) and makes addresses of pods and
/// services that nothing serves unreachable, so that packets to them never leave by the default route.
Status set_up_node_network(const NodeNetworkOptions& options);

/// Undoes it: the bridge, the routes, the sysctls.
Status remove_node_network(const NodeNetworkOptions& options);

/// Where the standard CNI plugins are: Debian's folder, else upstream's.
Result<std::string> cni_program_folder();

}  // namespace trireme::cmd
