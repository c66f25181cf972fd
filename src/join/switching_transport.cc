#include "join/switching_transport.h"

#include <utility>

namespace trireme::join {
namespace {

/// A stream with the transport that it runs on.
class KeptStream final : public net::ResponseStream {
 public:
  KeptStream(std::shared_ptr<net::Transport> transport, std::unique_ptr<net::ResponseStream> stream)
      : transport_(std::move(transport)), stream_(std::move(stream)) {}

  int status() const override { return stream_->status(); }
  const net::Headers& headers() const override { return stream_->headers(); }
  Result<std::string> read(std::stop_token stop, Duration idle_timeout) override {
    return stream_->read(std::move(stop), idle_timeout);
  }
  Result<std::optional<std::string>> try_read() override { return stream_->try_read(); }

 private:
  std::shared_ptr<net::Transport> transport_;  // outlives the stream
  std::unique_ptr<net::ResponseStream> stream_;
};

}  // namespace

void SwitchingTransport::set(std::shared_ptr<net::Transport> next) {
  const std::lock_guard lock(mutex_);
  current_.swap(next);
}

std::shared_ptr<net::Transport> SwitchingTransport::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Result<net::Response> SwitchingTransport::round_trip(const net::Request& request, std::stop_token stop) {
  return current()->round_trip(request, std::move(stop));
}

Result<std::unique_ptr<net::ResponseStream>> SwitchingTransport::open(const net::Request& request,
                                                                      std::stop_token stop) {
  std::shared_ptr<net::Transport> transport = current();
  TRY_ASSIGN(auto stream, transport->open(request, std::move(stop)));
  return std::unique_ptr<net::ResponseStream>(std::make_unique<KeptStream>(std::move(transport), std::move(stream)));
}

}  // namespace trireme::join
