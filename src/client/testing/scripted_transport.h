#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "net/transport.h"

namespace trireme::client {

/// Answers from a script and remembers what was asked: the wire as a client sees it. For tests. Thread-safe.
/// A stream gives its body in pieces of `step` bytes. When the script is at its end, streams stay open until stopped.
class ScriptedTransport final : public net::Transport {
 public:
  void answer(net::Response response) {
    {
      const std::lock_guard lock(mutex_);
      answers_.push_back(std::move(response));
    }
    changed_.notify_all();
  }
  void set_step(size_t step) { step_ = step; }

  std::vector<net::Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  net::Request last() const {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }
  /// Waits until `count` requests have come. False after ten seconds.
  bool wait_for_requests(size_t count) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return requests_.size() >= count; });
  }

  Result<net::Response> round_trip(const net::Request& request, std::stop_token stop) override {
    return next(request, stop);
  }
  Result<std::unique_ptr<net::ResponseStream>> open(const net::Request& request, std::stop_token stop) override {
    TRY_ASSIGN(net::Response response, next(request, stop));
    return std::unique_ptr<net::ResponseStream>(std::make_unique<Stream>(std::move(response), step_));
  }

 private:
  class Stream final : public net::ResponseStream {
   public:
    Stream(net::Response response, size_t step) : response_(std::move(response)), step_(step) {}
    int status() const override { return response_.status; }
    const net::Headers& headers() const override { return response_.headers; }
    Result<std::string> read(std::stop_token, Duration) override {
      std::string piece = response_.body.substr(0, step_);
      response_.body.erase(0, piece.size());
      return piece;
    }

   private:
    net::Response response_;
    size_t step_;
  };

  Result<net::Response> next(const net::Request& request, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    requests_.push_back(request);
    changed_.notify_all();
    if (!changed_.wait(lock, stop, [this] { return !answers_.empty(); })) return Status::timeout("stopped");
    net::Response response = std::move(answers_.front());
    answers_.pop_front();
    return response;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::deque<net::Response> answers_;
  std::vector<net::Request> requests_;
  size_t step_ = 7;
};

}  // namespace trireme::client
