#include "controllers/support/jobs.h"

#include <algorithm>

#include "api/types/corev1.h"

namespace trireme::controllers {

using api::batchv1::JobCondition;

const JobCondition* find_condition(const api::batchv1::JobStatus& status, std::string_view type) {
  const auto found = std::ranges::find_if(status.conditions, [&](const auto& each) { return each.type == type; });
  return found == status.conditions.end() ? nullptr : &*found;
}

const JobCondition* true_condition(const api::batchv1::JobStatus& status, std::string_view type) {
  const JobCondition* condition = find_condition(status, type);
  return condition && condition->status == api::corev1::kConditionTrue ? condition : nullptr;
}

const JobCondition* finished_condition(const api::batchv1::Job& job) {
  const JobCondition* complete = true_condition(job.status, api::batchv1::kJobComplete);
  return complete ? complete : true_condition(job.status, api::batchv1::kJobFailed);
}

}  // namespace trireme::controllers
