#pragma once

#include <string_view>

#include "api/conditions.h"
#include "api/types/corev1.h"

/// What those who give services of type LoadBalancer their addresses and those who bring packets for them to a node
/// have to agree on.
namespace trireme::api {

/// Condition of a service whose addresses in its status are nobody's yet: one node is to answer for each (ARP, NDP).
inline constexpr std::string_view kLayer2Condition = "trireme.io/Layer2";

inline bool is_announced(const corev1::Service& service) {
  return service.spec.type == "LoadBalancer" && is_condition_true(service.status.conditions, kLayer2Condition);
}

/// Whether services may be reached through the node: Ready, not going away, and not excluded by its label.
inline bool serves_balancers(const corev1::Node& node) {
  constexpr std::string_view kExcluded = "node.kubernetes.io/exclude-from-external-load-balancers";
  if (node.metadata.deletion_timestamp || node.metadata.labels.contains(kExcluded)) return false;
  return is_condition_true(node.status.conditions, corev1::kNodeReady);
}

}  // namespace trireme::api
