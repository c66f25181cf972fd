#include "api/disruption.h"

#include "api/conditions.h"
#include "api/types/corev1.h"

namespace trireme::api {

bool update_disruption_allowed(policyv1::PodDisruptionBudget& budget, WallTime now) {
  const bool allowed = budget.status.disruptions_allowed > 0;
  metav1::Condition condition;
  condition.type = policyv1::kDisruptionAllowedCondition;
  condition.status = allowed ? corev1::kConditionTrue : corev1::kConditionFalse;
  condition.reason = allowed ? policyv1::kSufficientPodsReason : policyv1::kInsufficientPodsReason;
  condition.observed_generation = budget.status.observed_generation;
  return set_condition(budget.status.conditions, std::move(condition), now);
}

}  // namespace trireme::api
