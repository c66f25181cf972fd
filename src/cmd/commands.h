#pragma once

#include <string>
#include <vector>

/// The commands of the executable; `words` are the arguments after the command's name. Each returns the exit code.
namespace trireme::cmd {

/// `trireme up`: everything in one process on one machine, until SIGINT or SIGTERM.
int up(const std::vector<std::string>& words);

/// `trireme reset`: removes every trace of a data folder's cluster.
int reset(const std::vector<std::string>& words);

}  // namespace trireme::cmd
