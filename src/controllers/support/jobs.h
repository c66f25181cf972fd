#pragma once

#include <string_view>
#include <vector>

#include "api/types/batchv1.h"

/// Questions about jobs that several controllers ask.
namespace trireme::controllers {

/// The condition of that type if it is True, else null.
const api::batchv1::JobCondition* true_condition(const api::batchv1::JobStatus& status, std::string_view type);

/// The condition Complete or Failed that has ended the job; null while it has not.
const api::batchv1::JobCondition* finished_condition(const api::batchv1::Job& job);
inline bool is_finished(const api::batchv1::Job& job) { return finished_condition(job) != nullptr; }

}  // namespace trireme::controllers
