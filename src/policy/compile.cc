#include "policy/compile.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/evp.h>

#include <algorithm>
#include <set>

#include "api/types/networkingv1.h"
#include "base/log.h"

namespace trireme::policy {
namespace {

namespace networkingv1 = api::networkingv1;
using api::LabelSelector;

// The kernel takes names of 255 bytes (NFT_NAME_MAXLEN); this leaves room for what is put behind a policy's.
constexpr size_t kLongestPolicyName = 230;
constexpr size_t kDigestBytes = 12;
constexpr int32_t kHighestPort = 65535;

std::string_view suffix(Family family) { return family == Family::kIpv4 ? "-4" : "-6"; }

std::string policy_name(std::string_view ns, std::string_view policy) {
  std::string name = fmt::format("{}/{}", ns, policy);
  if (name.size() <= kLongestPolicyName) return name;
  const std::string end = "-" + digest(name);
  name.resize(kLongestPolicyName - end.size());
  return name + end;
}

/// The server admits no selector that cannot be read; one that is there anyway selects nothing.
LabelSelector selector(const api::metav1::LabelSelector& written) {
  auto parsed = LabelSelector::from(written);
  if (!parsed.ok()) log::error("A network policy has an unusable selector", {{"error", parsed.status()}});
  return parsed.ok() ? std::move(*parsed) : LabelSelector::nothing();
}

/// One way for a packet's port, or for its other end, to match: a rule that holds only that.
using Alternatives = std::vector<Rule>;

class Compiler {
 public:
  explicit Compiler(const networkingv1::NetworkPolicy& policy) : meta_(policy.metadata), spec_(policy.spec) {}

  CompiledPolicy run() {
    out_.pods = selector(spec_.pod_selector);
    bool ingress = spec_.policy_types.empty();
    bool egress = spec_.policy_types.empty() && !spec_.egress.empty();
    for (const std::string& type : spec_.policy_types) {
      ingress = ingress || type == networkingv1::kPolicyTypeIngress;
      egress = egress || type == networkingv1::kPolicyTypeEgress;
    }
    if (ingress) {
      begin(Direction::kIngress);
      for (const auto& rule : spec_.ingress) add_rule(rule.ports, rule.from);
      end();
    }
    if (egress) {
      begin(Direction::kEgress);
      for (const auto& rule : spec_.egress) add_rule(rule.ports, rule.to);
      end();
    }
    return std::move(out_);
  }

 private:
  void begin(Direction direction) {
    direction_ = direction;
    out_.isolates[static_cast<size_t>(direction)] = true;
    main_ = {chain_name(meta_.namespace_, meta_.name, direction), direction, {}};
    parts_.clear();
    for (bool allowed : {true, false}) {
      out_.counters.push_back(counter_name(meta_.namespace_, meta_.name, direction, allowed));
    }
  }

  void end() {
    out_.chains.push_back(std::move(main_));
    std::move(parts_.begin(), parts_.end(), std::back_inserter(out_.chains));
  }

  void add_rule(const std::vector<networkingv1::NetworkPolicyPort>& ports,
                const std::vector<networkingv1::NetworkPolicyPeer>& peers) {
    const Alternatives by_port = port_alternatives(ports);
    const Alternatives by_peer = peer_alternatives(peers);
    if (by_port.empty() || by_peer.empty()) return;
    Rule accept;
    accept.counter = counter_name(meta_.namespace_, meta_.name, direction_, true);
    accept.verdict = Rule::Verdict::kAccept;
    if (by_port.size() == 1 || by_peer.size() == 1) {
      for (const Rule& port : by_port) {
        for (const Rule& peer : by_peer) add(main_, port, peer, accept);
      }
      return;
    }
    // Many ports and many peers: the ports lead to a chain of the peers, so that rules add up instead of multiplying.
    Chain part{fmt::format("{}/{}", main_.name, parts_.size() + 1), direction_, {}};
    for (const Rule& peer : by_peer) add(part, Rule(), peer, accept);
    Rule jump;
    jump.verdict = Rule::Verdict::kJump;
    jump.target = part.name;
    for (const Rule& port : by_port) add(main_, port, Rule(), jump);
    parts_.push_back(std::move(part));
  }

  static void add(Chain& chain, const Rule& port, const Rule& peer, Rule rule) {
    if (port.family && peer.family && *port.family != *peer.family) return;
    rule.family = port.family ? port.family : peer.family;
    rule.protocol = port.protocol;
    rule.first_port = port.first_port;
    rule.last_port = port.last_port;
    rule.ports = port.ports;
    rule.peers = peer.peers;
    if (std::find(chain.rules.begin(), chain.rules.end(), rule) == chain.rules.end()) {
      chain.rules.push_back(std::move(rule));
    }
  }

  Alternatives port_alternatives(const std::vector<networkingv1::NetworkPolicyPort>& ports) {
    if (ports.empty()) return {Rule()};
    Alternatives out;
    for (const auto& port : ports) {
      Rule match;
      match.protocol = protocol_number(port.protocol.value_or("TCP"));
      if (match.protocol == 0) continue;
      if (port.port && port.port->is_string()) {
        const PortKey key{port.port->string_value(), match.protocol, direction_ == Direction::kIngress};
        if (std::find(out_.ports.begin(), out_.ports.end(), key) == out_.ports.end()) out_.ports.push_back(key);
        for (Family family : {Family::kIpv4, Family::kIpv6}) {
          match.family = family;
          match.ports = key.set(family).name;
          out.push_back(match);
        }
        continue;
      }
      if (port.port) {
        const int32_t first = port.port->int_value();
        const int32_t last = port.end_port.value_or(first);
        if (first < 1 || last < first || last > kHighestPort) continue;
        match.first_port = static_cast<uint16_t>(first);
        match.last_port = static_cast<uint16_t>(last);
      }
      out.push_back(match);
    }
    return out;
  }

  Alternatives peer_alternatives(const std::vector<networkingv1::NetworkPolicyPeer>& peers) {
    if (peers.empty()) return {Rule()};
    Alternatives out;
    std::vector<AddressRange> blocks;
    for (const auto& peer : peers) {
      if (peer.ip_block) {
        add_block(*peer.ip_block, blocks);
      } else if (peer.pod_selector || peer.namespace_selector) {
        PeerKey key;
        if (peer.pod_selector) key.pods = selector(*peer.pod_selector);
        if (peer.namespace_selector) {
          key.namespaces = selector(*peer.namespace_selector);
        } else {
          key.ns = meta_.namespace_;
        }
        if (key.pods == LabelSelector::nothing() || key.namespaces == LabelSelector::nothing()) continue;
        if (peer_texts_.insert(key.text()).second) out_.peers.push_back(key);
        for (Family family : {Family::kIpv4, Family::kIpv6}) {
          Rule match;
          match.family = family;
          match.peers = key.set(family).name;
          out.push_back(match);
        }
      }
    }
    for (Family family : {Family::kIpv4, Family::kIpv6}) add_ranges(blocks, family, out);
    return out;
  }

  static void add_block(const networkingv1::IPBlock& block, std::vector<AddressRange>& blocks) {
    const auto range = AddressRange::parse_cidr(block.cidr);
    if (!range) return;
    std::vector<AddressRange> except;
    for (const std::string& cidr : block.except) {
      if (const auto hole = AddressRange::parse_cidr(cidr)) except.push_back(*hole);
    }
    for (const AddressRange& rest : subtracted({*range}, std::move(except))) blocks.push_back(rest);
  }

  /// The blocks of a rule together are one set of ranges, known by its content and therefore never changed.
  void add_ranges(const std::vector<AddressRange>& blocks, Family family, Alternatives& out) {
    std::vector<AddressRange> own;
    for (const AddressRange& range : blocks) {
      if (family_of(range.first) == family) own.push_back(range);
    }
    if (own.empty()) return;
    own = united(std::move(own));
    Rule match;
    match.family = family;
    if (own.front() != AddressRange::all(family)) {
      std::string text;
      for (const AddressRange& range : own) text += range.first.to_string() + "-" + range.last.to_string() + ",";
      RangeSet set{{"blocks-" + digest(text) + std::string(suffix(family)), SetKind::kRanges, family}, std::move(own)};
      match.peers = set.set.name;
      const bool known = std::any_of(out_.ranges.begin(), out_.ranges.end(),
                                     [&](const RangeSet& other) { return other.set == set.set; });
      if (!known) out_.ranges.push_back(std::move(set));
    }
    out.push_back(match);
  }

  const api::metav1::ObjectMeta& meta_;
  const networkingv1::NetworkPolicySpec& spec_;
  CompiledPolicy out_;
  std::set<std::string> peer_texts_;
  Direction direction_ = Direction::kIngress;
  Chain main_;
  std::vector<Chain> parts_;
};

}  // namespace

std::string name_of(Direction direction) { return direction == Direction::kIngress ? "ingress" : "egress"; }

std::string self_set(Family family) { return "self" + std::string(suffix(family)); }

std::string pods_map(Direction direction, Family family) {
  return "pods-" + name_of(direction) + std::string(suffix(family));
}

std::string PeerKey::text() const {
  // None of the parts can hold a line break.
  return ns.empty() ? "namespaces " + namespaces.to_string() + "\npods " + pods.to_string()
                    : "namespace " + ns + "\npods " + pods.to_string();
}

SetInfo PeerKey::set(Family family) const {
  return {"peers-" + digest(text()) + std::string(suffix(family)), SetKind::kAddresses, family};
}

SetInfo PortKey::set(Family family) const {
  return {fmt::format("port-{}-{}-{}{}", name, protocol, local ? "local" : "all", suffix(family)), SetKind::kPorts,
          family};
}

std::string digest(std::string_view text) {
  unsigned char bytes[EVP_MAX_MD_SIZE] = {};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), bytes, &size, EVP_sha256(), nullptr);
  std::string out;
  for (size_t i = 0; i < kDigestBytes; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

std::string counter_name(std::string_view ns, std::string_view policy, Direction direction, bool allowed) {
  return fmt::format("{}/{}-{}", policy_name(ns, policy), name_of(direction), allowed ? "allowed" : "denied");
}

CounterName parse_counter_name(std::string_view name) {
  const size_t first = std::min(name.find('/'), name.size());
  const size_t last = std::max(std::min(name.rfind('/'), name.size()), first);
  CounterName out;
  out.ns = name.substr(0, first);
  if (last > first) out.policy = name.substr(first + 1, last - first - 1);
  out.direction = name.substr(last).starts_with("/egress") ? Direction::kEgress : Direction::kIngress;
  out.allowed = name.ends_with("-allowed");
  return out;
}

std::string chain_name(std::string_view ns, std::string_view policy, Direction direction) {
  return fmt::format("{}/{}", policy_name(ns, policy), name_of(direction));
}

uint8_t protocol_number(std::string_view name) {
  if (name == "TCP") return IPPROTO_TCP;
  if (name == "UDP") return IPPROTO_UDP;
  if (name == "SCTP") return IPPROTO_SCTP;
  return 0;
}

CompiledPolicy compile(const networkingv1::NetworkPolicy& policy) { return Compiler(policy).run(); }

}  // namespace trireme::policy
