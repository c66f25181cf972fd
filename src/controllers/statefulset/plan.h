#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controllers/statefulset/identity.h"
#include "controllers/support/pods.h"

/// What a StatefulSet does next, as a pure function of what is there.
/// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#deployment-and-scaling-guarantees
namespace trireme::controllers::statefulset {

/// The set's pods, sorted out.
struct Members {
  std::vector<PodPointer> slots;      ///< One place for each wanted ordinal, in order; null where the pod is missing.
  std::vector<PodPointer> condemned;  ///< Pods of other ordinals, the highest first.
};
Members sort_out(const StatefulSet& set, const std::vector<PodPointer>& pods);

struct Step {
  enum class Kind : uint8_t {
    kCreate,    ///< The pod of `ordinal` (and its claims).
    kTend,      ///< See to the identity and the claims of a pod that is there.
    kRecreate,  ///< Delete a finished pod, so that it can be made anew.
    kDelete,    ///< It is one too many.
    kReplace,   ///< Delete it, because its revision is old.
  };
  Kind kind;
  int32_t ordinal;
  PodPointer pod;  ///< Null for kCreate.
};

struct Plan {
  std::vector<Step> steps;             ///< To be taken in this order.
  std::optional<Duration> look_again;  ///< When a pod that is ready becomes available.
};

/// The next steps towards `update_revision`. With the policy OrderedReady at most one pod is created or deleted at a
/// time, and only when all before it are available.
Plan plan(const StatefulSet& set, const Members& members, const std::string& update_revision, WallTime now);

/// Whether the pod of `ordinal`, when it is made, is made from the current revision and not from the new one.
bool starts_from_current(const StatefulSet& set, int32_t ordinal);

/// The counts of the status; `completes` moves the current revision on when the rollout has reached every pod.
api::appsv1::StatefulSetStatus count_status(const StatefulSet& set, const Members& members,
                                            const std::string& current_revision, const std::string& update_revision,
                                            WallTime now);

}  // namespace trireme::controllers::statefulset
