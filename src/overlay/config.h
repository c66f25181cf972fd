#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ip_address.h"
#include "base/result.h"

namespace trireme::overlay {

enum class Backend : uint8_t { kVxlan, kHostGw };
std::string_view to_string(Backend backend);

/// flannel's net-conf.json.
/// https://github.com/flannel-io/flannel/blob/master/Documentation/configuration.md
struct NetworkConfig {
  bool enable_ipv4 = true;
  bool enable_ipv6 = false;
  IpPrefix network;
  IpPrefix ipv6_network;

  // Of whoever hands out subnets himself (etcd): filled in by `complete_subnets`.
  int subnet_len = 0;
  int ipv6_subnet_len = 0;
  IpAddress subnet_min;
  IpAddress subnet_max;
  IpAddress ipv6_subnet_min;
  IpAddress ipv6_subnet_max;

  Backend backend = Backend::kVxlan;
  uint32_t vni = 1;
  uint16_t port = 0;  ///< 0: the kernel's 8472.
  uint32_t mtu = 0;   ///< Of the packets on the wire; 0: the external interface's.
  bool gbp = false;
  bool learning = false;
  bool direct_routing = false;

  bool operator==(const NetworkConfig&) const = default;
};

/// BadRequest says what is wrong: no JSON, an address that is none, a backend that there is not.
/// As in flannel, names of members compare without regard to case.
Result<NetworkConfig> parse_network_config(std::string_view json);
/// The same settings as net-conf.json.
std::string network_config_json(const NetworkConfig& config);

/// Fills in and checks how the network is cut into subnets, by flannel's rules: the first subnet stays unused, there is
/// room for at least four, minimum and maximum lie on a subnet's boundary.
Status complete_subnets(NetworkConfig& config);

/// What a VXLAN header with all that is around it takes of a packet: outer IP, UDP, VXLAN and the inner Ethernet
/// header.
inline constexpr uint32_t kVxlanOverhead = 50;
inline constexpr uint32_t kVxlanOverheadIpv6 = 70;

/// The largest packet that pods may send when the external interface carries `external_mtu`.
uint32_t pod_mtu(const NetworkConfig& config, uint32_t external_mtu);

}  // namespace trireme::overlay
