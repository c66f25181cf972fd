#include "scheduler/topology.h"

#include <algorithm>

namespace trireme::scheduler {

void Topology::set_node(const NodeInfo& node) {
  if (node.ordinal >= of_node_.size()) of_node_.resize(node.ordinal + 1, kNone);
  int32_t& domain = of_node_[node.ordinal];
  if (key_ == kEachNode) {
    domain = static_cast<int32_t>(node.ordinal);
    size_ = std::max<size_t>(size_, node.ordinal + 1);
    return;
  }
  const std::string* value = node.label(key_);
  domain = value ? domains_.try_emplace(*value, static_cast<int32_t>(domains_.size())).first->second : kNone;
  size_ = domains_.size();
}

void Topology::remove_node(const NodeInfo& node) {
  if (node.ordinal < of_node_.size()) of_node_[node.ordinal] = kNone;
}

void Tally::Counts::add(int32_t domain, int64_t weight) {
  const auto at = static_cast<size_t>(domain);
  if (at >= weights_.size()) weights_.resize(std::max(at + 1, topology_->size()));
  if (has_domain(domain)) {
    const auto bucket = histogram_.find(weights_[at]);
    if (--bucket->second == 0) histogram_.erase(bucket);
    ++histogram_[weights_[at] + weight];
  }
  weights_[at] += weight;
  total_ += weight;
}

void Tally::Counts::count_node(int32_t domain, int by) {
  const auto at = static_cast<size_t>(domain);
  if (at >= nodes_.size()) nodes_.resize(std::max(at + 1, topology_->size()));
  const bool before = nodes_[at] > 0;
  nodes_[at] += by;
  const bool after = nodes_[at] > 0;
  if (before == after) return;
  if (after) {
    ++domains_;
    ++histogram_[this->at(domain)];
  } else {
    --domains_;
    const auto bucket = histogram_.find(this->at(domain));
    if (--bucket->second == 0) histogram_.erase(bucket);
  }
}

Tally::Tally(Rule rule, FindTopology topologies) : rule_(std::move(rule)), topologies_(std::move(topologies)) {
  for (const std::string& key : rule_.keys) find_or_make(key);
}

const Tally::Counts* Tally::counts(std::string_view key) const {
  const auto found = std::ranges::find_if(counts_, [&](const Counts& each) { return each.topology().key() == key; });
  return found == counts_.end() ? nullptr : &*found;
}

Tally::Counts& Tally::find_or_make(const std::string& key) {
  for (Counts& each : counts_) {
    if (each.topology().key() == key) return each;
  }
  return counts_.emplace_back(topology(key));
}

bool Tally::in_scope(const PodInfo& pod) const {
  if (rule_.scope == Scope::kPodsWithAffinity) return pod.has_affinity();
  if (rule_.scope == Scope::kPodsWithRequiredAntiAffinity) return !pod.required_anti_affinity().empty();
  return true;
}

void Tally::change_pod(const PodInfo& pod, const NodeInfo& node, int by) {
  if (!node.node || !in_scope(pod) || !includes(node)) return;
  rule_.weigh(pod, [&](const std::string& key, int64_t weight) {
    Counts& counts = find_or_make(key);
    const int32_t domain = counts.topology().domain_of(node);
    if (domain != Topology::kNone) counts.add(domain, by * weight);
  });
}

void Tally::change_node(const NodeInfo& node, int by) {
  if (!node.node || !includes(node)) return;
  const auto count = [&] {
    for (size_t i = 0; i < rule_.keys.size(); ++i) {
      const int32_t domain = counts_[i].topology().domain_of(node);
      if (domain != Topology::kNone) counts_[i].count_node(domain, by);
    }
  };
  if (by > 0) count();
  const auto& pods = rule_.scope == Scope::kAllPods            ? node.pods
                     : rule_.scope == Scope::kPodsWithAffinity ? node.pods_with_affinity
                                                               : node.pods_with_required_anti_affinity;
  for (const PodInfoPointer& pod : pods) change_pod(*pod, node, by);
  if (by < 0) count();
}

void TrialTally::change(const PodInfo& pod, const NodeInfo& node, int by) {
  if (!node.node || !tally_->includes(node) || !tally_->in_scope(pod)) return;
  tally_->rule().weigh(pod, [&](const std::string& key, int64_t weight) {
    const Topology& topology = tally_->topology(key);
    const int32_t domain = topology.domain_of(node);
    if (domain == Topology::kNone || weight == 0) return;
    for (auto each = changes_.begin(); each != changes_.end(); ++each) {
      if (each->topology != &topology || each->domain != domain) continue;
      each->weight += by * weight;
      if (each->weight == 0) changes_.erase(each);
      return;
    }
    changes_.push_back({&topology, domain, by * weight});
  });
}

int64_t TrialTally::changed(const Topology& topology, int32_t domain) const {
  int64_t sum = 0;
  for (const Change& each : changes_) {
    if (each.topology == &topology && each.domain == domain) sum += each.weight;
  }
  return sum;
}

int64_t TrialTally::at(const Topology& topology, const NodeInfo& node) const {
  const Tally::Counts* counts = tally_->counts(topology.key());
  const int32_t domain = topology.domain_of(node);
  if (counts) return at(*counts, domain);
  return changes_.empty() ? 0 : changed(topology, domain);
}

int64_t TrialTally::total() const {
  int64_t sum = 0;
  for (const Tally::Counts& each : tally_->all()) sum += each.total();
  for (const Change& each : changes_) sum += each.weight;
  return sum;
}

int64_t TrialTally::lowest(const Tally::Counts& counts) const {
  const auto& histogram = counts.histogram();
  if (histogram.empty()) return 0;
  if (changes_.empty()) return histogram.begin()->first;
  std::map<int64_t, int64_t> shifted;  // Few levels: pods are spread.
  for (const auto& [weight, domains] : histogram) shifted[weight] = static_cast<int64_t>(domains);
  for (const Change& each : changes_) {
    if (each.topology != &counts.topology() || !counts.has_domain(each.domain)) continue;
    --shifted[counts.at(each.domain)];
    ++shifted[counts.at(each.domain) + each.weight];
  }
  const auto lowest = std::ranges::find_if(shifted, [](const auto& each) { return each.second > 0; });
  return lowest == shifted.end() ? 0 : lowest->first;
}

bool TrialTally::any_at(const NodeInfo& node) const {
  for (const Tally::Counts& each : tally_->all()) {
    const int32_t domain = each.topology().domain_of(node);
    if (domain != Topology::kNone && at(each, domain) > 0) return true;
  }
  return std::ranges::any_of(changes_, [&](const Change& each) {
    return each.domain == each.topology->domain_of(node) && at(*each.topology, node) > 0;
  });
}

}  // namespace trireme::scheduler
