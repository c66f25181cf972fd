#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/discoveryv1.h"
#include "controllers/endpoints/service_pods.h"

/// Spreading endpoints over slices with as few writes as can be.
namespace trireme::controllers {

using SlicePointer = std::shared_ptr<const api::discoveryv1::EndpointSlice>;

/// Endpoints that share an address family and a list of ports.
struct SliceGroup {
  std::string address_type;
  std::vector<api::discoveryv1::EndpointPort> ports;
  std::vector<api::discoveryv1::Endpoint> endpoints;
};

/// What the service's pods ask for. `zone_of_node` gives the zone of a node by name, or "".
std::vector<SliceGroup> slice_groups(const api::corev1::Service& service, std::span<const PodPointer> pods,
                                     const std::function<std::string(const std::string&)>& zone_of_node);

/// On whose behalf slices are kept, and what each of them says about itself.
struct SliceOwner {
  std::string ns;
  std::string generate_name;
  api::metav1::OwnerReference reference;
  api::Map<std::string> labels;       ///< Complete: service name and manager included.
  api::Map<std::string> annotations;  ///< Empty leaves the slices' own.
  std::vector<std::string> families;  ///< One empty slice is kept for each that has no endpoints; others get none.
};
SliceOwner slice_owner(const api::corev1::Service& service);

/// What a plan comes to, for metrics.
struct SliceCounts {
  size_t endpoints = 0;     ///< Wanted.
  size_t added = 0;         ///< Of these, in no slice before.
  size_t removed = 0;       ///< In a slice before, and not wanted.
  size_t slices = 0;        ///< Afterwards.
  size_t ideal_slices = 0;  ///< If every slice were full.
};

struct SlicePlan {
  std::vector<api::discoveryv1::EndpointSlice> create;
  std::vector<api::discoveryv1::EndpointSlice> update;
  std::vector<SlicePointer> remove;
  SliceCounts counts;
};

/// The writes that turn `present` into what is wanted. An endpoint stays in the slice that has it; new ones fill slices
/// that have room; slices that become empty go, but one (without ports) stays for each family without endpoints.
SlicePlan plan_slices(const SliceOwner& owner, std::vector<SliceGroup> wanted, const std::vector<SlicePointer>& present,
                      size_t max_endpoints = 100);

}  // namespace trireme::controllers
