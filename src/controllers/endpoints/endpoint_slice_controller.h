#pragma once

#include <string>

#include "api/types/discoveryv1.h"
#include "controllers/endpoints/service_pods.h"
#include "controllers/endpoints/slice_writer.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Keeps the EndpointSlices of every service that selects pods. Keys are those of services.
/// https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
class EndpointSliceController final : public Controller, public metrics::Source {
 public:
  explicit EndpointSliceController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  client::Informer<api::corev1::Service>& services_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::discoveryv1::EndpointSlice>& slices_;
  client::EventRecorder events_;
  SliceWriter writer_{"endpoint_slice_controller", "Service"};
  metrics::Counters syncs_{"endpoint_slice_controller_syncs", "Number of EndpointSlice syncs", {"result"}};
  metrics::Histograms changed_{"endpoint_slice_controller_endpointslices_changed_per_sync",
                               "Number of EndpointSlices changed on each Service sync",
                               {"topology", "traffic_distribution"},
                               {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}};
};

}  // namespace trireme::controllers
