#include "proxy/planner.h"

#include <algorithm>
#include <set>

namespace trireme::proxy {
namespace {

/// Elements that are not a front's: services may have the same.
bool is_shared(SetId set) { return set == SetId::kClusterIps || set == SetId::kHairpin; }

std::string shared_key(const Entry& entry) { return static_cast<char>(entry.set) + entry.key; }

void put_text(std::string& out, std::string_view text) {
  auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  out += text;
}

std::string take_text(std::string_view& from) {
  uint32_t size = 0;
  std::copy_n(from.begin(), sizeof(size), reinterpret_cast<char*>(&size));
  std::string out(from.substr(sizeof(size), size));
  from.remove_prefix(sizeof(size) + size);
  return out;
}

std::string pack(const std::vector<Target>& targets) {
  std::string out;
  for (const Target& target : targets) out += target.address + nft::port_bytes(target.port);
  return out;
}

std::vector<Target> unpack(std::string_view packed, bool ip6) {
  const size_t size = ip6 ? 16 : 4;
  std::vector<Target> out;
  for (; packed.size() >= size + 2; packed.remove_prefix(size + 2)) {
    out.push_back({std::string(packed.substr(0, size)), static_cast<uint16_t>(static_cast<uint8_t>(packed[size]) << 8 |
                                                                              static_cast<uint8_t>(packed[size + 1]))});
  }
  return out;
}

std::string pack(const Arrangements& arrangements) {
  std::string out;
  for (const auto& [name, arrangement] : arrangements) {
    put_text(out, name);
    put_text(out, pack(arrangement.cluster));
    put_text(out, pack(arrangement.local));
  }
  return out;
}

Arrangements unpack_arrangements(std::string_view packed, bool ip6) {
  Arrangements out;
  while (!packed.empty()) {
    Arrangement& arrangement = out[take_text(packed)];
    arrangement.cluster = unpack(take_text(packed), ip6);
    arrangement.local = unpack(take_text(packed), ip6);
  }
  return out;
}

std::vector<Entry> unpack_entries(const std::string& packed) {
  std::vector<Entry> out;
  for_each_entry(packed, [&](const Entry& entry) { out.push_back(entry); });
  return out;
}

}  // namespace

bool Planner::set_node(const NodeView& node) {
  if (node == node_) return false;
  node_ = node;
  return true;
}

void Planner::release(const std::string& key, const std::vector<std::string>& fronts, std::vector<std::string>& more) {
  for (const std::string& front : fronts) {
    auto waiting = waiting_.find(front);
    auto owner = owners_.find(front);
    if (owner != owners_.end() && owner->second == key) {
      owners_.erase(owner);
      // The next in the row takes it when it is planned anew.
      if (waiting != waiting_.end()) {
        more.push_back(waiting->second.front());
        waiting->second.erase(waiting->second.begin());
        owners_[front] = more.back();
        if (waiting->second.empty()) waiting_.erase(waiting);
      }
    } else if (waiting != waiting_.end()) {
      std::erase(waiting->second, key);
      if (waiting->second.empty()) waiting_.erase(waiting);
    }
  }
}

void Planner::count(const Entry& entry, bool up, Change& change) {
  if (!is_shared(entry.set)) {
    (up ? change.added : change.removed).push_back(entry);
    entries_ += up ? 1 : -1;
    return;
  }
  std::string key = shared_key(entry);
  if (up) {
    if (shared_[key]++ > 0) return;
    change.added.push_back(entry);
    ++entries_;
  } else {
    auto at = shared_.find(key);
    if (--at->second > 0) return;
    shared_.erase(at);
    change.removed.push_back(entry);
    --entries_;
  }
}

void Planner::replan(const std::string& key, const ServiceView& view, Change& change) {
  auto at = kept_.find(key);
  ServiceRules rules;
  const bool wanted = view.service && is_proxied(*view.service);
  if (wanted) {
    Arrangements before;
    if (at != kept_.end()) before = unpack_arrangements(at->second.arranged, ip6_);
    rules = compile(
        view, node_, options_, ip6_,
        [&](const std::string& front) {
          auto owner = owners_.find(front);
          return owner != owners_.end() && owner->second == key;
        },
        before);
  } else if (at == kept_.end()) {
    return;
  }
  Kept& kept = at == kept_.end() ? kept_[key] : at->second;

  std::string packed = proxy::pack(rules.entries);
  if (packed != kept.packed) {
    std::vector<Entry> before = unpack_entries(kept.packed);
    std::vector<Entry> gone;
    std::vector<Entry> fresh;
    std::set_difference(before.begin(), before.end(), rules.entries.begin(), rules.entries.end(),
                        std::back_inserter(gone));
    std::set_difference(rules.entries.begin(), rules.entries.end(), before.begin(), before.end(),
                        std::back_inserter(fresh));
    for (const Entry& entry : gone) count(entry, false, change);
    for (const Entry& entry : fresh) count(entry, true, change);
    kept.packed = std::move(packed);
  }

  for (const auto& [name, list] : rules.chains) {
    auto old = kept.chains.find(name);
    if (old == kept.chains.end() || old->second != list) change.chains[name] = list;
  }
  for (const auto& [name, list] : kept.chains) {
    if (!rules.chains.contains(name)) change.gone_chains.push_back(name);
  }
  kept.chains = std::move(rules.chains);

  for (const PickChain& pick : rules.picks) {
    if (picks_[pick]++ == 0) change.chains[pick.name()] = {pick.rule(ip6_)};
  }
  for (const PickChain& pick : kept.picks) {
    auto used = picks_.find(pick);
    if (--used->second > 0) continue;
    picks_.erase(used);
    change.gone_chains.push_back(pick.name());
  }
  kept.picks = std::move(rules.picks);
  kept.picks.shrink_to_fit();

  if (rules.datagrams != kept.datagrams) {
    // Also flows to fronts that are gone, which nobody serves any more.
    for (DatagramPort port : kept.datagrams) {
      port.targets.clear();
      std::erase_if(port.fronts, [&](const Target& front) {
        return std::any_of(rules.datagrams.begin(), rules.datagrams.end(), [&](const DatagramPort& other) {
          return other.protocol == port.protocol &&
                 std::find(other.fronts.begin(), other.fronts.end(), front) != other.fronts.end();
        });
      });
      if (std::any_of(rules.datagrams.begin(), rules.datagrams.end(), [&](const DatagramPort& other) {
            return other.protocol == port.protocol && other.node_port == port.node_port;
          })) {
        port.node_port = 0;
      }
      if (!port.fronts.empty() || port.node_port != 0) change.stale.push_back(std::move(port));
    }
    for (const DatagramPort& port : rules.datagrams) {
      if (std::find(kept.datagrams.begin(), kept.datagrams.end(), port) == kept.datagrams.end()) {
        change.stale.push_back(port);
      }
    }
    kept.datagrams = std::move(rules.datagrams);
  }
  kept.arranged = pack(rules.arrangements);
  kept.arranged.shrink_to_fit();
  if (!wanted) kept_.erase(key);
}

Change Planner::update(const std::vector<std::string>& keys, const Look& look) {
  std::vector<std::string> order = keys;
  std::map<std::string, ServiceView> views;
  std::vector<std::string> more;
  std::set<std::string> seen(keys.begin(), keys.end());
  for (const std::string& key : keys) {
    ServiceView view = look(key);
    std::vector<std::string> wanted;
    if (view.service && is_proxied(*view.service)) wanted = fronts_of(*view.service, ip6_);
    auto kept = kept_.find(key);
    if (kept != kept_.end()) {
      std::vector<std::string> gone;
      std::set_difference(kept->second.fronts.begin(), kept->second.fronts.end(), wanted.begin(), wanted.end(),
                          std::back_inserter(gone));
      release(key, gone, more);
    }
    views.emplace(key, std::move(view));
  }
  for (const std::string& key : keys) {
    const ServiceView& view = views.at(key);
    std::vector<std::string> wanted;
    if (view.service && is_proxied(*view.service)) wanted = fronts_of(*view.service, ip6_);
    for (const std::string& front : wanted) {
      auto [owner, taken] = owners_.try_emplace(front, key);
      if (taken || owner->second == key) continue;
      std::vector<std::string>& row = waiting_[front];
      if (std::find(row.begin(), row.end(), key) == row.end()) row.push_back(key);
    }
    if (!wanted.empty() || kept_.contains(key)) kept_[key].fronts = std::move(wanted);
  }
  for (std::string& key : more) {
    if (!seen.insert(key).second) continue;
    views.emplace(key, look(key));
    order.push_back(std::move(key));
  }
  Change change;
  for (const std::string& key : order) replan(key, views.at(key), change);
  // A chain that went out of use with one service may have come into use again with another.
  std::sort(change.gone_chains.begin(), change.gone_chains.end());
  change.gone_chains.erase(std::unique(change.gone_chains.begin(), change.gone_chains.end()), change.gone_chains.end());
  std::set<std::string> used;
  for (const auto& [pick, uses] : picks_) used.insert(pick.name());
  std::erase_if(change.gone_chains, [&](const std::string& name) { return used.contains(name); });
  for (const std::string& name : change.gone_chains) change.chains.erase(name);
  return change;
}

void Planner::for_each(const std::function<void(const Entry&)>& each) const {
  std::set<std::string> told;
  for (const auto& [key, kept] : kept_) {
    for_each_entry(kept.packed, [&](const Entry& entry) {
      if (is_shared(entry.set) && !told.insert(shared_key(entry)).second) return;
      each(entry);
    });
  }
}

std::map<std::string, std::vector<nft::Rule>> Planner::chains() const {
  std::map<std::string, std::vector<nft::Rule>> out;
  for (const auto& [pick, uses] : picks_) out[pick.name()] = {pick.rule(ip6_)};
  for (const auto& [key, kept] : kept_) out.insert(kept.chains.begin(), kept.chains.end());
  return out;
}

std::vector<std::string> Planner::services() const {
  std::vector<std::string> out;
  out.reserve(kept_.size());
  for (const auto& [key, kept] : kept_) out.push_back(key);
  return out;
}

}  // namespace trireme::proxy
