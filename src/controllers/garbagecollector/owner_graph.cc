#include "controllers/garbagecollector/owner_graph.h"

#include <algorithm>

namespace trireme::controllers {

using api::metav1::ObjectMeta;
using api::metav1::OwnerReference;

bool has_finalizer(const ObjectMeta& metadata, std::string_view finalizer) {
  return std::ranges::find(metadata.finalizers, finalizer) != metadata.finalizers.end();
}

bool deletes_dependents(const ObjectMeta& metadata) {
  return metadata.deletion_timestamp && has_finalizer(metadata, api::metav1::kFinalizerDeleteDependents);
}

bool orphans_dependents(const ObjectMeta& metadata) {
  return metadata.deletion_timestamp && has_finalizer(metadata, api::metav1::kFinalizerOrphanDependents);
}

bool blocks(const ObjectMeta& dependent, std::string_view owner_uid) {
  return std::ranges::any_of(dependent.owner_references, [&](const OwnerReference& owner) {
    return owner.uid == owner_uid && owner.block_owner_deletion.value_or(false);
  });
}

void OwnerGraph::link(Node& node) {
  for (const OwnerReference& reference : node.metadata->owner_references) {
    const auto owner = owners_.try_emplace(reference.uid).first;
    auto& dependents = owner->second.dependents;
    node.owners.push_back({owner->first, &owner->second, dependents.size()});
    dependents.push_back({&node, node.owners.size() - 1});
  }
  node.owners.shrink_to_fit();
}

void OwnerGraph::unlink(Node& node) {
  for (const Edge& edge : node.owners) {
    // The last one takes the free place.
    auto& dependents = edge.owner->dependents;
    const Owner::Place moved = dependents.back();
    dependents[edge.place] = moved;
    moved.dependent->owners[moved.edge].place = edge.place;
    dependents.pop_back();
    if (dependents.empty()) owners_.erase(std::string(edge.uid));
  }
  node.owners.clear();
}

void OwnerGraph::update(size_t resource, MetadataPointer metadata) {
  const std::lock_guard lock(mutex_);
  const std::string_view uid = metadata->uid;
  const auto found = nodes_.find(uid);
  if (found == nodes_.end()) {
    Node& node = nodes_[uid];
    node.resource = resource;
    node.metadata = std::move(metadata);
    link(node);
    return;
  }
  const bool same = std::ranges::equal(found->second.metadata->owner_references, metadata->owner_references, {},
                                       &OwnerReference::uid, &OwnerReference::uid);
  if (!same) unlink(found->second);
  // The key must stand in the new metadata before the old one goes; the node keeps its place in memory.
  auto node = nodes_.extract(found);
  node.key() = uid;
  node.mapped().metadata = std::move(metadata);
  Node& kept = nodes_.insert(std::move(node)).position->second;
  if (!same) link(kept);
}

void OwnerGraph::remove(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(uid);
  if (found == nodes_.end()) return;
  unlink(found->second);
  nodes_.erase(found);
}

std::optional<Observed> OwnerGraph::find(std::string_view uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(uid);
  if (found == nodes_.end()) return std::nullopt;
  return Observed{found->second.resource, found->second.metadata};
}

std::vector<Observed> OwnerGraph::dependents(const std::string& owner_uid) const {
  const std::lock_guard lock(mutex_);
  std::vector<Observed> out;
  const auto found = owners_.find(owner_uid);
  if (found == owners_.end()) return out;
  out.reserve(found->second.dependents.size());
  for (const auto& [node, edge] : found->second.dependents) out.push_back({node->resource, node->metadata});
  return out;
}

std::optional<Observed> OwnerGraph::any_dependent(const std::string& owner_uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = owners_.find(owner_uid);
  if (found == owners_.end()) return std::nullopt;
  const Node& node = *found->second.dependents.front().dependent;
  return Observed{node.resource, node.metadata};
}

std::optional<Observed> OwnerGraph::blocking_dependent(const std::string& owner_uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = owners_.find(owner_uid);
  if (found == owners_.end()) return std::nullopt;
  for (const auto& [node, edge] : found->second.dependents) {
    if (blocks(*node->metadata, owner_uid)) return Observed{node->resource, node->metadata};
  }
  return std::nullopt;
}

bool OwnerGraph::absent(const std::string& owner) {
  const std::lock_guard lock(mutex_);
  return absent_.contains(owner) && absent_[owner];
}

void OwnerGraph::set_absent(const std::string& owner) {
  const std::lock_guard lock(mutex_);
  absent_[owner] = true;
}

}  // namespace trireme::controllers
