#include "controllers/endpoints/endpoint_slice_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/endpoints/slice_plan.h"
#include "controllers/support/recent_writes.h"
#include "controllers/support/statuses.h"

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
    : Controller(context, "endpointslice-controller", 2),
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
  if (!service || service->metadata.deletion_timestamp || !selects_pods(*service)) return Outcome::done();
  const auto zone_of_node = [this](const std::string& name) {
    const auto node = nodes_.get("", name);
    return node ? node->metadata.labels.get("topology.kubernetes.io/zone") : std::string();
  };
  // While the cache lacks what was written last, a plan would write it again; the write's own event comes back here.
  {
    const std::lock_guard lock(mutex_);
    const auto written = written_.find(key);
    if (written != written_.end()) {
      if (slices_.version() < written->second) return Outcome::done();
      written_.erase(written);
    }
  }
  const auto present = slices_.by_index(kByService, key);
  const SlicePlan plan = plan_slices(*service, slice_groups(*service, pods_of(*service, pods_), zone_of_node), present);
  Status failure;
  const auto note = [&](const Status& status) {
    if (!status.ok() && !status.is(Reason::kNotFound) && !namespace_is_ending(status)) failure = status;
  };
  const auto written = [&](const Result<EndpointSlice>& slice) {
    note(slice.status());
    if (!slice.ok()) return;
    const std::lock_guard lock(mutex_);
    uint64_t& version = written_[key];
    version = std::max(version, version_number(slice->metadata.resource_version));
  };
  for (const EndpointSlice& slice : plan.create) written(client().create(slice));
  for (const EndpointSlice& slice : plan.update) written(client().update(slice));
  for (const SlicePointer& slice : plan.remove) {
    note(client().remove<EndpointSlice>(slice->metadata.namespace_, slice->metadata.name));
  }
  if (failure.ok()) return Outcome::done();
  if (!failure.is(Reason::kConflict)) {
    events_.warning(*service, "FailedToUpdateEndpointSlices",
                    fmt::format("Error updating Endpoint Slices for Service {}: {}", key, failure.message()));
  }
  return failure;
}

}  // namespace trireme::controllers
