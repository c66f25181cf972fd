#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"

namespace trireme::cmd {

/// Runs one step of a command and prints a line for it: what, how it ended, how long it took.
Status step(std::string_view what, const std::function<Status()>& work);

}  // namespace trireme::cmd
