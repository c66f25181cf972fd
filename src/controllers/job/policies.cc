#include "controllers/job/policies.h"

#include <fmt/format.h>

#include <algorithm>

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: constants of the policies
using api::corev1::ContainerStatus;
using api::corev1::Pod;
using api::corev1::PodCondition;

namespace {

bool fits(const ContainerStatus& container, const PodFailurePolicyOnExitCodesRequirement& wanted) {
  if (!container.state.terminated || container.state.terminated->exit_code == 0) return false;
  if (wanted.container_name && *wanted.container_name != container.name) return false;
  const bool listed = std::ranges::find(wanted.values, container.state.terminated->exit_code) != wanted.values.end();
  if (wanted.operator_ == kPodFailurePolicyOnExitCodesOpIn) return listed;
  return wanted.operator_ == kPodFailurePolicyOnExitCodesOpNotIn && !listed;
}

const ContainerStatus* matching_container(const Pod& pod, const PodFailurePolicyOnExitCodesRequirement& wanted) {
  for (const auto* list : {&pod.status.container_statuses, &pod.status.init_container_statuses}) {
    for (const ContainerStatus& container : *list) {
      if (fits(container, wanted)) return &container;
    }
  }
  return nullptr;
}

const PodCondition* matching_condition(const Pod& pod, const PodFailurePolicyRule& rule) {
  for (const PodCondition& condition : pod.status.conditions) {
    for (const auto& pattern : rule.on_pod_conditions) {
      if (condition.type == pattern.type && condition.status == pattern.status) return &condition;
    }
  }
  return nullptr;
}

}  // namespace

FailureVerdict judge_failure(const JobSpec& spec, const Pod& failed) {
  if (!spec.pod_failure_policy) return {};
  const auto& rules = spec.pod_failure_policy->rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    const PodFailurePolicyRule& rule = rules[i];
    std::string message;
    if (rule.on_exit_codes) {
      const ContainerStatus* container = matching_container(failed, *rule.on_exit_codes);
      if (container == nullptr) continue;
      message = fmt::format("Container {} for pod {}/{} failed with exit code {} matching {} rule at index {}",
                            container->name, failed.metadata.namespace_, failed.metadata.name,
                            container->state.terminated->exit_code, rule.action, i);
    } else {
      const PodCondition* condition = matching_condition(failed, rule);
      if (condition == nullptr) continue;
      message = fmt::format("Pod {}/{} has condition {} matching {} rule at index {}", failed.metadata.namespace_,
                            failed.metadata.name, condition->type, rule.action, i);
    }
    if (rule.action == kPodFailurePolicyActionFailJob) return {kPodFailurePolicyActionFailJob, std::move(message)};
    for (const auto action :
         {kPodFailurePolicyActionIgnore, kPodFailurePolicyActionCount, kPodFailurePolicyActionFailIndex}) {
      if (rule.action == action) return {action, {}};
    }
    // An action that a newer API brings is passed over.
  }
  return {};
}

std::optional<std::string> success_message(const JobSpec& spec, const IndexSet& succeeded) {
  if (!spec.success_policy || succeeded.empty()) return std::nullopt;
  const auto& rules = spec.success_policy->rules;
  for (size_t i = 0; i < rules.size(); ++i) {
    const SuccessPolicyRule& rule = rules[i];
    bool met = false;
    if (rule.succeeded_indexes) {
      const IndexSet wanted = IndexSet::parse(*rule.succeeded_indexes, spec.completions.value_or(0));
      if (wanted.empty()) continue;
      const int32_t reached = wanted.common(succeeded);
      met = reached == wanted.size() || (rule.succeeded_count && reached >= *rule.succeeded_count);
    } else {
      met = rule.succeeded_count && succeeded.size() >= *rule.succeeded_count;
    }
    if (met) return fmt::format("Matched rules at index {}", i);
  }
  return std::nullopt;
}

bool replaces_only_failed(const JobSpec& spec) {
  return spec.pod_failure_policy.has_value() || spec.pod_replacement_policy.value_or("") == kFailed;
}

bool is_indexed(const JobSpec& spec) { return spec.completion_mode.value_or("") == kIndexedCompletion; }

}  // namespace trireme::controllers
