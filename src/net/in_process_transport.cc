#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "net/transport.h"

namespace trireme::net {
namespace {

/// One call: the handler writes at one end, the caller reads at the other.
class InProcessExchange final : public Exchange {
 public:
  explicit InProcessExchange(Request request) : request_(std::move(request)) {}

  using Exchange::respond;
  const Request& request() const override { return request_; }
  std::string take_body() override { return std::move(request_.body); }

  void respond(int status, Headers headers, std::vector<SharedBytes> body) override {
    respond_local(status, std::move(headers), std::move(body), {});
  }

  bool local() const override { return true; }

  void respond_local(int status, Headers headers, std::vector<SharedBytes> body,
                     std::vector<LocalPart> parts) override {
    std::unique_lock lock(mutex_);
    if (answered_ || closed_) return;
    answered_ = true;
    status_ = status;
    headers_ = std::move(headers);
    for (SharedBytes& piece : body) push(std::move(piece));
    parts_ = std::move(parts);
    end(lock, /*complete=*/true);
  }

  void start(int status, Headers headers) override {
    std::lock_guard lock(mutex_);
    if (answered_ || closed_) return;
    answered_ = true;
    status_ = status;
    headers_ = std::move(headers);
    changed_.notify_all();
  }

  size_t write(SharedBytes bytes) override {
    std::unique_lock lock(mutex_);
    if (!answered_ || closed_) return 0;
    push(std::move(bytes));
    return tell_arrival(lock);
  }

  size_t write_local(LocalPart part) override {
    std::unique_lock lock(mutex_);
    if (!answered_ || closed_) return 0;
    parts_.push_back(std::move(part));
    queued_ += kLocalPartSize;
    return tell_arrival(lock);
  }

  void finish() override {
    std::unique_lock lock(mutex_);
    if (!closed_ && answered_) end(lock, /*complete=*/true);
  }

  void abort() override {
    std::unique_lock lock(mutex_);
    if (!closed_) end(lock, /*complete=*/false);
  }

  bool closed() const override {
    std::lock_guard lock(mutex_);
    return closed_;
  }

  void on_closed(std::function<void()> callback) override {
    {
      std::lock_guard lock(mutex_);
      if (!closed_) {
        closed_callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  void on_drained(std::function<void()> callback) override {
    std::lock_guard lock(mutex_);
    if (!closed_) drained_callback_ = std::make_shared<std::function<void()>>(std::move(callback));
  }

  /// The handler let go of the exchange.
  void abandon() {
    bool unanswered;
    {
      std::lock_guard lock(mutex_);
      unanswered = !answered_ && !closed_;
    }
    if (unanswered) respond(500, {{"Content-Type", "text/plain; charset=utf-8"}}, "Internal Server Error\n");
    abort();  // a stream let go half-way; nothing to do when it was finished
  }

  // --- The caller's end.

  Status wait_head(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return answered_ || closed_; }))
      return Status::timeout("request was cancelled");
    if (!answered_) return Status::unavailable("the handler aborted the request");
    return {};
  }

  /// Everything that waits, empty at the end.
  Result<std::string> read(std::stop_token stop, Duration idle_timeout) {
    std::unique_lock lock(mutex_);
    TRY(wait_arrival(lock, std::move(stop), idle_timeout));
    return take(lock);
  }

  Result<std::optional<std::string>> try_read() {
    std::unique_lock lock(mutex_);
    if (queue_.empty() && !closed_) return std::optional<std::string>();
    TRY_ASSIGN(std::string bytes, take(lock));
    return std::optional(std::move(bytes));
  }

  Result<std::vector<LocalPart>> read_parts(std::stop_token stop, Duration idle_timeout) {
    std::unique_lock lock(mutex_);
    TRY(wait_arrival(lock, std::move(stop), idle_timeout));
    return take_parts(lock);
  }

  Result<std::optional<std::vector<LocalPart>>> try_read_parts() {
    std::unique_lock lock(mutex_);
    if (parts_.empty() && !closed_) return std::optional<std::vector<LocalPart>>();
    TRY_ASSIGN(std::vector<LocalPart> parts, take_parts(lock));
    return std::optional(std::move(parts));
  }

  void on_arrival(std::function<void()> callback) {
    {
      std::lock_guard lock(mutex_);
      if (!closed_) arrival_callback_ = std::make_shared<std::function<void()>>(callback);
      if (queue_.empty() && parts_.empty() && !closed_) return;
    }
    callback();
  }

  /// The parts of a whole answer.
  std::vector<LocalPart> answered_parts() {
    std::lock_guard lock(mutex_);
    return std::move(parts_);
  }

  /// The caller lost interest.
  void hang_up() {
    std::unique_lock lock(mutex_);
    arrival_callback_ = nullptr;
    queue_.clear();
    parts_.clear();
    queued_ = 0;
    if (!closed_) end(lock, /*complete=*/false);
  }

  int status() const { return status_; }
  Headers& headers() { return headers_; }

 private:
  Status wait_arrival(std::unique_lock<std::mutex>& lock, std::stop_token stop, Duration idle_timeout) {
    const auto ready = [&] { return !queue_.empty() || !parts_.empty() || closed_; };
    if (idle_timeout > Duration::zero()) {
      if (!changed_.wait_for(lock, stop, idle_timeout, ready)) return Status::timeout("no data in time");
    } else if (!changed_.wait(lock, stop, ready)) {
      return Status::timeout("request was cancelled");
    }
    return {};
  }

  /// After something was queued. Lets go of the lock.
  size_t tell_arrival(std::unique_lock<std::mutex>& lock) {
    const size_t waiting = queued_;
    const auto callback = arrival_callback_;
    changed_.notify_all();
    lock.unlock();
    if (callback) (*callback)();
    return waiting;
  }

  Result<std::vector<LocalPart>> take_parts(std::unique_lock<std::mutex>& lock) {
    if (parts_.empty()) {
      if (!complete_) return Status::unavailable("the response was aborted");
      return std::vector<LocalPart>();
    }
    std::vector<LocalPart> parts = std::move(parts_);
    parts_.clear();
    queued_ = 0;
    const auto drained = drained_callback_;
    lock.unlock();
    if (drained) (*drained)();
    return parts;
  }

  Result<std::string> take(std::unique_lock<std::mutex>& lock) {
    if (queue_.empty()) {
      if (!complete_) return Status::unavailable("the response was aborted");
      return std::string();
    }
    std::string bytes;
    bytes.reserve(queued_);
    for (const SharedBytes& piece : queue_) bytes += *piece;
    queue_.clear();
    queued_ = 0;
    const auto drained = drained_callback_;
    lock.unlock();
    if (drained) (*drained)();
    return bytes;
  }

  void push(SharedBytes bytes) {
    if (!bytes || bytes->empty()) return;
    queued_ += bytes->size();
    queue_.push_back(std::move(bytes));
  }

  void end(std::unique_lock<std::mutex>& lock, bool complete) {
    closed_ = true;
    complete_ = complete;
    const auto callback = std::move(closed_callback_);
    closed_callback_ = nullptr;
    const auto drained = std::move(drained_callback_);  // may own the exchange itself: let go of it
    const auto arrival = std::move(arrival_callback_);
    changed_.notify_all();
    lock.unlock();
    if (callback) callback();
    if (arrival) (*arrival)();
  }

  Request request_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool answered_ = false;
  bool closed_ = false;    // finished, aborted or hung up
  bool complete_ = false;  // finished in order
  int status_ = 0;         // constant, like headers_, once answered_
  Headers headers_;
  std::deque<SharedBytes> queue_;
  std::vector<LocalPart> parts_;
  size_t queued_ = 0;
  std::function<void()> closed_callback_;
  std::shared_ptr<std::function<void()>> arrival_callback_;
  std::shared_ptr<std::function<void()>> drained_callback_;
};

class InProcessStream final : public ResponseStream {
 public:
  explicit InProcessStream(std::shared_ptr<InProcessExchange> exchange) : exchange_(std::move(exchange)) {}
  ~InProcessStream() override { exchange_->hang_up(); }

  int status() const override { return exchange_->status(); }
  const Headers& headers() const override { return exchange_->headers(); }
  Result<std::string> read(std::stop_token stop, Duration idle_timeout) override {
    return exchange_->read(std::move(stop), idle_timeout);
  }
  Result<std::optional<std::string>> try_read() override { return exchange_->try_read(); }
  Result<std::vector<LocalPart>> read_parts(std::stop_token stop, Duration idle_timeout) override {
    return exchange_->read_parts(std::move(stop), idle_timeout);
  }
  Result<std::optional<std::vector<LocalPart>>> try_read_parts() override { return exchange_->try_read_parts(); }
  void on_arrival(std::function<void()> callback) override { exchange_->on_arrival(std::move(callback)); }

 private:
  std::shared_ptr<InProcessExchange> exchange_;
};

class InProcessTransport final : public Transport {
 public:
  InProcessTransport(Handler& handler, Peer peer) : handler_(handler), peer_(std::move(peer)) {}

  bool local() const override { return true; }

  Result<Response> round_trip(const Request& request, std::stop_token stop) override {
    const auto exchange = call(request);
    InProcessStream hang_up_at_return(exchange);
    TRY(exchange->wait_head(stop));
    Response response;
    response.parts = exchange->answered_parts();
    for (;;) {
      TRY_ASSIGN(std::string bytes, exchange->read(stop, Duration::zero()));
      if (bytes.empty()) break;
      if (response.body.empty()) {
        response.body = std::move(bytes);
      } else {
        response.body += bytes;
      }
    }
    response.status = exchange->status();
    response.headers = std::move(exchange->headers());
    return response;
  }

  Result<std::unique_ptr<ResponseStream>> open(const Request& request, std::stop_token stop) override {
    const auto exchange = call(request);
    auto stream = std::make_unique<InProcessStream>(exchange);
    TRY(exchange->wait_head(std::move(stop)));
    return std::unique_ptr<ResponseStream>(std::move(stream));
  }

 private:
  std::shared_ptr<InProcessExchange> call(const Request& request) {
    Request copy = request;
    copy.peer = peer_;
    auto exchange = std::make_shared<InProcessExchange>(std::move(copy));
    // The handler's reference: dropping the last one of it answers for a handler that did not.
    handler_.handle(std::shared_ptr<Exchange>(exchange.get(), [exchange](Exchange*) { exchange->abandon(); }));
    return exchange;
  }

  Handler& handler_;
  const Peer peer_;
};

}  // namespace

std::unique_ptr<Transport> in_process_transport(Handler& handler, Peer peer) {
  return std::make_unique<InProcessTransport>(handler, std::move(peer));
}

}  // namespace trireme::net
