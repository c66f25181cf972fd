#include "join/switching_transport.h"

#include <utility>

namespace trireme::join {
namespace {

/// Requested when either of two tokens is.
class EitherStop {
 public:
  EitherStop(std::stop_token caller, std::stop_token given_up)
      : given_up_(std::move(given_up)),
        by_caller_(std::move(caller), Request{&both_}),
        by_transport_(given_up_, Request{&both_}) {}

  std::stop_token token() const { return both_.get_token(); }
  /// What a call that `token` ended returns.
  Status reason(Status ended) const {
    if (!given_up_.stop_requested()) return ended;
    return Status::unavailable("the connection was given up, as this machine's address has changed");
  }

 private:
  struct Request {
    std::stop_source* source;
    void operator()() const { source->request_stop(); }
  };
  std::stop_source both_;
  std::stop_token given_up_;
  std::stop_callback<Request> by_caller_;
  std::stop_callback<Request> by_transport_;
};

/// A stream with the transport that it runs on.
class KeptStream final : public net::ResponseStream {
 public:
  KeptStream(std::shared_ptr<net::Transport> transport, std::stop_token given_up,
             std::unique_ptr<net::ResponseStream> stream)
      : transport_(std::move(transport)), given_up_(std::move(given_up)), stream_(std::move(stream)) {}

  int status() const override { return stream_->status(); }
  const net::Headers& headers() const override { return stream_->headers(); }
  Result<std::string> read(std::stop_token stop, Duration idle_timeout) override {
    const EitherStop either(std::move(stop), given_up_);
    auto bytes = stream_->read(either.token(), idle_timeout);
    return bytes.ok() ? std::move(bytes) : either.reason(bytes.status());
  }
  Result<std::optional<std::string>> try_read() override { return stream_->try_read(); }

 private:
  std::shared_ptr<net::Transport> transport_;  // outlives the stream
  std::stop_token given_up_;
  std::unique_ptr<net::ResponseStream> stream_;
};

}  // namespace

void SwitchingTransport::set(std::shared_ptr<net::Transport> next) {
  const std::lock_guard lock(mutex_);
  current_.swap(next);
}

void SwitchingTransport::replace(std::shared_ptr<net::Transport> next) {
  std::stop_source old;
  {
    const std::lock_guard lock(mutex_);
    current_.swap(next);
    old = std::exchange(given_up_, std::stop_source());
  }
  old.request_stop();
}

SwitchingTransport::Current SwitchingTransport::current() const {
  const std::lock_guard lock(mutex_);
  return {current_, given_up_.get_token()};
}

Result<net::Response> SwitchingTransport::round_trip(const net::Request& request, std::stop_token stop) {
  const Current now = current();
  const EitherStop either(std::move(stop), now.given_up);
  auto response = now.transport->round_trip(request, either.token());
  return response.ok() ? std::move(response) : either.reason(response.status());
}

Result<std::unique_ptr<net::ResponseStream>> SwitchingTransport::open(const net::Request& request,
                                                                      std::stop_token stop) {
  Current now = current();
  const EitherStop either(std::move(stop), now.given_up);
  auto stream = now.transport->open(request, either.token());
  if (!stream.ok()) return either.reason(stream.status());
  return std::unique_ptr<net::ResponseStream>(
      std::make_unique<KeptStream>(std::move(now.transport), std::move(now.given_up), std::move(*stream)));
}

}  // namespace trireme::join
