#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/result.h"
#include "net/http.h"

namespace trireme::apiserver {

/// Runs answers that block while they stream (logs from a kubelet), each on a thread of its own. Thread-safe.
class Streams {
 public:
  Streams() = default;
  ~Streams() { stop(); }

  /// TooManyRequests when too many run already.
  Status start(std::function<void(std::stop_token)> run);
  /// Asks all to stop and waits for them; later ones are refused.
  void stop();

 private:
  static constexpr size_t kMost = 500;
  struct Entry {
    bool done = false;
    std::jthread thread;
  };
  std::mutex mutex_;
  std::list<Entry> running_;
  bool stopped_ = false;
};

/// Writes to a client no faster than it reads. Used by one thread. Takes over the exchange's callbacks, and requests a
/// stop of `gone` when the client has gone.
class PacedWriter {
 public:
  PacedWriter(std::shared_ptr<net::Exchange> exchange, std::stop_source gone);
  /// Waits while too much is queued. False when the client has gone or a stop was requested.
  bool write(std::string bytes, std::stop_token stop);

 private:
  struct State;
  std::shared_ptr<net::Exchange> exchange_;
  std::shared_ptr<State> state_;
};

}  // namespace trireme::apiserver
