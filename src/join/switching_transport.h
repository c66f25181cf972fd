#pragma once

#include <memory>
#include <mutex>

#include "net/transport.h"

namespace trireme::join {

/// A transport whose inner one can be exchanged while it is in use, for a client whose certificate is renewed: requests
/// from then on take the new one, streams that are open go on over the one they began on. Thread-safe.
class SwitchingTransport final : public net::Transport {
 public:
  explicit SwitchingTransport(std::shared_ptr<net::Transport> first) : current_(std::move(first)) {}

  void set(std::shared_ptr<net::Transport> next);
  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop = {}) override;
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop = {}) override;

 private:
  std::shared_ptr<net::Transport> current() const;

  mutable std::mutex mutex_;
  std::shared_ptr<net::Transport> current_;
};

}  // namespace trireme::join
