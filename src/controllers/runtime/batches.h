#pragma once

#include <cstddef>
#include <functional>

#include "base/status.h"

/// Many like calls in one pass. A controller starts no threads of its own: it asks here, and the owner of the process
/// decides (ControllerContext::single_threaded).
namespace trireme::controllers {

struct BatchResult {
  size_t succeeded = 0;
  Status failure;  ///< Of the failed call with the lowest number; OK when all succeeded.
};

/// Calls `call(0)` … `call(count - 1)`, all of them, also after failures. `parallel`: several at a time, each on a
/// thread that lives as long as the batch; otherwise one after the other on this thread.
BatchResult run_batch(size_t count, bool parallel, const std::function<Status(size_t)>& call);

/// The same in batches of 1, 2, 4, …, that end with the first batch in which a call failed. A quota that refuses
/// thousands of pods costs a few requests then.
BatchResult slow_start(size_t count, bool parallel, const std::function<Status(size_t)>& call);

}  // namespace trireme::controllers
