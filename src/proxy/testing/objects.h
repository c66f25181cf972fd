#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/endpoints.h"

/// Services and endpoints for tests, written shortly.
namespace trireme::proxy::testing {

using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

struct TestEndpoint {
  std::string address;
  std::string node = "other";
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  std::string zone_hint = {};
};

inline std::shared_ptr<Service> make_service(const std::string& name, std::vector<std::string> cluster_ips,
                                             int32_t port = 80, const std::string& protocol = "TCP") {
  auto service = std::make_shared<Service>();
  service->metadata.namespace_ = "default";
  service->metadata.name = name;
  service->spec.type = "ClusterIP";
  service->spec.cluster_ip = cluster_ips.empty() ? "" : cluster_ips[0];
  service->spec.cluster_ips = std::move(cluster_ips);
  service->spec.session_affinity = "None";
  api::corev1::ServicePort one;
  one.name = "p";
  one.protocol = protocol;
  one.port = port;
  service->spec.ports.push_back(one);
  return service;
}

inline std::shared_ptr<EndpointSlice> make_slice(const std::string& service, const std::vector<TestEndpoint>& endpoints,
                                                 int32_t port = 8080, const std::string& protocol = "TCP",
                                                 const std::string& name = "") {
  auto slice = std::make_shared<EndpointSlice>();
  slice->metadata.namespace_ = "default";
  slice->metadata.name = name.empty() ? service + "-1" : name;
  slice->metadata.labels["kubernetes.io/service-name"] = service;
  slice->address_type = !endpoints.empty() && endpoints[0].address.find(':') != std::string::npos ? "IPv6" : "IPv4";
  api::discoveryv1::EndpointPort one;
  one.name = "p";
  one.protocol = protocol;
  one.port = port;
  slice->ports.push_back(one);
  for (const TestEndpoint& from : endpoints) {
    api::discoveryv1::Endpoint endpoint;
    endpoint.addresses = {from.address};
    endpoint.conditions.ready = from.ready;
    endpoint.conditions.serving = from.serving;
    endpoint.conditions.terminating = from.terminating;
    endpoint.node_name = from.node;
    if (!from.zone_hint.empty()) {
      endpoint.hints.emplace();
      endpoint.hints->for_zones.emplace_back();
      endpoint.hints->for_zones.back().name = from.zone_hint;
    }
    slice->endpoints.push_back(std::move(endpoint));
  }
  return slice;
}

inline void set_load_balancer(Service& service, const std::string& address, int32_t node_port,
                              std::optional<std::string> mode = std::nullopt) {
  service.spec.type = "LoadBalancer";
  service.spec.ports[0].node_port = node_port;
  service.spec.external_traffic_policy = "Cluster";
  api::corev1::LoadBalancerIngress ingress;
  ingress.ip = address;
  if (mode) ingress.ip_mode = *mode;
  service.status.load_balancer.ingress.push_back(std::move(ingress));
}

}  // namespace trireme::proxy::testing
