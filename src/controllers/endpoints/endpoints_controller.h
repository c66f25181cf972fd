#pragma once

#include <span>
#include <string>
#include <vector>

#include "controllers/endpoints/service_pods.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// The subsets of a service's Endpoints: addresses by the ports they serve, in a fixed order.
std::vector<api::corev1::EndpointSubset> endpoint_subsets(const api::corev1::Service& service,
                                                          std::span<const PodPointer> pods);

/// At most so many addresses go into one Endpoints object; larger services are cut and annotated.
inline constexpr size_t kMaxEndpointAddresses = 1000;
/// Cuts to the maximum, ready addresses first. Returns whether anything was left out.
bool truncate_subsets(std::vector<api::corev1::EndpointSubset>& subsets, size_t limit = kMaxEndpointAddresses);

/// Keeps the Endpoints of every service that selects pods. Keys are those of services.
/// https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
class EndpointsController final : public Controller {
 public:
  explicit EndpointsController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void begin() override;

 private:
  client::Informer<api::corev1::Service>& services_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::Endpoints>& endpoints_;
  client::EventRecorder events_;
};

}  // namespace trireme::controllers
