#include "controllers/deployment/progress.h"

#include <algorithm>
#include <array>
#include <limits>

#include "api/conditions.h"

namespace trireme::controllers::deployment {
namespace {

using api::appsv1::kDeploymentAvailable;
using api::appsv1::kDeploymentProgressing;
using api::appsv1::kDeploymentReplicaFailure;
using std::chrono::seconds;

/// More of the new, fewer of the old, or more that can serve than the stored status tells.
bool moved_on(const DeploymentStatus& before, const DeploymentStatus& now) {
  return now.updated_replicas > before.updated_replicas ||
         now.replicas - now.updated_replicas < before.replicas - before.updated_replicas ||
         now.ready_replicas > before.ready_replicas || now.available_replicas > before.available_replicas;
}

bool timed_out(const Deployment& deployment, const DeploymentStatus& status, WallTime now) {
  const DeploymentCondition* progress = api::find_condition(status.conditions, kDeploymentProgressing);
  // Without a condition the rollout has not been seen to begin; once available, nothing is waited for.
  if (!progress || progress->reason == kNewReplicaSetAvailable) return false;
  if (progress->reason == kProgressDeadlineExceeded) return true;
  if (!progress->last_update_time) return true;
  return progress->last_update_time.wall() + seconds(*deployment.spec.progress_deadline_seconds) < now;
}

/// "ReplicaSet "x-1" …" or, before there is one, "Deployment "x" …".
std::string subject(const Deployment& deployment, const Sets& sets) {
  if (sets.current) return "ReplicaSet \"" + sets.current->metadata.name + "\"";
  return "Deployment \"" + deployment.metadata.name + "\"";
}

void judge(const Deployment& deployment, const Sets& sets, DeploymentStatus& status, WallTime now) {
  const DeploymentCondition* before = api::find_condition(deployment.status.conditions, kDeploymentProgressing);
  // A rollout that has been told complete stays so, whatever its pods do later.
  if (before && before->reason == kNewReplicaSetAvailable && status.replicas == status.updated_replicas) return;
  const std::string about = subject(deployment, sets);
  if (is_complete(deployment, status)) {
    set_condition(status, condition(kDeploymentProgressing, api::corev1::kConditionTrue, kNewReplicaSetAvailable,
                                    about + " has successfully progressed.", now));
  } else if (moved_on(deployment.status, status)) {
    DeploymentCondition progress = condition(kDeploymentProgressing, api::corev1::kConditionTrue, kReplicaSetUpdated,
                                             about + " is progressing.", now);
    if (before && before->status == api::corev1::kConditionTrue) {
      progress.last_transition_time = before->last_transition_time;
    }
    // Also when only its time changes: the deadline runs from the last step.
    remove_condition(status, kDeploymentProgressing);
    set_condition(status, std::move(progress));
  } else if (timed_out(deployment, status, now)) {
    set_condition(status, condition(kDeploymentProgressing, api::corev1::kConditionFalse, kProgressDeadlineExceeded,
                                    about + " has timed out progressing.", now));
  }
}

/// The first set that tells of pods it cannot make or remove, the current one before others.
std::optional<DeploymentCondition> replica_failure(const Sets& sets) {
  std::vector<SetPointer> order;
  if (sets.current) order.push_back(sets.current);
  order.insert(order.end(), sets.old.begin(), sets.old.end());
  for (const SetPointer& set : order) {
    for (const auto& each : set->status.conditions) {
      if (each.type != api::appsv1::kReplicaSetReplicaFailure) continue;
      DeploymentCondition out;
      out.type = kDeploymentReplicaFailure;
      out.status = each.status;
      out.reason = each.reason;
      out.message = each.message;
      out.last_transition_time = each.last_transition_time;
      out.last_update_time = each.last_transition_time;
      return out;
    }
  }
  return std::nullopt;
}

}  // namespace

DeploymentCondition condition(std::string_view type, std::string_view status, std::string_view reason,
                              std::string message, WallTime now) {
  DeploymentCondition out;
  out.type = type;
  out.status = status;
  out.reason = reason;
  out.message = std::move(message);
  out.last_update_time = api::Time(now);
  out.last_transition_time = api::Time(now);
  return out;
}

void set_condition(DeploymentStatus& status, DeploymentCondition condition) {
  const DeploymentCondition* before = api::find_condition(status.conditions, condition.type);
  if (before && before->status == condition.status) {
    if (before->reason == condition.reason) return;
    condition.last_transition_time = before->last_transition_time;
  }
  remove_condition(status, condition.type);
  status.conditions.push_back(std::move(condition));
}

void remove_condition(DeploymentStatus& status, std::string_view type) {
  std::erase_if(status.conditions, [&](const DeploymentCondition& each) { return each.type == type; });
}

bool has_deadline(const Deployment& deployment) {
  const auto& deadline = deployment.spec.progress_deadline_seconds;
  return deadline && *deadline != std::numeric_limits<int32_t>::max();
}

bool is_complete(const Deployment& deployment, const DeploymentStatus& status) {
  const int32_t wanted = replicas_of(deployment);
  return status.updated_replicas == wanted && status.replicas == wanted && status.available_replicas == wanted &&
         status.observed_generation >= deployment.metadata.generation;
}

DeploymentStatus count_status(const Deployment& deployment, const Sets& sets, WallTime now) {
  const std::vector<SetPointer> all = sets.all();
  DeploymentStatus status;
  status.observed_generation = deployment.metadata.generation;
  status.collision_count = deployment.status.collision_count;
  status.conditions = deployment.status.conditions;
  status.replicas = actual_replicas(all);
  if (sets.current) status.updated_replicas = sets.current->status.replicas;
  for (const SetPointer& set : all) {
    status.ready_replicas += set->status.ready_replicas;
    status.available_replicas += set->status.available_replicas;
  }
  // While scaling down there can be more available than asked for.
  status.unavailable_replicas = std::max(wanted_replicas(all) - status.available_replicas, 0);
  const bool enough = status.available_replicas >= replicas_of(deployment) - fenceposts(deployment).max_unavailable;
  set_condition(status, enough
                            ? condition(kDeploymentAvailable, api::corev1::kConditionTrue, kMinimumReplicasAvailable,
                                        "Deployment has minimum availability.", now)
                            : condition(kDeploymentAvailable, api::corev1::kConditionFalse, kMinimumReplicasUnavailable,
                                        "Deployment does not have minimum availability.", now));
  return status;
}

DeploymentStatus rollout_status(const Deployment& deployment, const Sets& sets, WallTime now) {
  DeploymentStatus status = count_status(deployment, sets, now);
  if (has_deadline(deployment)) {
    judge(deployment, sets, status, now);
  } else {
    remove_condition(status, kDeploymentProgressing);
  }
  if (auto failure = replica_failure(sets)) {
    set_condition(status, std::move(*failure));
  } else {
    remove_condition(status, kDeploymentReplicaFailure);
  }
  return status;
}

std::optional<Duration> deadline_due(const Deployment& deployment, const DeploymentStatus& status, WallTime now) {
  const DeploymentCondition* progress = api::find_condition(status.conditions, kDeploymentProgressing);
  if (!has_deadline(deployment) || !progress || is_complete(deployment, status)) return std::nullopt;
  if (progress->reason == kProgressDeadlineExceeded || progress->reason == kNewReplicaSetAvailable ||
      !progress->last_update_time) {
    return std::nullopt;
  }
  const Duration left = progress->last_update_time.wall() + seconds(*deployment.spec.progress_deadline_seconds) - now;
  // Conditions tell whole seconds: one later it has passed for certain.
  return std::max<Duration>(left, Duration::zero()) + seconds(1);
}

}  // namespace trireme::controllers::deployment
