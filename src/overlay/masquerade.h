#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "linux/nft.h"
#include "overlay/config.h"
#include "overlay/lease.h"

/// Traffic that leaves the cluster carries the node's address: answers find their way back to it alone.
namespace trireme::overlay {

inline constexpr std::string_view kMasqueradeTable = "trireme-overlay";

/// Writes the tables `ip NAME` and `ip6 NAME` into the batch, replacing what is in them. The
/// rules are flannel's: what kube-proxy has marked, and what stays inside the network, is left alone; the rest of what
/// pods send gets the node's address, multicast aside, and so does what outsiders send to pods of other nodes.
void masquerade_rules(const std::string& name, const NetworkConfig& config, const Lease& own, linux::nft::Batch& batch);

/// Removes both; absent counts as removed.
Status remove_masquerade(const std::string& name);

}  // namespace trireme::overlay
