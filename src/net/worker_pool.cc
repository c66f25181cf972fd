#include "net/worker_pool.h"

#include <algorithm>
#include <exception>

#include "base/log.h"

namespace trireme::net {

WorkerPool::WorkerPool(int threads, Handler& handler) : handler_(handler) {
  for (int i = 0; i < std::max(threads, 1); ++i) threads_.emplace_back([this] { run(); });
}

WorkerPool::~WorkerPool() {
  std::deque<std::shared_ptr<ServerExchange>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(queue_);
  }
  work_.notify_all();
  threads_.clear();  // joins
}

void WorkerPool::enqueue(std::shared_ptr<ServerExchange> exchange) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    queue_.push_back(std::move(exchange));
    wake = idle_ > 0;
  }
  if (wake) work_.notify_one();
}

void WorkerPool::run() {
  for (;;) {
    std::shared_ptr<ServerExchange> exchange;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (stopping_) return;
      exchange = std::move(queue_.front());
      queue_.pop_front();
    }
    // A caller that went away while waiting costs nothing more; this also blunts HTTP/2's rapid resets.
    if (exchange->closed()) continue;
    try {
      handler_.handle(ServerExchange::for_handler(std::move(exchange)));
    } catch (const std::exception& error) {
      // The exchange was dropped on the way and thereby answered with 500.
      log::error("Handler threw", {{"error", error.what()}});
    }
  }
}

}  // namespace trireme::net
