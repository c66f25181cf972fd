#pragma once

#include <span>

#include "api/object.h"
#include "api/types/corev1.h"
#include "base/clock.h"

/// What single kinds need beyond the generic strategy.
namespace trireme::apiserver::strategy {

struct KindHooks {
  const api::TypeInfo* type;
  void (*create)(void* object, WallTime now);                    ///< May be null.
  void (*update)(void* updated, const void* old, WallTime now);  ///< May be null.
  void (*status)(void* updated, const void* old, WallTime now);  ///< May be null.
};

std::span<const KindHooks> kind_hooks();

}  // namespace trireme::apiserver::strategy
