#include "policy/testing/naive.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bitset>

#include "api/selectors.h"

namespace trireme::policy {
namespace {

namespace corev1 = api::corev1;
namespace networkingv1 = api::networkingv1;

const corev1::Pod* pod_at(const World& world, const Address& address) {
  for (const auto& pod : world.pods) {
    if (pod->spec.host_network || pod->status.phase == "Succeeded" || pod->status.phase == "Failed") continue;
    for (const auto& ip : pod->status.pod_ips) {
      if (ip.ip == address.to_string()) return pod.get();
    }
  }
  return nullptr;
}

bool selected(const api::metav1::LabelSelector& selector, const api::metav1::ObjectMeta& meta) {
  auto parsed = api::LabelSelector::from(selector);
  return parsed.ok() && parsed->matches(meta.labels);
}

std::string bits(const std::string& text) {
  unsigned char bytes[16] = {};
  size_t size = 4;
  if (::inet_pton(AF_INET, text.c_str(), bytes) != 1) {
    size = 16;
    ::inet_pton(AF_INET6, text.c_str(), bytes);
  }
  std::string out;
  for (size_t i = 0; i < size; ++i) out += std::bitset<8>(bytes[i]).to_string();
  return out;
}

bool inside(const std::string& cidr, const Address& address) {
  const size_t slash = cidr.find('/');
  const std::string network = bits(cidr.substr(0, slash));
  const std::string own = bits(address.to_string());
  const size_t length = std::stoul(cidr.substr(slash + 1));
  return network.size() == own.size() && network.substr(0, length) == own.substr(0, length);
}

bool is_peer(const World& world, const networkingv1::NetworkPolicyPeer& peer, const std::string& policy_ns,
             const Address& address) {
  if (peer.ip_block) {
    return inside(peer.ip_block->cidr, address) &&
           std::none_of(peer.ip_block->except.begin(), peer.ip_block->except.end(),
                        [&](const std::string& cidr) { return inside(cidr, address); });
  }
  const corev1::Pod* pod = pod_at(world, address);
  if (pod == nullptr) return false;
  if (peer.pod_selector && !selected(*peer.pod_selector, pod->metadata)) return false;
  if (!peer.namespace_selector) return pod->metadata.namespace_ == policy_ns;
  for (const auto& ns : world.namespaces) {
    if (ns->metadata.name == pod->metadata.namespace_) return selected(*peer.namespace_selector, ns->metadata);
  }
  return false;
}

std::string protocol_name(uint8_t number) { return number == 6 ? "TCP" : number == 17 ? "UDP" : "SCTP"; }

bool is_port(const World& world, const networkingv1::NetworkPolicyPort& port, const Packet& packet) {
  const std::string protocol = port.protocol.value_or("TCP");
  if (packet.protocol == 1 || protocol != protocol_name(packet.protocol)) return false;
  if (!port.port) return true;
  if (port.port->is_int()) {
    return packet.port >= port.port->int_value() && packet.port <= port.end_port.value_or(port.port->int_value());
  }
  const corev1::Pod* target = pod_at(world, packet.destination);
  if (target == nullptr) return false;
  for (const auto& container : target->spec.containers) {
    for (const auto& named : container.ports) {
      if (named.name == port.port->string_value() && named.protocol == protocol &&
          named.container_port == packet.port) {
        return true;
      }
    }
  }
  return false;
}

template <typename Rule, typename Peers>
bool rule_allows(const World& world, const Rule& rule, const Peers& peers, const std::string& ns, const Address& other,
                 const Packet& packet) {
  const bool port = rule.ports.empty() || std::any_of(rule.ports.begin(), rule.ports.end(),
                                                      [&](const auto& p) { return is_port(world, p, packet); });
  const bool peer = peers.empty() || std::any_of(peers.begin(), peers.end(),
                                                 [&](const auto& p) { return is_peer(world, p, ns, other); });
  return port && peer;
}

bool allowed(const World& world, const corev1::Pod& pod, const Packet& packet, bool ingress) {
  bool isolated = false;
  for (const auto& policy : world.policies) {
    const std::string& ns = policy->metadata.namespace_;
    const auto& spec = policy->spec;
    if (ns != pod.metadata.namespace_ || !selected(spec.pod_selector, pod.metadata)) continue;
    const bool applies = spec.policy_types.empty()
                             ? ingress || !spec.egress.empty()
                             : std::find(spec.policy_types.begin(), spec.policy_types.end(),
                                         ingress ? "Ingress" : "Egress") != spec.policy_types.end();
    if (!applies) continue;
    isolated = true;
    if (ingress) {
      for (const auto& rule : spec.ingress) {
        if (rule_allows(world, rule, rule.from, ns, packet.source, packet)) return true;
      }
    } else {
      for (const auto& rule : spec.egress) {
        if (rule_allows(world, rule, rule.to, ns, packet.destination, packet)) return true;
      }
    }
  }
  return !isolated;
}

}  // namespace

bool World::allows(const Packet& packet, const std::string& node) const {
  if (packet.source == packet.destination) return true;
  const corev1::Pod* from = pod_at(*this, packet.source);
  const corev1::Pod* to = pod_at(*this, packet.destination);
  if (from != nullptr && from->spec.node_name == node && !allowed(*this, *from, packet, false)) return false;
  return to == nullptr || to->spec.node_name != node || allowed(*this, *to, packet, true);
}

}  // namespace trireme::policy
