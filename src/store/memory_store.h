#pragma once

#include <memory>

#include "base/clock.h"
#include "store/store.h"

namespace trireme::store {

/// A store in memory, for tests and for servers that may forget: nothing is durable. Leases expire by `clock`, inside
/// its timer callbacks, so that on a virtual clock the deletions are done when the advance returns.
std::unique_ptr<Store> memory_store(std::shared_ptr<Clock> clock);

}  // namespace trireme::store
