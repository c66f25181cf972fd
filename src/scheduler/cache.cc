#include "scheduler/cache.h"

#include <algorithm>
#include <map>

namespace trireme::scheduler {

namespace {

// More kinds of pods than this are rarely scheduled in turn; each costs a little whenever a pod comes or goes.
constexpr size_t kMaxKept = 32;
constexpr size_t kMaxChanges = 1 << 16;

/// Whether anything of the object differs that tallies, node sets and topologies read.
bool placing_differs(const api::corev1::Node& a, const api::corev1::Node& b) {
  const auto same_taint = [](const api::corev1::Taint& one, const api::corev1::Taint& other) {
    return one.key == other.key && one.value == other.value && one.effect == other.effect;
  };
  return a.metadata.labels != b.metadata.labels || a.spec.unschedulable != b.spec.unschedulable ||
         !std::ranges::equal(a.spec.taints, b.spec.taints, same_taint);
}

template <typename List>
auto find_kept(List& list, const std::string& key) {
  const auto found = std::ranges::find(list, key, [](const auto& each) -> const std::string& { return each.key; });
  if (found != list.end() && found != list.begin()) list.splice(list.begin(), list, found);
  return found;
}

}  // namespace

NodeInfo& Cache::slot(const std::string& name) {
  std::unique_ptr<NodeInfo>& info = nodes_[name];
  if (!info) {
    info = std::make_unique<NodeInfo>();
    info->name = name;
    if (free_ordinals_.empty()) {
      info->ordinal = by_ordinal_.size();
      by_ordinal_.push_back(info.get());
    } else {
      info->ordinal = free_ordinals_.back();
      free_ordinals_.pop_back();
      by_ordinal_[info->ordinal] = info.get();
    }
  }
  return *info;
}

void Cache::changed(const NodeInfo& node) {
  if (changes_.size() == kMaxChanges) {
    changes_.erase(changes_.begin(), changes_.begin() + kMaxChanges / 2);
    first_change_ += kMaxChanges / 2;
  }
  changes_.push_back(static_cast<uint32_t>(node.ordinal));
}

std::optional<std::span<const uint32_t>> Cache::changed_since(uint64_t version) const {
  if (version < first_change_ || version > this->version()) return std::nullopt;
  return std::span(changes_).subspan(version - first_change_);
}

void Cache::set_node(NodePointer node) {
  NodeInfo& info = slot(node->metadata.name);
  if (!info.node || zone_of(*info.node) != zone_of(*node)) ordered_valid_ = false;
  const bool differs = !info.node || placing_differs(*info.node, *node);
  count_images(info, -1);
  if (differs && info.node) {
    for (const auto& each : tallies_) each.value->remove_node(info);
  }
  info.set_node(std::move(node));
  if (differs) {
    for (const auto& [key, topology] : topologies_) topology->set_node(info);
    for (const auto& each : node_sets_) each.value->set_node(info);
    for (const auto& each : tallies_) each.value->add_node(info);
  }
  count_images(info, 1);
  note_affinity(info);
  changed(info);
}

void Cache::remove_node(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || !found->second->node) return;
  NodeInfo& info = *found->second;
  for (const auto& each : tallies_) each.value->remove_node(info);
  for (const auto& each : node_sets_) each.value->remove_node(info);
  for (const auto& [key, topology] : topologies_) topology->remove_node(info);
  count_images(info, -1);
  info.image_bytes.clear();
  info.node.reset();
  note_affinity(info);
  ordered_valid_ = false;
  changed(info);
  drop_if_empty(info);
}

void Cache::place(const PodInfoPointer& pod, const std::string& node, bool assumed) {
  remove_pod(pod->uid());
  NodeInfo& info = slot(node);
  info.add_pod(pod);
  for (const auto& each : tallies_) each.value->add_pod(*pod, info);
  note_affinity(info);
  changed(info);
  pods_[pod->uid()] = {pod, &info, assumed};
}

void Cache::set_namespace(const std::string& name, Labels labels) {
  Labels& kept = namespaces_[name];
  if (kept != labels) tallies_.clear();  // Terms select by them.
  kept = std::move(labels);
}

void Cache::remove_namespace(const std::string& name) {
  if (namespaces_.erase(name) > 0) tallies_.clear();
}

const Topology& Cache::topology(const std::string& key) const {
  std::unique_ptr<Topology>& topology = topologies_[key];
  if (!topology) {
    topology = std::make_unique<Topology>(key);
    for (const NodeInfo* node : nodes()) topology->set_node(*node);
  }
  return *topology;
}

std::shared_ptr<const Tally> Cache::tally(const std::string& key, const std::function<Tally::Rule()>& make) const {
  const auto found = find_kept(tallies_, key);
  if (found != tallies_.end()) return found->value;
  auto tally =
      std::make_shared<Tally>(make(), [this](const std::string& name) -> const Topology& { return topology(name); });
  for (const NodeInfo* node : nodes()) tally->add_node(*node);
  tallies_.push_front({key, tally});
  if (tallies_.size() > kMaxKept) tallies_.pop_back();
  return tally;
}

std::shared_ptr<const NodeSet> Cache::node_set(const std::string& key,
                                               const std::function<NodeSet::Condition()>& make) const {
  const auto found = find_kept(node_sets_, key);
  if (found != node_sets_.end()) return found->value;
  auto set = std::make_shared<NodeSet>(make());
  for (const NodeInfo* node : nodes()) set->set_node(*node);
  node_sets_.push_front({key, set});
  if (node_sets_.size() > kMaxKept) node_sets_.pop_back();
  return set;
}

void Cache::set_pod(const PodInfoPointer& pod, const std::string& node) { place(pod, node, false); }

void Cache::assume(const PodInfoPointer& pod, const std::string& node) { place(pod, node, true); }

PodInfoPointer Cache::remove_pod(const std::string& uid) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return nullptr;
  const PlacedPod placed = std::move(found->second);
  pods_.erase(found);
  for (const auto& each : tallies_) each.value->remove_pod(*placed.info, *placed.node);
  placed.node->remove_pod(uid);
  changed(*placed.node);
  note_affinity(*placed.node);
  drop_if_empty(*placed.node);
  return placed.info;
}

bool Cache::is_assumed(const std::string& uid) const {
  const auto found = pods_.find(uid);
  return found != pods_.end() && found->second.assumed;
}

PodInfoPointer Cache::pod(const std::string& uid) const {
  const auto found = pods_.find(uid);
  return found == pods_.end() ? nullptr : found->second.info;
}

const NodeInfo* Cache::node_of(const std::string& uid) const {
  const auto found = pods_.find(uid);
  return found == pods_.end() ? nullptr : found->second.node;
}

const Labels* Cache::namespace_labels(const std::string& name) const {
  const auto found = namespaces_.find(name);
  return found == namespaces_.end() ? nullptr : &found->second;
}

const NodeInfo* Cache::node(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() || !found->second->node ? nullptr : found->second.get();
}

int64_t Cache::nodes_with_image(const std::string& name) const {
  const auto found = image_nodes_.find(name);
  return found == image_nodes_.end() ? 0 : found->second;
}

std::span<const NodeInfo* const> Cache::nodes() const {
  if (!ordered_valid_) order_nodes();
  return ordered_;
}

void Cache::note_affinity(const NodeInfo& node) {
  const auto note = [&](std::unordered_set<const NodeInfo*>& set, bool in) {
    if (in && node.node) {
      set.insert(&node);
    } else if (!set.empty()) {
      set.erase(&node);
    }
  };
  note(with_affinity_, !node.pods_with_affinity.empty());
  note(with_anti_affinity_, !node.pods_with_required_anti_affinity.empty());
}

void Cache::count_images(const NodeInfo& node, int64_t by) {
  for (const auto& [name, bytes] : node.image_bytes) {
    if ((image_nodes_[name] += by) <= 0) image_nodes_.erase(name);
  }
}

void Cache::drop_if_empty(NodeInfo& node) {
  if (node.node || !node.pods.empty()) return;
  by_ordinal_[node.ordinal] = nullptr;
  free_ordinals_.push_back(node.ordinal);
  const std::string name = node.name;  // The node dies with its entry.
  nodes_.erase(name);
}

void Cache::order_nodes() const {
  std::map<std::string, std::vector<const NodeInfo*>> zones;
  for (const auto& [name, info] : nodes_) {
    if (info->node) zones[zone_of(*info->node)].push_back(info.get());
  }
  size_t longest = 0;
  for (auto& [zone, members] : zones) {
    std::ranges::sort(members, {}, [](const NodeInfo* each) -> const std::string& { return each->name; });
    longest = std::max(longest, members.size());
  }
  ordered_.clear();
  for (size_t i = 0; i < longest; ++i) {
    for (const auto& [zone, members] : zones) {
      if (i < members.size()) ordered_.push_back(members[i]);
    }
  }
  ordered_ordinals_.clear();
  for (const NodeInfo* node : ordered_) ordered_ordinals_.push_back(static_cast<uint32_t>(node->ordinal));
  ordered_valid_ = true;
}

}  // namespace trireme::scheduler
