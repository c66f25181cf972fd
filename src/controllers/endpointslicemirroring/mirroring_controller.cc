#include "controllers/endpointslicemirroring/mirroring_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "api/names.h"
#include "controllers/endpoints/service_pods.h"

namespace trireme::controllers {

using api::corev1::EndpointAddress;
using api::corev1::Endpoints;
using api::corev1::Service;
using api::discoveryv1::Endpoint;
using api::discoveryv1::EndpointSlice;

namespace {

constexpr std::string_view kManager = "endpointslicemirroring-controller.k8s.io";
constexpr std::string_view kByEndpoints = "mirrored";
constexpr size_t kMaxPerSubset = 1000;  // --mirroring-max-endpoints-per-subset
constexpr std::string_view kSkippedAnnotations[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                                    "endpoints.kubernetes.io/last-change-trigger-time"};

std::string mirrored_key(const EndpointSlice& slice) {
  if (slice.metadata.labels.get(api::discoveryv1::kLabelManagedBy) != kManager) return {};
  const std::string name = slice.metadata.labels.get(api::discoveryv1::kLabelServiceName);
  return name.empty() ? std::string() : slice.metadata.namespace_ + "/" + name;
}

SliceOwner owner_of(const Endpoints& endpoints, const std::vector<SliceGroup>& groups) {
  SliceOwner owner;
  owner.ns = endpoints.metadata.namespace_;
  owner.generate_name = endpoints.metadata.name + "-";
  owner.reference.api_version = "v1";
  owner.reference.kind = "Endpoints";
  owner.reference.name = endpoints.metadata.name;
  owner.reference.uid = endpoints.metadata.uid;
  owner.reference.controller = true;
  owner.reference.block_owner_deletion = true;
  owner.labels = endpoints.metadata.labels;
  owner.labels.insert_or_assign(api::discoveryv1::kLabelServiceName, endpoints.metadata.name);
  owner.labels.insert_or_assign(api::discoveryv1::kLabelManagedBy, kManager);
  owner.annotations = endpoints.metadata.annotations;
  for (const std::string_view each : kSkippedAnnotations) owner.annotations.erase(each);
  for (const SliceGroup& group : groups) owner.families.push_back(group.address_type);
  if (owner.families.empty()) owner.families.emplace_back(api::corev1::kIPv4Protocol);
  std::ranges::sort(owner.families);
  owner.families.erase(std::ranges::unique(owner.families).begin(), owner.families.end());
  return owner;
}

Endpoint endpoint_of(const EndpointAddress& address, bool ready) {
  Endpoint endpoint;
  endpoint.addresses = {address.ip};
  endpoint.conditions.ready = ready;
  if (!address.hostname.empty()) endpoint.hostname = address.hostname;
  if (address.node_name) endpoint.node_name = *address.node_name;
  if (address.target_ref) endpoint.target_ref = *address.target_ref;
  return endpoint;
}

}  // namespace

bool skips_mirroring(const Endpoints& endpoints) {
  const auto& metadata = endpoints.metadata;
  return metadata.labels.get("endpointslice.kubernetes.io/skip-mirror") == "true" ||
         metadata.annotations.contains("control-plane.alpha.kubernetes.io/leader");
}

std::vector<SliceGroup> mirrored_groups(const Endpoints& endpoints, size_t max_per_subset, size_t& dropped,
                                        size_t& invalid) {
  dropped = 0;
  invalid = 0;
  using Ports = std::vector<std::tuple<std::string, int32_t, std::string, std::string>>;
  std::map<std::pair<std::string, Ports>, SliceGroup> groups;
  for (const auto& subset : endpoints.subsets) {
    Ports key;
    std::vector<api::discoveryv1::EndpointPort> ports;
    for (const auto& each : subset.ports) {
      auto& port = ports.emplace_back();
      port.name = each.name;
      port.port = each.port;
      port.protocol = each.protocol;
      port.app_protocol = each.app_protocol;
      key.emplace_back(each.name, each.port, each.protocol, each.app_protocol.value_or(""));
    }
    std::ranges::sort(key);
    size_t taken = 0;
    const auto take = [&](const std::vector<EndpointAddress>& addresses, bool ready) {
      for (const EndpointAddress& address : addresses) {
        if (!api::is_ip(address.ip)) {
          ++invalid;
          continue;
        }
        if (taken == max_per_subset) {
          ++dropped;
          continue;
        }
        ++taken;
        const std::string family(family_of(address.ip));
        SliceGroup& group = groups[{family, key}];
        group.address_type = family;
        group.ports = ports;
        group.endpoints.push_back(endpoint_of(address, ready));
      }
    };
    take(subset.addresses, true);
    take(subset.not_ready_addresses, false);
  }
  std::vector<SliceGroup> out;
  for (auto& [key, group] : groups) out.push_back(std::move(group));
  return out;
}

EndpointSliceMirroringController::EndpointSliceMirroringController(const ControllerContext& context)
    : Controller(context, "endpointslice-mirroring-controller", 5),
      endpoints_(context.informers->informer<Endpoints>()),
      services_(context.informers->informer<Service>()),
      slices_(context.informers->informer<EndpointSlice>()),
      events_(context.events->recorder("endpoint-slice-mirroring-controller")) {
  slices_.add_index(std::string(kByEndpoints), [](const EndpointSlice& slice) -> std::vector<std::string> {
    std::string key = mirrored_key(slice);
    if (key.empty()) return {};
    return {std::move(key)};
  });
  endpoints_.add_handler([this](const auto& before, const auto& after) {
    const auto& endpoints = after ? after : before;
    enqueue(client::key_of(endpoints->metadata));
  });
  services_.add_handler([this](const auto& before, const auto& after) {
    if (before && after && selects_pods(*before) == selects_pods(*after)) return;
    enqueue(client::key_of((after ? after : before)->metadata));
  });
  slices_.add_handler([this](const auto& before, const auto& after) {
    for (const auto& slice : {before, after}) {
      if (!slice) continue;
      if (std::string key = mirrored_key(*slice); !key.empty()) enqueue(std::move(key));
    }
  });
}

Result<Outcome> EndpointSliceMirroringController::reconcile(const std::string& key) {
  const auto endpoints = endpoints_.get(key);
  const auto service = services_.get(key);
  if (!writer_.is_current(key, slices_.version())) return Outcome::done();
  const auto present = slices_.by_index(kByEndpoints, key);
  SlicePlan plan;
  if (!endpoints || !service || !service->spec.selector.empty() || skips_mirroring(*endpoints)) {
    writer_.forget(key);
    // Slices of Endpoints that are gone go with them; those that may not be mirrored any more are deleted here.
    if (endpoints && !endpoints->metadata.deletion_timestamp) plan.remove = present;
  } else {
    size_t dropped = 0;
    size_t invalid = 0;
    std::vector<SliceGroup> groups = mirrored_groups(*endpoints, kMaxPerSubset, dropped, invalid);
    if (invalid > 0) {
      events_.warning(*endpoints, "InvalidIPAddress",
                      fmt::format("Skipped {} invalid IP addresses when mirroring to EndpointSlices", invalid));
    }
    if (dropped > 0) {
      events_.warning(*endpoints, "TooManyAddressesToMirror",
                      fmt::format("A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} "
                                  "addresses were skipped",
                                  kMaxPerSubset, dropped));
    }
    const SliceOwner owner = owner_of(*endpoints, groups);
    plan = plan_slices(owner, std::move(groups), present);
  }
  const Status failure = writer_.write(client(), key, plan);
  if (failure.ok()) return Outcome::done();
  if (!failure.is(Reason::kConflict) && endpoints) {
    events_.warning(
        *endpoints, "FailedToUpdateEndpointSlices",
        fmt::format("Error updating mirrored Endpoint Slices for Endpoints {}: {}", key, failure.message()));
  }
  return failure;
}

}  // namespace trireme::controllers
