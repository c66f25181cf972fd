#include "policy/model.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "api/types/corev1.h"
#include "api/types/networkingv1.h"

namespace trireme::policy {
namespace {

namespace corev1 = api::corev1;

constexpr Family kFamilies[] = {Family::kIpv4, Family::kIpv6};
constexpr Direction kDirections[] = {Direction::kIngress, Direction::kEgress};

size_t index(Family family) { return static_cast<size_t>(family); }
size_t index(Direction direction) { return static_cast<size_t>(direction); }

uint64_t version_of(const api::metav1::ObjectMeta& meta) {
  uint64_t version = 0;
  std::from_chars(meta.resource_version.data(), meta.resource_version.data() + meta.resource_version.size(), version);
  return version;
}

/// Whether `fresh` tells of an earlier time than `known` of the same object.
bool is_older(const api::metav1::ObjectMeta& fresh, const api::metav1::ObjectMeta& known) {
  return fresh.uid == known.uid && version_of(fresh) < version_of(known);
}

/// Calls `use(name, protocol, port)` for each named port; containers that run beside the others count, too.
template <typename Use>
void for_each_named_port(const corev1::Pod& pod, Use&& use) {
  auto of = [&](const corev1::Container& container) {
    for (const auto& port : container.ports) {
      if (port.name.empty()) continue;
      use(port.name, protocol_number(port.protocol.empty() ? "TCP" : std::string_view(port.protocol)),
          static_cast<uint16_t>(port.container_port));
    }
  };
  for (const auto& container : pod.spec.containers) of(container);
  for (const auto& container : pod.spec.init_containers) {
    if (container.restart_policy == "Always") of(container);
  }
}

bool same_ports(const corev1::Pod& a, const corev1::Pod& b) {
  using Ports = std::vector<std::tuple<std::string, uint8_t, uint16_t>>;
  auto ports = [](const corev1::Pod& pod) {
    Ports out;
    for_each_named_port(
        pod, [&](const std::string& name, uint8_t protocol, uint16_t port) { out.emplace_back(name, protocol, port); });
    return out;
  };
  return ports(a) == ports(b);
}

bool contains(const std::vector<Address>& addresses, const Address& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

}  // namespace

struct Model::SetState : Tracked {
  struct Pending {
    bool was = false;  ///< In the set as it was told last.
    bool is = false;
    std::string was_chain;
    std::string chain;
  };
  SetInfo info;
  std::vector<AddressRange> ranges;  ///< kRanges: all of it.
  std::map<Element, Pending> pending;
};

struct Model::ChainState : Tracked {
  Chain chain;
  bool changed = true;
};

struct Model::PolicyState {
  Policy policy;
  CompiledPolicy compiled;  ///< Its chains without their rules, which stand in chains_.
};

struct Model::PeerState {
  PeerKey key;
  int references = 0;
  std::array<SetState*, 2> sets{};
};

struct Model::PodState {
  Pod pod;
  NamespaceState* ns = nullptr;
  bool local = false;
  std::vector<Address> addresses;  ///< Empty for a pod that nothing selects.
  std::vector<PeerState*> peers;
  std::array<ChainState*, 2> chains{};  ///< Null: not isolated.
};

struct Model::NamespaceState {
  std::string name;
  Namespace object;  ///< Null while it is unknown: nothing selects it then by its labels.
  std::map<std::string, std::unique_ptr<PodState>, std::less<>> pods;
  std::set<PodState*> local_pods;
  std::map<std::string, std::unique_ptr<PolicyState>, std::less<>> policies;
  std::vector<PeerState*> own_peers;   ///< That name this namespace.
  std::vector<PeerState*> wide_peers;  ///< That select it.
};

Model::Model(std::string node_name) : node_name_(std::move(node_name)) {
  for (Family family : kFamilies) {
    acquire_set({self_set(family), SetKind::kSelf, family});
    for (Direction direction : kDirections) acquire_set({pods_map(direction, family), SetKind::kChains, family});
  }
}

Model::~Model() = default;

Model::NamespaceState& Model::namespace_state(std::string_view name) {
  auto found = namespaces_.find(name);
  if (found != namespaces_.end()) return *found->second;
  auto state = std::make_unique<NamespaceState>();
  state->name = name;
  return *namespaces_.emplace(name, std::move(state)).first->second;
}

void Model::drop_if_empty(std::string_view name) {
  auto found = namespaces_.find(name);
  if (found == namespaces_.end()) return;
  const NamespaceState& ns = *found->second;
  if (ns.object || !ns.pods.empty() || !ns.policies.empty() || !ns.own_peers.empty()) return;
  dirty_namespaces_.erase(found->second.get());
  namespaces_.erase(found);
}

// Sets and chains

Model::SetState& Model::acquire_set(const SetInfo& info) {
  SetState& set = sets_[info.name];
  if (set.references++ == 0) {
    set.info = info;
    dirty_sets_.insert(info.name);
  }
  return set;
}

void Model::release_set(const std::string& name) {
  if (--sets_.at(name).references == 0) dirty_sets_.insert(name);
}

void Model::change(SetState& set, const Element& element, bool add, const std::string& chain) {
  dirty_sets_.insert(set.info.name);
  auto [found, fresh] = set.pending.try_emplace(element);
  SetState::Pending& pending = found->second;
  if (fresh) {
    pending.was = !add;
    if (!add) pending.was_chain = chain;
  }
  pending.is = add;
  pending.chain = add ? chain : std::string();
  if (pending.was == pending.is && pending.was_chain == pending.chain) set.pending.erase(found);
}

Model::ChainState& Model::acquire_chain(Chain chain) {
  ChainState& state = chains_[chain.name];
  ++state.references;
  dirty_chains_.insert(chain.name);
  if (state.chain != chain) {
    state.chain = std::move(chain);
    state.changed = true;
  }
  return state;
}

void Model::release_chain(const std::string& name) {
  if (--chains_.at(name).references == 0) dirty_chains_.insert(name);
}

void Model::acquire_ranges(const RangeSet& ranges) {
  SetState& set = acquire_set(ranges.set);
  if (!set.ranges.empty()) return;
  set.ranges = ranges.ranges;
  for (const AddressRange& range : ranges.ranges) change(set, {range.first, range.last}, true);
}

// Peers and named ports

bool Model::selects(const PeerState& peer, const NamespaceState& ns) {
  return ns.object && peer.key.namespaces.matches(ns.object->metadata.labels);
}

void Model::acquire_peer(const PeerKey& key) {
  std::unique_ptr<PeerState>& peer = peers_[key.text()];
  if (peer) {
    ++peer->references;
    return;
  }
  peer = std::make_unique<PeerState>();
  peer->key = key;
  peer->references = 1;
  for (Family family : kFamilies) peer->sets[index(family)] = &acquire_set(key.set(family));
  auto admit = [&](NamespaceState& ns) {
    for (auto& [name, state] : ns.pods) {
      if (state->addresses.empty() || !key.pods.matches(state->pod->metadata.labels)) continue;
      state->peers.push_back(peer.get());
      for (const Address& address : state->addresses) {
        if (owns(*state, address)) change(*peer->sets[index(family_of(address))], {address}, true);
      }
    }
  };
  if (!key.ns.empty()) {
    NamespaceState& ns = namespace_state(key.ns);
    ns.own_peers.push_back(peer.get());
    admit(ns);
    return;
  }
  wide_peers_.push_back(peer.get());
  for (auto& [name, ns] : namespaces_) {
    if (!selects(*peer, *ns)) continue;
    ns->wide_peers.push_back(peer.get());
    admit(*ns);
  }
}

void Model::remove_unused_peers() {
  std::vector<std::unique_ptr<PeerState>> gone;
  std::set<PeerState*> pointers;
  std::set<std::string> emptied;
  for (const std::string& text : unused_peers_) {
    auto found = peers_.find(text);
    if (found == peers_.end() || found->second->references > 0) continue;
    pointers.insert(found->second.get());
    if (!found->second->key.ns.empty()) emptied.insert(found->second->key.ns);
    gone.push_back(std::move(found->second));
    peers_.erase(found);
  }
  unused_peers_.clear();
  if (gone.empty()) return;
  auto is_gone = [&](PeerState* peer) { return pointers.contains(peer); };
  std::erase_if(wide_peers_, is_gone);
  for (auto& [name, ns] : namespaces_) {
    if (std::erase_if(ns->own_peers, is_gone) + std::erase_if(ns->wide_peers, is_gone) == 0) continue;
    for (auto& [pod_name, state] : ns->pods) std::erase_if(state->peers, is_gone);
  }
  for (const auto& peer : gone) {
    for (SetState* set : peer->sets) release_set(set->info.name);
  }
  for (const std::string& name : emptied) drop_if_empty(name);
}

void Model::acquire_ports(const PortKey& key) {
  auto [found, fresh] = ports_.try_emplace(key, 0);
  ++found->second;
  if (!fresh) return;
  for (Family family : kFamilies) acquire_set(key.set(family));
  for (auto& [name, ns] : namespaces_) {
    auto admit = [&](const PodState& state) {
      for (const Address& address : state.addresses) {
        if (owns(state, address)) contribute_ports(state, address, true, &key);
      }
    };
    if (key.local) {
      for (PodState* state : ns->local_pods) admit(*state);
    } else {
      for (auto& [pod_name, state] : ns->pods) admit(*state);
    }
  }
}

void Model::remove_unused_ports() {
  for (const PortKey& key : unused_ports_) {
    auto found = ports_.find(key);
    if (found == ports_.end() || found->second > 0) continue;
    ports_.erase(found);
    for (Family family : kFamilies) release_set(key.set(family).name);
  }
  unused_ports_.clear();
}

// Policies

void Model::acquire(const CompiledPolicy& policy) {
  for (const std::string& counter : policy.counters) {
    ++counters_[counter].references;
    dirty_counters_.insert(counter);
  }
  for (const PeerKey& key : policy.peers) acquire_peer(key);
  for (const PortKey& key : policy.ports) acquire_ports(key);
  for (const RangeSet& ranges : policy.ranges) acquire_ranges(ranges);
  for (const Chain& chain : policy.chains) acquire_chain(chain);
}

void Model::release(const PolicyState& policy) {
  const CompiledPolicy& compiled = policy.compiled;
  for (const std::string& counter : compiled.counters) {
    --counters_[counter].references;
    dirty_counters_.insert(counter);
  }
  for (const PeerKey& key : compiled.peers) {
    std::string text = key.text();
    if (--peers_.at(text)->references == 0) unused_peers_.insert(std::move(text));
  }
  for (const PortKey& key : compiled.ports) {
    if (--ports_.at(key) == 0) unused_ports_.insert(key);
  }
  for (const RangeSet& ranges : compiled.ranges) release_set(ranges.set.name);
  for (const Chain& chain : compiled.chains) release_chain(chain.name);
}

void Model::set_policy(const Policy& policy) {
  NamespaceState& ns = namespace_state(policy->metadata.namespace_);
  std::unique_ptr<PolicyState>& known = ns.policies[policy->metadata.name];
  if (known && is_older(policy->metadata, known->policy->metadata)) return;
  auto fresh = std::make_unique<PolicyState>();
  fresh->policy = policy;
  fresh->compiled = compile(*policy);
  // First what the new state needs: what both need then stays as it is.
  acquire(fresh->compiled);
  for (Chain& chain : fresh->compiled.chains) chain.rules = {};
  if (known) {
    release(*known);
  } else {
    ++policy_count_;
  }
  if (!known || known->compiled.pods != fresh->compiled.pods || known->compiled.isolates != fresh->compiled.isolates) {
    dirty_namespaces_.insert(&ns);
  }
  known = std::move(fresh);
}

void Model::remove_policy(std::string_view ns_name, std::string_view name, std::string_view uid) {
  auto ns = namespaces_.find(ns_name);
  if (ns == namespaces_.end()) return;
  auto found = ns->second->policies.find(name);
  if (found == ns->second->policies.end()) return;
  if (!uid.empty() && found->second->policy->metadata.uid != uid) return;
  release(*found->second);
  ns->second->policies.erase(found);
  --policy_count_;
  dirty_namespaces_.insert(ns->second.get());
}

Model::Policy Model::policy(std::string_view ns_name, std::string_view name) const {
  auto ns = namespaces_.find(ns_name);
  if (ns == namespaces_.end()) return nullptr;
  auto found = ns->second->policies.find(name);
  return found == ns->second->policies.end() ? nullptr : found->second->policy;
}

// Namespaces

void Model::set_namespace(const Namespace& object) {
  NamespaceState& ns = namespace_state(object->metadata.name);
  const bool same = ns.object && ns.object->metadata.labels == object->metadata.labels;
  if (ns.object && is_older(object->metadata, ns.object->metadata)) return;
  ns.object = object;
  if (!same) refresh_namespace(ns);
}

void Model::remove_namespace(std::string_view name) {
  auto found = namespaces_.find(name);
  if (found == namespaces_.end()) return;
  found->second->object = nullptr;
  refresh_namespace(*found->second);
  drop_if_empty(name);
}

void Model::refresh_namespace(NamespaceState& ns) {
  std::vector<PeerState*> now;
  for (PeerState* peer : wide_peers_) {
    if (selects(*peer, ns)) now.push_back(peer);
  }
  if (now == ns.wide_peers) return;
  ns.wide_peers = std::move(now);
  for (auto& [name, state] : ns.pods) refresh(*state, state->pod);
}

// Pods

std::vector<Address> Model::addresses_of(const corev1::Pod& pod) const {
  if (pod.spec.host_network || pod.status.phase == "Succeeded" || pod.status.phase == "Failed") return {};
  if (auto sandbox = sandboxes_.find(pod.metadata.uid); sandbox != sandboxes_.end()) return sandbox->second;
  std::vector<Address> out;
  auto add = [&](const std::string& text) {
    if (text.empty()) return;
    const auto address = Address::parse(text);
    if (address && !contains(out, *address)) out.push_back(*address);
  };
  add(pod.status.pod_ip);
  for (const auto& ip : pod.status.pod_ips) add(ip.ip);
  return out;
}

bool Model::owns(const PodState& pod, const Address& address) const {
  auto found = owners_.find(address);
  return found != owners_.end() && found->second.back() == &pod;
}

void Model::join_peers(PodState& state) {
  state.peers.clear();
  if (!state.pod) return;
  for (const auto* peers : {&state.ns->own_peers, &state.ns->wide_peers}) {
    for (PeerState* peer : *peers) {
      if (peer->key.pods.matches(state.pod->metadata.labels)) state.peers.push_back(peer);
    }
  }
}

void Model::contribute(const PodState& state, const Address& address, bool add) {
  for (PeerState* peer : state.peers) change(*peer->sets[index(family_of(address))], {address}, add);
  contribute_ports(state, address, add);
  contribute_chains(state, address, add);
}

void Model::contribute_ports(const PodState& state, const Address& address, bool add, const PortKey* only) {
  if (ports_.empty()) return;
  for_each_named_port(*state.pod, [&](const std::string& name, uint8_t protocol, uint16_t port) {
    for (bool local : {false, true}) {
      if (local && !state.local) continue;
      const PortKey key{name, protocol, local};
      if (only != nullptr && key != *only) continue;
      if (ports_.contains(key)) change(sets_.at(key.set(family_of(address)).name), {address, {}, port}, add);
    }
  });
}

void Model::contribute_chains(const PodState& state, const Address& address, bool add) {
  bool isolated = false;
  for (Direction direction : kDirections) {
    const ChainState* chain = state.chains[index(direction)];
    if (chain == nullptr) continue;
    isolated = true;
    change(sets_.at(pods_map(direction, family_of(address))), {address}, add, chain->chain.name);
  }
  if (isolated) change(sets_.at(self_set(family_of(address))), {address}, add);
}

/// Makes the pod's part in everything that of `pod`; null: none.
void Model::refresh(PodState& state, const Pod& pod) {
  for (const Address& address : state.addresses) {
    if (owns(state, address)) contribute(state, address, false);
  }
  const std::vector<Address> before = std::exchange(state.addresses, pod ? addresses_of(*pod) : std::vector<Address>());
  state.pod = pod;
  const bool local = pod && pod->spec.node_name == node_name_;
  if (local != state.local) {
    state.local = local;
    if (local) {
      state.ns->local_pods.insert(&state);
    } else {
      state.ns->local_pods.erase(&state);
    }
  }
  if (local) {
    local_by_uid_[pod->metadata.uid] = &state;
    dirty_pods_.insert(&state);
  }
  if (state.addresses.empty()) {
    state.peers.clear();
  } else {
    join_peers(state);
  }
  for (const Address& address : before) {
    if (contains(state.addresses, address)) continue;
    std::vector<PodState*>& owners = owners_.at(address);
    const bool had = owners.back() == &state;
    std::erase(owners, &state);
    if (owners.empty()) {
      owners_.erase(address);
    } else if (had) {
      contribute(*owners.back(), address, true);
    }
  }
  for (const Address& address : state.addresses) {
    if (contains(before, address)) {
      if (owns(state, address)) contribute(state, address, true);
      continue;
    }
    std::vector<PodState*>& owners = owners_[address];
    if (!owners.empty()) contribute(*owners.back(), address, false);
    owners.push_back(&state);
    contribute(state, address, true);
  }
}

void Model::erase_pod(NamespaceState& ns, PodState& state) {
  const std::string name = state.pod->metadata.name;
  const std::string uid = state.pod->metadata.uid;
  refresh(state, nullptr);
  for (ChainState* chain : state.chains) {
    if (chain != nullptr) release_chain(chain->chain.name);
  }
  if (auto found = local_by_uid_.find(uid); found != local_by_uid_.end() && found->second == &state) {
    local_by_uid_.erase(found);
  }
  dirty_pods_.erase(&state);
  ns.pods.erase(name);
}

void Model::set_pod(const Pod& pod) {
  const auto& meta = pod->metadata;
  NamespaceState& ns = namespace_state(meta.namespace_);
  auto found = ns.pods.find(meta.name);
  if (found != ns.pods.end() && found->second->pod->metadata.uid != meta.uid) {
    erase_pod(ns, *found->second);
    found = ns.pods.end();
  }
  if (found == ns.pods.end()) {
    auto state = std::make_unique<PodState>();
    state->ns = &ns;
    PodState& fresh = *ns.pods.emplace(meta.name, std::move(state)).first->second;
    refresh(fresh, pod);
    return;
  }
  PodState& state = *found->second;
  if (is_older(meta, state.pod->metadata)) return;
  const bool same = state.pod->metadata.labels == meta.labels && state.addresses == addresses_of(*pod) &&
                    state.pod->spec.node_name == pod->spec.node_name && same_ports(*state.pod, *pod);
  if (same) {
    state.pod = pod;
  } else {
    refresh(state, pod);
  }
}

void Model::remove_pod(std::string_view ns_name, std::string_view name, std::string_view uid) {
  auto ns = namespaces_.find(ns_name);
  if (ns == namespaces_.end()) return;
  auto found = ns->second->pods.find(name);
  if (found == ns->second->pods.end()) return;
  if (!uid.empty() && found->second->pod->metadata.uid != uid) return;
  erase_pod(*ns->second, *found->second);
  drop_if_empty(ns_name);
}

void Model::set_sandbox(const std::string& uid, std::vector<Address> addresses) {
  if (addresses.empty()) {
    sandboxes_.erase(uid);
  } else {
    sandboxes_[uid] = std::move(addresses);
  }
  if (auto found = local_by_uid_.find(uid); found != local_by_uid_.end()) refresh(*found->second, found->second->pod);
}

// This node's pods and the chains of their policies

/// The chain for all pods that the same policies isolate in `direction`; null when none does.
Model::ChainState* Model::acquire_pods_chain(const PodState& state, Direction direction) {
  if (state.addresses.empty()) return nullptr;
  std::vector<const PolicyState*> policies;
  std::string text = name_of(direction);
  for (const auto& [name, policy] : state.ns->policies) {
    if (!policy->compiled.isolates[index(direction)] || !policy->compiled.pods.matches(state.pod->metadata.labels)) {
      continue;
    }
    policies.push_back(policy.get());
    text += "\n" + name;
  }
  if (policies.empty()) return nullptr;
  Chain chain{"pods-" + digest(state.ns->name + "\n" + text), direction, {}};
  auto found = chains_.find(chain.name);
  if (found != chains_.end() && found->second.references > 0) {
    ++found->second.references;
    return &found->second;
  }
  for (const PolicyState* policy : policies) {
    Rule jump;
    jump.verdict = Rule::Verdict::kJump;
    jump.target = chain_name(state.ns->name, policy->policy->metadata.name, direction);
    chain.rules.push_back(std::move(jump));
  }
  for (const PolicyState* policy : policies) {
    Rule count;
    count.counter = counter_name(state.ns->name, policy->policy->metadata.name, direction, false);
    chain.rules.push_back(std::move(count));
  }
  Rule drop;
  drop.verdict = Rule::Verdict::kDrop;
  chain.rules.push_back(std::move(drop));
  return &acquire_chain(std::move(chain));
}

void Model::update_pods_chains() {
  for (NamespaceState* ns : dirty_namespaces_) dirty_pods_.insert(ns->local_pods.begin(), ns->local_pods.end());
  for (PodState* state : dirty_pods_) {
    std::array<ChainState*, 2> now{};
    for (Direction direction : kDirections) {
      // A pod that has moved away from this node keeps none.
      if (state->local) now[index(direction)] = acquire_pods_chain(*state, direction);
    }
    if (now != state->chains) {
      for (const Address& address : state->addresses) {
        if (owns(*state, address)) contribute_chains(*state, address, false);
      }
      std::swap(now, state->chains);
      for (const Address& address : state->addresses) {
        if (owns(*state, address)) contribute_chains(*state, address, true);
      }
    }
    for (ChainState* chain : now) {
      if (chain != nullptr) release_chain(chain->chain.name);
    }
  }
  dirty_pods_.clear();
  const std::set<NamespaceState*> looked_at = std::exchange(dirty_namespaces_, {});
  for (NamespaceState* ns : looked_at) drop_if_empty(std::string(ns->name));
}

// What has changed

Changes Model::take_changes() {
  update_pods_chains();
  remove_unused_peers();
  remove_unused_ports();
  return collect();
}

Changes Model::everything() {
  take_changes();
  for (auto& [name, counter] : counters_) {
    counter.told = false;
    dirty_counters_.insert(name);
  }
  for (auto& [name, chain] : chains_) {
    chain.told = false;
    chain.changed = true;
    dirty_chains_.insert(name);
  }
  for (auto& [name, set] : sets_) {
    set.told = false;
    dirty_sets_.insert(name);
    for (const AddressRange& range : set.ranges) change(set, {range.first, range.last}, true);
  }
  for (const auto& [address, owners] : owners_) contribute(*owners.back(), address, true);
  return collect();
}

Changes Model::collect() {
  Changes changes;
  for (const std::string& name : dirty_counters_) {
    auto found = counters_.find(name);
    if (found == counters_.end()) continue;
    Tracked& counter = found->second;
    if (counter.references == 0) {
      if (counter.told) changes.gone_counters.push_back(name);
      counters_.erase(found);
    } else if (!std::exchange(counter.told, true)) {
      changes.new_counters.push_back(name);
    }
  }
  for (const std::string& name : dirty_chains_) {
    auto found = chains_.find(name);
    if (found == chains_.end()) continue;
    ChainState& chain = found->second;
    if (chain.references == 0) {
      if (chain.told) changes.gone_chains.push_back(name);
      chains_.erase(found);
    } else if (std::exchange(chain.changed, false)) {
      changes.chains.push_back({chain.chain, !std::exchange(chain.told, true)});
    }
  }
  for (const std::string& name : dirty_sets_) {
    auto found = sets_.find(name);
    if (found == sets_.end()) continue;
    SetState& set = found->second;
    if (set.references == 0) {
      if (set.told) changes.gone_sets.push_back(set.info);
      sets_.erase(found);
      continue;
    }
    Changes::SetChange change{set.info, !std::exchange(set.told, true), {}, {}};
    for (auto& [element, pending] : set.pending) {
      if (pending.was) change.removed.push_back({element, pending.was_chain});
      if (pending.is) change.added.push_back({element, pending.chain});
    }
    set.pending.clear();
    if (change.is_new || !change.removed.empty() || !change.added.empty()) changes.sets.push_back(std::move(change));
  }
  dirty_counters_.clear();
  dirty_chains_.clear();
  dirty_sets_.clear();
  return changes;
}

}  // namespace trireme::policy
