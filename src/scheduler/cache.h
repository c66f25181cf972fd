#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "scheduler/node_info.h"
#include "scheduler/topology.h"

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

  void set_namespace(const std::string& name, Labels labels);
  void remove_namespace(const std::string& name);
  /// Null for a namespace that is not known.
  const Labels* namespace_labels(const std::string& name) const;

  /// All nodes, those of different zones in turn.
  std::span<const NodeInfo* const> nodes() const;
  /// Their ordinals, in the same order.
  std::span<const uint32_t> node_ordinals() const {
    nodes();
    return ordered_ordinals_;
  }
  /// Null when there is no such node.
  const NodeInfo* node(const std::string& name) const;
  /// Nodes with pods that have affinity or anti-affinity of any kind, and with pods that have required anti-affinity.
  const std::unordered_set<const NodeInfo*>& nodes_with_affinity() const { return with_affinity_; }
  const std::unordered_set<const NodeInfo*>& nodes_with_anti_affinity() const { return with_anti_affinity_; }
  /// How many nodes hold an image.
  int64_t nodes_with_image(const std::string& name) const;

  const Topology& topology(const std::string& key) const;
  /// The tally known by `key`, made by `make` when there is none: kept up to date from then on, as long as it is one of
  /// the few used last. The key must tell everything that the rule depends on.
  std::shared_ptr<const Tally> tally(const std::string& key, const std::function<Tally::Rule()>& make) const;
  /// One bit for every node's ordinal: whether its node object satisfies a condition, known by `key` like a tally.
  std::shared_ptr<const NodeSet> node_set(const std::string& key,
                                          const std::function<NodeSet::Condition()>& make) const;

  /// A number that grows with every change of a node or of what is on it, and the ordinals of the nodes that changed
  /// after `version` (each perhaps several times); nothing when that is too long ago to tell.
  uint64_t version() const { return first_change_ + changes_.size(); }
  std::optional<std::span<const uint32_t>> changed_since(uint64_t version) const;
  /// Null when no node has the ordinal.
  const NodeInfo* at_ordinal(size_t ordinal) const {
    return ordinal < by_ordinal_.size() ? by_ordinal_[ordinal] : nullptr;
  }
  size_t ordinals() const { return by_ordinal_.size(); }

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
  NodeInfo& slot(const std::string& name);
  void changed(const NodeInfo& node);
  void note_affinity(const NodeInfo& node);
  void count_images(const NodeInfo& node, int64_t by);
  void drop_if_empty(NodeInfo& node);
  void order_nodes() const;

  std::unordered_map<std::string, std::unique_ptr<NodeInfo>> nodes_;
  std::unordered_map<std::string_view, PlacedPod> pods_;  ///< By UID, which stands in the pod itself.
  std::unordered_map<std::string, Labels> namespaces_;
  std::unordered_map<std::string, int64_t> image_nodes_;
  std::unordered_set<const NodeInfo*> with_affinity_;
  std::unordered_set<const NodeInfo*> with_anti_affinity_;
  template <typename T>
  struct Kept {
    std::string key;
    std::shared_ptr<T> value;
  };
  std::vector<const NodeInfo*> by_ordinal_;
  std::vector<size_t> free_ordinals_;
  mutable std::map<std::string, std::unique_ptr<Topology>> topologies_;
  mutable std::list<Kept<Tally>> tallies_;  ///< The one used last first.
  mutable std::list<Kept<NodeSet>> node_sets_;
  std::vector<uint32_t> changes_;  ///< Ordinals; the first is change number `first_change_`.
  uint64_t first_change_ = 0;
  mutable std::vector<const NodeInfo*> ordered_;
  mutable std::vector<uint32_t> ordered_ordinals_;
  mutable bool ordered_valid_ = true;
  Siblings siblings_;
};

}  // namespace trireme::scheduler
