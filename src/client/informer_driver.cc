#include "client/informer_driver.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace trireme::client {

struct InformerDriver::Entry {
  std::shared_ptr<Reflector> reflector;
  bool queued = false;                  ///< Under the mutex of `Ready`.
  bool removed = false;                 ///< Likewise.
  std::unique_ptr<Clock::Timer> timer;  ///< The thread's own: ends a back-off.
};

struct InformerDriver::Ready {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<std::shared_ptr<Entry>> entries;
  const Entry* moving = nullptr;
  bool over = false;

  void add(const std::shared_ptr<Entry>& entry) {
    {
      const std::lock_guard lock(mutex);
      if (over || entry->removed || std::exchange(entry->queued, true)) return;
      entries.push_back(entry);
    }
    changed.notify_all();
  }

  /// Null after a stop.
  std::shared_ptr<Entry> take(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    if (!changed.wait(lock, stop, [this] { return !entries.empty(); }) || stop.stop_requested()) return nullptr;
    std::shared_ptr<Entry> entry = std::move(entries.front());
    entries.pop_front();
    entry->queued = false;
    moving = entry.get();
    return entry;
  }
  void moved() {
    {
      const std::lock_guard lock(mutex);
      moving = nullptr;
    }
    changed.notify_all();
  }

  void remove(Entry& entry) {
    std::unique_lock lock(mutex);
    entry.removed = true;
    std::erase_if(entries, [&](const auto& each) { return each.get() == &entry; });
    changed.wait(lock, [&] { return moving != &entry; });
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
    if (const auto alive = entry.lock()) ready->add(alive);
  });
  entries_.push_back(entry);
  ready_->add(entry);
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
}

void InformerDriver::remove(const Reflector& reflector) {
  const auto found =
      std::ranges::find_if(entries_, [&](const auto& entry) { return entry->reflector.get() == &reflector; });
  if (found == entries_.end()) return;
  ready_->remove(**found);
  (*found)->timer.reset();
  entries_.erase(found);
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
  while (const std::shared_ptr<Entry> entry = ready_->take(stop)) {
    Reflector& reflector = *entry->reflector;
    reflector.advance();
    entry->timer.reset();
    if (const std::optional<Duration> due = reflector.due()) {
      entry->timer = clock_->call_after(std::max(Duration::zero(), *due - clock_->monotonic()),
                                        [ready = ready_, entry = std::weak_ptr<Entry>(entry)] {
                                          if (const auto alive = entry.lock()) ready->add(alive);
                                        });
    }
    ready_->moved();
  }
}

}  // namespace trireme::client
