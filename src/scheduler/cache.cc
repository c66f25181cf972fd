#include "scheduler/cache.h"

#include <algorithm>
#include <map>

namespace trireme::scheduler {

void Cache::set_node(NodePointer node) {
  std::unique_ptr<NodeInfo>& slot = nodes_[node->metadata.name];
  if (!slot) slot = std::make_unique<NodeInfo>();
  if (!slot->node || zone_of(*slot->node) != zone_of(*node)) ordered_valid_ = false;
  count_images(*slot, -1);
  slot->set_node(std::move(node));
  count_images(*slot, 1);
  note_affinity(*slot);
}

void Cache::remove_node(const std::string& name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || !found->second->node) return;
  NodeInfo& info = *found->second;
  count_images(info, -1);
  info.image_bytes.clear();
  info.node.reset();
  note_affinity(info);
  ordered_valid_ = false;
  drop_if_empty(info);
}

void Cache::place(const PodInfoPointer& pod, const std::string& node, bool assumed) {
  remove_pod(pod->uid());
  std::unique_ptr<NodeInfo>& slot = nodes_[node];
  if (!slot) {
    slot = std::make_unique<NodeInfo>();
    slot->name = node;
  }
  slot->add_pod(pod);
  note_affinity(*slot);
  pods_[pod->uid()] = {pod, slot.get(), assumed};
}

void Cache::set_pod(const PodInfoPointer& pod, const std::string& node) { place(pod, node, false); }

void Cache::assume(const PodInfoPointer& pod, const std::string& node) { place(pod, node, true); }

PodInfoPointer Cache::remove_pod(const std::string& uid) {
  const auto found = pods_.find(uid);
  if (found == pods_.end()) return nullptr;
  const PlacedPod placed = std::move(found->second);
  pods_.erase(found);
  placed.node->remove_pod(uid);
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
  ordered_valid_ = true;
}

}  // namespace trireme::scheduler
