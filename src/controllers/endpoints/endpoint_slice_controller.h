#pragma once

#include <string>

#include "api/types/discoveryv1.h"
#include "controllers/endpoints/service_pods.h"
#include "controllers/endpoints/slice_writer.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Keeps the EndpointSlices of every service that selects pods. Keys are those of services.
/// https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
class EndpointSliceController final : public Controller {
 public:
  explicit EndpointSliceController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::Service>& services_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::discoveryv1::EndpointSlice>& slices_;
  client::EventRecorder events_;
  SliceWriter writer_;
};

}  // namespace trireme::controllers
