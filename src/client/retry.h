#pragma once

#include <functional>
#include <stop_token>

#include "base/clock.h"
#include "base/status.h"

namespace trireme::client {

/// Calls `attempt` (which reads the object anew, changes it and writes it) up to five times while it ends in a
/// Conflict, ten milliseconds apart, as client-go's RetryOnConflict. Returns the last outcome.
inline Status retry_on_conflict(Clock& clock, const std::function<Status()>& attempt, std::stop_token stop = {}) {
  constexpr int kTries = 5;
  constexpr Duration kPause = std::chrono::milliseconds(10);
  Status status = attempt();
  for (int tries = 1; status.is(Reason::kConflict) && tries < kTries; ++tries) {
    if (!clock.sleep_for(kPause, stop)) break;
    status = attempt();
  }
  return status;
}

}  // namespace trireme::client
