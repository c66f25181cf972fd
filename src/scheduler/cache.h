#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "scheduler/node_info.h"

namespace trireme::scheduler {

/// The cluster as scheduling sees it: nodes with the pods bound to them or assumed to be.
///
/// Owned by the scheduling thread, which applies what the informers report between two decisions. So the cache is its
/// own snapshot: nothing changes while a pod is being decided on, and nothing is copied or locked.
class Cache {
 public:
  Cache() = default;
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  void set_node(NodePointer node);
  void remove_node(const std::string& name);

  /// A pod that the API says is bound to `node`; confirms an assumed one, wherever it was assumed to be.
  void set_pod(const PodInfoPointer& pod, const std::string& node);
  /// A pod that is about to be bound. It counts until `set_pod` confirms or `remove_pod` withdraws it.
  void assume(const PodInfoPointer& pod, const std::string& node);
  /// Null when it is not there.
  PodInfoPointer remove_pod(const std::string& uid);
  bool is_assumed(const std::string& uid) const;
  /// The pod's info, null when it is on no node.
  PodInfoPointer pod(const std::string& uid) const;
  /// The node that holds the pod; null when none does.
  const NodeInfo* node_of(const std::string& uid) const;

  void set_namespace(const std::string& name, Labels labels) { namespaces_[name] = std::move(labels); }
  void remove_namespace(const std::string& name) { namespaces_.erase(name); }
  /// Null for a namespace that is not known.
  const Labels* namespace_labels(const std::string& name) const;

  /// All nodes, those of different zones in turn.
  std::span<const NodeInfo* const> nodes() const;
  /// Null when there is no such node.
  const NodeInfo* node(const std::string& name) const;
  /// Nodes with pods that have affinity or anti-affinity of any kind, and with pods that have required anti-affinity.
  const std::unordered_set<const NodeInfo*>& nodes_with_affinity() const { return with_affinity_; }
  const std::unordered_set<const NodeInfo*>& nodes_with_anti_affinity() const { return with_anti_affinity_; }
  /// How many nodes hold an image.
  int64_t nodes_with_image(const std::string& name) const;

  /// What selects a pod together with its like: its services and its owner (for default topology spreading). Selects
  /// nothing by default.
  using Siblings = std::function<api::LabelSelector(const api::corev1::Pod&)>;
  void set_siblings(Siblings siblings) { siblings_ = std::move(siblings); }
  api::LabelSelector siblings_of(const api::corev1::Pod& pod) const {
    return siblings_ ? siblings_(pod) : api::LabelSelector::nothing();
  }

 private:
  struct PlacedPod {
    PodInfoPointer info;
    NodeInfo* node = nullptr;
    bool assumed = false;
  };
  void place(const PodInfoPointer& pod, const std::string& node, bool assumed);
  void note_affinity(const NodeInfo& node);
  void count_images(const NodeInfo& node, int64_t by);
  void drop_if_empty(NodeInfo& node);
  void order_nodes() const;

  std::unordered_map<std::string, std::unique_ptr<NodeInfo>> nodes_;
  std::unordered_map<std::string, PlacedPod> pods_;  ///< By UID.
  std::unordered_map<std::string, Labels> namespaces_;
  std::unordered_map<std::string, int64_t> image_nodes_;
  std::unordered_set<const NodeInfo*> with_affinity_;
  std::unordered_set<const NodeInfo*> with_anti_affinity_;
  mutable std::vector<const NodeInfo*> ordered_;
  mutable bool ordered_valid_ = true;
  Siblings siblings_;
};

}  // namespace trireme::scheduler
