#pragma once

#include <string>
#include <vector>

#include "api/types/discoveryv1.h"
#include "controllers/endpoints/slice_writer.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Copies Endpoints that people and programs write by hand, for services without a selector, to EndpointSlices: the
/// only form that proxies and DNS read. Keys are those of Endpoints.
/// https://kubernetes.io/docs/concepts/services-networking/service/#endpointslice-mirroring
class EndpointSliceMirroringController final : public Controller, public metrics::Source {
 public:
  explicit EndpointSliceMirroringController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override { writer_.metrics().print(out); }

 private:
  client::Informer<api::corev1::Endpoints>& endpoints_;
  client::Informer<api::corev1::Service>& services_;
  client::Informer<api::discoveryv1::EndpointSlice>& slices_;
  client::EventRecorder events_;
  SliceWriter writer_{"endpoint_slice_mirroring_controller", "Endpoints"};
};

/// Whether the Endpoints ask not to be mirrored: they are a leader election's lock, or carry the label
/// endpointslice.kubernetes.io/skip-mirror=true.
bool skips_mirroring(const api::corev1::Endpoints& endpoints);

/// The slices' content: up to `max_per_subset` addresses of each subset, by family and ports. `dropped` receives how
/// many did not fit, `invalid` how many were no addresses.
std::vector<SliceGroup> mirrored_groups(const api::corev1::Endpoints& endpoints, size_t max_per_subset, size_t& dropped,
                                        size_t& invalid);

}  // namespace trireme::controllers
