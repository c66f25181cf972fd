#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/types/batchv1.h"
#include "controllers/job/indexes.h"

/// What a job's policies say about its pods.
namespace trireme::controllers {

/// https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
struct FailureVerdict {
  std::string_view action;  ///< batchv1::kPodFailurePolicyAction…; empty when no rule matched.
  std::string message;      ///< For FailJob: why the job fails.

  /// Whether the failure counts towards the job's limits.
  bool counts() const { return action != api::batchv1::kPodFailurePolicyActionIgnore; }
};
FailureVerdict judge_failure(const api::batchv1::JobSpec& spec, const api::corev1::Pod& failed);

/// The message of the condition SuccessCriteriaMet; nothing while no rule is met.
/// https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy
std::optional<std::string> success_message(const api::batchv1::JobSpec& spec, const IndexSet& succeeded);

/// A pod is replaced only when it has failed, not already while it is being terminated.
/// https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-replacement-policy
bool replaces_only_failed(const api::batchv1::JobSpec& spec);

bool is_indexed(const api::batchv1::JobSpec& spec);

}  // namespace trireme::controllers
