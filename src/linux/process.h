#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

/// Programs that Trireme starts and minds.
namespace trireme::linux {

struct SpawnOptions {
  std::vector<std::string> arguments;                            ///< arguments[0] is the program, searched on PATH.
  std::vector<std::pair<std::string, std::string>> environment;  ///< Added to this process's own.
  std::string log_file;      ///< Appended with stdout and stderr, mode 0600; empty: this process's own streams.
  bool new_session = false;  ///< Not reached by the terminal's Ctrl-C, and outlives this process.
};

/// A child process. Destruction does not end it.
class ChildProcess {
 public:
  static Result<ChildProcess> spawn(const SpawnOptions& options);

  pid_t pid() const { return pid_; }
  /// False once it has ended; reaps it then.
  bool running();
  /// SIGTERM, then SIGKILL after `grace`; returns when it has ended.
  void terminate(Duration grace);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  bool ended_ = false;
};

/// Ends any process (also one that is not a child) and waits until it has gone: SIGTERM, then SIGKILL after `grace`.
void terminate_process(pid_t pid, Duration grace);

/// The program a process runs ("/usr/bin/containerd"), or nothing when there is no such process.
std::optional<std::string> executable_of(pid_t pid);

/// Its command line's words; empty when there is no such process.
std::vector<std::string> command_line_of(pid_t pid);

/// The full path of a program on PATH or in one of `extra_folders`.
std::optional<std::string> find_program(const std::string& name, const std::vector<std::string>& extra_folders = {});

/// Runs a program to its end and returns its standard output; a non-zero exit is Internal with its standard error.
Result<std::string> run_program(const std::vector<std::string>& arguments);

}  // namespace trireme::linux
