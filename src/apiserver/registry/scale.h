#pragma once

#include "api/object.h"
#include "api/types/autoscalingv1.h"
#include "apiserver/extensions/definitions.h"
#include "apiserver/watch/cached_object.h"
#include "base/result.h"

namespace trireme::apiserver {

/// The Scale of a ReplicationController, ReplicaSet, Deployment or StatefulSet.
api::autoscalingv1::Scale read_scale(const CachedObject& object);
/// Sets the replicas that `scale` wants, and its resourceVersion and uid as preconditions. Invalid when negative.
Status write_scale(const api::autoscalingv1::Scale& scale, api::Object& object,
                   const extensions::CustomVersion* custom = nullptr);

}  // namespace trireme::apiserver
