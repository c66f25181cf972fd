#include "simulator/mortal_transport.h"

namespace trireme::simulator {
namespace {

Status dead() { return Status::unavailable("the process has died"); }

bool is_event(const net::Request& request) { return request.path().find("/events") != std::string_view::npos; }

bool is_write(const net::Request& request) { return request.method != "GET" && !is_event(request); }

}  // namespace

Result<net::Response> MortalTransport::round_trip(const net::Request& request, std::stop_token stop) {
  if (left_ == 0 && is_event(request)) {
    // Whoever writes events would wait for the server, and the whole world with him.
    net::Response refused;
    refused.status = 403;
    return refused;
  }
  if (left_ == 0) return dead();
  Result<net::Response> answer = inner_->round_trip(request, std::move(stop));
  const bool wrote = answer.ok() && answer->status < 300 && is_write(request);
  if (wrote && left_ != std::numeric_limits<size_t>::max() && --left_ == 0) return dead();
  return answer;
}

Result<std::unique_ptr<net::ResponseStream>> MortalTransport::open(const net::Request& request, std::stop_token stop) {
  if (left_ == 0) return dead();
  return inner_->open(request, std::move(stop));
}

}  // namespace trireme::simulator
