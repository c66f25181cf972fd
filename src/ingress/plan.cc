#include "ingress/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>

namespace trireme::ingress {
namespace {

using api::corev1::Service;
using api::discoveryv1::EndpointSlice;
using api::networkingv1::Ingress;
using api::networkingv1::IngressBackend;
using api::networkingv1::IngressClass;
using IngressPointer = std::shared_ptr<const Ingress>;

/// Letters, digits and dashes stay; everything else becomes "_" and its code.
std::string identifier(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("_{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

const IngressClass* class_of(const Ingress& ingress, const std::vector<std::shared_ptr<const IngressClass>>& classes) {
  std::string_view wanted;
  if (ingress.spec.ingress_class_name) {
    wanted = *ingress.spec.ingress_class_name;
  } else if (const auto old = ingress.metadata.annotations.find(std::string(kClassAnnotation));
             old != ingress.metadata.annotations.end()) {
    wanted = old->second;
  }
  for (const auto& each : classes) {
    if (!wanted.empty()) {
      if (each->metadata.name == wanted) return each.get();
      continue;
    }
    const auto is_default = each->metadata.annotations.find(std::string(kDefaultClassAnnotation));
    if (is_default != each->metadata.annotations.end() && is_default->second == "true") return each.get();
  }
  return nullptr;
}

class Planner {
 public:
  explicit Planner(const Inputs& inputs) : inputs_(inputs) {}

  Plan run() {
    for (const auto& ingress : inputs_.ingresses) {
      if (!ingress->metadata.deletion_timestamp && is_ours(*ingress, inputs_.classes)) plan_.claimed.push_back(ingress);
    }
    std::sort(plan_.claimed.begin(), plan_.claimed.end(), [](const IngressPointer& a, const IngressPointer& b) {
      const auto key = [](const Ingress& ingress) {
        const auto& metadata = ingress.metadata;
        return std::tuple(metadata.creation_timestamp.wall(), std::string_view(metadata.namespace_),
                          std::string_view(metadata.name));
      };
      return key(*a) < key(*b);
    });
    servers_[""];
    for (const auto& ingress : plan_.claimed) add_rules(ingress);
    // After all rules: they are for what no rule is for.
    for (const auto& ingress : plan_.claimed) add_default_backend(ingress);
    for (const auto& ingress : plan_.claimed) add_certificates(ingress);
    for (auto& [host, server] : servers_) {
      VirtualServer out;
      out.host = host;
      out.tls = server.tls;
      for (auto& [key, upstream] : server.locations) out.locations.push_back({key.first, key.second, upstream});
      plan_.servers.push_back(std::move(out));
    }
    for (auto& [name, upstream] : upstreams_) plan_.upstreams.push_back(std::move(upstream));
    return std::move(plan_);
  }

 private:
  struct Server {
    const TlsSecret* tls = nullptr;
    std::map<std::pair<Location::Match, std::string>, std::string> locations;
  };

  void problem(const IngressPointer& ingress, std::string_view reason, std::string message) {
    plan_.problems.push_back({ingress, std::string(reason), std::move(message)});
  }

  void add_rules(const IngressPointer& ingress) {
    for (const auto& rule : ingress->spec.rules) {
      if (!rule.host.empty() && !valid_host(rule.host)) {
        problem(ingress, "InvalidHost", fmt::format("\"{}\" is no host name", rule.host));
        continue;
      }
      Server& server = servers_[rule.host];
      if (!rule.ingress_rule_value.http) continue;
      for (const auto& each : rule.ingress_rule_value.http->paths) {
        std::string path = each.path.empty() ? "/" : each.path;
        if (!valid_path(path)) {
          problem(ingress, "InvalidPath", "a path must begin with / and have no control characters");
          continue;
        }
        auto match = Location::Match::kExact;
        if (each.path_type.value_or("ImplementationSpecific") != "Exact") {
          match = Location::Match::kBelow;
          while (path.ends_with('/')) path.pop_back();
        }
        // Whoever came first has it.
        const std::pair key(match, path);
        if (!server.locations.contains(key)) server.locations[key] = upstream_of(ingress, each.backend);
      }
    }
  }

  void add_default_backend(const IngressPointer& ingress) {
    if (!ingress->spec.default_backend) return;
    const std::string upstream = upstream_of(ingress, *ingress->spec.default_backend);
    const std::pair key(Location::Match::kBelow, std::string());
    servers_[""].locations.try_emplace(key, upstream);
    for (const auto& rule : ingress->spec.rules) {
      if (valid_host(rule.host)) servers_[rule.host].locations.try_emplace(key, upstream);
    }
  }

  void add_certificates(const IngressPointer& ingress) {
    for (const auto& tls : ingress->spec.tls) {
      if (tls.secret_name.empty()) continue;  // TLS with the default certificate
      const ObjectName name{ingress->metadata.namespace_, tls.secret_name};
      const auto secret = inputs_.secrets.find(name);
      if (secret == inputs_.secrets.end() || !secret->second.problem.empty()) {
        problem(ingress, "InvalidCertificate",
                fmt::format("Secret {}/{}: {}; the default certificate is used", name.ns, name.name,
                            secret == inputs_.secrets.end() ? "not found" : secret->second.problem));
        continue;
      }
      // Without hosts: those of the Ingress's own rules.
      std::vector<std::string> hosts(tls.hosts.begin(), tls.hosts.end());
      if (hosts.empty()) {
        for (const auto& rule : ingress->spec.rules) hosts.push_back(rule.host);
      }
      for (const std::string& host : hosts) {
        if (!host.empty() && !valid_host(host)) continue;
        // A certificate gives no host: only to those that have rules.
        for (auto& [own, server] : servers_) {
          const bool covered = own == host || (host.starts_with("*.") && one_label_below(own, host.substr(2)));
          if (covered && server.tls == nullptr && belongs_to(*ingress, own)) server.tls = &secret->second;
        }
      }
    }
  }

  static bool one_label_below(std::string_view host, std::string_view parent) {
    const size_t dot = host.find('.');
    return dot != std::string_view::npos && dot > 0 && host.substr(dot + 1) == parent;
  }

  /// Another's host must not be given a certificate.
  static bool belongs_to(const Ingress& ingress, const std::string& host) {
    const auto& rules = ingress.spec.rules;
    return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) { return rule.host == host; });
  }

  /// The upstream's name; empty when there is no such service or port.
  std::string upstream_of(const IngressPointer& ingress, const IngressBackend& backend) {
    if (!backend.service) {
      problem(ingress, "InvalidBackend", "backends other than services are not supported");
      return {};
    }
    const ObjectName name{ingress->metadata.namespace_, backend.service->name};
    const auto service = inputs_.services.find(name);
    if (service == inputs_.services.end()) {
      problem(ingress, "MissingService", fmt::format("service \"{}/{}\" not found", name.ns, name.name));
      return {};
    }
    if (service->second->spec.type == "ExternalName") {
      problem(ingress, "InvalidBackend",
              fmt::format("service \"{}/{}\" is an ExternalName, which is not supported", name.ns, name.name));
      return {};
    }
    const auto& wanted = backend.service->port;
    const auto& ports = service->second->spec.ports;
    const auto port = std::find_if(ports.begin(), ports.end(), [&](const auto& each) {
      return wanted.name.empty() ? each.port == wanted.number : each.name == wanted.name;
    });
    if (port == ports.end()) {
      problem(ingress, "MissingPort",
              fmt::format("service \"{}/{}\" has no port {}", name.ns, name.name,
                          wanted.name.empty() ? fmt::to_string(wanted.number) : "\"" + wanted.name + "\""));
      return {};
    }
    const std::string id = fmt::format("{}_{}_{}", identifier(name.ns), identifier(name.name), port->port);
    if (!upstreams_.contains(id)) upstreams_[id] = {id, endpoints_of(name, port->name)};
    return id;
  }

  std::vector<std::string> endpoints_of(const ObjectName& service, const std::string& port_name) const {
    std::set<std::string> found;
    const auto slices = inputs_.slices.find(service);
    if (slices == inputs_.slices.end()) return {};
    for (const auto& slice : slices->second) {
      if (slice->address_type == api::discoveryv1::kAddressTypeFQDN) continue;
      const bool v6 = slice->address_type == api::discoveryv1::kAddressTypeIPv6;
      for (const auto& port : slice->ports) {
        if (!port.port || port.name.value_or("") != port_name || port.protocol.value_or("TCP") != "TCP") continue;
        for (const auto& endpoint : slice->endpoints) {
          if (!endpoint.conditions.ready.value_or(true) || endpoint.addresses.empty()) continue;
          const std::string& address = endpoint.addresses.front();
          const bool plain = address.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
          if (plain) found.insert(fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), address, *port.port));
        }
      }
    }
    return {found.begin(), found.end()};
  }

  const Inputs& inputs_;
  Plan plan_;
  std::map<std::string, Server> servers_;
  std::map<std::string, Upstream> upstreams_;
};

}  // namespace

bool is_ours(const Ingress& ingress, const std::vector<std::shared_ptr<const IngressClass>>& classes) {
  const IngressClass* found = class_of(ingress, classes);
  return found != nullptr && found->spec.controller == kControllerName;
}

std::set<ObjectName> wanted_secrets(const Inputs& inputs) {
  std::set<ObjectName> wanted;
  for (const auto& ingress : inputs.ingresses) {
    if (!is_ours(*ingress, inputs.classes)) continue;
    for (const auto& tls : ingress->spec.tls) {
      if (!tls.secret_name.empty()) wanted.insert({ingress->metadata.namespace_, tls.secret_name});
    }
  }
  return wanted;
}

Plan make_plan(const Inputs& inputs) { return Planner(inputs).run(); }

bool valid_host(std::string_view host) {
  if (host.starts_with("*.")) host.remove_prefix(2);
  if (host.empty() || host.size() > 253) return false;
  char before = '.';
  for (const char c : host) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!word && c != '-' && c != '.') return false;
    if (!word && before == '.') return false;
    if (c == '.' && before == '-') return false;
    before = c;
  }
  return before != '.' && before != '-';
}

bool valid_path(std::string_view path) {
  return path.starts_with('/') && std::none_of(path.begin(), path.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

}  // namespace trireme::ingress
