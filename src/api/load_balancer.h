#pragma once

#include <algorithm>
#include <string_view>

#include "api/types/corev1.h"

/// What those who give services of type LoadBalancer their addresses and those who bring packets for them to a node
/// have to agree on.
namespace trireme::api {

/// Condition of a service whose addresses in its status are nobody's yet: one node is to answer for each (ARP, NDP).
inline constexpr std::string_view kLayer2Condition = "trireme.io/Layer2";

inline bool is_announced(const corev1::Service& service) {
  return service.spec.type == "LoadBalancer" &&
         std::ranges::any_of(service.status.conditions, [](const auto& condition) {
           return condition.type == kLayer2Condition && condition.status == "True";
         });
}

/// Whether services may be reached through the node: Ready, not going away, and not excluded by its label.
inline bool serves_balancers(const corev1::Node& node) {
  constexpr std::string_view kExcluded = "node.kubernetes.io/exclude-from-external-load-balancers";
  if (node.metadata.deletion_timestamp || node.metadata.labels.contains(kExcluded)) return false;
  return std::ranges::any_of(node.status.conditions, [](const auto& condition) {
    return condition.type == "Ready" && condition.status == "True";
  });
}

}  // namespace trireme::api
