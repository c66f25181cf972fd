#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

#include "net/transport.h"

namespace trireme::join {

/// A transport whose inner one can be exchanged while it is in use, for a client whose certificate is renewed or whose
/// address changes. Thread-safe.
class SwitchingTransport final : public net::Transport {
 public:
  explicit SwitchingTransport(std::shared_ptr<net::Transport> first) : current_(std::move(first)) {}

  /// Requests from now on take the new one; streams that are open go on over the one they began on.
  void set(std::shared_ptr<net::Transport> next);
  /// `set`, and what is under way on the old one fails with ServiceUnavailable: its connections lead nowhere any more.
  void replace(std::shared_ptr<net::Transport> next);
  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop = {}) override;
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop = {}) override;

 private:
  struct Current {
    std::shared_ptr<net::Transport> transport;
    std::stop_token given_up;
  };
  Current current() const;

  mutable std::mutex mutex_;
  std::shared_ptr<net::Transport> current_;
  std::stop_source given_up_;
};

}  // namespace trireme::join
