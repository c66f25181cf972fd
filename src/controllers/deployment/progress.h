#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controllers/deployment/rollout.h"

/// A Deployment's status and conditions.
/// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
namespace trireme::controllers::deployment {

using api::appsv1::DeploymentCondition;
using api::appsv1::DeploymentStatus;

// Reasons of the condition Progressing.
inline constexpr std::string_view kReplicaSetUpdated = "ReplicaSetUpdated";
inline constexpr std::string_view kReplicaSetCreateError = "ReplicaSetCreateError";
inline constexpr std::string_view kNewReplicaSetCreated = "NewReplicaSetCreated";
inline constexpr std::string_view kFoundNewReplicaSet = "FoundNewReplicaSet";
inline constexpr std::string_view kNewReplicaSetAvailable = "NewReplicaSetAvailable";
inline constexpr std::string_view kProgressDeadlineExceeded = "ProgressDeadlineExceeded";
inline constexpr std::string_view kDeploymentPaused = "DeploymentPaused";
inline constexpr std::string_view kDeploymentResumed = "DeploymentResumed";
// Reasons of the condition Available.
inline constexpr std::string_view kMinimumReplicasAvailable = "MinimumReplicasAvailable";
inline constexpr std::string_view kMinimumReplicasUnavailable = "MinimumReplicasUnavailable";

DeploymentCondition condition(std::string_view type, std::string_view status, std::string_view reason,
                              std::string message, WallTime now);
/// Does nothing while status and reason stay; keeps the time of transition while the status stays.
void set_condition(DeploymentStatus& status, DeploymentCondition condition);
void remove_condition(DeploymentStatus& status, std::string_view type);

/// Progress is judged: there is a deadline (the greatest number means none).
bool has_deadline(const Deployment& deployment);
/// All pods are of the current template and available, no others are left, and this is known of the newest generation.
bool is_complete(const Deployment& deployment, const DeploymentStatus& status);

/// Counts, and the condition Available, from what the sets tell. Other conditions stay.
DeploymentStatus count_status(const Deployment& deployment, const Sets& sets, WallTime now);
/// The same with the conditions Progressing and ReplicaFailure, as during a rollout.
DeploymentStatus rollout_status(const Deployment& deployment, const Sets& sets, WallTime now);

/// After what time the deadline of a rollout that stands still has passed; nothing when it need not be watched.
std::optional<Duration> deadline_due(const Deployment& deployment, const DeploymentStatus& status, WallTime now);

}  // namespace trireme::controllers::deployment
