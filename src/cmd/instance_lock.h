#pragma once

#include <string>

#include "base/result.h"

namespace trireme::cmd {

/// Keeps two processes from working in one data folder. Released when destroyed, also by the end of the process.
class InstanceLock {
 public:
  /// ServiceUnavailable, naming the process, when another one holds it, and goes on to for a second.
  static Result<InstanceLock> take(const std::string& data_dir);
  InstanceLock(InstanceLock&& other) noexcept;
  InstanceLock& operator=(InstanceLock&&) = delete;
  ~InstanceLock();

 private:
  explicit InstanceLock(int file) : file_(file) {}
  int file_;
};

}  // namespace trireme::cmd
