#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/node_info.h"

/// Counts of pods by topology that are kept up to date while pods come and go, so that a pod whose like was scheduled
/// before needs no walk over the cluster. The scheduling thread's.
namespace trireme::scheduler {

/// The domains of one topology key: which node belongs to which. Domains are numbered in the order of their discovery.
class Topology {
 public:
  static constexpr int32_t kNone = -1;  ///< The node lacks the label.
  /// Stands for a topology in which every node is a domain of its own, whatever its labels.
  static constexpr std::string_view kEachNode = "";

  explicit Topology(std::string key) : key_(std::move(key)) {}
  const std::string& key() const { return key_; }

  int32_t domain_of(const NodeInfo& node) const {
    return node.ordinal < of_node_.size() ? of_node_[node.ordinal] : kNone;
  }
  /// Every domain is below this.
  size_t size() const { return size_; }

  void set_node(const NodeInfo& node);
  void remove_node(const NodeInfo& node);

 private:
  std::string key_;
  std::unordered_map<std::string, int32_t> domains_;
  std::vector<int32_t> of_node_;
  size_t size_ = 0;
};

/// The nodes whose objects satisfy a condition, by ordinal.
class NodeSet {
 public:
  using Condition = std::function<bool(const NodeInfo& node)>;  ///< Reads nothing but the node object.
  explicit NodeSet(Condition condition) : condition_(std::move(condition)) {}
  bool contains(size_t ordinal) const { return ordinal < in_.size() && in_[ordinal]; }
  size_t size() const { return size_; }
  void set_node(const NodeInfo& node) { set(node.ordinal, condition_(node)); }
  void remove_node(const NodeInfo& node) { set(node.ordinal, false); }

 private:
  void set(size_t ordinal, bool in) {
    if (ordinal >= in_.size()) in_.resize(ordinal + 1);
    size_ += static_cast<size_t>(in) - static_cast<size_t>(in_[ordinal]);
    in_[ordinal] = in;
  }
  Condition condition_;
  std::vector<uint8_t> in_;
  size_t size_ = 0;
};

/// What pods weigh in each domain of some topologies, over all nodes that are included.
class Tally {
 public:
  using Add = std::function<void(const std::string& topology_key, int64_t weight)>;
  enum class Scope : uint8_t { kAllPods, kPodsWithAffinity, kPodsWithRequiredAntiAffinity };
  struct Rule {
    /// Adds what the pod weighs. Must depend on the pod and what it holds itself only; namespaces' labels excepted.
    std::function<void(const PodInfo& pod, const Add& add)> weigh;
    std::function<bool(const NodeInfo& node)> includes;  ///< Null: all nodes. Reads nothing but the node object.
    Scope scope = Scope::kAllPods;                       ///< Other pods weigh nothing.
    std::vector<std::string> keys;                       ///< Whose domains count though no pod weighs anything in them.
  };
  /// The counts of one topology.
  class Counts {
   public:
    explicit Counts(const Topology& topology) : topology_(&topology) {}
    const Topology& topology() const { return *topology_; }
    int64_t at(int32_t domain) const {
      return domain >= 0 && static_cast<size_t>(domain) < weights_.size() ? weights_[static_cast<size_t>(domain)] : 0;
    }
    int64_t at(const NodeInfo& node) const { return at(topology_->domain_of(node)); }
    int64_t total() const { return total_; }
    /// For the rule's `keys`: how many domains have how much weight, of those with an included node.
    const std::map<int64_t, size_t>& histogram() const { return histogram_; }
    size_t domains() const { return domains_; }
    bool has_domain(int32_t domain) const {
      return domain >= 0 && static_cast<size_t>(domain) < nodes_.size() && nodes_[static_cast<size_t>(domain)] > 0;
    }

   private:
    friend class Tally;
    void add(int32_t domain, int64_t weight);
    void count_node(int32_t domain, int by);

    const Topology* topology_;
    std::vector<int64_t> weights_;  ///< By domain.
    std::vector<int32_t> nodes_;    ///< Included nodes, by domain; for the rule's keys only.
    std::map<int64_t, size_t> histogram_;
    size_t domains_ = 0;
    int64_t total_ = 0;
  };
  using FindTopology = std::function<const Topology&(const std::string& key)>;

  Tally(Rule rule, FindTopology topologies);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  /// Null while nothing weighs anything there.
  const Counts* counts(std::string_view key) const;
  const std::vector<Counts>& all() const { return counts_; }
  const Rule& rule() const { return rule_; }
  const Topology& topology(const std::string& key) const { return topologies_(key); }
  bool in_scope(const PodInfo& pod) const;
  bool includes(const NodeInfo& node) const { return !rule_.includes || rule_.includes(node); }

  void add_node(const NodeInfo& node) { change_node(node, 1); }
  void remove_node(const NodeInfo& node) { change_node(node, -1); }
  void add_pod(const PodInfo& pod, const NodeInfo& node) { change_pod(pod, node, 1); }
  void remove_pod(const PodInfo& pod, const NodeInfo& node) { change_pod(pod, node, -1); }

 private:
  void change_node(const NodeInfo& node, int by);
  void change_pod(const PodInfo& pod, const NodeInfo& node, int by);
  Counts& find_or_make(const std::string& key);

  Rule rule_;
  FindTopology topologies_;
  std::vector<Counts> counts_;
};

/// A tally as one trial sees it: with pods taken away and put in that the cluster knows nothing of.
class TrialTally {
 public:
  explicit TrialTally(std::shared_ptr<const Tally> tally) : tally_(std::move(tally)) {}

  const Tally& tally() const { return *tally_; }
  void change(const PodInfo& pod, const NodeInfo& node, int by);

  int64_t at(const Tally::Counts& counts, int32_t domain) const {
    return counts.at(domain) + (changes_.empty() ? 0 : changed(counts.topology(), domain));
  }
  int64_t at(const Topology& topology, const NodeInfo& node) const;
  /// Of all topologies.
  int64_t total() const;
  /// The lowest weight of a domain that counts; 0 without any.
  int64_t lowest(const Tally::Counts& counts) const;
  /// Whether the node's domain in any topology weighs more than nothing.
  bool any_at(const NodeInfo& node) const;

 private:
  struct Change {
    const Topology* topology;
    int32_t domain;
    int64_t weight;
  };
  int64_t changed(const Topology& topology, int32_t domain) const;

  std::shared_ptr<const Tally> tally_;
  std::vector<Change> changes_;
};

}  // namespace trireme::scheduler
