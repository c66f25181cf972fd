#include <array>
#include <type_traits>

#include "api/defaults/defaults.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "api/types/schedulingv1.h"
#include "apiserver/registry/registry.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace {

namespace corev1 = api::corev1;
namespace discoveryv1 = api::discoveryv1;

constexpr std::array<std::string_view, 4> kNamespaces = {"default", "kube-system", "kube-public", "kube-node-lease"};

/// The classes of pods without which there is no cluster; manifests of network plugins and the like name them.
struct SystemPriority {
  std::string_view name;
  int32_t value;
  std::string_view description;
};
constexpr SystemPriority kSystemPriorities[] = {
    {"system-node-critical", 2000001000,
     "Used for system critical pods that must not be moved from their current node."},
    {"system-cluster-critical", 2000000000,
     "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."},
};
constexpr std::string_view kService = "kubernetes";
constexpr std::string_view kPortName = "https";
constexpr int32_t kServicePort = 443;

corev1::Service kubernetes_service(const std::string& cluster_ip, uint16_t target_port) {
  corev1::Service service;
  service.metadata.name = kService;
  service.metadata.namespace_ = "default";
  service.metadata.labels["component"] = "apiserver";
  service.metadata.labels["provider"] = "kubernetes";
  service.spec.type = corev1::kServiceTypeClusterIP;
  service.spec.cluster_ip = cluster_ip;
  service.spec.cluster_ips = {cluster_ip};
  service.spec.session_affinity = corev1::kServiceAffinityNone;
  corev1::ServicePort port;
  port.name = kPortName;
  port.port = kServicePort;
  port.protocol = corev1::kProtocolTCP;
  port.target_port = api::IntOrString(target_port);
  service.spec.ports.push_back(std::move(port));
  return service;
}

corev1::Endpoints kubernetes_endpoints(const Options& options) {
  corev1::Endpoints endpoints;
  endpoints.metadata.name = kService;
  endpoints.metadata.namespace_ = "default";
  endpoints.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true";
  corev1::EndpointSubset subset;
  corev1::EndpointAddress address;
  address.ip = options.advertise_address;
  subset.addresses.push_back(std::move(address));
  corev1::EndpointPort port;
  port.name = kPortName;
  port.port = options.advertise_port;
  port.protocol = corev1::kProtocolTCP;
  subset.ports.push_back(std::move(port));
  endpoints.subsets.push_back(std::move(subset));
  return endpoints;
}

discoveryv1::EndpointSlice kubernetes_slice(const Options& options) {
  discoveryv1::EndpointSlice slice;
  slice.metadata.name = kService;
  slice.metadata.namespace_ = "default";
  slice.metadata.labels["kubernetes.io/service-name"] = kService;
  slice.address_type = options.advertise_address.find(':') == std::string::npos ? "IPv4" : "IPv6";
  discoveryv1::Endpoint endpoint;
  endpoint.addresses = {options.advertise_address};
  endpoint.conditions.ready = true;
  slice.endpoints.push_back(std::move(endpoint));
  discoveryv1::EndpointPort port;
  port.name = std::string(kPortName);
  port.port = options.advertise_port;
  port.protocol = std::string(corev1::kProtocolTCP);
  slice.ports.push_back(std::move(port));
  return slice;
}

}  // namespace

Status Registry::bootstrap() {
  TRY(services_status_);
  authn::UserInfo server;
  server.name = "system:apiserver";
  server.groups = {std::string(authn::kMastersGroup)};

  auto create = [&](api::Object object) -> Status {
    const api::ResourceInfo& resource = *api::find_type(object.type());
    api::apply_defaults(object);
    WriteRequest request{.resource = resource, .ns = object.metadata().namespace_, .name = {}, .user = server};
    Status created = writer_->create(request, std::move(object)).status();
    return created.is(Reason::kAlreadyExists) ? Status() : created;
  };
  /// Creates the object, or brings `apply`'s part of it up to date.
  auto ensure = [&]<typename T>(T wanted, auto apply) -> Status {
    const api::ResourceInfo& resource = api::resource_of<T>();
    auto found = storage_->get(resource, wanted.metadata.namespace_, wanted.metadata.name);
    if (!found.ok()) {
      if (!found.status().is(Reason::kNotFound)) return found.status();
      if constexpr (std::is_same_v<T, corev1::Service>) return create(api::Object::of(std::move(wanted)));
      // Written past validation, which allows no loopback addresses: on one machine alone the server may have no other.
      wanted.metadata.uid = new_uuid(options_.random);
      wanted.metadata.creation_timestamp = api::Time(clock_->now());
      return storage_->put(resource, api::Object::of(std::move(wanted)), 0, false).status();
    }
    return writer_
        ->edit(resource, wanted.metadata.namespace_, wanted.metadata.name, false,
               [&](api::Object& object) -> Status {
                 apply(*object.as<T>(), wanted);
                 return {};
               })
        .status();
  };

  for (std::string_view name : kNamespaces) {
    corev1::Namespace ns;
    ns.metadata.name = name;
    TRY(create(api::Object::of(std::move(ns))));
  }
  for (const SystemPriority& each : kSystemPriorities) {
    api::schedulingv1::PriorityClass priority;
    priority.metadata.name = each.name;
    priority.value = each.value;
    priority.description = each.description;
    TRY(create(api::Object::of(std::move(priority))));
  }
  std::string cluster_ip = services_->first_ip();
  auto service = storage_->get(api::resource_of<corev1::Service>(), "default", kService);
  if (service.ok() && (*service)->object().as<corev1::Service>()->spec.cluster_ip != cluster_ip) {
    // The service range has changed since: a cluster IP cannot be changed, so the service is made anew.
    log::warning("The service default/kubernetes is outside the service range and is created again",
                 {{"clusterIP", (*service)->object().as<corev1::Service>()->spec.cluster_ip}});
    WriteRequest request{.resource = api::resource_of<corev1::Service>(),
                         .ns = "default",
                         .name = std::string(kService),
                         .user = server};
    TRY(writer_->remove(request, {}).status());
  }
  TRY(ensure(kubernetes_service(cluster_ip, options_.advertise_port),
             [](corev1::Service& stored, const corev1::Service& wanted) {
               stored.spec.ports.resize(1);
               stored.spec.ports[0].target_port = wanted.spec.ports[0].target_port;
             }));
  TRY(ensure(kubernetes_endpoints(options_),
             [](corev1::Endpoints& stored, const corev1::Endpoints& wanted) { stored.subsets = wanted.subsets; }));
  TRY(ensure(kubernetes_slice(options_),
             [](discoveryv1::EndpointSlice& stored, const discoveryv1::EndpointSlice& wanted) {
               stored.endpoints = wanted.endpoints;
               stored.ports = wanted.ports;
             }));
  // What the last run of the server left unfinished, or an older one did not know.
  TRY_ASSIGN(const auto definitions, options_.caches->list<api::apiextensionsv1::CustomResourceDefinition>());
  for (const auto& definition : definitions) {
    if (definition->metadata.deletion_timestamp) clean_up_definition(definition->metadata.name);
  }
  lifecycle_->settle_others(*writer_);
  return {};
}

}  // namespace trireme::apiserver
