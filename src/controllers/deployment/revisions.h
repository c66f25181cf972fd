#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controllers/deployment/rollout.h"

/// What a Deployment and its replica sets remember in annotations: revisions, and the size they were scaled for.
namespace trireme::controllers::deployment {

inline constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
inline constexpr std::string_view kRevisionHistory = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view kMaxReplicas = "deployment.kubernetes.io/max-replicas";

/// 0 without the annotation; nothing when it is no number.
std::optional<int64_t> revision_of(const api::metav1::ObjectMeta& metadata);
/// The highest among sets that have a readable one; 0 when none does.
int64_t highest_revision(const std::vector<SetPointer>& sets);
/// The second highest: what "undo" goes back to. 0 when there are not two.
int64_t last_revision(const std::vector<SetPointer>& sets);

std::optional<int32_t> desired_annotation(const ReplicaSet& set);
std::optional<int32_t> max_annotation(const ReplicaSet& set);

/// Writes the sizes the set is scaled for. Returns whether that changed anything.
bool annotate_replicas(const Deployment& deployment, ReplicaSet& set);

/// Copies the Deployment's annotations to its current set (not kubectl's and those above), gives it `revision` unless
/// it has a higher one, and keeps the one it had in its history. Returns whether that changed anything.
bool annotate_current(const Deployment& deployment, ReplicaSet& set, int64_t revision);

/// The replica set that a Deployment without a current one makes, with `replicas`. Its owner, its labels and selector
/// (with pod-template-hash) and its name tell where it comes from.
ReplicaSet make_set(const Deployment& deployment, int64_t revision, int32_t replicas);

/// Makes the Deployment's template and annotations what they were at `set`'s revision.
void roll_back_to(Deployment& deployment, const ReplicaSet& set);

}  // namespace trireme::controllers::deployment
