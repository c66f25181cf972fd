#include "apiserver/strategy/services.h"

#include <algorithm>

namespace trireme::apiserver::strategy {
namespace {

using api::corev1::Service;
using api::corev1::ServicePort;
using api::corev1::ServiceSpec;

bool needs_cluster_ip(const ServiceSpec& spec) { return spec.type != api::corev1::kServiceTypeExternalName; }

bool needs_node_port(const ServiceSpec& spec) {
  if (spec.type == api::corev1::kServiceTypeNodePort) return true;
  return spec.type == api::corev1::kServiceTypeLoadBalancer && spec.allocate_load_balancer_node_ports.value_or(true);
}

bool needs_health_port(const ServiceSpec& spec) {
  return spec.type == api::corev1::kServiceTypeLoadBalancer && spec.external_traffic_policy == "Local";
}

bool externally_accessible(const ServiceSpec& spec) {
  return spec.type == api::corev1::kServiceTypeLoadBalancer || spec.type == api::corev1::kServiceTypeNodePort ||
         (spec.type == api::corev1::kServiceTypeClusterIP && !spec.external_ips.empty());
}

bool same_node_ports(const ServiceSpec& a, const ServiceSpec& b) {
  auto ports = [](const ServiceSpec& spec) {
    std::vector<int32_t> all;
    for (const auto& port : spec.ports) {
      if (port.node_port != 0) all.push_back(port.node_port);
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  return ports(a) == ports(b);
}

/// clusterIP and clusterIPs say the same; clients that know only the first are followed.
void normalize_cluster_ips(ServiceSpec& spec, const ServiceSpec* old) {
  if (old == nullptr) {
    if (!spec.cluster_ip.empty() && spec.cluster_ips.empty()) spec.cluster_ips = {spec.cluster_ip};
    return;
  }
  const bool same_list = spec.cluster_ips == old->cluster_ips;
  if (spec.cluster_ip == old->cluster_ip) return;
  if (spec.cluster_ip.empty()) {
    if (same_list) spec.cluster_ips.clear();  // an old client clears the address
  } else if (same_list) {
    spec.cluster_ips = {spec.cluster_ip};  // an old client sets or changes the address
  }
}

bool same_port(const ServicePort& a, const ServicePort& b) { return a.protocol == b.protocol && a.port == b.port; }

/// Allocated values that a client left out are those of the stored service.
void keep_allocated(ServiceSpec& spec, const ServiceSpec& old) {
  if (needs_cluster_ip(spec) && needs_cluster_ip(old)) {
    if (spec.cluster_ip.empty()) spec.cluster_ip = old.cluster_ip;
    if (spec.cluster_ips.empty() && spec.cluster_ip == old.cluster_ip) spec.cluster_ips = old.cluster_ips;
  }
  if (needs_node_port(spec) && needs_node_port(old)) {
    for (auto& port : spec.ports) {
      if (port.node_port != 0) continue;
      const auto before =
          std::find_if(old.ports.begin(), old.ports.end(), [&](const auto& each) { return same_port(each, port); });
      const bool taken =
          before != old.ports.end() && std::any_of(spec.ports.begin(), spec.ports.end(), [&](const ServicePort& other) {
            return other.node_port == before->node_port && other.protocol == before->protocol;
          });
      if (before != old.ports.end() && !taken) port.node_port = before->node_port;
    }
  }
  if (needs_health_port(spec) && needs_health_port(old) && spec.health_check_node_port == 0) {
    spec.health_check_node_port = old.health_check_node_port;
  }
}

void drop_type_dependent(ServiceSpec& spec, const ServiceSpec& old) {
  if (needs_cluster_ip(old) && !needs_cluster_ip(spec)) {
    if (spec.cluster_ip == old.cluster_ip && spec.cluster_ips == old.cluster_ips) {
      spec.cluster_ip.clear();
      spec.cluster_ips.clear();
    }
    if (spec.ip_families == old.ip_families) spec.ip_families.clear();
    if (spec.ip_family_policy == old.ip_family_policy) spec.ip_family_policy.reset();
  }
  if (needs_node_port(old) && !needs_node_port(spec) && same_node_ports(spec, old)) {
    for (auto& port : spec.ports) port.node_port = 0;
  }
  if (needs_health_port(old) && !needs_health_port(spec) && spec.health_check_node_port == old.health_check_node_port) {
    spec.health_check_node_port = 0;
  }
  if (old.type == api::corev1::kServiceTypeLoadBalancer && spec.type != api::corev1::kServiceTypeLoadBalancer) {
    if (spec.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports) {
      spec.allocate_load_balancer_node_ports.reset();
    }
    if (spec.load_balancer_class == old.load_balancer_class) spec.load_balancer_class.reset();
  }
  if (externally_accessible(old) && !externally_accessible(spec) &&
      spec.external_traffic_policy == old.external_traffic_policy) {
    spec.external_traffic_policy.clear();
  }
}

}  // namespace

void create_service(Service& service, WallTime) { normalize_cluster_ips(service.spec, nullptr); }

void update_service(Service& updated, const Service& old, WallTime) {
  normalize_cluster_ips(updated.spec, &old.spec);
  drop_type_dependent(updated.spec, old.spec);
  keep_allocated(updated.spec, old.spec);
  // Addresses of a load balancer mean nothing once the service is none.
  if (updated.spec.type != api::corev1::kServiceTypeLoadBalancer) updated.status.load_balancer = {};
}

}  // namespace trireme::apiserver::strategy
