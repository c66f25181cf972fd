// Network policies, ingresses and their classes, endpoint slices.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/codec.h"
#include "api/names.h"
#include "api/types/discoveryv1.h"
#include "api/types/networkingv1.h"
#include "api/validation/meta.h"
#include "api/validation/rules.h"
#include "api/validation/service.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kProtocols[] = {"SCTP", "TCP", "UDP"};
constexpr std::string_view kIngressClassAnnotation = "kubernetes.io/ingress.class";
constexpr size_t kMaxEndpoints = 1000;
constexpr size_t kMaxAddresses = 100;
constexpr size_t kMaxSlicePorts = 20000;

// Network policies

void check_policy_port(const networkingv1::NetworkPolicyPort& port, const Path& at, ErrorList& errors) {
  if (port.protocol && !Supported(kProtocols).contains(*port.protocol)) {
    errors.not_supported(at.child("protocol"), *port.protocol, kProtocols);
  }
  if (port.port) {
    check_port(*port.port, at.child("port"), errors);
    if (port.end_port) {
      const Path end = at.child("endPort");
      if (port.port->is_string()) {
        errors.forbidden(end, "may not be specified when `port` is non-numeric");
      } else {
        if (*port.end_port < port.port->int_value()) {
          errors.invalid(end, *port.end_port, "must be greater than or equal to `port`");
        }
        check_port_number(*port.end_port, end, errors);
      }
    }
  } else if (port.end_port) {
    errors.forbidden(at.child("endPort"), "may not be specified when `port` is not specified");
  }
}

void check_peer(const networkingv1::NetworkPolicyPeer& peer, const Path& at, ErrorList& errors) {
  int count = 0;
  if (peer.pod_selector) {
    ++count;
    check_selector(*peer.pod_selector, at.child("podSelector"), errors);
  }
  if (peer.namespace_selector) {
    ++count;
    check_selector(*peer.namespace_selector, at.child("namespaceSelector"), errors);
  }
  if (peer.ip_block) {
    ++count;
    const Path block = at.child("ipBlock");
    if (peer.ip_block->cidr.empty()) {
      errors.required(block.child("cidr"));
    } else {
      check_cidr(peer.ip_block->cidr, block.child("cidr"), errors);
    }
    for (size_t i = 0; i < peer.ip_block->except.size(); ++i) {
      check_cidr(peer.ip_block->except[i], block.child("except").index(i), errors);
    }
    if (count > 1) errors.forbidden(at, "may not specify both ipBlock and another peer");
  }
  if (count == 0) errors.required(at, "must specify a peer");
}

void policy_create(const networkingv1::NetworkPolicy& object, ErrorList& errors) {
  const Path at("spec");
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_selector(object.spec.pod_selector, at.child("podSelector"), errors);
  for (size_t i = 0; i < object.spec.ingress.size(); ++i) {
    const Path rule = at.child("ingress").index(i);
    const auto& ingress = object.spec.ingress[i];
    for (size_t p = 0; p < ingress.ports.size(); ++p)
      check_policy_port(ingress.ports[p], rule.child("ports").index(p), errors);
    for (size_t p = 0; p < ingress.from.size(); ++p) check_peer(ingress.from[p], rule.child("from").index(p), errors);
  }
  for (size_t i = 0; i < object.spec.egress.size(); ++i) {
    const Path rule = at.child("egress").index(i);
    const auto& egress = object.spec.egress[i];
    for (size_t p = 0; p < egress.ports.size(); ++p)
      check_policy_port(egress.ports[p], rule.child("ports").index(p), errors);
    for (size_t p = 0; p < egress.to.size(); ++p) check_peer(egress.to[p], rule.child("to").index(p), errors);
  }
  const Path types = at.child("policyTypes");
  if (object.spec.policy_types.size() > 2) {
    errors.invalid(types, object.spec.policy_types, "may not specify more than two policyTypes");
    return;
  }
  for (size_t i = 0; i < object.spec.policy_types.size(); ++i) {
    const std::string& type = object.spec.policy_types[i];
    if (type != "Ingress" && type != "Egress") errors.not_supported(types.index(i), type, {"Egress", "Ingress"});
  }
}

void policy_update(const networkingv1::NetworkPolicy& updated, const networkingv1::NetworkPolicy& old,
                   ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  policy_create(updated, errors);
}

// Ingresses

void check_host(const std::string& host, const Path& at, ErrorList& errors) {
  if (host.find('*') != std::string::npos) {
    errors.invalid_each(at, host, check_wildcard_dns1123_subdomain(host));
  } else {
    check_dns_subdomain(host, at, errors);
  }
}

void check_backend(const networkingv1::IngressBackend& backend, const Path& at, ErrorList& errors) {
  if (backend.resource) {
    if (backend.service) {
      errors.invalid(at, "", "cannot set both resource and service backends");
      return;
    }
    const Path resource = at.child("resource");
    if (backend.resource->kind.empty()) errors.required(resource.child("kind"));
    if (backend.resource->name.empty()) errors.required(resource.child("name"));
    return;
  }
  if (!backend.service) return errors.required(at, "must specify a backend");
  const Path service = at.child("service");
  if (backend.service->name.empty()) {
    errors.required(service.child("name"));
  } else {
    check_name(NameRule::kLabel1035, backend.service->name, service.child("name"), errors);
  }
  const auto& port = backend.service->port;
  if (!port.name.empty() && port.number != 0) {
    errors.invalid(at, "", "cannot set both port name & port number");
  } else if (!port.name.empty()) {
    check_port_name(port.name, service.child("port", "name"), errors);
  } else if (port.number != 0) {
    check_port_number(port.number, service.child("port", "number"), errors);
  } else {
    errors.required(at, "port name or number is required");
  }
}

void check_http_path(const networkingv1::HTTPIngressPath& path, const Path& at, ErrorList& errors) {
  const Path where = at.child("path");
  if (!path.path_type) {
    errors.required(at.child("pathType"), "pathType must be specified");
  } else if (*path.path_type == "Exact" || *path.path_type == "Prefix") {
    if (!path.path.starts_with('/')) errors.invalid(where, path.path, "must be an absolute path");
    if (!path.path.empty()) {
      for (std::string_view sequence : {"//", "/./", "/../", "%2f", "%2F"}) {
        if (path.path.find(sequence) != std::string::npos) {
          errors.invalid(where, path.path, fmt::format("must not contain '{}'", sequence));
        }
      }
      for (std::string_view suffix : {"/..", "/."}) {
        if (path.path.ends_with(suffix)) errors.invalid(where, path.path, fmt::format("cannot end with '{}'", suffix));
      }
    }
  } else if (*path.path_type == "ImplementationSpecific") {
    if (!path.path.empty() && !path.path.starts_with('/')) {
      errors.invalid(where, path.path, "must be an absolute path");
    }
  } else {
    errors.not_supported(at.child("pathType"), *path.path_type, {"Exact", "ImplementationSpecific", "Prefix"});
  }
  check_backend(path.backend, at.child("backend"), errors);
}

void ingress_spec(const networkingv1::IngressSpec& spec, const Path& at, ErrorList& errors) {
  if (spec.rules.empty() && !spec.default_backend) {
    errors.invalid(at, BadValue::raw("[]"), "either `defaultBackend` or `rules` must be specified");
  }
  if (spec.default_backend) check_backend(*spec.default_backend, at.child("defaultBackend"), errors);
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const auto& rule = spec.rules[i];
    const Path path = at.child("rules").index(i);
    if (!rule.host.empty()) {
      if (is_ip(rule.host)) errors.invalid(path.child("host"), rule.host, "must be a DNS name, not an IP address");
      check_host(rule.host, path.child("host"), errors);
    }
    if (!rule.ingress_rule_value.http) continue;
    const Path paths = path.child("http", "paths");
    const auto& list = rule.ingress_rule_value.http->paths;
    if (list.empty()) errors.required(paths);
    for (size_t p = 0; p < list.size(); ++p) check_http_path(list[p], paths.index(p), errors);
  }
  for (size_t i = 0; i < spec.tls.size(); ++i) {
    const Path path = at.child("tls").index(i);
    for (size_t h = 0; h < spec.tls[i].hosts.size(); ++h) {
      check_host(spec.tls[i].hosts[h], path.child("hosts").index(h), errors);
    }
    if (!spec.tls[i].secret_name.empty()) {
      check_name(NameRule::kSubdomain, spec.tls[i].secret_name, path.child("secretName"), errors);
    }
  }
  if (spec.ingress_class_name) {
    check_name(NameRule::kSubdomain, *spec.ingress_class_name, at.child("ingressClassName"), errors);
  }
}

void ingress_create(const networkingv1::Ingress& object, ErrorList& errors) {
  const Path meta("metadata");
  check_object_meta(object.metadata, true, NameRule::kSubdomain, meta, errors);
  ingress_spec(object.spec, Path("spec"), errors);
  const auto annotation = object.metadata.annotations.find(kIngressClassAnnotation);
  if (annotation != object.metadata.annotations.end() && object.spec.ingress_class_name) {
    errors.invalid(meta.child("annotations").child(kIngressClassAnnotation), annotation->second,
                   "can not be set when the class field is also set");
  }
}

void ingress_update(const networkingv1::Ingress& updated, const networkingv1::Ingress& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  ingress_spec(updated.spec, Path("spec"), errors);
}

void ingress_status(const networkingv1::Ingress& updated, const networkingv1::Ingress& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const Path at("status.loadBalancer.ingress");
  for (size_t i = 0; i < updated.status.load_balancer.ingress.size(); ++i) {
    const auto& ingress = updated.status.load_balancer.ingress[i];
    if (!ingress.ip.empty()) check_ip(ingress.ip, at.index(i).child("ip"), errors);
    if (ingress.hostname.empty()) continue;
    check_dns_subdomain(ingress.hostname, at.index(i).child("hostname"), errors);
    if (is_ip(ingress.hostname)) {
      errors.invalid(at.index(i).child("hostname"), ingress.hostname, "must be a DNS name, not an IP address");
    }
  }
}

void ingress_class_create(const networkingv1::IngressClass& object, ErrorList& errors) {
  const Path at("spec");
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  const std::string& controller = object.spec.controller;
  const Path where = at.child("controller");
  if (controller.size() > 250) errors.too_long(where, 250);
  const size_t slash = controller.find('/');
  if (controller.empty()) {
    errors.required(where);
  } else if (slash == std::string::npos || slash == 0 || slash + 1 == controller.size()) {
    errors.invalid(where, controller, "must be a domain-prefixed path (such as \"acme.io/foo\")");
  } else {
    check_dns_subdomain(controller.substr(0, slash), where, errors);
  }
  const auto& parameters = object.spec.parameters;
  if (!parameters) return;
  const Path path = at.child("parameters");
  if (parameters->kind.empty()) errors.required(path.child("kind"), "kind is required");
  if (parameters->name.empty()) errors.required(path.child("name"), "name is required");
  if (!parameters->scope) {
    errors.required(path.child("scope"));
    return;
  }
  if (*parameters->scope == "Namespace") {
    if (!parameters->namespace_ || parameters->namespace_->empty()) {
      errors.required(path.child("namespace"), "`parameters.scope` is set to 'Namespace'");
    } else {
      check_name(NameRule::kLabel, *parameters->namespace_, path.child("namespace"), errors);
    }
  } else if (*parameters->scope == "Cluster") {
    if (parameters->namespace_) {
      errors.forbidden(path.child("namespace"), "`parameters.scope` is set to 'Cluster'");
    }
  } else {
    errors.not_supported(path.child("scope"), *parameters->scope, {"Cluster", "Namespace"});
  }
}

void ingress_class_update(const networkingv1::IngressClass& updated, const networkingv1::IngressClass& old,
                          ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  ingress_class_create(updated, errors);
  check_immutable(updated.spec.controller, old.spec.controller, Path("spec.controller"), errors);
}

// Endpoint slices

void check_endpoint(const discoveryv1::Endpoint& endpoint, std::string_view type, const Path& at, ErrorList& errors) {
  const Path addresses = at.child("addresses");
  if (endpoint.addresses.empty()) {
    errors.required(addresses, "must contain at least 1 address");
  } else if (endpoint.addresses.size() > kMaxAddresses) {
    errors.too_many(addresses, endpoint.addresses.size(), kMaxAddresses);
  }
  for (size_t i = 0; i < endpoint.addresses.size(); ++i) {
    const std::string& address = endpoint.addresses[i];
    const Path path = addresses.index(i);
    if (type == "IPv4") {
      errors.invalid_each(path, address, check_ipv4(address));
      check_non_special_ip(address, path, errors);
    } else if (type == "IPv6") {
      errors.invalid_each(path, address, check_ipv6(address));
      check_non_special_ip(address, path, errors);
    } else if (type == "FQDN") {
      check_dns_subdomain(address, path, errors);
    }
  }
  if (endpoint.node_name) check_name(NameRule::kSubdomain, *endpoint.node_name, at.child("nodeName"), errors);
  for (const auto& [key, value] : endpoint.deprecated_topology) {
    check_qualified_name(key, at.child("deprecatedTopology"), errors);
    errors.invalid_each(at.child("deprecatedTopology"), value, label_value_problems(value));
  }
  if (endpoint.hostname) check_dns_label(*endpoint.hostname, at.child("hostname"), errors);
  if (endpoint.hints) {
    const Path zones = at.child("hints", "forZones");
    if (endpoint.hints->for_zones.size() > 8) errors.too_many(zones, endpoint.hints->for_zones.size(), 8);
    std::set<std::string_view> seen;
    for (size_t i = 0; i < endpoint.hints->for_zones.size(); ++i) {
      const std::string& zone = endpoint.hints->for_zones[i].name;
      if (!seen.insert(zone).second) errors.duplicate(zones.index(i).child("name"), zone);
      errors.invalid_each(zones.index(i).child("name"), zone, label_value_problems(zone));
    }
  }
}

void slice_create(const discoveryv1::EndpointSlice& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  errors.check_enum(Path("addressType"), object.address_type, {"FQDN", "IPv4", "IPv6"});
  const Path endpoints("endpoints");
  if (object.endpoints.size() > kMaxEndpoints) {
    errors.too_many(endpoints, object.endpoints.size(), kMaxEndpoints);
    return;
  }
  for (size_t i = 0; i < object.endpoints.size(); ++i) {
    check_endpoint(object.endpoints[i], object.address_type, endpoints.index(i), errors);
  }
  const Path ports("ports");
  if (object.ports.size() > kMaxSlicePorts) {
    errors.too_many(ports, object.ports.size(), kMaxSlicePorts);
    return;
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < object.ports.size(); ++i) {
    const auto& port = object.ports[i];
    const Path path = ports.index(i);
    const std::string_view name = port.name ? std::string_view(*port.name) : std::string_view();
    if (!name.empty()) check_dns_label(name, path.child("name"), errors);
    if (!names.insert(name).second) errors.duplicate(path.child("name"), name);
    if (!port.protocol) {
      errors.required(path.child("protocol"));
    } else if (!Supported(kProtocols).contains(*port.protocol)) {
      errors.not_supported(path.child("protocol"), *port.protocol, kProtocols);
    }
    if (port.app_protocol) check_qualified_name(*port.app_protocol, path.child("appProtocol"), errors);
  }
}

void slice_update(const discoveryv1::EndpointSlice& updated, const discoveryv1::EndpointSlice& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  slice_create(updated, errors);
  check_immutable(updated.address_type, old.address_type, Path("addressType"), errors);
}

}  // namespace

std::span<const KindRules> networking_rules() {
  static const KindRules kRules[] = {
      kind_rules<networkingv1::NetworkPolicy, policy_create, policy_update>(),
      kind_rules<networkingv1::Ingress, ingress_create, ingress_update, ingress_status>(),
      kind_rules<networkingv1::IngressClass, ingress_class_create, ingress_class_update>(),
      kind_rules<discoveryv1::EndpointSlice, slice_create, slice_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
