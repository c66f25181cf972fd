#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/types/corev1.h"
#include "base/result.h"
#include "linux/mac_address.h"
#include "overlay/config.h"

namespace trireme::overlay {

using linux::MacAddress;

/// A node's share of the network, and how its packets reach it.
struct Lease {
  std::string name;  ///< The node's, or the key in etcd.
  IpPrefix subnet;
  IpPrefix ipv6_subnet;
  IpAddress public_ip;
  IpAddress public_ipv6;
  std::string backend_type;
  // Of VXLAN.
  uint32_t vni = 0;
  MacAddress vtep_mac;
  MacAddress vtep_mac_ipv6;

  bool operator==(const Lease&) const = default;
};

/// The names of flannel's annotations on nodes.
/// https://github.com/flannel-io/flannel/blob/master/Documentation/kubernetes.md
struct AnnotationNames {
  std::string kube_managed;
  std::string backend_data;
  std::string backend_v6_data;
  std::string backend_type;
  std::string public_ip;
  std::string public_ipv6;
  std::string public_ip_overwrite;
  std::string public_ipv6_overwrite;

  /// `prefix` is --kube-annotation-prefix: "flannel.alpha.coreos.com", "flannel.example.com/green". BadRequest when it
  /// has more than one slash or is no domain.
  static Result<AnnotationNames> make(std::string prefix = "flannel.alpha.coreos.com");
};

/// A node's ranges of pod addresses, each family's first, from spec.podCIDRs or podCIDR.
struct NodeSubnets {
  IpPrefix ipv4;
  IpPrefix ipv6;
};
NodeSubnets subnets_of(const api::corev1::Node& node);

/// What a node's overlay has announced. Nothing when the node has none (or not for the families that `config` enables);
/// BadRequest when what it announced cannot be read.
Result<std::optional<Lease>> lease_of(const api::corev1::Node& node, const NetworkConfig& config,
                                      const AnnotationNames& names);

/// The annotations by which others find this node. An overwrite annotation on the node counts for more than the
/// lease's address.
std::map<std::string, std::string> annotations_of(const Lease& lease, const NetworkConfig& config,
                                                  const AnnotationNames& names, const api::corev1::Node& node);

/// flannel's key for a lease in etcd: "10.244.3.0-24", "10.244.3.0-24&fd00:10:244:3::-64".
std::string subnet_key(const Lease& lease);
/// The subnets of such a key; nothing for anything else.
std::optional<Lease> parse_subnet_key(std::string_view key);
/// The lease's value in etcd, and back.
std::string lease_json(const Lease& lease, const NetworkConfig& config);
Status read_lease_json(std::string_view json, Lease& lease);

}  // namespace trireme::overlay
