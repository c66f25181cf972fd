#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "api/selectors.h"
#include "policy/ruleset.h"

namespace trireme::api::networkingv1 {
struct NetworkPolicy;
}

namespace trireme::policy {

/// Pods that a rule names by selectors. Equal peers of all policies share their sets.
struct PeerKey {
  std::string ns;  ///< The one namespace; empty: those that `namespaces` selects.
  api::LabelSelector namespaces;
  api::LabelSelector pods;

  /// Says the same for the same peers, and something else for others.
  std::string text() const;
  SetInfo set(Family family) const;
};

/// The pods that have a container port of this name, and its number there.
struct PortKey {
  std::string name;
  uint8_t protocol = 0;
  bool local = false;  ///< Only this node's pods: the port of who is called, in ingress rules.
  auto operator<=>(const PortKey&) const = default;

  SetInfo set(Family family) const;
};

struct RangeSet {
  SetInfo set;
  std::vector<AddressRange> ranges;
};

/// How often a policy let something pass, and how often something that it applies to was dropped:
/// "<namespace>/<name>/ingress-allowed". A name that is too long for the kernel is cut, and ends in a digest of all of
/// it.
struct CounterName {
  std::string ns;
  std::string policy;
  Direction direction = Direction::kIngress;
  bool allowed = false;
};
std::string counter_name(std::string_view ns, std::string_view policy, Direction direction, bool allowed);
CounterName parse_counter_name(std::string_view name);

/// A policy as rules, together with what they refer to.
struct CompiledPolicy {
  api::LabelSelector pods;
  /// By Direction: whether the selected pods are isolated. Then the first chain of that direction is the policy's own.
  std::array<bool, 2> isolates{};
  std::vector<Chain> chains;
  std::vector<PeerKey> peers;  ///< No two are equal; the same holds for the rest.
  std::vector<PortKey> ports;
  std::vector<RangeSet> ranges;
  std::vector<std::string> counters;
};

/// The name of the policy's chain for `direction`.
std::string chain_name(std::string_view ns, std::string_view policy, Direction direction);

/// Pure. Peers that select nothing and blocks without addresses leave no rule.
/// Rules: https://kubernetes.io/docs/concepts/services-networking/network-policies/
CompiledPolicy compile(const api::networkingv1::NetworkPolicy& policy);

/// IPPROTO_* of "TCP", "UDP" and "SCTP"; 0 for anything else.
uint8_t protocol_number(std::string_view name);

/// A short digest that nobody can make two texts have in common.
std::string digest(std::string_view text);

}  // namespace trireme::policy
