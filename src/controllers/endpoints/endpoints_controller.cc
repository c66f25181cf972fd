#include "controllers/endpoints/endpoints_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "api/validation/equal.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using api::corev1::EndpointAddress;
using api::corev1::EndpointPort;
using api::corev1::Endpoints;
using api::corev1::EndpointSubset;
using api::corev1::Pod;
using api::corev1::Service;

namespace {

constexpr std::string_view kHeadlessLabel = "service.kubernetes.io/headless";
constexpr std::string_view kOverCapacity = "endpoints.kubernetes.io/over-capacity";
constexpr std::string_view kLeaderAnnotation = "control-plane.alpha.kubernetes.io/leader";

using PortKey = std::tuple<std::string, int32_t, std::string, std::string>;

PortKey key_of_port(const EndpointPort& port) {
  return {port.name, port.port, port.protocol, port.app_protocol.value_or("")};
}

bool address_order(const EndpointAddress& a, const EndpointAddress& b) {
  const auto uid = [](const EndpointAddress& each) { return each.target_ref ? each.target_ref->uid : std::string(); };
  return std::tuple(a.ip, uid(a)) < std::tuple(b.ip, uid(b));
}

bool is_over_capacity(const Endpoints& endpoints) { return endpoints.metadata.annotations.contains(kOverCapacity); }

}  // namespace

std::vector<EndpointSubset> endpoint_subsets(const Service& service, std::span<const PodPointer> pods) {
  const std::string family = families_of(service).front();
  // An address goes with all its ports; addresses with the same ports share a subset.
  std::map<std::vector<PortKey>, EndpointSubset> subsets;
  for (const PodPointer& pod : pods) {
    if (!has_endpoint(*pod, service.spec.publish_not_ready_addresses)) continue;
    EndpointAddress address;
    address.ip = pod_address(*pod, family);
    if (address.ip.empty()) continue;
    address.hostname = endpoint_hostname(*pod, service);
    if (!pod->spec.node_name.empty()) address.node_name = pod->spec.node_name;
    address.target_ref = pod_reference(*pod);
    std::vector<EndpointPort> ports = endpoint_ports<EndpointPort>(*pod, service);
    // Without ports an address is of use only to the names of a headless service.
    if (ports.empty() && !(service.spec.ports.empty() && is_headless(service))) continue;
    std::ranges::sort(ports, {}, key_of_port);
    std::vector<PortKey> keys;
    for (const EndpointPort& port : ports) keys.push_back(key_of_port(port));
    EndpointSubset& subset = subsets[keys];
    subset.ports = std::move(ports);
    const bool ready = service.spec.publish_not_ready_addresses || is_ready(*pod);
    (ready ? subset.addresses : subset.not_ready_addresses).push_back(std::move(address));
  }
  std::vector<EndpointSubset> out;
  for (auto& [keys, subset] : subsets) {
    std::ranges::sort(subset.addresses, address_order);
    std::ranges::sort(subset.not_ready_addresses, address_order);
    out.push_back(std::move(subset));
  }
  return out;
}

bool truncate_subsets(std::vector<EndpointSubset>& subsets, size_t limit) {
  size_t total = 0;
  for (const EndpointSubset& subset : subsets) total += subset.addresses.size() + subset.not_ready_addresses.size();
  if (total <= limit) return false;
  size_t room = limit;
  const auto cut = [&](std::vector<EndpointAddress>& addresses) {
    const size_t kept = std::min(room, addresses.size());
    addresses.resize(kept);
    room -= kept;
  };
  for (EndpointSubset& subset : subsets) cut(subset.addresses);
  for (EndpointSubset& subset : subsets) cut(subset.not_ready_addresses);
  std::erase_if(subsets, [](const EndpointSubset& subset) {
    return subset.addresses.empty() && subset.not_ready_addresses.empty();
  });
  return true;
}

EndpointsController::EndpointsController(const ControllerContext& context)
    : Controller(context, "endpoints-controller", context.options.concurrent_endpoint_syncs),
      services_(context.informers->informer<Service>()),
      pods_(context.informers->informer<Pod>()),
      endpoints_(context.informers->informer<Endpoints>()),
      events_(context.events->recorder("endpoint-controller")) {
  services_.add_handler(
      [this](const auto& before, const auto& after) { enqueue(client::key_of((after ? after : before)->metadata)); });
  follow_pods(pods_, services_, [this](std::string key) { enqueue(std::move(key)); });
  // Somebody else's change is set right. Endpoints without a service are their maker's business.
  endpoints_.add_handler([this](const auto& before, const auto& after) {
    std::string key = client::key_of((after ? after : before)->metadata);
    if (services_.get(key)) enqueue(std::move(key));
  });
}

void EndpointsController::begin() {
  // Services may have gone while no controller ran. Objects that serve as locks never had one.
  for (const auto& endpoints : endpoints_.list()) {
    if (!endpoints->metadata.annotations.contains(kLeaderAnnotation)) enqueue(client::key_of(endpoints->metadata));
  }
}

Result<Outcome> EndpointsController::reconcile(const std::string& key) {
  const auto [ns, name] = client::split_key(key);
  const auto service = services_.get(key);
  const auto present = endpoints_.get(key);
  if (!service) {
    if (!present || present->metadata.annotations.contains(kLeaderAnnotation)) return Outcome::done();
    client::DeleteOptions options;
    options.uid = present->metadata.uid;
    const Status removed = client().remove<Endpoints>(ns, name, options);
    if (removed.ok() || removed.is(Reason::kNotFound)) return Outcome::done();
    return removed;
  }
  if (!selects_pods(*service) || service->metadata.deletion_timestamp) return Outcome::done();

  Endpoints wanted;
  if (present) wanted = *present;
  wanted.metadata.namespace_ = ns;
  wanted.metadata.name = name;
  wanted.metadata.labels = service->metadata.labels;
  wanted.metadata.labels.erase(kHeadlessLabel);
  if (is_headless(*service)) wanted.metadata.labels.insert_or_assign(kHeadlessLabel, "");
  wanted.subsets = endpoint_subsets(*service, pods_of(*service, pods_));
  if (truncate_subsets(wanted.subsets)) {
    wanted.metadata.annotations.insert_or_assign(kOverCapacity, "truncated");
  } else if (is_over_capacity(wanted)) {
    wanted.metadata.annotations.erase(kOverCapacity);
  }
  if (present && api::validation::semantic_equal(*present, wanted)) return Outcome::done();
  const auto written = present ? client().update(wanted) : client().create(wanted);
  if (written.ok() || namespace_is_ending(written.status())) return Outcome::done();
  if (!written.status().is(Reason::kConflict) && !written.status().is(Reason::kAlreadyExists)) {
    events_.warning(*service, present ? "FailedToUpdateEndpoint" : "FailedToCreateEndpoint",
                    fmt::format("Failed to {} endpoint for service {}: {}", present ? "update" : "create", key,
                                written.status().message()));
  }
  return written.status();
}

}  // namespace trireme::controllers
