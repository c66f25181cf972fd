#include "base/clock.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace trireme {
namespace {

class RealClock final : public Clock {
 public:
  ~RealClock() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  WallTime now() const override { return std::chrono::system_clock::now(); }

  Duration monotonic() const override { return std::chrono::steady_clock::now().time_since_epoch(); }

  bool sleep_for(Duration duration, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    return !stopped.wait_for(lock, stop, duration, [&] { return stop.stop_requested(); });
  }

  std::unique_ptr<Timer> call_after(Duration delay, std::function<void()> callback) override {
    std::lock_guard lock(mutex_);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    Key key{monotonic() + delay, ++last_id_};
    auto position = due_.emplace(key, std::move(callback)).first;
    if (position == due_.begin()) wake_.notify_all();
    return std::make_unique<RealTimer>(*this, key);
  }

 private:
  using Key = std::pair<Duration, uint64_t>;  // when due, and a number that orders and names the timer

  class RealTimer final : public Timer {
   public:
    RealTimer(RealClock& clock, Key key) : clock_(clock), key_(key) {}
    ~RealTimer() override { clock_.cancel(key_); }

   private:
    RealClock& clock_;
    Key key_;
  };

  void cancel(const Key& key) {
    std::function<void()> dropped;  // destroyed after the lock is released
    std::unique_lock lock(mutex_);
    if (auto entry = due_.find(key); entry != due_.end()) {
      dropped = std::move(entry->second);
      due_.erase(entry);
      return;
    }
    if (std::this_thread::get_id() == thread_.get_id()) return;
    finished_.wait(lock, [&] { return running_id_ != key.second; });
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (due_.empty()) {
        wake_.wait(lock);
        continue;
      }
      Duration wait = due_.begin()->first.first - monotonic();
      if (wait > Duration::zero()) {
        wake_.wait_for(lock, wait);
        continue;
      }
      running_id_ = due_.begin()->first.second;
      std::function<void()> callback = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      lock.unlock();
      callback();
      callback = nullptr;
      lock.lock();
      running_id_ = 0;
      finished_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable finished_;
  std::map<Key, std::function<void()>> due_;
  std::thread thread_;
  uint64_t last_id_ = 0;
  uint64_t running_id_ = 0;
  bool stopping_ = false;
};

}  // namespace

std::shared_ptr<Clock> real_clock() {
  static std::shared_ptr<Clock> clock = std::make_shared<RealClock>();
  return clock;
}

}  // namespace trireme
