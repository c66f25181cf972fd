#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "overlay/etcd_client.h"
#include "overlay/lease_source.h"

namespace trireme::overlay {

struct EtcdLeaseOptions {
  EtcdOptions etcd;
  std::string prefix = "/coreos.com/network";
  /// A lease is renewed this long before its end (--subnet-lease-renew-margin).
  Duration renew_margin = std::chrono::minutes(60);
  std::string subnet_file;  ///< Of an earlier run: its subnet is asked for again.
};

/// flannel's etcd subnet manager: the configuration stands at PREFIX/config, and every node's lease at
/// PREFIX/subnets/10.244.3.0-24 for 24 hours, renewed before they are over. A node that comes back with the address of
/// a lease gets its subnet again; a key without an end is a reservation and stays one.
Result<std::unique_ptr<LeaseSource>> etcd_leases(EtcdLeaseOptions options, std::shared_ptr<Clock> clock);

/// Which subnet a node gets: pure but for `pick`, which is given how many there are to choose from and returns an
/// index. Internal when all are taken.
Result<IpPrefix> free_subnet(const IpAddress& minimum, const IpAddress& maximum, int length,
                             const std::vector<IpPrefix>& taken, const std::function<size_t(size_t)>& pick);

}  // namespace trireme::overlay
