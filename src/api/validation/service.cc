#include "api/validation/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/codec.h"
#include "api/names.h"
#include "api/validation/meta.h"
#include "base/text.h"

namespace trireme::api::validation {
namespace {

constexpr int32_t kMaxAffinitySeconds = 86400;
constexpr std::string_view kLoadBalancerOnly = "may only be used when `type` is 'LoadBalancer'";
constexpr std::string_view kSourceRanges = "service.beta.kubernetes.io/load-balancer-source-ranges";
constexpr std::string_view kTopologyHints = "service.kubernetes.io/topology-aware-hints";
constexpr std::string_view kTopologyMode = "service.kubernetes.io/topology-mode";
constexpr std::string_view kUnchangeable = "may not change once set";

bool is_headless(const corev1::ServiceSpec& spec) {
  return spec.cluster_ips.size() == 1 && spec.cluster_ips[0] == "None";
}

void check_ports(const corev1::ServiceSpec& spec, const Path& at, ErrorList& errors) {
  std::set<std::string_view> names;
  std::set<std::pair<std::string_view, int32_t>> node_ports;
  std::set<std::pair<std::string_view, int32_t>> ports;
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const auto& port = spec.ports[i];
    const Path path = at.index(i);
    if (spec.ports.size() > 1 && port.name.empty()) {
      errors.required(path.child("name"));
    } else if (!port.name.empty()) {
      check_dns_label(port.name, path.child("name"), errors);
      if (!names.insert(port.name).second) errors.duplicate(path.child("name"), port.name);
    }
    check_port_number(port.port, path.child("port"), errors);
    errors.check_enum(path.child("protocol"), port.protocol, {"SCTP", "TCP", "UDP"});
    check_port(port.target_port, path.child("targetPort"), errors);
    if (port.app_protocol) check_qualified_name(*port.app_protocol, path.child("appProtocol"), errors);
    if (spec.type == "ClusterIP" && port.node_port != 0) {
      errors.forbidden(path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
    }
    if (port.node_port != 0 && !node_ports.emplace(port.protocol, port.node_port).second) {
      errors.duplicate(path.child("nodePort"), port.node_port);
    }
    if (!ports.emplace(port.protocol, port.port).second) {
      corev1::ServicePort key;
      key.protocol = port.protocol;
      key.port = port.port;
      errors.duplicate(path, BadValue::raw(encode_json(key)));
    }
  }
}

void check_affinity_config(const corev1::ServiceSpec& spec, const Path& at, ErrorList& errors) {
  const Path path = at.child("sessionAffinityConfig");
  if (spec.session_affinity == "None") {
    if (spec.session_affinity_config) errors.forbidden(path, "must not be set when session affinity is None");
    return;
  }
  if (spec.session_affinity != "ClientIP") return;
  constexpr std::string_view kWhen = "when session affinity type is ClientIP";
  if (!spec.session_affinity_config) return errors.required(path, kWhen);
  if (!spec.session_affinity_config->client_ip) return errors.required(path.child("clientIP"), kWhen);
  const Path timeout_path = path.child("clientIP", "timeoutSeconds");
  const auto& timeout = spec.session_affinity_config->client_ip->timeout_seconds;
  if (!timeout) return errors.required(timeout_path, kWhen);
  if (*timeout <= 0 || *timeout > kMaxAffinitySeconds) {
    errors.invalid(timeout_path, *timeout, fmt::format("must be greater than 0 and less than {}", kMaxAffinitySeconds));
  }
}

void check_cluster_ips(const corev1::ServiceSpec& spec, const Path& at, ErrorList& errors) {
  if (spec.type == "ExternalName") return;
  const Path ips = at.child("clusterIPs");
  const Path families = at.child("ipFamilies");
  if (!spec.cluster_ip.empty()) {
    if (spec.cluster_ips.empty()) {
      errors.required(ips);
    } else if (spec.cluster_ips[0] != spec.cluster_ip) {
      errors.invalid(ips, spec.cluster_ips, "first value must match `clusterIP`");
    }
  } else if (!spec.cluster_ips.empty()) {
    errors.invalid(ips, spec.cluster_ips, "must be empty when `clusterIP` is not specified");
  }
  std::set<std::string_view> seen;
  for (size_t i = 0; i < spec.ip_families.size(); ++i) {
    const std::string& family = spec.ip_families[i];
    if (family != "IPv4" && family != "IPv6") errors.not_supported(families.index(i), family, {"IPv4", "IPv6"});
    if (!seen.insert(family).second) errors.duplicate(families.index(i), family);
  }
  if (const auto& policy = spec.ip_family_policy;
      policy && *policy != "SingleStack" && *policy != "PreferDualStack" && *policy != "RequireDualStack") {
    errors.not_supported(at.child("ipFamilyPolicy"), *policy, {"PreferDualStack", "RequireDualStack", "SingleStack"});
  }
  bool invalid = false;
  for (size_t i = 0; i < spec.cluster_ips.size(); ++i) {
    if (i == 0 && spec.cluster_ips[i] == "None") {
      if (spec.cluster_ips.size() > 1) {
        invalid = true;
        errors.invalid(ips, spec.cluster_ips, "'None' must be the first and only value");
      }
      continue;
    }
    invalid |= !check_ip(spec.cluster_ips[i], ips.index(i), errors);
  }
  if (spec.cluster_ips.size() > 2) errors.invalid(ips, spec.cluster_ips, "may only hold up to 2 values");
  if (invalid) return;
  if (spec.cluster_ips.size() > 1) {
    const auto v6 = std::count_if(spec.cluster_ips.begin(), spec.cluster_ips.end(),
                                  [](const std::string& ip) { return is_ipv6(ip); });
    if (v6 == 0 || v6 == static_cast<ptrdiff_t>(spec.cluster_ips.size())) {
      errors.invalid(ips, spec.cluster_ips, "may specify no more than one IP for each IP family");
    }
  }
  if (is_headless(spec)) return;
  for (size_t i = 0; i < std::min(spec.cluster_ips.size(), spec.ip_families.size()); ++i) {
    const std::string& family = spec.ip_families[i];
    const bool v6 = is_ipv6(spec.cluster_ips[i]);
    if ((family == "IPv4" && v6) || (family == "IPv6" && !v6)) {
      errors.invalid(ips.index(i), spec.cluster_ips[i],
                     fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", family, i));
    }
  }
}

void check_traffic_policies(const corev1::Service& service, const Path& at, ErrorList& errors) {
  const auto& spec = service.spec;
  const Path external = at.child("externalTrafficPolicy");
  if (!externally_accessible(service)) {
    if (!spec.external_traffic_policy.empty()) {
      errors.invalid(external, spec.external_traffic_policy, "may only be set for externally-accessible services");
    }
  } else {
    errors.check_enum(external, spec.external_traffic_policy, {"Cluster", "Local"});
  }
  const Path health = at.child("healthCheckNodePort");
  if (!needs_health_check_port(service)) {
    if (spec.health_check_node_port != 0) {
      errors.invalid(health, spec.health_check_node_port,
                     "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
    }
  } else if (spec.health_check_node_port == 0) {
    errors.required(health);
  } else {
    check_port_number(spec.health_check_node_port, health, errors);
  }
  const Path internal = at.child("internalTrafficPolicy");
  if (!spec.internal_traffic_policy) {
    if (spec.type == "NodePort" || spec.type == "LoadBalancer" || spec.type == "ClusterIP") errors.required(internal);
  } else if (*spec.internal_traffic_policy != "Cluster" && *spec.internal_traffic_policy != "Local") {
    errors.not_supported(internal, *spec.internal_traffic_policy, {"Cluster", "Local"});
  }
  if (spec.traffic_distribution && *spec.traffic_distribution != "PreferClose") {
    errors.not_supported(at.child("trafficDistribution"), *spec.traffic_distribution, {"PreferClose"});
  }
}

void check_source_ranges(const corev1::Service& service, const Path& at, ErrorList& errors) {
  const auto& spec = service.spec;
  const auto annotation = service.metadata.annotations.find(kSourceRanges);
  if (!spec.load_balancer_source_ranges.empty()) {
    const Path path = at.child("LoadBalancerSourceRanges");
    if (spec.type != "LoadBalancer") errors.forbidden(path, kLoadBalancerOnly);
    for (size_t i = 0; i < spec.load_balancer_source_ranges.size(); ++i) {
      check_cidr(trimmed(spec.load_balancer_source_ranges[i]), path.index(i), errors);
    }
  } else if (annotation != service.metadata.annotations.end()) {
    const Path path = Path("metadata.annotations").key(kSourceRanges);
    if (spec.type != "LoadBalancer") errors.forbidden(path, kLoadBalancerOnly);
    const std::string_view ranges = trimmed(annotation->second);
    if (ranges.empty()) return;
    for (const std::string_view range : split(ranges, ',')) check_cidr(trimmed(range), path, errors);
  }
}

void check_load_balancer_class(const corev1::Service* old, const corev1::Service& service, const Path& at,
                               ErrorList& errors) {
  const Path path = at.child("loadBalancerClass");
  const auto& wanted = service.spec.load_balancer_class;
  if (old != nullptr && old->spec.type == "LoadBalancer" && service.spec.type == "LoadBalancer") {
    if (old->spec.load_balancer_class != wanted) {
      errors.invalid(path, wanted ? BadValue(*wanted) : BadValue::raw("null"), kUnchangeable);
    }
  }
  if (service.spec.type == "LoadBalancer") {
    if (wanted) check_qualified_name(*wanted, path, errors);
  } else if (wanted) {
    errors.forbidden(path, "may only be used when `type` is 'LoadBalancer'");
  }
}

void check_service(const corev1::Service& service, const corev1::Service* old, ErrorList& errors) {
  const Path meta("metadata");
  const Path at("spec");
  const auto& spec = service.spec;
  check_object_meta(service.metadata, true, NameRule::kLabel1035, meta, errors);
  const auto hints = service.metadata.annotations.find(kTopologyHints);
  const auto mode = service.metadata.annotations.find(kTopologyMode);
  const auto none = service.metadata.annotations.end();
  if (hints != none && mode != none && hints->second != mode->second) {
    errors.invalid(meta.child("annotations").key(kTopologyMode), mode->second,
                   fmt::format("must match annotations[{}] when both are specified", kTopologyHints));
  }
  const bool headless = is_headless(spec);
  if (spec.ports.empty() && !headless && spec.type != "ExternalName") errors.required(at.child("ports"));
  if ((spec.type == "LoadBalancer" || spec.type == "NodePort") && headless) {
    errors.invalid(at.child("clusterIPs").index(0), spec.cluster_ips[0],
                   fmt::format("may not be set to 'None' for {} services", spec.type));
  }
  if (spec.type == "ExternalName") {
    constexpr std::string_view kNotExternalName = "may not be set for ExternalName services";
    if (!spec.cluster_ips.empty()) errors.forbidden(at.child("clusterIPs"), kNotExternalName);
    if (!spec.ip_families.empty()) errors.forbidden(at.child("ipFamilies"), kNotExternalName);
    if (spec.ip_family_policy) errors.forbidden(at.child("ipFamilyPolicy"), kNotExternalName);
    std::string_view name = spec.external_name;
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty()) {
      errors.required(at.child("externalName"));
    } else {
      check_dns_subdomain(name, at.child("externalName"), errors);
    }
  }
  check_ports(spec, at.child("ports"), errors);
  check_labels(spec.selector, at.child("selector"), errors);
  errors.check_enum(at.child("sessionAffinity"), spec.session_affinity, {"ClientIP", "None"});
  check_affinity_config(spec, at, errors);
  check_cluster_ips(spec, at, errors);
  for (size_t i = 0; i < spec.external_ips.size(); ++i) {
    const Path path = at.child("externalIPs").index(i);
    if (check_ip(spec.external_ips[i], path, errors)) check_non_special_ip(spec.external_ips[i], path, errors);
  }
  errors.check_enum(at.child("type"), spec.type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  check_source_ranges(service, at, errors);
  if (spec.allocate_load_balancer_node_ports && spec.type != "LoadBalancer") {
    errors.forbidden(at.child("allocateLoadBalancerNodePorts"), kLoadBalancerOnly);
  }
  if (spec.type == "LoadBalancer" && !spec.allocate_load_balancer_node_ports) {
    errors.required(Path("allocateLoadBalancerNodePorts"));
  }
  check_load_balancer_class(old, service, at, errors);
  check_traffic_policies(service, at, errors);
}

/// Only the secondary address or family may come and go, the primary stays.
void check_stack_change(const std::vector<std::string>& updated, const std::vector<std::string>& old,
                        const corev1::ServiceSpec& spec, std::string_view field, std::string_view what,
                        ErrorList& errors) {
  const Path path = Path("spec").child(field);
  if (updated.size() == old.size()) {
    for (size_t i = 0; i < old.size(); ++i) {
      if (updated[i] != old[i]) errors.invalid(path.index(field == "clusterIPs" ? i : 0), updated, kUnchangeable);
    }
    return;
  }
  if (!old.empty() && updated.empty()) {
    errors.invalid(path.index(0), updated, fmt::format("primary {} can not be unset", what));
  }
  if (!old.empty() && !updated.empty() && old[0] != updated[0]) errors.invalid(path.index(0), updated, kUnchangeable);
  if (old.size() > updated.size() && updated.size() == 1 && spec.ip_family_policy.value_or("") != "SingleStack") {
    errors.invalid(Path("spec.ipFamilyPolicy"),
                   spec.ip_family_policy ? BadValue(*spec.ip_family_policy) : BadValue::raw("null"),
                   fmt::format("must be set to 'SingleStack' when releasing the secondary {}", what));
  }
}

void check_endpoint_address(const corev1::EndpointAddress& address, const Path& at, ErrorList& errors) {
  check_ip(address.ip, at.child("ip"), errors);
  if (!address.hostname.empty()) check_dns_label(address.hostname, at.child("hostname"), errors);
  if (address.node_name) check_name(NameRule::kSubdomain, *address.node_name, at.child("nodeName"), errors);
  check_non_special_ip(address.ip, at.child("ip"), errors);
}

}  // namespace

bool externally_accessible(const corev1::Service& service) {
  const auto& spec = service.spec;
  return spec.type == "LoadBalancer" || spec.type == "NodePort" ||
         (spec.type == "ClusterIP" && !spec.external_ips.empty());
}

bool needs_health_check_port(const corev1::Service& service) {
  return service.spec.type == "LoadBalancer" && service.spec.external_traffic_policy == "Local";
}

void check_service_addresses(const corev1::Service& service, ErrorList& errors) {
  check_cluster_ips(service.spec, Path("spec"), errors);
}

void check_service_create(const corev1::Service& service, ErrorList& errors) {
  check_service(service, nullptr, errors);
}

void check_service_update(const corev1::Service& updated, const corev1::Service& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const auto& spec = updated.spec;
  if (spec.type != "ExternalName" && old.spec.type != "ExternalName") {
    const bool headless = is_headless(spec);
    const bool was_headless = is_headless(old.spec);
    if (!(headless && was_headless)) {
      check_stack_change(spec.cluster_ips, old.spec.cluster_ips, spec, "clusterIPs", "clusterIP", errors);
    }
    if (!headless && !was_headless) {
      check_stack_change(spec.ip_families, old.spec.ip_families, spec, "ipFamilies", "ipFamily", errors);
    }
  }
  if (needs_health_check_port(updated) && needs_health_check_port(old) &&
      spec.health_check_node_port != old.spec.health_check_node_port) {
    errors.forbidden(Path("spec.healthCheckNodePort"), kImmutable);
  }
  check_service(updated, &old, errors);
}

void check_load_balancer(const corev1::LoadBalancerStatus& status, const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < status.ingress.size(); ++i) {
    const auto& ingress = status.ingress[i];
    const Path path = at.child("ingress").index(i);
    if (!ingress.ip.empty()) check_ip(ingress.ip, path.child("ip"), errors);
    const Path mode = path.child("ipMode");
    if (!ingress.ip_mode) {
      if (!ingress.ip.empty()) errors.required(mode, "must be specified when `ip` is set");
    } else if (ingress.ip.empty()) {
      errors.forbidden(mode, "may not be specified when `ip` is not set");
    } else if (*ingress.ip_mode != "VIP" && *ingress.ip_mode != "Proxy") {
      errors.not_supported(mode, *ingress.ip_mode, {"Proxy", "VIP"});
    }
    if (ingress.hostname.empty()) continue;
    check_dns_subdomain(ingress.hostname, path.child("hostname"), errors);
    if (is_ip(ingress.hostname)) {
      errors.invalid(path.child("hostname"), ingress.hostname, "must be a DNS name, not an IP address");
    }
  }
}

void check_service_status_update(const corev1::Service& updated, const corev1::Service& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const Path path("status.loadBalancer");
  if (updated.spec.type != "LoadBalancer" && !updated.status.load_balancer.ingress.empty()) {
    errors.forbidden(path.child("ingress"), "may only be used when `spec.type` is 'LoadBalancer'");
  } else {
    check_load_balancer(updated.status.load_balancer, path, errors);
  }
}

void check_endpoints_create(const corev1::Endpoints& endpoints, ErrorList& errors) {
  check_object_meta(endpoints.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  const Path at("subsets");
  for (size_t s = 0; s < endpoints.subsets.size(); ++s) {
    const auto& subset = endpoints.subsets[s];
    const Path path = at.index(s);
    if (subset.addresses.empty() && subset.not_ready_addresses.empty()) {
      errors.required(path, "must specify `addresses` or `notReadyAddresses`");
    }
    for (size_t i = 0; i < subset.addresses.size(); ++i) {
      check_endpoint_address(subset.addresses[i], path.child("addresses").index(i), errors);
    }
    for (size_t i = 0; i < subset.not_ready_addresses.size(); ++i) {
      check_endpoint_address(subset.not_ready_addresses[i], path.child("notReadyAddresses").index(i), errors);
    }
    for (size_t i = 0; i < subset.ports.size(); ++i) {
      const auto& port = subset.ports[i];
      const Path port_path = path.child("ports").index(i);
      if (subset.ports.size() > 1 && port.name.empty()) {
        errors.required(port_path.child("name"));
      } else if (!port.name.empty()) {
        check_dns_label(port.name, port_path.child("name"), errors);
      }
      check_port_number(port.port, port_path.child("port"), errors);
      errors.check_enum(port_path.child("protocol"), port.protocol, {"SCTP", "TCP", "UDP"});
      if (port.app_protocol) check_qualified_name(*port.app_protocol, port_path.child("appProtocol"), errors);
    }
  }
}

void check_endpoints_update(const corev1::Endpoints& updated, const corev1::Endpoints& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_endpoints_create(updated, errors);
}

}  // namespace trireme::api::validation
