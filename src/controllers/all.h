#pragma once

#include <span>

#include "controllers/runtime/manager.h"

namespace trireme::controllers {

/// Every controller there is, by upstream's names, in the order in which a manager must add them: the garbage collector
/// comes last, because it uses the informers of the others where there are any.
std::span<const ControllerDescriptor> all_controllers();

}  // namespace trireme::controllers
