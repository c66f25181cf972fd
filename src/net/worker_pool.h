#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "net/http.h"
#include "net/server_exchange.h"

namespace trireme::net {

/// The threads that run a server's handler, oldest request first. Thread-safe.
class WorkerPool {
 public:
  WorkerPool(int threads, Handler& handler);
  /// Drops what has not begun and waits for what has.
  ~WorkerPool();

  void enqueue(std::shared_ptr<ServerExchange> exchange);

 private:
  void run();

  Handler& handler_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<ServerExchange>> queue_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace trireme::net
