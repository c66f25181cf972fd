#include "controllers/endpoints/service_pods.h"

#include <algorithm>
#include <set>

#include "api/selectors.h"

namespace trireme::controllers {

using api::corev1::Pod;
using api::corev1::Service;

namespace {

using ServicePointer = std::shared_ptr<const Service>;

/// Whether any endpoint would look different, the labels aside.
bool endpoint_changed(const Pod& a, const Pod& b) {
  if (a.status.pod_ip != b.status.pod_ip ||
      !std::ranges::equal(a.status.pod_ips, b.status.pod_ips, {}, &api::corev1::PodIP::ip, &api::corev1::PodIP::ip)) {
    return true;
  }
  if (a.spec.node_name != b.spec.node_name || is_ready(a) != is_ready(b) || is_finished(a) != is_finished(b))
    return true;
  if (a.metadata.deletion_timestamp.has_value() != b.metadata.deletion_timestamp.has_value()) return true;
  return a.spec.hostname != b.spec.hostname || a.spec.subdomain != b.spec.subdomain || a.metadata.uid != b.metadata.uid;
}

}  // namespace

bool has_endpoint(const Pod& pod, bool with_terminating) {
  if (is_finished(pod) || pod.status.pod_ip.empty()) return false;
  return with_terminating || !pod.metadata.deletion_timestamp;
}

std::optional<int32_t> target_port(const Pod& pod, const api::corev1::ServicePort& port) {
  if (port.target_port.is_int()) {
    return port.target_port.int_value() != 0 ? port.target_port.int_value() : port.port;
  }
  const auto find_in = [&](const auto& containers) -> std::optional<int32_t> {
    for (const auto& container : containers) {
      for (const auto& each : container.ports) {
        if (each.name == port.target_port.string_value() && each.protocol == port.protocol) return each.container_port;
      }
    }
    return std::nullopt;
  };
  if (auto found = find_in(pod.spec.containers)) return found;
  // Init containers that go on running (sidecars) serve, too.
  std::vector<api::corev1::Container> sidecars;
  for (const auto& container : pod.spec.init_containers) {
    if (container.restart_policy == "Always") sidecars.push_back(container);
  }
  return find_in(sidecars);
}

std::string endpoint_hostname(const Pod& pod, const Service& service) {
  const bool named = !pod.spec.hostname.empty() && pod.spec.subdomain == service.metadata.name &&
                     pod.metadata.namespace_ == service.metadata.namespace_;
  return named ? pod.spec.hostname : std::string();
}

std::string_view family_of(std::string_view address) {
  return address.find(':') != std::string_view::npos ? api::corev1::kIPv6Protocol : api::corev1::kIPv4Protocol;
}

std::string pod_address(const Pod& pod, std::string_view family) {
  for (const auto& address : pod.status.pod_ips) {
    if (family_of(address.ip) == family) return address.ip;
  }
  return family_of(pod.status.pod_ip) == family ? pod.status.pod_ip : std::string();
}

std::vector<std::string> families_of(const Service& service) {
  if (!service.spec.ip_families.empty()) return service.spec.ip_families;
  const std::string& ip = service.spec.cluster_ip;
  if (!ip.empty() && ip != api::corev1::kClusterIPNone) return {std::string(family_of(ip))};
  return {std::string(api::corev1::kIPv4Protocol)};
}

api::corev1::ObjectReference pod_reference(const Pod& pod) {
  api::corev1::ObjectReference reference;
  reference.kind = "Pod";
  reference.namespace_ = pod.metadata.namespace_;
  reference.name = pod.metadata.name;
  reference.uid = pod.metadata.uid;
  return reference;
}

bool is_headless(const Service& service) { return service.spec.cluster_ip == api::corev1::kClusterIPNone; }

bool selects_pods(const Service& service) {
  return !service.spec.selector.empty() && service.spec.type != api::corev1::kServiceTypeExternalName;
}

std::vector<PodPointer> pods_of(const Service& service, const client::Informer<Pod>& pods) {
  const auto selector = api::LabelSelector::from_map(service.spec.selector);
  std::vector<PodPointer> out;
  for (PodPointer& pod : pods.list(service.metadata.namespace_)) {
    if (selector.matches(pod->metadata.labels)) out.push_back(std::move(pod));
  }
  return out;
}

void follow_pods(client::Informer<Pod>& pods, client::Informer<Service>& services,
                 std::function<void(std::string)> enqueue) {
  pods.add_handler([&services, enqueue = std::move(enqueue)](const PodPointer& before, const PodPointer& after) {
    const bool relabelled = before && after && before->metadata.labels != after->metadata.labels;
    if (before && after && !relabelled && !endpoint_changed(*before, *after)) return;
    const Pod& any = after ? *after : *before;
    for (const ServicePointer& service : services.list(any.metadata.namespace_)) {
      if (!selects_pods(*service)) continue;
      const auto selector = api::LabelSelector::from_map(service->spec.selector);
      if (selector.matches(any.metadata.labels) || (relabelled && selector.matches(before->metadata.labels))) {
        enqueue(client::key_of(service->metadata));
      }
    }
  });
}

}  // namespace trireme::controllers
