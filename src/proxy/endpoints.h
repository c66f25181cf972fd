#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "proxy/address.h"

/// Which endpoints of a service a node sends traffic to.
namespace trireme::proxy {

using SlicePointer = std::shared_ptr<const api::discoveryv1::EndpointSlice>;
using ServicePointer = std::shared_ptr<const api::corev1::Service>;

struct ServiceView {
  ServicePointer service;  ///< Null: there is none any more.
  std::vector<SlicePointer> slices;
};

/// Who this node is, as far as it matters for choosing.
struct NodeView {
  std::string name;
  std::string zone;                    ///< topology.kubernetes.io/zone
  std::vector<std::string> addresses;  ///< InternalIPs, bytes.
  std::vector<Prefix> pod_ranges;      ///< Only where they tell who is a pod: Options::Local::kNodeRanges.
  auto operator<=>(const NodeView&) const = default;
};

/// Where packets go: the address's bytes and the port. `packed` is both, the port in network order.
struct Target {
  std::string address;
  uint16_t port = 0;
  auto operator<=>(const Target&) const = default;
};

struct EndpointInfo {
  Target target;
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  bool local = false;
  std::vector<std::string> zone_hints;
};

/// The endpoints of one port (by its name and protocol) in the slices of one family, each target once, in the order of
/// their targets.
std::vector<EndpointInfo> endpoints_of(const ServiceView& view, const api::corev1::ServicePort& port, bool ip6,
                                       const NodeView& node);

struct ChosenEndpoints {
  std::vector<Target> cluster;  ///< For traffic that may go anywhere.
  std::vector<Target> local;    ///< For traffic that may only stay here.
  bool any = false;             ///< Some node could serve it.
};
/// Ready ones, those in this node's zone when all of them carry hints and one hints at it; when there are no ready
/// ones those that still serve while they terminate, each of the two lists for itself.
/// https://kep.k8s.io/1669, https://kep.k8s.io/2433, https://kep.k8s.io/4444
ChosenEndpoints choose(const std::vector<EndpointInfo>& endpoints, bool uses_cluster, bool uses_local,
                       const std::string& zone);

/// `wanted` in an order that differs in as few places as can be from `before`: what stays keeps its place, and holes
/// are filled with what is new, else from the end.
std::vector<Target> arrange(const std::vector<Target>& before, std::vector<Target> wanted);

}  // namespace trireme::proxy
