#pragma once

#include <memory>

#include "base/clock.h"
#include "store/store.h"
#include "store/watch_hub.h"

namespace trireme::store {

/// A store in memory, for tests and for servers that may forget: nothing is durable. Leases expire by `clock`, inside
/// its timer callbacks, so that on a virtual clock the deletions are done when the advance returns.
///
/// With `Dispatch::kInline` a write has reached every watch when its call returns; then only one thread may use the
/// store.
std::unique_ptr<Store> memory_store(std::shared_ptr<Clock> clock, Dispatch dispatch = Dispatch::kOwnThread);

}  // namespace trireme::store
