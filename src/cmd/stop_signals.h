#pragma once

#include <csignal>

namespace trireme::cmd {

/// Blocks SIGINT and SIGTERM and returns their set, for sigwait. To be called before any thread starts, so that they
/// reach sigwait alone.
inline sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

}  // namespace trireme::cmd
