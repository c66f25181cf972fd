#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/types/policyv1.h"
#include "base/result.h"
#include "controllers/support/pods.h"

/// The arithmetic of a PodDisruptionBudget.
/// https://kubernetes.io/docs/tasks/run-application/configure-pdb/
namespace trireme::controllers {

/// How long an eviction may take until the pod counts as healthy again, should it live on.
inline constexpr Duration kDeletionTimeout = std::chrono::minutes(2);

struct ExpectedPods {
  int32_t expected = 0;  ///< All that there ought to be.
  int32_t healthy = 0;   ///< How many of them must stay healthy.
};
/// `pods`: how many the budget selects; `scale` adds up what their controllers want, and is called only when the budget
/// is about that number. BadRequest when the budget names neither a number nor a percentage.
Result<ExpectedPods> expected_pods(const api::policyv1::PodDisruptionBudgetSpec& spec, size_t pods,
                                   const std::function<Result<int32_t>()>& scale);

struct Disrupted {
  api::Map<api::Time> pods;          ///< Evicted and not gone yet.
  std::vector<PodPointer> overdue;   ///< Should be gone and are not: forgotten.
  Duration next = Duration::zero();  ///< Until the first of `pods` is overdue; zero when there is none.
};
Disrupted disrupted_pods(const api::Map<api::Time>& known, const std::vector<PodPointer>& pods, WallTime now);

/// Ready, not being deleted, and not on their way out.
int32_t count_healthy(const std::vector<PodPointer>& pods, const Disrupted& disrupted);

/// How many more pods may go.
int32_t allowed_disruptions(const ExpectedPods& expected, int32_t healthy);

/// The condition DisruptionTarget says that the pod is about to be deleted, and nobody did. `due` receives for how long
/// that may still be so. Not for pods that their kubelet ends, and not for finished ones.
bool has_stale_disruption(const api::corev1::Pod& pod, WallTime now, Duration& due);

}  // namespace trireme::controllers
