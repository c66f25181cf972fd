#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace trireme::store {

/// A directory of the test's own, removed at its end.
class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "trireme-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  std::string file(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Keeps what a watch delivers. The waits give up after ten seconds and return what there is.
class Recorder final : public WatchSink {
 public:
  void events(std::vector<Event> batch) override {
    std::unique_lock lock(mutex_);
    changed_.notify_all();
    blocked_ = gate_closed_;
    opened_.wait(lock, [&] { return !gate_closed_; });
    blocked_ = false;
    batches_.push_back(batch.size());
    for (Event& event : batch) events_.push_back(std::move(event));
    changed_.notify_all();
  }

  void progress(Revision revision) override {
    std::lock_guard lock(mutex_);
    progress_ = revision;
    events_at_progress_ = events_.size();
    changed_.notify_all();
  }

  void ended(const Status& status) override {
    std::lock_guard lock(mutex_);
    ended_ = status;
    changed_.notify_all();
  }

  std::vector<Event> wait_for_events(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLimit, [&] { return events_.size() >= count || ended_; });
    return events_;
  }
  /// The newest progress revision once it is at least `revision`; 0 when that does not come.
  Revision wait_for_progress(Revision revision) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return progress_ >= revision; }) ? progress_ : 0;
  }
  std::optional<Status> wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLimit, [&] { return ended_.has_value(); });
    return ended_;
  }

  /// From now on `events` blocks until the gate is opened.
  void close_gate() {
    std::lock_guard lock(mutex_);
    gate_closed_ = true;
  }
  void open_gate() {
    std::lock_guard lock(mutex_);
    gate_closed_ = false;
    opened_.notify_all();
  }
  bool wait_until_blocked() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return blocked_; });
  }

  std::size_t events_at_progress() {
    std::lock_guard lock(mutex_);
    return events_at_progress_;
  }
  std::vector<std::size_t> batches() {
    std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  static constexpr std::chrono::seconds kLimit{10};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable opened_;
  std::vector<Event> events_;
  std::vector<std::size_t> batches_;
  std::optional<Status> ended_;
  Revision progress_ = 0;
  std::size_t events_at_progress_ = 0;
  bool gate_closed_ = false;
  bool blocked_ = false;
};

/// "3 put /a=x" or "4 delete /a (x@3)": revision, kind, key and value, and the entry before.
inline std::string describe(const Event& event) {
  std::string text = std::to_string(event.entry.mod_revision);
  text += event.type == Event::Type::kPut ? " put " : " delete ";
  text += event.entry.key;
  if (event.entry.value) text += "=" + *event.entry.value;
  if (!event.previous.key.empty()) {
    text += " (" + (event.previous.value ? *event.previous.value : "") + "@" +
            std::to_string(event.previous.mod_revision) + ")";
  }
  return text;
}

inline std::vector<std::string> describe(const std::vector<Event>& events) {
  std::vector<std::string> lines;
  for (const Event& event : events) lines.push_back(describe(event));
  return lines;
}

}  // namespace trireme::store
