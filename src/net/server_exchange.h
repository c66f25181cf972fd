#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http.h"
#include "net/output_queue.h"

namespace trireme::net {

/// Is told, on any thread, that an exchange has something for its connection.
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void wake(int32_t stream) = 0;
};

/// The server's Exchange: handlers fill it from their threads, the connection's session empties it on the event loop.
/// `on_closed` and `on_drained` are called on the event loop: they may write, but must not block.
class ServerExchange final : public Exchange {
 public:
  ServerExchange(Request request, std::weak_ptr<Waker> connection, int32_t stream);

  /// The handler's reference. When its last copy goes, an unanswered exchange is answered with 500 and an unfinished
  /// stream is aborted.
  static std::shared_ptr<Exchange> for_handler(std::shared_ptr<ServerExchange> exchange);

  // The handler's side, on any thread.
  using Exchange::respond;
  const Request& request() const override { return request_; }
  std::string take_body() override { return std::move(request_.body); }
  void respond(int status, Headers headers, std::vector<SharedBytes> body) override;
  void start(int status, Headers headers) override;
  size_t write(SharedBytes bytes) override;
  void finish() override;
  void abort() override;
  bool closed() const override;
  void on_closed(std::function<void()> callback) override;
  void on_drained(std::function<void()> callback) override;

  // The session's side, on the event loop.
  struct Head {
    int status = 200;
    Headers headers;
    std::optional<size_t> length;  ///< Of a whole body; none for a stream.
  };
  struct Available {
    size_t bytes = 0;      ///< Ready to be taken, at most what was asked for.
    bool end = false;      ///< Nothing follows them.
    bool aborted = false;  ///< The answer must not look finished.
  };

  /// A wake was received: later changes wake again.
  void acknowledge_wake();
  /// The answer's head, once, when there is one.
  std::optional<Head> take_head();
  Available available(size_t most) const;
  /// Moves exactly `count` available bytes to `out`. Calls `on_drained` when that empties the queue of a stream.
  void take(size_t count, OutputQueue& out);
  /// The answer was taken to its end, or the peer has gone.
  void close();

 private:
  void wake(std::unique_lock<std::mutex>& lock);
  void push(SharedBytes bytes);
  void abandon();

  Request request_;
  const std::weak_ptr<Waker> connection_;
  const int32_t stream_;

  mutable std::mutex mutex_;
  std::optional<Head> head_;
  bool answered_ = false;
  bool finished_ = false;
  bool aborted_ = false;
  bool closed_ = false;
  bool woken_ = false;
  std::deque<SharedBytes> queue_;
  size_t offset_ = 0;  // into the queue's front
  size_t queued_ = 0;
  std::function<void()> closed_callback_;
  std::shared_ptr<std::function<void()>> drained_callback_;
};

}  // namespace trireme::net
