#include "cmd/progress.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

namespace trireme::cmd {

Status step(std::string_view what, const std::function<Status()>& work) {
  auto started = std::chrono::steady_clock::now();
  Status status = work();
  auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  fmt::print("  {:<42}{:>7} ms{}\n", what, taken.count(), status.ok() ? "" : "  failed");
  std::fflush(stdout);
  return status;
}

}  // namespace trireme::cmd
