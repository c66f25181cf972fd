// What only the SQLite backend promises: the file, its protection, and what happens when the disk is full.

#include "store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "store/store_test_support.h"
#include "support/virtual_clock.h"

namespace trireme::store {
namespace {

using ::testing::HasSubstr;

class SqliteStoreTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Store>> open() { return sqlite_store({.path = path_, .clock = clock_}); }
  std::unique_ptr<Store> must_open() {
    auto store = open();
    EXPECT_TRUE(store.ok()) << store.status().to_string();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static void fill(Store& store, int count, std::size_t size) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(store.put("/fill/" + std::to_string(i), share(std::string(size, 'x')), 0).ok());
    }
  }
  void run_sql(const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static mode_t mode(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }

  TempDirectory directory_;
  std::string path_ = directory_.file("made/below/state.db");
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
};

TEST_F(SqliteStoreTest, FilesAreForTheOwnerOnly) {
  auto store = must_open();
  fill(*store, 1, 10);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) EXPECT_EQ(mode(path_ + suffix), 0600u) << suffix;
  EXPECT_EQ(mode(directory_.file("made")), 0700u);
  EXPECT_EQ(mode(directory_.file("made/below")), 0700u);
}

TEST_F(SqliteStoreTest, OneOpenAtATime) {
  auto store = must_open();
  auto second = open();
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.status().is(Reason::kServiceUnavailable));
  EXPECT_THAT(second.status().message(), HasSubstr("another process uses the database"));
  store.reset();
  EXPECT_TRUE(open().ok());
}

TEST_F(SqliteStoreTest, RefusesANewerSchema) {
  must_open().reset();
  run_sql("PRAGMA user_version = 99");
  auto store = open();
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(store.status().message(), HasSubstr("newer Trireme (schema 99"));
}

TEST_F(SqliteStoreTest, RefusesAnotherProgramsDatabase) {
  std::filesystem::create_directories(directory_.file("made/below"));
  run_sql("CREATE TABLE music (title TEXT)");
  auto store = open();
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(store.status().message(), HasSubstr("another program"));
}

TEST_F(SqliteStoreTest, ReportsCorruptFiles) {
  {
    auto store = must_open();
    fill(*store, 500, 1000);
  }
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path_));
  struct Case {
    std::streamoff offset;
    int bytes;
  };
  std::string good;
  {
    std::ifstream in(path_, std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (const Case& c : {Case{0, 100}, Case{4096, 4096}, Case{size / 2 / 4096 * 4096, 40960}}) {
    std::ofstream out(path_, std::ios::binary);
    std::string bad = good;
    bad.replace(c.offset, c.bytes, std::string(c.bytes, '\xa5'));
    out << bad;
    out.close();
    auto store = open();
    ASSERT_FALSE(store.ok()) << c.offset;
    EXPECT_THAT(store.status().message(), HasSubstr("corrupt")) << c.offset;
    EXPECT_THAT(store.status().message(), HasSubstr(path_)) << c.offset;
  }
}

/// Keeps this process from making files larger than some bytes, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : previous_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &previous_);
    rlimit limit{bytes, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_{};
  void (*previous_handler_)(int);
};

TEST_F(SqliteStoreTest, FailedWritesLeaveNothingBehind) {
  auto store = must_open();
  auto sink = std::make_shared<Recorder>();
  auto running = *store->watch("", "", 0, sink);
  fill(*store, 10, 1000);
  const Revision before = *store->current_revision();
  {
    FileSizeLimit limit(256 << 10);
    std::atomic<int> failures = 0;
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 4; ++writer) {
      writers.emplace_back([&, writer] {
        auto revision = store->put("/large/" + std::to_string(writer), share(std::string(400 << 10, 'x')), 0);
        if (revision.status().is(Reason::kServiceUnavailable)) ++failures;
      });
    }
    writers.clear();
    EXPECT_EQ(failures, 4);
    EXPECT_EQ(store->range("", "", {})->count, 10);
    EXPECT_EQ(*store->current_revision(), before);
  }
  EXPECT_EQ(*store->put("/large/0", share(std::string(400 << 10, 'x')), 0), before + 1);
  EXPECT_EQ(sink->wait_for_events(11).size(), 11u);
  store.reset();
  store = must_open();
  EXPECT_EQ(store->range("", "", {})->count, 11);
}

TEST_F(SqliteStoreTest, FullDiskAsRoot) {
  const std::string mount_point = directory_.file("small");
  std::filesystem::create_directories(mount_point);
  if (::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=4m") != 0) GTEST_SKIP() << "mounting needs root";
  path_ = mount_point + "/state.db";
  {
    std::ofstream ballast(mount_point + "/ballast");
    ballast << std::string(1 << 20, 'x');
  }
  auto store = must_open();
  LeaseId lease = *store->grant_lease(5);
  ASSERT_TRUE(store->put("/leased", share("v"), 0, lease).ok());
  int written = 0;
  Status failure;
  while (failure.ok() && written < 10000) {
    auto revision = store->put("/k/" + std::to_string(written), share(std::string(20000, 'x')), 0);
    failure = revision.status();
    written += revision.ok();
  }
  EXPECT_TRUE(failure.is(Reason::kServiceUnavailable)) << failure.to_string();
  EXPECT_THAT(failure.message(), HasSubstr("the disk is full"));
  EXPECT_EQ(store->range("/k/", "/k0", {})->count, written);
  auto sink = std::make_shared<Recorder>();
  auto running = *store->watch("/leased", "/leasee", 0, sink);

  std::filesystem::remove(mount_point + "/ballast");
  EXPECT_TRUE(store->put("/k/after", share(std::string(20000, 'x')), 0).ok());
  clock_->advance(std::chrono::seconds(20));
  EXPECT_EQ(sink->wait_for_events(1).size(), 1u);
  store.reset();
  store = must_open();
  EXPECT_EQ(store->range("/k/", "/k0", {})->count, written + 1);
  running.reset();
  store.reset();
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

/// A power cut may leave any part of the log that was not synced yet: what is opened then is a whole prefix of the
/// writes, never a part of one.
TEST_F(SqliteStoreTest, ATornLogIsAPrefixOfTheWrites) {
  constexpr int kWrites = 40;
  auto store = must_open();
  fill(*store, kWrites, 3000);
  auto read_all = [](const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string file = read_all(path_);
  const std::string log = read_all(path_ + "-wal");
  ASSERT_GT(log.size(), kWrites * 3000u) << "the log was checkpointed: too much was written for this test";
  store.reset();
  int64_t least = kWrites;
  for (std::size_t cut = log.size(); cut > 40000; cut -= 7919) {
    for (bool garbage : {false, true}) {
      std::filesystem::remove(path_ + "-wal");
      std::filesystem::remove(path_ + "-shm");
      std::ofstream(path_, std::ios::binary) << file;
      std::ofstream(path_ + "-wal", std::ios::binary) << log.substr(0, cut) << std::string(garbage ? 5000 : 0, '\x5a');
      store = must_open();
      ASSERT_NE(store, nullptr);
      auto all = store->range("", "", {});
      ASSERT_TRUE(all.ok()) << all.status().to_string();
      ASSERT_EQ(all->revision, all->count + 1);
      for (const KeyValue& entry : all->entries) {
        ASSERT_EQ(entry.key, "/fill/" + std::to_string(entry.mod_revision - 2));
        ASSERT_EQ(*entry.value, std::string(3000, 'x'));
      }
      ASSERT_EQ(*store->put("/next", share("v"), 0), all->revision + 1);
      least = std::min(least, all->count);
      store.reset();
    }
  }
  EXPECT_LT(least, kWrites / 2) << "the cuts took nothing away";
}

TEST_F(SqliteStoreTest, IdleWritesNothing) {
  auto store = must_open();
  fill(*store, 100, 1000);
  ASSERT_TRUE(store->compact(*store->current_revision()).ok());
  auto stamp = [&](const char* suffix) { return std::filesystem::last_write_time(path_ + suffix); };
  const auto file = stamp("");
  const auto log = stamp("-wal");
  EXPECT_TRUE(store->compact(*store->current_revision()).ok());
  EXPECT_TRUE(store->put("/fill/0", share("x"), 0).status().is(Reason::kConflict));
  EXPECT_TRUE(store->range("", "", {}).ok());
  EXPECT_EQ(stamp(""), file);
  EXPECT_EQ(stamp("-wal"), log);
}

TEST_F(SqliteStoreTest, WritersGoOnDuringACompaction) {
  auto store = must_open();
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      Revision revision = 0;
      for (int i = 0; i < 500; ++i) {
        revision = store->put("/k" + std::to_string(thread), share(std::string(1000, 'x')), revision).value_or(0);
      }
    });
  }
  threads.clear();
  const Revision last = *store->current_revision();
  std::atomic<bool> compacted = false;
  std::jthread compactor([&] {
    EXPECT_TRUE(store->compact(last).ok());
    compacted = true;
  });
  int during = 0;
  for (Revision revision = 0; !compacted; ++during) {
    auto next = store->put("/during", share("x"), revision);
    ASSERT_TRUE(next.ok()) << next.status().to_string();
    revision = *next;
  }
  EXPECT_GE(during, 10);
  EXPECT_EQ(store->range("/k", "/l", {})->count, 8);
  EXPECT_TRUE(store->range("", "", {.revision = last - 1}).status().is(Reason::kExpired));
}

}  // namespace
}  // namespace trireme::store
