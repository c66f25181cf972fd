#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/flags.h"
#include "base/result.h"

/// What the components that are processes of their own have in common.
namespace trireme::cmd {

/// What every component is told.
struct CommonOptions {
  std::string kubeconfig;
  int verbosity = 0;
  bool help = false;
};
/// `usage` names the command.
FlagSet common_flags(std::string usage, CommonOptions& options);

/// Reads the command line. False: the process ends with `code`, after the help or a complaint in `component`'s name.
bool parse(FlagSet& flags, const std::vector<std::string>& words, const CommonOptions& options,
           std::string_view component, int& code);

/// Prints what is wrong, and returns the exit code 1.
int fail(std::string_view component, const Status& status);

/// Calls `start` on a thread of its own while SIGINT and SIGTERM can already end it, then waits for one of them. To be
/// called before any thread starts. A failure of `start` ends it at once and is returned.
Status run_until_signal(const std::function<Status(std::stop_token)>& start);

}  // namespace trireme::cmd
