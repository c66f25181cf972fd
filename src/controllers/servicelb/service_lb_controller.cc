#include "controllers/servicelb/service_lb_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/codec.h"
#include "api/load_balancer.h"
#include "api/value.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

namespace {

constexpr std::string_view kServiceIndex = "servicelb-service";

/// Ports of the node itself, which no service may take over: the kubelet's, and what default/kubernetes leads to.
std::set<std::string> node_listeners(const NodePointers& nodes, const SlicePointers& api_server) {
  std::set<std::string> out;
  for (const auto& node : nodes) {
    for (const auto& address : node->status.addresses) {
      out.insert(fmt::format("{}:{}/TCP", address.address, node->status.daemon_endpoints.kubelet_endpoint.port));
    }
  }
  for (const auto& slice : api_server) {
    for (const auto& endpoint : slice->endpoints) {
      for (const std::string& address : endpoint.addresses) {
        for (const auto& port : slice->ports) out.insert(fmt::format("{}:{}/TCP", address, port.port.value_or(0)));
      }
    }
  }
  return out;
}

bool same_addresses(const Node& a, const Node& b) {
  return std::equal(
      a.status.addresses.begin(), a.status.addresses.end(), b.status.addresses.begin(), b.status.addresses.end(),
      [](const auto& one, const auto& other) { return one.type == other.type && one.address == other.address; });
}

/// The service's conditions as a patch has them, with ours as long as one node is to answer for each of its addresses.
Result<api::Value> conditions_of(const Service& service, bool announced, WallTime now) {
  api::Value out = api::Value::array();
  for (const auto& condition : service.status.conditions) {
    if (condition.type == api::kLayer2Condition) continue;
    TRY_ASSIGN(api::Value one, api::parse_value(api::encode_json(condition)));
    out.push_back(std::move(one));
  }
  if (!announced) return out;
  api::Value own = api::Value::object();
  own["type"] = api::kLayer2Condition;
  own["status"] = "True";
  own["reason"] = "AddressOfRange";
  own["message"] = "one node answers for each of the service's addresses";
  own["lastTransitionTime"] = api::Time(now).to_string();
  out.push_back(std::move(own));
  return out;
}

std::vector<std::string> status_addresses(const Service& service) {
  std::vector<std::string> out;
  for (const auto& ingress : service.status.load_balancer.ingress) out.push_back(ingress.ip);
  return out;
}

}  // namespace

ServiceLbController::ServiceLbController(const ControllerContext& context)
    : Controller(context, "service-lb-controller"),
      services_(context.informers->informer<Service>()),
      nodes_(context.informers->informer<Node>()),
      slices_(context.informers->informer<EndpointSlice>()),
      events_(context.events->recorder("service-controller")) {
  layer2_ = load_balancer_announcement() == "layer2";
  bad_ranges_ = check_load_balancer_flags();
  if (auto ranges = parse_ranges(load_balancer_ip_ranges()); ranges.ok()) ranges_ = std::move(*ranges);
  slices_.add_index(std::string(kServiceIndex), [](const EndpointSlice& slice) {
    auto name = slice.metadata.labels.find("kubernetes.io/service-name");
    if (name == slice.metadata.labels.end()) return std::vector<std::string>();
    return std::vector<std::string>{slice.metadata.namespace_ + "/" + name->second};
  });
  services_.add_handler([this](const auto& before, const auto& after) {
    const bool was = before && before->spec.type == "LoadBalancer";
    const bool is = after && after->spec.type == "LoadBalancer";
    if (!was && !is) return;
    enqueue(client::key_of(after ? after->metadata : before->metadata));
    // What it gives up may be what another waits for.
    if (was && (!is || listeners(*before, {""}) != listeners(*after, {""}))) enqueue_all();
  });
  nodes_.add_handler([this](const auto& before, const auto& after) {
    const bool same =
        before && after && serves_balancers(*before) == serves_balancers(*after) && same_addresses(*before, *after);
    if (!same) enqueue_all();
  });
  slices_.add_handler([this](const auto& before, const auto& after) {
    const EndpointSlice& slice = after ? *after : *before;
    auto name = slice.metadata.labels.find("kubernetes.io/service-name");
    if (name == slice.metadata.labels.end()) return;
    const auto service = services_.get(slice.metadata.namespace_, name->second);
    if (service && service->spec.type == "LoadBalancer" && service->spec.external_traffic_policy == "Local") {
      enqueue(client::key_of(service->metadata));
    }
  });
}

void ServiceLbController::enqueue_all() {
  for (const auto& service : services_.list()) {
    if (wants_balancer(*service)) enqueue(client::key_of(service->metadata));
  }
}

Result<std::vector<std::string>> ServiceLbController::addresses_of_nodes(const Service& service,
                                                                         const std::string& key) {
  NodePointers nodes = nodes_.list();
  std::vector<std::string> addresses = node_addresses(service, nodes, slices_.by_index(kServiceIndex, key));
  std::vector<std::string> wanted = listeners(service, addresses);
  std::set<std::string> own = node_listeners(nodes, slices_.by_index(kServiceIndex, "default/kubernetes"));
  for (const std::string& listener : wanted) {
    if (own.contains(listener)) {
      return Status(Reason::kConflict, fmt::format("{} is in use by the node itself", listener));
    }
  }
  // Of two services with the same port, the one that has it keeps it.
  for (const auto& other : services_.list()) {
    std::string other_key = client::key_of(other->metadata);
    if (other_key == key || !wants_balancer(*other)) continue;
    auto given = given_.find(other_key);
    std::vector<std::string> theirs =
        listeners(*other, given == given_.end() ? status_addresses(*other) : given->second);
    for (const std::string& listener : wanted) {
      if (std::find(theirs.begin(), theirs.end(), listener) != theirs.end()) {
        return Status(Reason::kConflict, fmt::format("{} is in use by service {}", listener, other_key));
      }
    }
  }
  return addresses;
}

Result<std::vector<std::string>> ServiceLbController::addresses_for(const Service& service, const std::string& key) {
  TRY(bad_ranges_);
  if (ranges_.empty()) return addresses_of_nodes(service, key);
  std::map<std::string, std::string> taken;
  for (const auto& other : services_.list()) {
    if (!wants_balancer(*other)) continue;
    std::string other_key = client::key_of(other->metadata);
    if (auto given = given_.find(other_key); given != given_.end()) {
      for (const std::string& address : given->second) taken[address] = other_key;
      continue;
    }
    for (const std::string& address : status_addresses(*other)) taken.emplace(address, other_key);
  }
  return range_addresses(service, key, ranges_, taken);
}

Result<Outcome> ServiceLbController::reconcile(const std::string& key) {
  const auto service = services_.get(key);
  if (!service || !wants_balancer(*service)) {
    // The server itself clears the status of a service that is no load balancer any more.
    given_.erase(key);
    return Outcome::done();
  }
  auto addresses = addresses_for(*service, key);
  if (!addresses.ok()) {
    events_.warning(client::reference_to(*service), "SyncLoadBalancerFailed",
                    "Error syncing load balancer: " + addresses.status().message());
    addresses = std::vector<std::string>();
  }
  given_[key] = *addresses;
  const bool announced = !ranges_.empty() && !addresses->empty() && layer2_;
  const bool was_announced = api::is_announced(*service);
  if (status_addresses(*service) == *addresses && announced == was_announced) return Outcome::done();
  api::Value ingress = api::Value::array();
  for (const std::string& address : *addresses) {
    api::Value one = api::Value::object();
    one["ip"] = address;
    one["ipMode"] = "VIP";
    ingress.push_back(std::move(one));
  }
  api::Value patch = api::Value::object();
  patch["status"]["loadBalancer"]["ingress"] = std::move(ingress);
  if (announced != was_announced) {
    TRY_ASSIGN(patch["status"]["conditions"], conditions_of(*service, announced, clock().now()));
  }
  const auto patched = client().patch<Service>(service->metadata.namespace_, service->metadata.name,
                                               client::PatchType::kMerge, api::to_json(patch), "status");
  if (!patched.ok()) {
    given_.erase(key);
    if (patched.status().is(Reason::kNotFound)) return Outcome::done();
    return patched.status();
  }
  if (!addresses->empty()) {
    events_.normal(client::reference_to(*service), "EnsuredLoadBalancer", "Ensured load balancer");
  }
  return Outcome::done();
}

}  // namespace trireme::controllers
