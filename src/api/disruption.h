#pragma once

#include "api/types/policyv1.h"
#include "base/clock.h"

/// What the eviction subresource and the disruption controller both do to a budget.
namespace trireme::api {

/// Sets the condition DisruptionAllowed by what the status allows. Whether anything changed.
bool update_disruption_allowed(policyv1::PodDisruptionBudget& budget, WallTime now);

}  // namespace trireme::api
