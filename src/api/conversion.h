#pragma once

#include "api/object.h"
#include "api/type_info.h"
#include "base/result.h"

namespace trireme::api {

/// The object in another version of its kind that is served: Event (v1, events.k8s.io/v1) and HorizontalPodAutoscaler
/// (autoscaling/v1 and v2; what v1 has no fields for travels in the annotations that upstream uses). The
/// versions of a custom kind hold the same members. A copy when the types are equal, InternalError for any other pair.
/// Stateless.
Result<Object> convert(const Object& object, const TypeInfo& target);

}  // namespace trireme::api
