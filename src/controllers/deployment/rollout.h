#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/types/appsv1.h"
#include "base/clock.h"

/// The arithmetic of a Deployment's rollout: which replica set should have what size. Nothing here writes.
/// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
namespace trireme::controllers::deployment {

using api::appsv1::Deployment;
using api::appsv1::ReplicaSet;
using SetPointer = std::shared_ptr<const ReplicaSet>;

/// The replica sets that belong to a Deployment.
struct Sets {
  SetPointer current;           ///< The one with the Deployment's template; null when there is none.
  std::vector<SetPointer> old;  ///< The others.

  std::vector<SetPointer> all() const;
};
/// Splits `sets` by the Deployment's template. When several have it the oldest is the current one.
Sets sort_out(const Deployment& deployment, std::vector<SetPointer> sets);

/// A replica set and the size it shall have.
struct Resize {
  SetPointer set;
  int32_t replicas = 0;
};

int32_t replicas_of(const Deployment& deployment);
int32_t replicas_of(const ReplicaSet& set);
/// What the sets ask for.
int32_t wanted_replicas(const std::vector<SetPointer>& sets);
/// What the sets have, as their status tells.
int32_t actual_replicas(const std::vector<SetPointer>& sets);

/// How far a rolling update may go above and below the number of replicas. Both are zero for other strategies.
/// Percentages round up for the surge and down for the other; when both come to zero one may be unavailable.
struct Fenceposts {
  int32_t max_surge = 0;
  int32_t max_unavailable = 0;
};
Fenceposts fenceposts(const Deployment& deployment);

/// The size the current set may have, when all sets together ask for `total` and it for `current`.
int32_t current_size(const Deployment& deployment, int32_t total, int32_t current);

/// The step of a rolling update that makes old sets smaller: their unhealthy pods first, then as many as the available
/// pods of all sets allow. Oldest sets first; empty when nothing may go.
std::vector<Resize> shrink_old(const Deployment& deployment, const Sets& sets);

/// What becomes of the sets' sizes when the Deployment was scaled, or is paused: the only set with pods takes all;
/// several share by their sizes, so that a rollout under way goes neither faster nor slower.
std::vector<Resize> spread_scaling(const Deployment& deployment, const Sets& sets);

/// Whether an active set was last written for another number of replicas than the Deployment asks for now.
bool was_scaled(const Deployment& deployment, const Sets& sets);

/// The old sets beyond `revisionHistoryLimit` that can go: without pods, seen by their controller, lowest revisions
/// first.
std::vector<SetPointer> beyond_history(const Deployment& deployment, const Sets& sets);

}  // namespace trireme::controllers::deployment
