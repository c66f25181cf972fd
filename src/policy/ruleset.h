#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/address.h"

/// What the policies become: sets of addresses, chains of rules, counters; in the terms of nftables, and without it.
///
/// A packet that is forwarded passes two base chains, first the egress one by its source, then the ingress one by its
/// destination (both as after the translation of service addresses). Each looks the address up in a map of this node's
/// isolated pods. What is not in it passes. What is jumps to the chain of the pod's policies, which accepts (for this
/// base chain) what one of them allows, and drops the rest.
namespace trireme::policy {

enum class Direction : uint8_t { kIngress, kEgress };

enum class SetKind : uint8_t {
  kAddresses,
  kRanges,  ///< Address ranges that do not overlap.
  kPorts,   ///< Pairs of an address and a port.
  kSelf,    ///< Pairs of an address with itself: a pod's traffic to itself, which nothing forbids.
  kChains,  ///< A map from addresses to chains.
};

struct SetInfo {
  std::string name;
  SetKind kind = SetKind::kAddresses;
  Family family = Family::kIpv4;
  auto operator<=>(const SetInfo&) const = default;
};

struct Element {
  Address address;
  Address last;       ///< kRanges.
  uint16_t port = 0;  ///< kPorts.
  auto operator<=>(const Element&) const = default;
};

/// All matches that are there must hold; then the packet is counted and the verdict counts.
struct Rule {
  enum class Verdict : uint8_t { kContinue, kAccept, kDrop, kJump };

  std::optional<Family> family;
  std::string peers;  ///< The other end's address must be in this set (kAddresses, kRanges); needs `family`.
  std::string ports;  ///< Destination address and port must be in this set (kPorts); needs `family` and `protocol`.
  uint8_t protocol = 0;
  uint16_t first_port = 0;  ///< Destination port, with `protocol`; 0: any.
  uint16_t last_port = 0;
  std::string counter;
  Verdict verdict = Verdict::kContinue;
  std::string target;  ///< kJump: the chain.
  bool operator==(const Rule&) const = default;
};

struct Chain {
  std::string name;
  Direction direction = Direction::kIngress;
  std::vector<Rule> rules;
  bool operator==(const Chain&) const = default;
};

/// Names of the sets that are always there.
std::string self_set(Family family);
std::string pods_map(Direction direction, Family family);
/// "ingress" or "egress": also the names of the base chains.
std::string name_of(Direction direction);

/// One transaction's worth of changes, to be applied in the order of the fields (what is new first, then elements and
/// rules, then what is gone).
struct Changes {
  struct MappedElement {
    Element element;
    std::string chain;  ///< kChains.
    auto operator<=>(const MappedElement&) const = default;
  };
  struct SetChange {
    SetInfo set;
    bool is_new = false;
    std::vector<MappedElement> removed;
    std::vector<MappedElement> added;
  };
  struct ChainChange {
    Chain chain;  ///< With all rules it is to have.
    bool is_new = false;
  };

  std::vector<std::string> new_counters;
  std::vector<SetChange> sets;
  std::vector<ChainChange> chains;
  std::vector<std::string> gone_chains;
  std::vector<SetInfo> gone_sets;
  std::vector<std::string> gone_counters;

  bool empty() const {
    return new_counters.empty() && sets.empty() && chains.empty() && gone_chains.empty() && gone_sets.empty() &&
           gone_counters.empty();
  }
};

}  // namespace trireme::policy
