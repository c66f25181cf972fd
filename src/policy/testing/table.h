#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/ruleset.h"

namespace trireme::policy {

struct Packet {
  Address source;
  Address destination;
  uint8_t protocol = 0;
  uint16_t port = 0;  ///< Of the destination.
};

/// What the kernel does with changes and packets, in a few lines: takes changes as strictly as nftables, and walks the
/// rules for the first packet of a connection.
class Table {
 public:
  /// What nftables would refuse; empty: done.
  std::vector<std::string> apply(const Changes& changes);
  bool allows(const Packet& packet) const;
  /// How often each counter was passed by `allows`.
  const std::map<std::string, int>& counts() const { return counts_; }

  bool operator==(const Table& other) const {
    return sets_ == other.sets_ && chains_ == other.chains_ && counters() == other.counters();
  }
  /// Everything but the verdict maps, the self sets and what stands in them.
  bool idle() const;

 private:
  struct Set {
    SetInfo info;
    std::map<Element, std::string> elements;
    bool operator==(const Set&) const = default;
  };
  enum class Fate { kNone, kAccept, kDrop };
  std::set<std::string> counters() const;
  Fate walk(const std::string& chain, Direction direction, const Packet& packet) const;
  bool matches(const Rule& rule, Direction direction, const Packet& packet) const;
  void check_references(std::vector<std::string>& problems) const;

  std::map<std::string, Set> sets_;
  std::map<std::string, std::vector<Rule>> chains_;
  mutable std::map<std::string, int> counts_;
};

}  // namespace trireme::policy
