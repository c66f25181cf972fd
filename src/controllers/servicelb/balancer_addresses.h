#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/load_balancer.h"
#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "base/result.h"

/// Which addresses services of type LoadBalancer get: pure functions.
namespace trireme::controllers {

/// What services with this loadBalancerClass, or with none, get addresses by.
inline constexpr std::string_view kNodeBalancerClass = "trireme.io/node-balancer";

/// Set once, by --load-balancer-ip-range, before the controllers start: "198.51.100.0/28" or
/// "198.51.100.5-198.51.100.9", one or more. Empty: the nodes' own addresses are given.
std::vector<std::string>& load_balancer_ip_ranges();

/// How packets for addresses of those ranges come to a node; set once, by --load-balancer-announce: "layer2" (one node
/// answers for each) or "none" (the network sees to it).
std::string& load_balancer_announcement();

/// Addresses from first to last, as bytes of 4 or 16.
struct AddressRange {
  std::string first;
  std::string last;
  bool contains(const std::string& address) const {
    return address.size() == first.size() && first <= address && address <= last;
  }
};
/// BadRequest when one is malformed. Of an IPv4 network of more than two addresses the first and the last, which name
/// the network itself and everybody in it, are left out.
Result<std::vector<AddressRange>> parse_ranges(const std::vector<std::string>& texts);

/// BadRequest when one of the two flags says something that it cannot.
Status check_load_balancer_flags();

/// Whether this controller has to do with the service.
bool wants_balancer(const api::corev1::Service& service);

using api::serves_balancers;

using NodePointers = std::vector<std::shared_ptr<const api::corev1::Node>>;
using SlicePointers = std::vector<std::shared_ptr<const api::discoveryv1::EndpointSlice>>;

/// The nodes' ExternalIPs, where there is none their InternalIPs, of the service's families, in order; with
/// externalTrafficPolicy Local those of nodes with ready endpoints.
std::vector<std::string> node_addresses(const api::corev1::Service& service, const NodePointers& nodes,
                                        const SlicePointers& slices);

/// "10.0.0.1:80/TCP" of every address and port: by which services get into each other's way.
std::vector<std::string> listeners(const api::corev1::Service& service, const std::vector<std::string>& addresses);

/// One address of the ranges for each family of the service: those it has, that it asks for (spec.loadBalancerIP), or
/// the first free ones. `taken` tells who has an address. Fails when none is left, or what it asks for is not to be
/// had.
Result<std::vector<std::string>> range_addresses(const api::corev1::Service& service, const std::string& key,
                                                 const std::vector<AddressRange>& ranges,
                                                 const std::map<std::string, std::string>& taken);

}  // namespace trireme::controllers
