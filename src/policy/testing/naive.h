#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/networkingv1.h"
#include "policy/testing/table.h"

namespace trireme::policy {

/// A cluster, and what its policies allow: read off the API's definition, without any of the module's own steps.
struct World {
  std::vector<std::shared_ptr<const api::corev1::Namespace>> namespaces;
  std::vector<std::shared_ptr<const api::corev1::Pod>> pods;
  std::vector<std::shared_ptr<const api::networkingv1::NetworkPolicy>> policies;

  /// Whether `node` lets a new connection pass that it forwards.
  bool allows(const Packet& packet, const std::string& node) const;
};

}  // namespace trireme::policy
