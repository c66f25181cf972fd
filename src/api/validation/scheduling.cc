#include <fmt/format.h>

#include <algorithm>

#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view kNoSelector = "must not be specified when labelSelector is not set";

void check_requirement(const corev1::NodeSelectorRequirement& requirement, bool any_values, const Path& at,
                       ErrorList& errors) {
  const std::string& op = requirement.operator_;
  if (op == "In" || op == "NotIn") {
    if (requirement.values.empty()) {
      errors.required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
    }
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!requirement.values.empty()) {
      errors.forbidden(at.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    }
  } else if (op == "Gt" || op == "Lt") {
    if (requirement.values.size() != 1) {
      errors.required(at.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
    }
  } else {
    errors.invalid(at.child("operator"), op, "not a valid selector operator");
  }
  check_qualified_name(requirement.key, at.child("key"), errors);
  if (any_values) return;
  for (size_t i = 0; i < requirement.values.size(); ++i) {
    errors.invalid_each(at.child("values").index(i), requirement.values[i],
                        label_value_problems(requirement.values[i]));
  }
}

void check_field_requirement(const corev1::NodeSelectorRequirement& requirement, const Path& at, ErrorList& errors) {
  if (requirement.operator_ == "In" || requirement.operator_ == "NotIn") {
    if (requirement.values.size() != 1) {
      errors.required(at.child("values"),
                      "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
    }
  } else {
    errors.invalid(at.child("operator"), requirement.operator_, "not a valid selector operator");
  }
  if (requirement.key != "metadata.name") {
    errors.invalid(at.child("key"), requirement.key, "not a valid field selector key");
    return;
  }
  for (size_t i = 0; i < requirement.values.size(); ++i) {
    check_name(NameRule::kSubdomain, requirement.values[i], at.child("values").index(i), errors);
  }
}

void check_weight(int32_t weight, const Path& at, ErrorList& errors) {
  if (weight <= 0 || weight > 100) errors.invalid(at, weight, "must be in the range 1-100");
}

void check_label_keys(const std::vector<std::string>& keys, bool has_selector, const Path& at, ErrorList& errors) {
  if (keys.empty()) return;
  if (!has_selector) return errors.forbidden(at, kNoSelector);
  for (size_t i = 0; i < keys.size(); ++i) check_qualified_name(keys[i], at.index(i), errors);
}

void check_pod_term(const corev1::PodAffinityTerm& term, const Path& at, ErrorList& errors) {
  if (term.label_selector) check_selector(*term.label_selector, at.child("labelSelector"), errors);
  if (term.namespace_selector) check_selector(*term.namespace_selector, at.child("namespaceSelector"), errors);
  for (const auto& name : term.namespaces) check_name(NameRule::kLabel, name, at.child("namespace"), errors);
  check_label_keys(term.match_label_keys, term.label_selector.has_value(), at.child("matchLabelKeys"), errors);
  check_label_keys(term.mismatch_label_keys, term.label_selector.has_value(), at.child("mismatchLabelKeys"), errors);
  if (term.label_selector) {
    // The strategy has already merged matchLabelKeys into the selector, so only a second mention is the user's.
    std::set<std::string_view> seen;
    for (const auto& [key, value] : term.label_selector->match_labels) seen.insert(key);
    for (const auto& expression : term.label_selector->match_expressions) {
      const auto found = std::find(term.match_label_keys.begin(), term.match_label_keys.end(), expression.key);
      if (found != term.match_label_keys.end() && seen.count(expression.key) > 0) {
        errors.invalid(at.index(static_cast<size_t>(found - term.match_label_keys.begin())), expression.key,
                       "exists in both matchLabelKeys and labelSelector");
      }
      seen.insert(expression.key);
    }
  }
  for (size_t i = 0; i < term.match_label_keys.size(); ++i) {
    const auto& others = term.mismatch_label_keys;
    if (std::find(others.begin(), others.end(), term.match_label_keys[i]) != others.end()) {
      errors.invalid(at.child("matchLabelKeys").index(i), term.match_label_keys[i],
                     "exists in both matchLabelKeys and mismatchLabelKeys");
    }
  }
  if (term.topology_key.empty()) errors.required(at.child("topologyKey"), "can not be empty");
  check_qualified_name(term.topology_key, at.child("topologyKey"), errors);
}

template <typename PodAffinity>
void check_pod_affinity(const PodAffinity& affinity, const Path& at, ErrorList& errors) {
  const auto& required = affinity.required_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < required.size(); ++i) check_pod_term(required[i], at.child(kRequired).index(i), errors);
  const auto& preferred = affinity.preferred_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    const Path path = at.child(kPreferred).index(i);
    check_weight(preferred[i].weight, path.child("weight"), errors);
    check_pod_term(preferred[i].pod_affinity_term, path.child("podAffinityTerm"), errors);
  }
}

}  // namespace

void check_node_selector_term(const corev1::NodeSelectorTerm& term, bool any_values, const Path& at,
                              ErrorList& errors) {
  for (size_t i = 0; i < term.match_expressions.size(); ++i) {
    check_requirement(term.match_expressions[i], any_values, at.child("matchExpressions").index(i), errors);
  }
  for (size_t i = 0; i < term.match_fields.size(); ++i) {
    check_field_requirement(term.match_fields[i], at.child("matchFields").index(i), errors);
  }
}

void check_node_selector(const corev1::NodeSelector& selector, const Path& at, ErrorList& errors) {
  const Path terms = at.child("nodeSelectorTerms");
  if (selector.node_selector_terms.empty()) {
    errors.required(terms, "must have at least one node selector term");
  }
  for (size_t i = 0; i < selector.node_selector_terms.size(); ++i) {
    check_node_selector_term(selector.node_selector_terms[i], false, terms.index(i), errors);
  }
}

void check_affinity(const corev1::Affinity& affinity, const Path& at, ErrorList& errors) {
  if (affinity.node_affinity) {
    const auto& node = *affinity.node_affinity;
    const Path path = at.child("nodeAffinity");
    if (node.required_during_scheduling_ignored_during_execution) {
      check_node_selector(*node.required_during_scheduling_ignored_during_execution, path.child(kRequired), errors);
    }
    const auto& preferred = node.preferred_during_scheduling_ignored_during_execution;
    for (size_t i = 0; i < preferred.size(); ++i) {
      const Path term = path.child(kPreferred).index(i);
      check_weight(preferred[i].weight, term.child("weight"), errors);
      check_node_selector_term(preferred[i].preference, true, term.child("preference"), errors);
    }
  }
  if (affinity.pod_affinity) check_pod_affinity(*affinity.pod_affinity, at.child("podAffinity"), errors);
  if (affinity.pod_anti_affinity) check_pod_affinity(*affinity.pod_anti_affinity, at.child("podAntiAffinity"), errors);
}

void check_taint_effect(std::string_view effect, const Path& at, ErrorList& errors) {
  if (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute") {
    errors.not_supported(at, effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  }
}

void check_tolerations(const std::vector<corev1::Toleration>& tolerations, const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < tolerations.size(); ++i) {
    const auto& toleration = tolerations[i];
    const Path path = at.index(i);
    const Path op = path.child("operator");
    if (!toleration.key.empty()) check_qualified_name(toleration.key, path.child("key"), errors);
    if (toleration.key.empty() && toleration.operator_ != "Exists") {
      errors.invalid(op, toleration.operator_,
                     "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    }
    if (toleration.toleration_seconds && toleration.effect != "NoExecute") {
      errors.invalid(path.child("effect"), toleration.effect,
                     "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (toleration.operator_.empty() || toleration.operator_ == "Equal") {
      std::string joined;
      for (const auto& problem : label_value_problems(toleration.value)) {
        joined += (joined.empty() ? "" : ";") + problem;
      }
      if (!joined.empty()) errors.invalid(op, toleration.value, joined);
    } else if (toleration.operator_ == "Exists") {
      if (!toleration.value.empty()) {
        errors.invalid(op, toleration.value, "value must be empty when `operator` is 'Exists'");
      }
    } else {
      errors.not_supported(op, toleration.operator_, {"Equal", "Exists"});
    }
    if (!toleration.effect.empty()) check_taint_effect(toleration.effect, path.child("effect"), errors);
  }
}

void check_spread_constraints(const std::vector<corev1::TopologySpreadConstraint>& constraints, const Path& at,
                              ErrorList& errors) {
  auto check_policy = [&](const Box<std::string>& policy, const Path& path) {
    if (policy && *policy != "Ignore" && *policy != "Honor") errors.not_supported(path, *policy, {"Honor", "Ignore"});
  };
  for (size_t i = 0; i < constraints.size(); ++i) {
    const auto& constraint = constraints[i];
    const Path path = at.index(i);
    const std::string& action = constraint.when_unsatisfiable;
    if (constraint.max_skew <= 0) {
      errors.invalid(path.child("maxSkew"), constraint.max_skew, "must be greater than zero");
    }
    if (constraint.topology_key.empty()) errors.required(path.child("topologyKey"), "can not be empty");
    if (action != "DoNotSchedule" && action != "ScheduleAnyway") {
      errors.not_supported(path.child("whenUnsatisfiable"), action, {"DoNotSchedule", "ScheduleAnyway"});
    }
    for (size_t j = i + 1; j < constraints.size(); ++j) {
      if (constraints[j].topology_key == constraint.topology_key && constraints[j].when_unsatisfiable == action) {
        errors.duplicate(path.child("{topologyKey, whenUnsatisfiable}"),
                         fmt::format("{{{}, {}}}", constraint.topology_key, action));
        break;
      }
    }
    if (constraint.min_domains) {
      const int32_t domains = *constraint.min_domains;
      if (domains <= 0) errors.invalid(path.child("minDomains"), domains, "must be greater than zero");
      if (action != "DoNotSchedule") {
        errors.invalid(path.child("minDomains"), domains,
                       fmt::format("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}", action));
      }
    }
    check_policy(constraint.node_affinity_policy, path.child("nodeAffinityPolicy"));
    check_policy(constraint.node_taints_policy, path.child("nodeTaintsPolicy"));
    if (!constraint.match_label_keys.empty()) {
      const Path keys = path.child("matchLabelKeys");
      std::set<std::string_view> selected;
      if (constraint.label_selector) {
        for (const auto& [key, value] : constraint.label_selector->match_labels) selected.insert(key);
        for (const auto& e : constraint.label_selector->match_expressions) selected.insert(e.key);
      } else {
        errors.forbidden(keys, kNoSelector);
      }
      for (size_t k = 0; k < constraint.match_label_keys.size(); ++k) {
        check_qualified_name(constraint.match_label_keys[k], keys.index(k), errors);
        if (selected.count(constraint.match_label_keys[k]) > 0) {
          errors.invalid(keys.index(k), constraint.match_label_keys[k],
                         "exists in both matchLabelKeys and labelSelector");
        }
      }
    }
    if (constraint.label_selector) check_selector(*constraint.label_selector, path.child("labelSelector"), errors);
  }
}

}  // namespace trireme::api::validation
