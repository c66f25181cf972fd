#include "proxy/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/duration.h"
#include "base/hash.h"

namespace trireme::proxy {
namespace {

using api::corev1::Service;
using api::corev1::ServicePort;
using nft::Field;
using nft::Rule;

/// Numbers of endpoints in lists for sources inside the cluster begin here.
constexpr uint32_t kInternalOffset = 1 << 16;
constexpr size_t kMaxEndpoints = 60000;
constexpr int32_t kDefaultAffinitySeconds = 10800;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kSctp = 132;

uint8_t protocol_number(const std::string& protocol) {
  if (protocol == "UDP") return kUdp;
  if (protocol == "SCTP") return kSctp;
  return kTcp;
}

std::string front_key(const std::string& address, uint8_t protocol, uint16_t port) {
  return nft::Key().address(address).proto(protocol).port(port);
}
std::string node_port_key(uint8_t protocol, uint16_t port) { return nft::Key().proto(protocol).port(port); }

std::vector<std::string> addresses_of(const std::vector<std::string>& texts, bool ip6) {
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    auto address = parse_address(text);
    if (address && is_ip6(*address) == ip6) out.push_back(std::move(*address));
  }
  return out;
}

/// The addresses that a service listens on.
struct Addresses {
  std::vector<std::string> cluster;
  std::vector<std::string> external;       ///< externalIPs
  std::vector<std::string> load_balancer;  ///< Of status.loadBalancer, unless they are a proxy's (KEP-1860).
};

Addresses addresses_of(const Service& service, bool ip6) {
  Addresses out;
  std::vector<std::string> cluster = service.spec.cluster_ips;
  if (cluster.empty()) cluster.push_back(service.spec.cluster_ip);
  out.cluster = addresses_of(cluster, ip6);
  out.external = addresses_of(service.spec.external_ips, ip6);
  if (service.spec.type == "LoadBalancer") {
    std::vector<std::string> texts;
    for (const auto& ingress : service.status.load_balancer.ingress) {
      if (!ingress.ip.empty() && ingress.ip_mode.value_or("VIP") != "Proxy") texts.push_back(ingress.ip);
    }
    out.load_balancer = addresses_of(texts, ip6);
  }
  return out;
}

bool has_node_ports(const Service& service) {
  return service.spec.type == "NodePort" || service.spec.type == "LoadBalancer";
}

/// Gathers what one service gets.
class Compiler {
 public:
  Compiler(const ServiceView& view, const NodeView& node, const Options& options, bool ip6,
           const std::function<bool(const std::string&)>& owns, const Arrangements& before)
      : view_(view), service_(*view.service), node_(node), options_(options), ip6_(ip6), owns_(owns), before_(before) {}

  ServiceRules run() {
    addresses_ = addresses_of(service_, ip6_);
    for (const std::string& address : addresses_.cluster) add(SetId::kClusterIps, address);
    for (const ServicePort& port : service_.spec.ports) compile_port(port);
    std::sort(out_.entries.begin(), out_.entries.end());
    out_.entries.erase(std::unique(out_.entries.begin(), out_.entries.end()), out_.entries.end());
    std::sort(out_.picks.begin(), out_.picks.end());
    out_.picks.erase(std::unique(out_.picks.begin(), out_.picks.end()), out_.picks.end());
    return std::move(out_);
  }

 private:
  /// Where connections to one front go.
  struct Way {
    const std::vector<Target>* targets = nullptr;
    bool internal = false;
  };

  void compile_port(const ServicePort& port);
  nft::Verdict way_in(const std::string& key, bool node_port, const Way& way);
  void serve(const std::string& key, bool node_port, const Way& way);
  void refuse(const std::string& key, bool node_port);
  void restrict_sources(const std::string& address, const std::string& key);
  std::string affinity_chain(const Way& way);

  void add(SetId set, std::string key, std::string data = {}, std::string key_end = {}) {
    out_.entries.push_back({set, std::move(key), std::move(key_end), std::move(data)});
  }

  const ServiceView& view_;
  const Service& service_;
  const NodeView& node_;
  const Options& options_;
  const bool ip6_;
  const std::function<bool(const std::string&)>& owns_;
  const Arrangements& before_;
  Addresses addresses_;
  ServiceRules out_;

  // Of the port at hand.
  uint8_t protocol_ = kTcp;
  uint16_t port_ = 0;
  std::string port_name_;
  bool any_endpoint_ = false;
};

void Compiler::compile_port(const ServicePort& port) {
  protocol_ = protocol_number(port.protocol);
  port_ = static_cast<uint16_t>(port.port);
  port_name_ = fmt::format("{}/{}", port.name, port.protocol);
  const bool outward = has_node_ports(service_) || !addresses_.external.empty();
  const bool internal_local = service_.spec.internal_traffic_policy.value_or("Cluster") == "Local";
  const bool external_local = outward && service_.spec.external_traffic_policy == "Local";
  const bool uses_cluster = !internal_local || outward;
  ChosenEndpoints chosen =
      choose(endpoints_of(view_, port, ip6_, node_), uses_cluster, internal_local || external_local, node_.zone);
  any_endpoint_ = chosen.any;
  for (std::vector<Target>* list : {&chosen.cluster, &chosen.local}) {
    if (list->size() > kMaxEndpoints) list->resize(kMaxEndpoints);
  }
  Arrangement& arrangement = out_.arrangements[port_name_];
  auto before = before_.find(port_name_);
  arrangement.cluster =
      before == before_.end() ? std::move(chosen.cluster) : arrange(before->second.cluster, std::move(chosen.cluster));
  arrangement.local =
      before == before_.end() ? std::move(chosen.local) : arrange(before->second.local, std::move(chosen.local));

  const Way cluster{&arrangement.cluster, false};
  const Way local{&arrangement.local, false};
  const Way inside{&arrangement.cluster, true};
  DatagramPort datagrams{.protocol = protocol_};

  for (const std::string& address : addresses_.cluster) {
    std::string key = front_key(address, protocol_, port_);
    if (!owns_(key)) continue;
    serve(key, false, internal_local ? local : cluster);
    datagrams.fronts.push_back({address, port_});
  }
  const auto outer = [&](const std::string& key, bool node_port) {
    serve(key, node_port, external_local ? local : cluster);
    if (external_local && !arrangement.cluster.empty()) {
      // Pods and processes of this machine need not be told apart by their source: they may be served anywhere.
      nft::Verdict verdict = way_in(key, node_port, inside);
      add(node_port ? SetId::kNodePortsInternal : SetId::kServicesInternal, key, verdict_data(verdict));
    }
    if (node_port) {
      add(external_local ? SetId::kMasqueradeNodePortsFromNode : SetId::kMasqueradeNodePorts, key);
    } else {
      add(external_local ? SetId::kMasqueradeFromNode : SetId::kMasquerade, key);
    }
  };
  std::set<std::string> fronts(addresses_.external.begin(), addresses_.external.end());
  fronts.insert(addresses_.load_balancer.begin(), addresses_.load_balancer.end());
  for (const std::string& address : fronts) {
    std::string key = front_key(address, protocol_, port_);
    if (!owns_(key)) continue;
    outer(key, false);
    datagrams.fronts.push_back({address, port_});
  }
  for (const std::string& address : addresses_.load_balancer) {
    std::string key = front_key(address, protocol_, port_);
    if (owns_(key)) restrict_sources(address, key);
  }
  if (has_node_ports(service_) && port.node_port != 0) {
    auto node_port = static_cast<uint16_t>(port.node_port);
    std::string key = node_port_key(protocol_, node_port);
    if (owns_(key)) {
      outer(key, true);
      datagrams.node_port = node_port;
    }
  }

  for (const auto* list : {&arrangement.cluster, &arrangement.local}) {
    for (const Target& target : *list) datagrams.targets.push_back(target);
  }
  // Only pods of this machine can come here with the address that they are sent to.
  for (const EndpointInfo& endpoint : endpoints_of(view_, port, ip6_, node_)) {
    if (!endpoint.local) continue;
    const auto& used = datagrams.targets;
    if (std::find(used.begin(), used.end(), endpoint.target) == used.end()) continue;
    add(SetId::kHairpin, nft::Key().address(endpoint.target.address).address(endpoint.target.address));
  }
  if (protocol_ == kTcp) return;
  std::sort(datagrams.targets.begin(), datagrams.targets.end());
  datagrams.targets.erase(std::unique(datagrams.targets.begin(), datagrams.targets.end()), datagrams.targets.end());
  out_.datagrams.push_back(std::move(datagrams));
}

void Compiler::serve(const std::string& key, bool node_port, const Way& way) {
  if (way.targets->empty()) {
    refuse(key, node_port);
    return;
  }
  add(node_port ? SetId::kNodePorts : SetId::kServices, key, verdict_data(way_in(key, node_port, way)));
}

/// Refused at once when nobody serves it anywhere; silently dropped when only this node has nobody for it, so that
/// load balancers turn elsewhere.
void Compiler::refuse(const std::string& key, bool node_port) {
  add(node_port ? SetId::kNodePortsNoEndpoints : SetId::kNoEndpoints, key,
      verdict_data(any_endpoint_ ? nft::drop() : nft::goto_("reject")));
}

nft::Verdict Compiler::way_in(const std::string& key, bool node_port, const Way& way) {
  if (service_.spec.session_affinity == "ClientIP") return nft::goto_(affinity_chain(way));
  PickChain pick{static_cast<uint16_t>(way.targets->size()), node_port, way.internal};
  uint32_t number = way.internal ? kInternalOffset : 0;
  for (const Target& target : *way.targets) {
    add(node_port ? SetId::kNodePortEndpoints : SetId::kEndpoints, nft::Key().part(key).index(number++),
        nft::Key().address(target.address).port(target.port));
  }
  out_.picks.push_back(pick);
  return nft::goto_(pick.name());
}

/// Clients that were here before go where they went. The chain is the port's; that it does not depend on where the
/// client came in keeps it with its endpoint also when it comes through another address of the service.
std::string Compiler::affinity_chain(const Way& way) {
  const bool local = way.targets != &out_.arrangements[port_name_].cluster;
  // Names are bounded by the kernel at 31 bytes for nothing of this kind, but long ones are unreadable.
  const uint64_t hash =
      fnv1a_64(fmt::format("{}/{}:{}", service_.metadata.namespace_, service_.metadata.name, port_name_));
  std::string name = fmt::format("affinity-{:016x}{}", hash, local ? "-local" : "");
  std::vector<Rule>& rules = out_.chains[name];
  if (!rules.empty()) return name;

  int32_t seconds = kDefaultAffinitySeconds;
  const auto& config = service_.spec.session_affinity_config;
  if (config && config->client_ip) seconds = config->client_ip->timeout_seconds.value_or(seconds);
  // By what the service is known in the set, wherever the client came in. The protocol would be the sixth part of a
  // key, which is one too many.
  const SetId remembered = protocol_ == kTcp   ? SetId::kAffinityTcp
                           : protocol_ == kUdp ? SetId::kAffinityUdp
                                               : SetId::kAffinitySctp;
  std::string front(ip6_ ? 16 : 4, '\0');
  if (!addresses_.cluster.empty()) front = addresses_.cluster.front();
  const int words = ip6_ ? 4 : 1;
  const auto load_key = [&](Rule& rule, const Target& target) {
    int next = words;
    rule.load(ip6_ ? Field::kIp6Saddr : Field::kIpSaddr, 0);
    rule.immediate(front, next);
    next += words;
    rule.immediate(nft::port_bytes(port_), next++);
    rule.immediate(target.address, next);
    next += words;
    rule.immediate(nft::port_bytes(target.port), next);
  };
  const auto go = [&](Rule& rule, const Target& target) {
    rule.dynamic(nft::DynamicOperation::kUpdate, set_of(remembered, ip6_).name, 0, {}, std::chrono::seconds(seconds));
    rule.immediate(target.address, 0);
    rule.immediate(nft::port_bytes(target.port), words);
    rule.dnat(ip6_, 0, words);
  };
  for (const Target& target : *way.targets) {
    Rule rule;
    load_key(rule, target);
    rule.lookup(set_of(remembered, ip6_).name, 0);
    go(rule, target);
    rules.push_back(std::move(rule));
  }
  auto left = static_cast<uint32_t>(way.targets->size());
  for (const Target& target : *way.targets) {
    Rule rule;
    if (left > 1) rule.random(left, 0).compare(0, nft::Compare::kEqual, nft::bytes_of(0));
    --left;
    load_key(rule, target);
    go(rule, target);
    rules.push_back(std::move(rule));
  }
  rules.front().comment(fmt::format("{}/{} {}", service_.metadata.namespace_, service_.metadata.name, port_name_));
  return name;
}

/// Whoever connects to a load balancer's address must come from one of its ranges; cluster IP and node port are not
/// restricted. https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec
void Compiler::restrict_sources(const std::string& address, const std::string& key) {
  std::vector<Prefix> ranges;
  bool restricted = false;
  for (const std::string& text : service_.spec.load_balancer_source_ranges) {
    std::string_view trimmed(text);
    while (!trimmed.empty() && trimmed.front() == ' ') trimmed.remove_prefix(1);
    while (!trimmed.empty() && trimmed.back() == ' ') trimmed.remove_suffix(1);
    auto prefix = parse_prefix(trimmed);
    if (!prefix) continue;
    restricted = true;
    if (is_ip6(prefix->address) == ip6_) ranges.push_back(std::move(*prefix));
  }
  if (!restricted) return;
  // Where the balancer's address is also one of this machine, its own connections come from that address.
  for (const Prefix& range : std::vector<Prefix>(ranges)) {
    bool allows_node = std::any_of(node_.addresses.begin(), node_.addresses.end(),
                                   [&](const std::string& own) { return range.contains(own); });
    if (allows_node) {
      ranges.push_back({address, static_cast<unsigned>(address.size() * 8)});
      break;
    }
  }
  add(SetId::kFirewalled, key);
  for (const Prefix& range : outermost(std::move(ranges))) {
    add(SetId::kSourceRanges, nft::Key().part(key).address(range.address), {},
        nft::Key().part(key).address(range.last()));
  }
}

}  // namespace

std::string PickChain::name() const {
  return fmt::format("{}-{}{}", node_port ? "nodeport-pick" : "pick", count, internal ? "-internal" : "");
}

nft::Rule PickChain::rule(bool ip6) const {
  Rule rule;
  int next = 0;
  if (node_port) {
    rule.load({Field::kL4Proto, Field::kThDport}, 0, &next);
  } else {
    rule.load({ip6 ? Field::kIp6Daddr : Field::kIpDaddr, Field::kL4Proto, Field::kThDport}, 0, &next);
  }
  rule.random(count, next, internal ? kInternalOffset : 0);
  rule.lookup_value(set_of(node_port ? SetId::kNodePortEndpoints : SetId::kEndpoints, ip6).name, 0, 0);
  return rule.dnat(ip6, 0, ip6 ? 4 : 1);
}

bool is_proxied(const Service& service) {
  if (service.metadata.labels.contains("service.kubernetes.io/service-proxy-name")) return false;
  if (service.spec.type == "ExternalName") return false;
  return !service.spec.cluster_ip.empty() && service.spec.cluster_ip != "None";
}

std::vector<std::string> fronts_of(const Service& service, bool ip6) {
  std::set<std::string> out;
  Addresses addresses = addresses_of(service, ip6);
  for (const ServicePort& port : service.spec.ports) {
    uint8_t protocol = protocol_number(port.protocol);
    for (const auto* list : {&addresses.cluster, &addresses.external, &addresses.load_balancer}) {
      for (const std::string& address : *list) {
        out.insert(front_key(address, protocol, static_cast<uint16_t>(port.port)));
      }
    }
    if (has_node_ports(service) && port.node_port != 0) {
      out.insert(node_port_key(protocol, static_cast<uint16_t>(port.node_port)));
    }
  }
  return {out.begin(), out.end()};
}

ServiceRules compile(const ServiceView& view, const NodeView& node, const Options& options, bool ip6,
                     const std::function<bool(const std::string&)>& owns, const Arrangements& before) {
  if (!view.service || !is_proxied(*view.service)) return {};
  return Compiler(view, node, options, ip6, owns, before).run();
}

HealthCheck health_check_of(const ServiceView& view, const NodeView& node) {
  if (!view.service || view.service->spec.type != "LoadBalancer" ||
      view.service->spec.external_traffic_policy != "Local" || view.service->spec.health_check_node_port == 0) {
    return {};
  }
  std::set<std::string> local;
  for (bool ip6 : {false, true}) {
    for (const ServicePort& port : view.service->spec.ports) {
      for (const EndpointInfo& endpoint : endpoints_of(view, port, ip6, node)) {
        if (endpoint.local && endpoint.ready) local.insert(endpoint.target.address);
      }
    }
  }
  return {static_cast<uint16_t>(view.service->spec.health_check_node_port), static_cast<int>(local.size())};
}

namespace {

/// A key or value in the nft tool's words.
std::string value_text(const std::vector<nft::Type>& types, std::string_view bytes) {
  std::string out;
  for (nft::Type type : types) {
    size_t size = nft::size_of(type);
    std::string_view part = bytes.substr(0, size);
    if (!out.empty()) out += " . ";
    switch (type) {
      case nft::Type::kIpv4:
      case nft::Type::kIpv6:
        out += address_text(part);
        break;
      case nft::Type::kInetProto:
        out += part[0] == kTcp ? "tcp" : static_cast<uint8_t>(part[0]) == kUdp ? "udp" : "sctp";
        break;
      case nft::Type::kInetService:
        out += std::to_string(static_cast<uint8_t>(part[0]) << 8 | static_cast<uint8_t>(part[1]));
        break;
      default: {
        uint32_t number = 0;
        std::copy_n(part.begin(), sizeof(number), reinterpret_cast<char*>(&number));
        out += std::to_string(number);
      }
    }
    bytes.remove_prefix(std::min(bytes.size(), (size + 3) / 4 * 4));
  }
  return out;
}

}  // namespace

std::vector<std::string> describe(const ServiceRules& rules, bool ip6) {
  std::vector<std::string> out;
  for (const Entry& entry : rules.entries) {
    const nft::Set& set = set_of(entry.set, ip6);
    std::string line = set.name + " " + value_text(set.key, entry.key);
    if (!entry.key_end.empty()) line += " - " + value_text(set.key, entry.key_end);
    if (!set.data.empty() && set.data[0] == nft::Type::kVerdict) {
      line += entry.data.size() > 1 ? " : goto " + entry.data.substr(1) : " : drop";
    } else if (!set.data.empty()) {
      line += " : " + value_text(set.data, entry.data);
    }
    out.push_back(std::move(line));
  }
  for (const auto& [name, list] : rules.chains) out.push_back(fmt::format("chain {}: {} rules", name, list.size()));
  return out;
}

}  // namespace trireme::proxy
