#include "store/watch_hub.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "store/checks.h"
#include "store/watch_index.h"

namespace trireme::store {
namespace {

struct Watcher {
  Watcher(std::string_view start, std::string_view end, Revision after, std::shared_ptr<WatchSink> sink)
      : start(start), end(end), sink(std::move(sink)), after(after) {}

  const std::string start;
  const std::string end;

  std::mutex call_mutex;            // held while the sink is called
  std::shared_ptr<WatchSink> sink;  // null once the watch has ended; guarded by call_mutex

  // The rest belongs to the dispatch thread.
  Revision after;          // events up to this revision are not wanted (any more)
  Revision delivered = 0;  // what history gave, which may be ahead of the dispatched backlog
  bool live = false;
  bool wants_progress = false;
  std::vector<Event> pending;
};

using WatcherPtr = std::shared_ptr<Watcher>;

std::size_t cost(const Event& event) {
  auto size = [](const SharedBytes& bytes) { return bytes ? bytes->size() : 0; };
  return sizeof(Event) + event.entry.key.size() * 2 + size(event.entry.value) + size(event.previous.value);
}

}  // namespace

class WatchHub::Core {
 public:
  Core(Revision current, HistoryReader read_history, Dispatch dispatch, WatchHubLimits limits)
      : read_history_(std::move(read_history)),
        limits_(limits),
        inline_(dispatch == Dispatch::kInline),
        published_(current),
        dispatched_(current) {
    if (!inline_) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }

  void stop() {
    if (inline_) return end();
    thread_.request_stop();
    wake_.notify_all();
    thread_.join();
  }

  void deliver_inline() {
    // A sink's call may come back here; whoever delivers already takes up what it brings.
    if (!inline_ || std::exchange(delivering_, true)) return;
    while (std::optional<Work> work = take_work()) dispatch(*work);
    delivering_ = false;
  }

  void publish(std::vector<Event> events) {
    if (events.empty()) return;
    std::vector<Event> dropped;  // destroyed after the lock is released
    std::lock_guard lock(mutex_);
    published_ = events.back().entry.mod_revision;
    if (watches_ == 0) {  // nobody to wake; a watch that comes later reads history
      overflowed_ = true;
      return;
    }
    if (!overflowed_) {
      for (Event& event : events) {
        backlog_bytes_ += cost(event);
        backlog_.push_back(std::move(event));
      }
      if (backlog_.size() > limits_.backlog_events || backlog_bytes_ > limits_.backlog_bytes) {
        overflowed_ = true;
        dropped.swap(backlog_);
        backlog_bytes_ = 0;
      }
    }
    wake_.notify_one();
  }

  void compacted(Revision revision) { compacted_.store(revision, std::memory_order_release); }

  WatcherPtr add(std::string_view start, std::string_view end, Revision after, std::shared_ptr<WatchSink> sink) {
    std::unique_lock lock(mutex_);
    auto watcher = std::make_shared<Watcher>(start, end, after == 0 ? published_ : after, std::move(sink));
    if (stopped_) {
      watcher->sink->ended(closed());
      watcher->sink = nullptr;
      return watcher;
    }
    ++watches_;
    added_.push_back(watcher);
    wake_.notify_one();
    lock.unlock();
    deliver_inline();
    return watcher;
  }

  void remove(const WatcherPtr& watcher) {
    std::shared_ptr<WatchSink> sink;
    {
      std::lock_guard call_lock(watcher->call_mutex);
      sink = std::move(watcher->sink);
    }
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    --watches_;
    removed_.push_back(watcher);
    wake_.notify_one();
    lock.unlock();
    deliver_inline();
  }

  void request_progress(const WatcherPtr& watcher) {
    std::unique_lock lock(mutex_);
    if (stopped_) return;
    progress_.push_back(watcher);
    wake_.notify_one();
    lock.unlock();
    deliver_inline();
  }

 private:
  struct Work {
    std::vector<Event> backlog;
    std::vector<WatcherPtr> added;
    std::vector<WatcherPtr> removed;
    std::vector<WatcherPtr> progress;
    Revision published = 0;
    bool overflowed = false;
  };

  static Status closed() { return Status::unavailable("the store is closed"); }

  bool has_work() const {
    return published_ != dispatched_ || !added_.empty() || !removed_.empty() || !progress_.empty();
  }

  Work take_locked() {
    Work work;
    work.backlog.swap(backlog_);
    work.added.swap(added_);
    work.removed.swap(removed_);
    work.progress.swap(progress_);
    work.published = published_;
    work.overflowed = std::exchange(overflowed_, false);
    backlog_bytes_ = 0;
    return work;
  }

  std::optional<Work> take_work() {
    std::lock_guard lock(mutex_);
    if (lagging_.empty() && !has_work()) return std::nullopt;
    return take_locked();
  }

  void run(std::stop_token stop) {
    while (true) {
      Work work;
      {
        std::unique_lock lock(mutex_);
        if (lagging_.empty()) {
          wake_.wait(lock, stop, [&] { return has_work(); });
        }
        if (stop.stop_requested()) break;
        work = take_locked();
      }
      dispatch(work);
    }
    end();
  }

  void end() {
    std::unique_lock lock(mutex_);
    stopped_ = true;
    std::vector<WatcherPtr> rest = std::move(added_);
    rest.insert(rest.end(), watchers_.begin(), watchers_.end());
    added_.clear();
    removed_.clear();
    progress_.clear();
    lock.unlock();
    for (const WatcherPtr& watcher : rest) finish(*watcher, closed());
  }

  void dispatch(Work& work) {
    if (work.overflowed) {
      log::debug("Watches go on from history", {{"watches", watchers_.size()}});
      for (const WatcherPtr& watcher : watchers_) fall_behind(watcher);
      dispatched_ = work.published;
    }
    for (const WatcherPtr& watcher : work.added) admit(watcher);
    for (const WatcherPtr& watcher : work.removed) forget(watcher);
    deliver(work.backlog);
    dispatched_ = work.published;
    for (const WatcherPtr& watcher : work.progress) {
      watcher->wants_progress = true;
      if (watcher->live) tell_progress(*watcher);
    }
    catch_up();
  }

  void admit(const WatcherPtr& watcher) {
    if (Status status = check_watch_revision(watcher->after, compacted_.load(std::memory_order_acquire));
        !status.ok()) {
      finish(*watcher, status);
      return;
    }
    watchers_.insert(watcher);
    if (watcher->after >= dispatched_) {
      go_live(watcher);
    } else {
      lagging_.push_back(watcher);
    }
  }

  void go_live(const WatcherPtr& watcher) {
    watcher->live = true;
    live_.add(watcher->start, watcher->end, watcher.get());
  }

  void fall_behind(const WatcherPtr& watcher) {
    if (!watcher->live) return;
    live_.remove(watcher->start, watcher->end, watcher.get());
    watcher->live = false;
    watcher->after = std::max(watcher->after, dispatched_);
    lagging_.push_back(watcher);
  }

  void forget(const WatcherPtr& watcher) {
    if (watcher->live) live_.remove(watcher->start, watcher->end, watcher.get());
    watcher->live = false;
    watchers_.erase(watcher);
    std::erase(lagging_, watcher);
  }

  void deliver(const std::vector<Event>& backlog) {
    std::vector<Watcher*> touched;
    for (const Event& event : backlog) {
      live_.find(event.entry.key, [&](Watcher* watcher) {
        if (event.entry.mod_revision <= watcher->after) return;
        if (watcher->pending.empty()) touched.push_back(watcher);
        watcher->pending.push_back(event);
      });
    }
    for (Watcher* watcher : touched) {
      std::vector<Event> batch = std::exchange(watcher->pending, {});
      std::lock_guard call_lock(watcher->call_mutex);
      if (watcher->sink) watcher->sink->events(std::move(batch));
    }
  }

  /// One chunk of history for each watch that is behind, so that they share the thread fairly.
  void catch_up() {
    std::vector<WatcherPtr> lagging = std::move(lagging_);
    lagging_.clear();
    for (const WatcherPtr& watcher : lagging) {
      if (!still_wanted(*watcher)) continue;  // its removal is queued
      auto slice = read_history_(watcher->start, watcher->end, watcher->after, limits_.history_chunk);
      if (!slice.ok()) {
        finish(*watcher, slice.status());
        watchers_.erase(watcher);
        continue;
      }
      if (!slice->events.empty()) {
        std::lock_guard call_lock(watcher->call_mutex);
        if (watcher->sink) watcher->sink->events(std::move(slice->events));
      }
      watcher->after = watcher->delivered = slice->through;
      if (watcher->after < dispatched_) {
        lagging_.push_back(watcher);
        continue;
      }
      go_live(watcher);
      if (watcher->wants_progress) tell_progress(*watcher);
    }
  }

  void tell_progress(Watcher& watcher) {
    watcher.wants_progress = false;
    std::lock_guard call_lock(watcher.call_mutex);
    if (watcher.sink) watcher.sink->progress(std::max(dispatched_, watcher.delivered));
  }

  static bool still_wanted(Watcher& watcher) {
    std::lock_guard call_lock(watcher.call_mutex);
    return watcher.sink != nullptr;
  }

  static void finish(Watcher& watcher, const Status& status) {
    std::lock_guard call_lock(watcher.call_mutex);
    if (watcher.sink) watcher.sink->ended(status);
    watcher.sink = nullptr;
  }

  const HistoryReader read_history_;
  const WatchHubLimits limits_;
  const bool inline_;
  bool delivering_ = false;  // inline hubs only
  std::atomic<Revision> compacted_ = 0;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::vector<Event> backlog_;
  std::size_t backlog_bytes_ = 0;
  bool overflowed_ = false;  // the backlog is incomplete: what is live has to read history
  std::size_t watches_ = 0;  // that have not been destroyed
  bool stopped_ = false;
  Revision published_;
  std::vector<WatcherPtr> added_;
  std::vector<WatcherPtr> removed_;
  std::vector<WatcherPtr> progress_;

  // The dispatch thread's own.
  Revision dispatched_;
  std::unordered_set<WatcherPtr> watchers_;
  std::vector<WatcherPtr> lagging_;
  WatchIndex<Watcher*> live_;

  std::jthread thread_;
};

class WatchHub::HubWatch final : public Watch {
 public:
  HubWatch(std::shared_ptr<Core> core, WatcherPtr watcher) : core_(std::move(core)), watcher_(std::move(watcher)) {}
  ~HubWatch() override { core_->remove(watcher_); }

  void request_progress() override { core_->request_progress(watcher_); }

 private:
  const std::shared_ptr<Core> core_;
  const WatcherPtr watcher_;
};

WatchHub::WatchHub(Revision current, HistoryReader read_history, Dispatch dispatch, WatchHubLimits limits)
    : core_(std::make_shared<Core>(current, std::move(read_history), dispatch, limits)) {}

WatchHub::~WatchHub() { core_->stop(); }

void WatchHub::deliver() { core_->deliver_inline(); }

void WatchHub::compacted(Revision revision) { core_->compacted(revision); }

void WatchHub::publish(std::vector<Event> events) { core_->publish(std::move(events)); }

std::unique_ptr<Watch> WatchHub::add(std::string_view start, std::string_view end, Revision after,
                                     std::shared_ptr<WatchSink> sink) {
  return std::make_unique<HubWatch>(core_, core_->add(start, end, after, std::move(sink)));
}

}  // namespace trireme::store
