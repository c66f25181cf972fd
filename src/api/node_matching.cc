#include "api/node_matching.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::api {

using corev1::Node;
using corev1::NodeSelectorRequirement;
using corev1::NodeSelectorTerm;
using corev1::Taint;
using corev1::Toleration;

namespace {

std::optional<int64_t> to_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// `value` is null where the node lacks the key.
bool satisfies(const NodeSelectorRequirement& requirement, const std::string* value) {
  const std::string& op = requirement.operator_;
  if (op == corev1::kNodeSelectorOpExists) return value != nullptr;
  if (op == corev1::kNodeSelectorOpDoesNotExist) return value == nullptr;
  if (op == corev1::kNodeSelectorOpIn) return value && std::ranges::count(requirement.values, *value) > 0;
  if (op == corev1::kNodeSelectorOpNotIn) return !value || std::ranges::count(requirement.values, *value) == 0;
  if (!value || requirement.values.size() != 1) return false;
  const auto have = to_integer(*value);
  const auto bound = to_integer(requirement.values[0]);
  if (!have || !bound) return false;
  if (op == corev1::kNodeSelectorOpGt) return *have > *bound;
  if (op == corev1::kNodeSelectorOpLt) return *have < *bound;
  return false;
}

}  // namespace

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == corev1::kTolerationOpExists) return true;
  const bool equal = toleration.operator_.empty() || toleration.operator_ == corev1::kTolerationOpEqual;
  return equal && toleration.value == taint.value;
}

bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::ranges::any_of(tolerations, [&](const Toleration& each) { return tolerates(each, taint); });
}

bool matches_term(const NodeSelectorTerm& term, const Node& node) {
  if (term.match_expressions.empty() && term.match_fields.empty()) return false;
  for (const NodeSelectorRequirement& requirement : term.match_expressions) {
    const auto label = node.metadata.labels.find(requirement.key);
    if (!satisfies(requirement, label == node.metadata.labels.end() ? nullptr : &label->second)) return false;
  }
  for (const NodeSelectorRequirement& requirement : term.match_fields) {
    // The only field there is.
    if (requirement.key != "metadata.name" || !satisfies(requirement, &node.metadata.name)) return false;
  }
  return true;
}

bool matches_required_node_affinity(const corev1::PodSpec& pod, const Node& node) {
  for (const auto& [key, value] : pod.node_selector) {
    const auto label = node.metadata.labels.find(key);
    if (label == node.metadata.labels.end() || label->second != value) return false;
  }
  if (!pod.affinity || !pod.affinity->node_affinity) return true;
  const auto& required = pod.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return true;
  return std::ranges::any_of(required->node_selector_terms,
                             [&](const NodeSelectorTerm& term) { return matches_term(term, node); });
}

}  // namespace trireme::api
