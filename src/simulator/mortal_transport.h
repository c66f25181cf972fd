#pragma once

#include <cstddef>
#include <limits>
#include <memory>

#include "net/transport.h"

namespace trireme::simulator {

/// How a process that may die speaks with the server. Once it has made so many more writes nothing of its passes any
/// more, and it does not hear the answer to the last one. Events do not count as writes. Used by one thread.
class MortalTransport final : public net::Transport {
 public:
  explicit MortalTransport(std::shared_ptr<net::Transport> inner) : inner_(std::move(inner)) {}

  void die_after(size_t writes) { left_ = writes; }

  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop) override;
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop) override;
  bool local() const override { return inner_->local(); }

 private:
  const std::shared_ptr<net::Transport> inner_;
  size_t left_ = std::numeric_limits<size_t>::max();
};

}  // namespace trireme::simulator
