#include "net/server_exchange.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace trireme::net {

ServerExchange::ServerExchange(Request request, std::weak_ptr<Waker> connection, int32_t stream)
    : request_(std::move(request)), connection_(std::move(connection)), stream_(stream) {}

std::shared_ptr<Exchange> ServerExchange::for_handler(std::shared_ptr<ServerExchange> exchange) {
  ServerExchange* raw = exchange.get();
  return std::shared_ptr<Exchange>(raw, [exchange = std::move(exchange)](Exchange*) { exchange->abandon(); });
}

void ServerExchange::wake(std::unique_lock<std::mutex>& lock) {
  if (std::exchange(woken_, true)) return;
  lock.unlock();
  if (const auto connection = connection_.lock()) connection->wake(stream_);
}

void ServerExchange::push(SharedBytes bytes) {
  if (!bytes || bytes->empty()) return;
  queued_ += bytes->size();
  queue_.push_back(std::move(bytes));
}

void ServerExchange::respond(int status, Headers headers, std::vector<SharedBytes> body) {
  std::unique_lock lock(mutex_);
  if (answered_ || closed_ || aborted_) return;
  answered_ = finished_ = true;
  for (SharedBytes& piece : body) push(std::move(piece));
  head_ = Head{status, std::move(headers), queued_};
  wake(lock);
}

void ServerExchange::start(int status, Headers headers) {
  std::unique_lock lock(mutex_);
  if (answered_ || closed_ || aborted_) return;
  answered_ = true;
  head_ = Head{status, std::move(headers), std::nullopt};
  wake(lock);
}

size_t ServerExchange::write(SharedBytes bytes) {
  std::unique_lock lock(mutex_);
  if (!answered_ || finished_ || closed_ || aborted_) return 0;
  push(std::move(bytes));
  const size_t waiting = queued_;
  if (waiting > 0) wake(lock);
  return waiting;
}

void ServerExchange::finish() {
  std::unique_lock lock(mutex_);
  if (!answered_ || finished_ || closed_ || aborted_) return;
  finished_ = true;
  wake(lock);
}

void ServerExchange::abort() {
  std::unique_lock lock(mutex_);
  if (finished_ || closed_ || aborted_) return;
  aborted_ = true;  // what is queued stays for `take`: its caller may have announced it on the wire already
  wake(lock);
}

void ServerExchange::abandon() {
  bool unanswered;
  {
    std::lock_guard lock(mutex_);
    unanswered = !answered_ && !closed_ && !aborted_;
  }
  if (unanswered) {
    respond(500, {{"Content-Type", "text/plain; charset=utf-8"}}, "Internal Server Error\n");
  } else {
    abort();  // changes nothing when it was finished
  }
}

bool ServerExchange::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void ServerExchange::on_closed(std::function<void()> callback) {
  {
    std::lock_guard lock(mutex_);
    if (!closed_) {
      closed_callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void ServerExchange::on_drained(std::function<void()> callback) {
  std::lock_guard lock(mutex_);
  if (!closed_) drained_callback_ = std::make_shared<std::function<void()>>(std::move(callback));
}

void ServerExchange::acknowledge_wake() {
  std::lock_guard lock(mutex_);
  woken_ = false;
}

std::optional<ServerExchange::Head> ServerExchange::take_head() {
  std::lock_guard lock(mutex_);
  return std::exchange(head_, std::nullopt);
}

ServerExchange::Available ServerExchange::available(size_t most) const {
  std::lock_guard lock(mutex_);
  return {.bytes = std::min(queued_, most), .end = finished_ && queued_ <= most, .aborted = aborted_};
}

void ServerExchange::take(size_t count, OutputQueue& out) {
  std::shared_ptr<std::function<void()>> drained;
  {
    std::lock_guard lock(mutex_);
    assert(count <= queued_);
    queued_ -= count;
    while (count > 0) {
      const SharedBytes& front = queue_.front();
      const size_t part = std::min(front->size() - offset_, count);
      out.append(front, offset_, part);
      count -= part;
      offset_ += part;
      if (offset_ == front->size()) {
        queue_.pop_front();
        offset_ = 0;
      }
    }
    if (queued_ == 0 && !finished_) drained = drained_callback_;
  }
  if (drained) (*drained)();
}

void ServerExchange::close() {
  std::function<void()> closed;
  std::shared_ptr<std::function<void()>> drained;  // may own this exchange: let go of it outside the lock
  std::deque<SharedBytes> queue;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    closed = std::move(closed_callback_);
    closed_callback_ = nullptr;
    drained = std::move(drained_callback_);
    queue.swap(queue_);
    queued_ = 0;
  }
  if (closed) closed();
}

}  // namespace trireme::net
