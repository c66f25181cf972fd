#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "overlay/config.h"
#include "overlay/lease.h"

/// The files by which a node's overlay tells others what it found. Pure texts.
namespace trireme::overlay {

/// flannel's subnet.env.
std::string subnet_env(const NetworkConfig& config, const Lease& own, uint32_t mtu, bool ip_masq);

/// The subnets that an earlier run wrote there, when they lie in the network: what etcd is asked for again.
Lease previous_subnets(std::string_view subnet_env, const NetworkConfig& config);

/// What a node's CNI configuration says: pods on a bridge, with addresses of the node's ranges.
struct CniConfig {
  std::string bridge;
  std::string address_folder;  ///< Where host-local keeps which addresses are taken.
  IpPrefix subnet;
  IpPrefix ipv6_subnet;
  uint32_t mtu = 0;  ///< 0: the kernel's.
};

/// A conflist for the standard plugins (bridge, host-local, portmap). Masquerading is not the bridge's: it knows only
/// its own node's range.
std::string cni_conflist(const CniConfig& config);

}  // namespace trireme::overlay
