#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace trireme {

/// "1h30m", "10s", "1.5s", "100ms", "-2us", "0": the syntax of Go's time.ParseDuration. BadRequest otherwise or when
/// it does not fit 64 bits of nanoseconds.
Result<Duration> parse_duration(std::string_view text);

/// As Go prints it: "1h30m0s", "10s", "1.5s", "100ms", "0s".
std::string format_duration(Duration duration);

}  // namespace trireme
