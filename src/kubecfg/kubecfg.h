#pragma once

#include <string>
#include <vector>

/// The command line of 2014, speaking /api/v1beta1.
namespace trireme::kubecfg {

/// Runs one command; `words` are the arguments after the program's name. Output goes to stdout, messages to stderr.
/// Returns the exit code: 0; 1 without a verb or when a version cannot be told; 2 for a wrong flag; 255 otherwise.
int run(const std::vector<std::string>& words);

}  // namespace trireme::kubecfg
