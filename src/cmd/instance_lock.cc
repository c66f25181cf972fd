#include "cmd/instance_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace trireme::cmd {

Result<InstanceLock> InstanceLock::take(const std::string& data_dir) {
  std::string path = data_dir + "/lock";
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return Status::internal(fmt::format("open {}: {}", path, std::strerror(errno)));
  // A process that was just killed takes a moment to let go.
  constexpr auto kPause = std::chrono::milliseconds(20);
  constexpr int kTries = 50;
  bool taken = false;
  for (int i = 0; i < kTries && !taken; ++i) {
    if (i > 0) std::this_thread::sleep_for(kPause);
    taken = ::flock(file, LOCK_EX | LOCK_NB) == 0;
  }
  if (!taken) {
    char holder[32] = {};
    [[maybe_unused]] ssize_t got = ::read(file, holder, sizeof holder - 1);
    ::close(file);
    return Status::unavailable(fmt::format("{} is in use by another trireme (process {})", data_dir, holder));
  }
  std::string pid = std::to_string(::getpid());
  [[maybe_unused]] bool noted =
      ::ftruncate(file, 0) == 0 && ::write(file, pid.data(), pid.size()) == static_cast<ssize_t>(pid.size());
  return InstanceLock(file);
}

InstanceLock::InstanceLock(InstanceLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

InstanceLock::~InstanceLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace trireme::cmd
