#include "controllers/support/jobs.h"

#include "api/conditions.h"
#include "api/types/corev1.h"

namespace trireme::controllers {

using api::batchv1::JobCondition;

const JobCondition* true_condition(const api::batchv1::JobStatus& status, std::string_view type) {
  const JobCondition* condition = api::find_condition(status.conditions, type);
  return condition && condition->status == api::corev1::kConditionTrue ? condition : nullptr;
}

const JobCondition* finished_condition(const api::batchv1::Job& job) {
  const JobCondition* complete = true_condition(job.status, api::batchv1::kJobComplete);
  return complete ? complete : true_condition(job.status, api::batchv1::kJobFailed);
}

}  // namespace trireme::controllers
