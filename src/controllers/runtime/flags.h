#pragma once

#include "base/flags.h"
#include "controllers/runtime/context.h"

namespace trireme::controllers {

/// Binds the controllers' flags, by upstream's names, to `options`. What comes from files is the caller's to read.
void add_flags(FlagSet& flags, ControllerOptions& options);

}  // namespace trireme::controllers
