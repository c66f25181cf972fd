#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/informer_factory.h"
#include "overlay/lease_source.h"

namespace trireme::overlay {

struct KubeLeaseOptions {
  std::string node_name;
  NetworkConfig config;
  AnnotationNames annotations;
  /// Report the node's condition NetworkUnavailable as False once its network stands.
  bool set_node_network_unavailable = true;
};

/// flannel's kube subnet manager: the node's subnets are spec.podCIDRs, and what others must know stands in its
/// annotations. `informers` outlives it, and is started by it.
std::unique_ptr<LeaseSource> kube_leases(KubeLeaseOptions options, std::shared_ptr<client::RawClient> client,
                                         client::InformerFactory& informers, std::shared_ptr<Clock> clock);

}  // namespace trireme::overlay
