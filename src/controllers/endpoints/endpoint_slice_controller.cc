#include "controllers/endpoints/endpoint_slice_controller.h"

#include <fmt/format.h>

#include <map>

#include "controllers/endpoints/slice_plan.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::Pod;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

namespace {

constexpr std::string_view kByService = "service";

/// The key of the service that this controller made the slice for; empty for other slices.
std::string service_of(const EndpointSlice& slice) {
  const auto& labels = slice.metadata.labels;
  if (labels.get(api::discoveryv1::kLabelManagedBy) != "endpointslice-controller.k8s.io") return {};
  const std::string name = labels.get(api::discoveryv1::kLabelServiceName);
  return name.empty() ? std::string() : slice.metadata.namespace_ + "/" + name;
}

}  // namespace

EndpointSliceController::EndpointSliceController(const ControllerContext& context)
    : Controller(context, "endpointslice-controller", context.options.concurrent_service_endpoint_syncs),
      services_(context.informers->informer<Service>()),
      pods_(context.informers->informer<Pod>()),
      nodes_(context.informers->informer<Node>()),
      slices_(context.informers->informer<EndpointSlice>()),
      events_(context.events->recorder("endpoint-slice-controller")) {
  slices_.add_index(std::string(kByService), [](const EndpointSlice& slice) -> std::vector<std::string> {
    std::string key = service_of(slice);
    if (key.empty()) return {};
    return {std::move(key)};
  });
  services_.add_handler(
      [this](const auto& before, const auto& after) { enqueue(client::key_of((after ? after : before)->metadata)); });
  follow_pods(pods_, services_, [this](std::string key) { enqueue(std::move(key)); });
  slices_.add_handler([this](const auto& before, const auto& after) {
    for (const auto& slice : {before, after}) {
      if (!slice) continue;
      if (std::string key = service_of(*slice); !key.empty()) enqueue(std::move(key));
    }
  });
}

Result<Outcome> EndpointSliceController::reconcile(const std::string& key) {
  const auto service = services_.get(key);
  // The slices of a service that is gone go with it, by their owner reference.
  if (!service || service->metadata.deletion_timestamp || !selects_pods(*service)) {
    writer_.forget(key);
    return Outcome::done();
  }
  const auto zone_of_node = [this](const std::string& name) {
    const auto node = nodes_.get("", name);
    return node ? node->metadata.labels.get("topology.kubernetes.io/zone") : std::string();
  };
  if (!writer_.is_current(key, slices_.version())) {
    syncs_.add({"stale"});
    return Outcome::done();
  }
  const auto present = slices_.by_index(kByService, key);
  const SlicePlan plan =
      plan_slices(slice_owner(*service), slice_groups(*service, pods_of(*service, pods_), zone_of_node), present);
  const Status failure = writer_.write(client(), key, plan);
  syncs_.add({failure.ok() ? "success" : "error"});
  changed_.of({"Disabled", service->spec.traffic_distribution.value_or("")})
      .observe_value(static_cast<double>(plan.create.size() + plan.update.size() + plan.remove.size()));
  if (failure.ok()) return Outcome::done();
  if (!failure.is(Reason::kConflict)) {
    events_.warning(*service, "FailedToUpdateEndpointSlices",
                    fmt::format("Error updating Endpoint Slices for Service {}: {}", key, failure.message()));
  }
  return failure;
}

void EndpointSliceController::print_metrics(std::string& out) const {
  writer_.metrics().print(out);
  syncs_.print(out);
  changed_.print(out);
  std::map<std::string, size_t> services;
  for (const auto& service : services_.list()) {
    if (service->spec.traffic_distribution && selects_pods(*service)) ++services[*service->spec.traffic_distribution];
  }
  constexpr std::string_view kServices = "endpoint_slice_controller_services_count_by_traffic_distribution";
  metrics::print_head(out, kServices, "gauge", "Number of Services using some specific trafficDistribution");
  for (const auto& [value, count] : services) {
    out += fmt::format("{}{} {}\n", kServices, metrics::label_text({"traffic_distribution"}, {value}), count);
  }
}

}  // namespace trireme::controllers
