#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace trireme::kubelet {

/// Runs blocking tasks: calls to the runtime, probes, hooks. A task never waits while fewer than `max_threads` run;
/// threads appear on demand and go after some idle seconds, so that an idle node has none. Thread-safe.
class TaskPool {
 public:
  explicit TaskPool(size_t max_threads) : max_threads_(max_threads) {}
  /// Runs what is queued, then joins.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  void post(std::function<void()> task);
  /// Drops later posts, runs what is queued and joins. May be called twice.
  void shut_down();

 private:
  struct Worker {
    std::thread thread;
    bool finished = false;
  };
  void run(Worker& self);
  void reap_locked(std::unique_lock<std::mutex>& lock);

  const size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::list<Worker> workers_;
  size_t idle_ = 0;
  bool stopping_ = false;
};

/// Counts tasks that were posted together, so that their starter can wait for all of them.
class TaskGroup {
 public:
  explicit TaskGroup(TaskPool& pool) : pool_(pool) {}
  ~TaskGroup() { wait(); }
  void post(std::function<void()> task);
  void wait();

 private:
  TaskPool& pool_;
  std::mutex mutex_;
  std::condition_variable finished_;
  size_t running_ = 0;
};

}  // namespace trireme::kubelet
