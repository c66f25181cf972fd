#include "scheduler/node_info.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace trireme::scheduler {

using api::corev1::Node;
using api::corev1::NodeSelectorRequirement;
using api::corev1::NodeSelectorTerm;
using api::corev1::Taint;
using api::corev1::Toleration;

namespace {

bool erase_uid(std::vector<PodInfoPointer>& pods, std::string_view uid) {
  const auto found = std::ranges::find_if(pods, [&](const PodInfoPointer& each) { return each->uid() == uid; });
  if (found == pods.end()) return false;
  if (std::next(found) != pods.end()) *found = std::move(pods.back());
  pods.pop_back();
  return true;
}

std::optional<int64_t> to_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `value` is null where the node lacks the key.
bool satisfies(const NodeSelectorRequirement& requirement, const std::string* value) {
  const std::string& op = requirement.operator_;
  if (op == api::corev1::kNodeSelectorOpExists) return value != nullptr;
  if (op == api::corev1::kNodeSelectorOpDoesNotExist) return value == nullptr;
  if (op == api::corev1::kNodeSelectorOpIn) return value && std::ranges::count(requirement.values, *value) > 0;
  if (op == api::corev1::kNodeSelectorOpNotIn) return !value || std::ranges::count(requirement.values, *value) == 0;
  if (!value || requirement.values.size() != 1) return false;
  const auto have = to_integer(*value);
  const auto bound = to_integer(requirement.values[0]);
  if (!have || !bound) return false;
  if (op == api::corev1::kNodeSelectorOpGt) return *have > *bound;
  if (op == api::corev1::kNodeSelectorOpLt) return *have < *bound;
  return false;
}

}  // namespace

void NodeInfo::set_node(NodePointer new_node) {
  node = std::move(new_node);
  name = node->metadata.name;
  allocatable = resources_of(node->status.allocatable);
  unschedulable = node->spec.unschedulable;
  hard_taints.clear();
  soft_taints.clear();
  for (const Taint& taint : node->spec.taints) {
    (taint.effect == api::corev1::kTaintEffectPreferNoSchedule ? soft_taints : hard_taints).push_back(taint);
  }
  image_bytes.clear();
  for (const auto& image : node->status.images) {
    for (const std::string& image_name : image.names) image_bytes[image_name] = image.size_bytes;
  }
}

void NodeInfo::add_pod(const PodInfoPointer& pod) {
  lowest_priority = std::min(lowest_priority, pod->priority);
  requested.add(pod->requests);
  non_zero_milli_cpu += pod->non_zero_milli_cpu;
  non_zero_memory += pod->non_zero_memory;
  pods.push_back(pod);
  if (pod->has_affinity()) pods_with_affinity.push_back(pod);
  if (!pod->required_anti_affinity.empty()) pods_with_required_anti_affinity.push_back(pod);
  used_ports.insert(used_ports.end(), pod->host_ports.begin(), pod->host_ports.end());
}

bool NodeInfo::remove_pod(std::string_view uid) {
  const auto found = std::ranges::find_if(pods, [&](const PodInfoPointer& each) { return each->uid() == uid; });
  if (found == pods.end()) return false;
  const PodInfoPointer pod = *found;
  requested.subtract(pod->requests);
  non_zero_milli_cpu -= pod->non_zero_milli_cpu;
  non_zero_memory -= pod->non_zero_memory;
  erase_uid(pods, uid);
  if (pod->priority == lowest_priority) {
    lowest_priority = std::numeric_limits<int32_t>::max();
    for (const PodInfoPointer& each : pods) lowest_priority = std::min(lowest_priority, each->priority);
  }
  if (pod->has_affinity()) erase_uid(pods_with_affinity, uid);
  if (!pod->required_anti_affinity.empty()) erase_uid(pods_with_required_anti_affinity, uid);
  for (const HostPort& port : pod->host_ports) {
    const auto used = std::ranges::find(used_ports, port);
    if (used != used_ports.end()) used_ports.erase(used);
  }
  return true;
}

const std::string* NodeInfo::label(std::string_view key) const {
  const auto found = labels().find(key);
  return found == labels().end() ? nullptr : &found->second;
}

std::string zone_of(const Node& node) {
  const Labels& labels = node.metadata.labels;
  const auto region = labels.find(api::corev1::kLabelTopologyRegion);
  const auto zone = labels.find(api::corev1::kLabelTopologyZone);
  if (region == labels.end() && zone == labels.end()) return {};
  return (region == labels.end() ? std::string() : region->second) + '\n' +
         (zone == labels.end() ? std::string() : zone->second);
}

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == api::corev1::kTolerationOpExists) return true;
  const bool equal = toleration.operator_.empty() || toleration.operator_ == api::corev1::kTolerationOpEqual;
  return equal && toleration.value == taint.value;
}

bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::ranges::any_of(tolerations, [&](const Toleration& each) { return tolerates(each, taint); });
}

bool matches_term(const NodeSelectorTerm& term, const Node& node) {
  if (term.match_expressions.empty() && term.match_fields.empty()) return false;
  const Labels& labels = node.metadata.labels;
  for (const NodeSelectorRequirement& requirement : term.match_expressions) {
    const auto label = labels.find(requirement.key);
    if (!satisfies(requirement, label == labels.end() ? nullptr : &label->second)) return false;
  }
  for (const NodeSelectorRequirement& requirement : term.match_fields) {
    // The only field there is.
    if (requirement.key != "metadata.name" || !satisfies(requirement, &node.metadata.name)) return false;
  }
  return true;
}

bool matches_required_node_affinity(const api::corev1::Pod& pod, const Node& node) {
  for (const auto& [key, value] : pod.spec.node_selector) {
    const auto label = node.metadata.labels.find(key);
    if (label == node.metadata.labels.end() || label->second != value) return false;
  }
  if (!pod.spec.affinity || !pod.spec.affinity->node_affinity) return true;
  const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return true;
  return std::ranges::any_of(required->node_selector_terms,
                             [&](const NodeSelectorTerm& term) { return matches_term(term, node); });
}

}  // namespace trireme::scheduler
