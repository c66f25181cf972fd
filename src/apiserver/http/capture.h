#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "net/http.h"

namespace trireme::apiserver {

/// An exchange whose answer stays in this process: how one part of the server calls another. Thread-safe.
class CaptureExchange : public net::Exchange {
 public:
  explicit CaptureExchange(net::Request request) : request_(std::move(request)) {}

  const net::Request& request() const override { return request_; }
  std::string take_body() override { return std::move(request_.body); }
  void respond(int status, net::Headers headers, std::vector<SharedBytes> body) override;
  using net::Exchange::respond;
  void start(int status, net::Headers headers) override;
  size_t write(SharedBytes bytes) override;
  void finish() override;
  void abort() override;
  bool closed() const override;
  void on_closed(std::function<void()> callback) override;
  /// Everything written is taken at once, so this is never called.
  void on_drained(std::function<void()>) override {}

  /// Blocks until the answer is complete.
  net::Response wait();

 private:
  void complete(std::unique_lock<std::mutex>& lock);

  net::Request request_;
  mutable std::mutex mutex_;
  std::condition_variable finished_;
  net::Response response_;
  bool done_ = false;
  std::function<void()> on_closed_;
};

}  // namespace trireme::apiserver
