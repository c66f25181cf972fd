#include "client/informer_driver.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace trireme::client {

struct InformerDriver::Entry {
  std::shared_ptr<Reflector> reflector;
  bool queued = false;                  ///< Under the mutex of `Ready`.
  std::unique_ptr<Clock::Timer> timer;  ///< The thread's own: ends a back-off.
};

struct InformerDriver::Ready {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Entry*> entries;
  bool over = false;

  void add(Entry* entry) {
    {
      const std::lock_guard lock(mutex);
      if (over || std::exchange(entry->queued, true)) return;
      entries.push_back(entry);
    }
    changed.notify_one();
  }

  /// Null after a stop.
  Entry* take(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    if (!changed.wait(lock, stop, [this] { return !entries.empty(); }) || stop.stop_requested()) return nullptr;
    Entry* entry = entries.front();
    entries.pop_front();
    entry->queued = false;
    return entry;
  }
};

InformerDriver::InformerDriver(std::shared_ptr<Clock> clock)
    : clock_(std::move(clock)), ready_(std::make_shared<Ready>()) {}

InformerDriver::~InformerDriver() { stop(); }

void InformerDriver::add(const std::shared_ptr<Reflector>& reflector) {
  auto entry = std::make_shared<Entry>();
  entry->reflector = reflector;
  reflector->begin();
  // The entry belongs to the callback too, which may come late from a thread of the server's.
  reflector->set_wake([ready = ready_, entry = std::weak_ptr<Entry>(entry)] {
    if (const auto alive = entry.lock()) ready->add(alive.get());
  });
  entries_.push_back(entry);
  ready_->add(entry.get());
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

void InformerDriver::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(ready_->mutex);
    ready_->over = true;
    ready_->entries.clear();
  }
  for (const auto& entry : entries_) entry->timer.reset();
  entries_.clear();
}

void InformerDriver::run(const std::stop_token& stop) {
  while (Entry* entry = ready_->take(stop)) {
    Reflector& reflector = *entry->reflector;
    reflector.advance();
    entry->timer.reset();
    if (const std::optional<Duration> due = reflector.due()) {
      entry->timer = clock_->call_after(std::max(Duration::zero(), *due - clock_->monotonic()),
                                        [ready = ready_, entry] { ready->add(entry); });
    }
  }
}

}  // namespace trireme::client
