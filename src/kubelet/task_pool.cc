#include "kubelet/task_pool.h"

#include <chrono>
#include <utility>

namespace trireme::kubelet {
namespace {

constexpr std::chrono::seconds kIdle{10};

}  // namespace

TaskPool::~TaskPool() { shut_down(); }

void TaskPool::shut_down() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  while (!workers_.empty()) {
    std::list<Worker> ending;
    ending.splice(ending.begin(), workers_, workers_.begin());
    lock.unlock();
    ending.front().thread.join();
    lock.lock();
  }
}

void TaskPool::post(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  tasks_.push_back(std::move(task));
  reap_locked(lock);
  if (idle_ >= tasks_.size()) {
    changed_.notify_one();
  } else if (workers_.size() < max_threads_) {
    workers_.emplace_back();
    Worker& worker = workers_.back();
    worker.thread = std::thread([this, &worker] { run(worker); });
  }
}

void TaskPool::reap_locked(std::unique_lock<std::mutex>& lock) {
  std::list<Worker> finished;
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    auto next = std::next(worker);
    if (worker->finished) finished.splice(finished.end(), workers_, worker);
    worker = next;
  }
  if (finished.empty()) return;
  lock.unlock();
  for (Worker& worker : finished) worker.thread.join();
  lock.lock();
}

void TaskPool::run(Worker& self) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (tasks_.empty()) {
      if (stopping_) break;
      ++idle_;
      bool woken = changed_.wait_for(lock, kIdle, [&] { return stopping_ || !tasks_.empty(); });
      --idle_;
      if (!woken) break;
      continue;
    }
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
  self.finished = true;
}

void TaskGroup::post(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    ++running_;
  }
  pool_.post([this, task = std::move(task)] {
    task();
    std::lock_guard lock(mutex_);
    if (--running_ == 0) finished_.notify_all();
  });
}

void TaskGroup::wait() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return running_ == 0; });
}

}  // namespace trireme::kubelet
