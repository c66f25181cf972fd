#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cmd/node_network.h"

namespace trireme::client {
class InformerFactory;
class RawClient;
}  // namespace trireme::client
namespace trireme::overlay {
class Overlay;
}

namespace trireme::cmd {

struct ClusterOptions;

/// What the machine must do for the pods and services of a cluster with these options.
NodeNetworkOptions node_network_options(const ClusterOptions& options);

/// What machines that join are told of the network: "none", or a net-conf.json.
Result<std::string> network_fact(const ClusterOptions& options);

/// The node's overlay: it writes the CNI configuration once the node has its range of pod addresses, and the ways to
/// other nodes as they come. Null with --network=none.
Result<std::unique_ptr<overlay::Overlay>> start_node_overlay(const ClusterOptions& options,
                                                             std::shared_ptr<client::RawClient> client,
                                                             client::InformerFactory& informers,
                                                             std::shared_ptr<Clock> clock);

/// Removes what the overlay of this data folder has put into the kernel; its files go with the folder.
Status remove_node_overlay(const ClusterOptions& options);

}  // namespace trireme::cmd
