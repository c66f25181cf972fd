#pragma once

#include <algorithm>

#include "api/types/corev1.h"
#include "base/status.h"

namespace trireme::controllers {

/// The write was refused because its namespace is being deleted: nothing to try again, and nobody's fault.
inline bool namespace_is_ending(const Status& status) {
  return std::ranges::any_of(status.details().causes, [](const StatusCause& cause) {
    return cause.type == api::corev1::kNamespaceTerminatingCause;
  });
}

}  // namespace trireme::controllers
