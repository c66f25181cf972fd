// Kills a process in the middle of a storm of concurrent writes, again and again on one database, and judges what the
// database says afterwards against what the process had acknowledged.

#include "store_storm.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <thread>

#include "store/sqlite_store.h"
#include "store/store_test_support.h"

namespace trireme::robustness {
namespace {

using store::Event;
using store::KeyValue;
using store::Recorder;
using store::Revision;
using store::Store;

constexpr int kKills = 60;

struct Acknowledged {
  bool deleted = false;
  std::string key;
  uint64_t number = 0;
};
using Acknowledgements = std::map<Revision, Acknowledged>;

/// A writer process and the reading end of its standard output.
class WriterProcess {
 public:
  WriterProcess(const std::string& database, int seed) {
    std::array<int, 2> pipe_ends{};
    if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    std::string program = TRIREME_STORM_WRITER;
    std::string path = database;
    std::string number = std::to_string(seed);
    std::array<char*, 4> arguments{program.data(), path.data(), number.data(), nullptr};
    if (::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe_ends[1]);
    output_ = pipe_ends[0];
  }

  ~WriterProcess() {
    kill();
    ::close(output_);
  }

  /// Kills after `storm` from the first acknowledged write on. Returns all that was said until then.
  std::string run(std::chrono::milliseconds storm) {
    std::string text;
    while (text.find("put") == std::string::npos && read_some(text)) {
    }
    std::jthread killer([&] {
      std::this_thread::sleep_for(storm);  // the length of the storm, not a synchronisation
      ::kill(pid_, SIGKILL);
    });
    while (read_some(text)) {
    }
    return text;
  }

  /// True when the process was ended by the kill and not by an error of its own.
  bool kill() {
    if (pid_ == 0) return killed_;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    killed_ = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return killed_;
  }

 private:
  bool read_some(std::string& text) {
    std::array<char, 65536> buffer;
    ssize_t count = ::read(output_, buffer.data(), buffer.size());
    if (count <= 0) return false;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    return true;
  }

  pid_t pid_ = 0;
  int output_ = -1;
  bool killed_ = false;
};

Acknowledgements parse(const std::string& text) {
  Acknowledgements acknowledged;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string kind;
    Acknowledged write;
    Revision revision = 0;
    words >> kind;
    if (kind == "ready") continue;
    words >> write.key >> revision;
    write.deleted = kind == "delete";
    if (!write.deleted) words >> write.number;
    EXPECT_TRUE(words) << line;
    EXPECT_TRUE(acknowledged.emplace(revision, write).second) << "revision acknowledged twice: " << line;
  }
  return acknowledged;
}

/// The state as it must be according to the history seen so far.
class Judge {
 public:
  /// Replays what was written after `before` and holds it against the acknowledgements and against the state.
  void judge(Store& store, Revision before, const Acknowledgements& acknowledged) {
    const Revision now = store.current_revision().value();
    if (!acknowledged.empty()) {
      ASSERT_GT(acknowledged.begin()->first, before) << "a revision was given twice";
      ASSERT_GE(now, acknowledged.rbegin()->first) << "acknowledged writes are gone";
    }
    auto sink = std::make_shared<Recorder>();
    auto watch = store.watch("", "", before, sink);
    ASSERT_TRUE(watch.ok());
    const auto wanted = static_cast<std::size_t>(now - before);
    std::vector<Event> events = sink->wait_for_events(wanted);
    ASSERT_EQ(events.size(), wanted) << "the history has gaps; the watch "
                                     << (events.empty() ? sink->wait_for_end().value_or(Status()).to_string()
                                                        : "has a part");
    std::size_t found = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      ASSERT_EQ(events[i].entry.mod_revision, before + 1 + static_cast<Revision>(i)) << "out of order";
      ASSERT_NO_FATAL_FAILURE(replay(events[i]));
      auto promise = acknowledged.find(events[i].entry.mod_revision);
      if (promise == acknowledged.end()) continue;
      ++found;
      ASSERT_EQ(promise->second.key, events[i].entry.key);
      ASSERT_EQ(promise->second.deleted, events[i].type == Event::Type::kDelete);
      if (!promise->second.deleted) {
        ASSERT_EQ(promise->second.number, number_of(events[i].entry));
      }
    }
    ASSERT_EQ(found, acknowledged.size());
    ASSERT_NO_FATAL_FAILURE(compare(store));
  }

 private:
  static uint64_t number_of(const KeyValue& entry) {
    uint64_t number = 0;
    EXPECT_TRUE(entry.value && check_storm_value(entry.key, *entry.value, number)) << "torn value of " << entry.key;
    return number;
  }

  /// Each event follows from the state before it.
  void replay(const Event& event) {
    const KeyValue& entry = event.entry;
    auto known = state_.find(entry.key);
    if (known == state_.end()) {
      ASSERT_EQ(event.type, Event::Type::kPut) << "deletion of an absent key";
      ASSERT_EQ(entry.create_revision, entry.mod_revision);
      ASSERT_TRUE(event.previous.key.empty());
    } else {
      // An interrupted compaction may have taken the version before, never replaced it.
      if (!event.previous.key.empty()) {
        ASSERT_EQ(event.previous.mod_revision, known->second.mod_revision);
        ASSERT_EQ(*event.previous.value, *known->second.value);
      }
      if (event.type == Event::Type::kPut) {
        ASSERT_EQ(entry.create_revision, known->second.create_revision);
      }
    }
    if (event.type == Event::Type::kDelete) {
      state_.erase(known);
      return;
    }
    number_of(entry);
    state_[entry.key] = entry;
  }

  void compare(Store& store) {
    auto range = store.range("", "", {});
    ASSERT_TRUE(range.ok()) << range.status().to_string();
    ASSERT_EQ(range->entries.size(), state_.size());
    auto expected = state_.begin();
    for (const KeyValue& entry : range->entries) {
      ASSERT_EQ(entry.key, expected->first);
      ASSERT_EQ(entry.mod_revision, expected->second.mod_revision);
      ASSERT_EQ(entry.create_revision, expected->second.create_revision);
      ASSERT_EQ(*entry.value, *expected->second.value);
      ++expected;
    }
  }

  std::map<std::string, KeyValue> state_;
};

TEST(StoreStorm, EveryAcknowledgedWriteSurvivesSixtyKills) {
  store::TempDirectory directory;
  const std::string path = directory.file("state.db");
  std::mt19937 random(20140606);
  Judge judge;
  Revision revision = 1;
  std::size_t acknowledged_in_all = 0;
  for (int round = 0; round < kKills; ++round) {
    Acknowledgements acknowledged;
    {
      WriterProcess writer(path, round);
      acknowledged = parse(writer.run(std::chrono::milliseconds(20 + random() % 180)));
      ASSERT_TRUE(writer.kill()) << "the writer failed by itself in round " << round;
    }
    ASSERT_FALSE(acknowledged.empty());
    acknowledged_in_all += acknowledged.size();
    auto opened = store::sqlite_store({.path = path, .clock = real_clock()});
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    ASSERT_NO_FATAL_FAILURE(judge.judge(**opened, revision, acknowledged)) << "round " << round;
    revision = (*opened)->current_revision().value();
  }
  RecordProperty("acknowledged", static_cast<int>(acknowledged_in_all));
  RecordProperty("revision", static_cast<int>(revision));
  std::printf("%d kills, %zu acknowledged writes, revision %lld\n", kKills, acknowledged_in_all,
              static_cast<long long>(revision));
}

}  // namespace
}  // namespace trireme::robustness
