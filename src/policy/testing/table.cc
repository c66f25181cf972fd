#include "policy/testing/table.h"

#include <fmt/format.h>

namespace trireme::policy {

std::vector<std::string> Table::apply(const Changes& changes) {
  std::vector<std::string> problems;
  for (const std::string& counter : changes.new_counters) {
    if (!counts_.try_emplace(counter, 0).second) problems.push_back("counter is there: " + counter);
  }
  for (const auto& change : changes.sets) {
    if (change.is_new == sets_.contains(change.set.name)) problems.push_back("set, new or not: " + change.set.name);
    Set& set = sets_[change.set.name];
    set.info = change.set;
    for (const auto& [element, chain] : change.removed) {
      auto found = set.elements.find(element);
      if (found == set.elements.end() || found->second != chain) {
        problems.push_back(fmt::format("{}: not there: {}", change.set.name, element.address.to_string()));
      } else {
        set.elements.erase(found);
      }
    }
    for (const auto& [element, chain] : change.added) {
      if (!set.elements.emplace(element, chain).second) {
        problems.push_back(fmt::format("{}: is there: {}", change.set.name, element.address.to_string()));
      }
    }
  }
  for (const auto& [chain, is_new] : changes.chains) {
    if (is_new == chains_.contains(chain.name)) problems.push_back("chain, new or not: " + chain.name);
    chains_[chain.name] = chain.rules;
  }
  for (const std::string& name : changes.gone_chains) {
    if (chains_.erase(name) == 0) problems.push_back("no chain " + name);
  }
  for (const SetInfo& info : changes.gone_sets) {
    if (sets_.erase(info.name) == 0) problems.push_back("no set " + info.name);
  }
  for (const std::string& name : changes.gone_counters) {
    if (counts_.erase(name) == 0) problems.push_back("no counter " + name);
  }
  check_references(problems);
  return problems;
}

void Table::check_references(std::vector<std::string>& problems) const {
  for (const auto& [name, set] : sets_) {
    for (const auto& [element, chain] : set.elements) {
      if ((set.info.kind == SetKind::kChains) != chains_.contains(chain)) problems.push_back(name + " to " + chain);
      if (family_of(element.address) != set.info.family) problems.push_back(name + ": family");
    }
  }
  for (const auto& [name, rules] : chains_) {
    for (const Rule& rule : rules) {
      for (const std::string& set : {rule.peers, rule.ports}) {
        if (set.empty()) continue;
        auto found = sets_.find(set);
        if (found == sets_.end() || found->second.info.family != rule.family) problems.push_back(name + " set " + set);
      }
      if (!rule.counter.empty() && !counts_.contains(rule.counter)) problems.push_back(name + " " + rule.counter);
      if ((rule.verdict == Rule::Verdict::kJump) != chains_.contains(rule.target)) problems.push_back(name + " jump");
    }
  }
}

bool Table::matches(const Rule& rule, Direction direction, const Packet& packet) const {
  if (rule.family && *rule.family != family_of(packet.source)) return false;
  if (rule.protocol != 0 && rule.protocol != packet.protocol) return false;
  if (rule.first_port != 0 && (packet.port < rule.first_port || packet.port > rule.last_port)) return false;
  if (!rule.ports.empty() && !sets_.at(rule.ports).elements.contains({packet.destination, {}, packet.port})) {
    return false;
  }
  if (rule.peers.empty()) return true;
  const Address& peer = direction == Direction::kIngress ? packet.source : packet.destination;
  const Set& set = sets_.at(rule.peers);
  if (set.info.kind == SetKind::kAddresses) return set.elements.contains({peer});
  for (const auto& [element, chain] : set.elements) {
    if (AddressRange{element.address, element.last}.contains(peer)) return true;
  }
  return false;
}

Table::Fate Table::walk(const std::string& chain, Direction direction, const Packet& packet) const {
  for (const Rule& rule : chains_.at(chain)) {
    if (!matches(rule, direction, packet)) continue;
    if (!rule.counter.empty()) ++counts_.at(rule.counter);
    switch (rule.verdict) {
      case Rule::Verdict::kContinue:
        break;
      case Rule::Verdict::kAccept:
        return Fate::kAccept;
      case Rule::Verdict::kDrop:
        return Fate::kDrop;
      case Rule::Verdict::kJump:
        if (const Fate fate = walk(rule.target, direction, packet); fate != Fate::kNone) return fate;
        break;
    }
  }
  return Fate::kNone;
}

bool Table::allows(const Packet& packet) const {
  const Family family = family_of(packet.source);
  auto self = sets_.find(self_set(family));
  const bool to_itself =
      packet.source == packet.destination && self != sets_.end() && self->second.elements.contains({packet.source});
  if (to_itself) return true;
  for (Direction direction : {Direction::kEgress, Direction::kIngress}) {
    auto map = sets_.find(pods_map(direction, family));
    if (map == sets_.end()) continue;
    auto found = map->second.elements.find({direction == Direction::kEgress ? packet.source : packet.destination});
    if (found == map->second.elements.end()) continue;
    if (walk(found->second, direction, packet) == Fate::kDrop) return false;
  }
  return true;
}

std::set<std::string> Table::counters() const {
  std::set<std::string> names;
  for (const auto& [name, count] : counts_) names.insert(name);
  return names;
}

bool Table::idle() const {
  constexpr size_t kAlwaysThere = 6;
  size_t elements = 0;
  for (const auto& [name, set] : sets_) elements += set.elements.size();
  return sets_.size() <= kAlwaysThere && elements == 0 && chains_.empty() && counts_.empty();
}

}  // namespace trireme::policy
