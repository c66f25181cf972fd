// The behaviour that every backend shares. A backend joins the suite with one more entry in `backends`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/memory_store.h"
#include "store/sqlite_store.h"
#include "store/store.h"
#include "store/store_test_support.h"
#include "support/virtual_clock.h"

namespace trireme::store {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One test's store and what it needs.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual std::unique_ptr<Store> open() = 0;
  /// Lets time pass for leases.
  virtual void advance(Duration duration) = 0;
  virtual bool persistent() const { return false; }
};

class MemoryHarness final : public Harness {
 public:
  std::unique_ptr<Store> open() override { return memory_store(clock_); }
  void advance(Duration duration) override { clock_->advance(duration); }

 private:
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
};

class SqliteHarness final : public Harness {
 public:
  std::unique_ptr<Store> open() override {
    auto store = sqlite_store({.path = directory_.file("state.db"), .clock = clock_});
    EXPECT_TRUE(store.ok()) << store.status().to_string();
    return store.ok() ? *std::move(store) : nullptr;
  }
  void advance(Duration duration) override { clock_->advance(duration); }
  bool persistent() const override { return true; }

 private:
  TempDirectory directory_;
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
};

struct Backend {
  std::string name;
  std::function<std::unique_ptr<Harness>()> make;
};

std::vector<Backend> backends() {
  return {{"Memory", [] { return std::make_unique<MemoryHarness>(); }},
          {"Sqlite", [] { return std::make_unique<SqliteHarness>(); }}};
}

class StoreSuite : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    harness_ = GetParam().make();
    store_ = harness_->open();
    ASSERT_NE(store_, nullptr);
    base_ = store_->current_revision().value();
  }

  Revision put(std::string_view key, std::string value, Revision expected = 0, LeaseId lease = 0) {
    auto revision = store_->put(key, share(std::move(value)), expected, lease);
    EXPECT_TRUE(revision.ok()) << revision.status().to_string();
    return std::move(revision).value_or(0);
  }
  Revision remove(std::string_view key, Revision expected) {
    auto revision = store_->remove(key, expected);
    EXPECT_TRUE(revision.ok()) << revision.status().to_string();
    return std::move(revision).value_or(0);
  }
  RangeResult range(std::string_view start, std::string_view end, RangeOptions options = {}) {
    auto result = store_->range(start, end, options);
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    return std::move(result).value_or({});
  }
  RangeResult prefix(std::string_view prefix, RangeOptions options = {}) {
    return range(prefix, prefix_end(prefix), options);
  }
  std::unique_ptr<Watch> watch(std::string_view prefix, Revision after, std::shared_ptr<Recorder> sink) {
    auto running = store_->watch(prefix, prefix_end(prefix), after, std::move(sink));
    EXPECT_TRUE(running.ok()) << running.status().to_string();
    return running.ok() ? *std::move(running) : nullptr;
  }
  /// "key=value" of each entry.
  static std::vector<std::string> pairs(const RangeResult& result) {
    std::vector<std::string> lines;
    for (const KeyValue& entry : result.entries) lines.push_back(entry.key + "=" + (entry.value ? *entry.value : "-"));
    return lines;
  }
  /// What `describe` gives, with revisions counted from the start of the test.
  std::vector<std::string> relative(std::vector<Event> events) const {
    for (Event& event : events) {
      event.entry.mod_revision -= base_;
      if (!event.previous.key.empty()) event.previous.mod_revision -= base_;
    }
    return describe(events);
  }

  std::unique_ptr<Harness> harness_;
  std::unique_ptr<Store> store_;
  Revision base_ = 0;
};

TEST_P(StoreSuite, EmptyStoreHasARevision) {
  EXPECT_GE(base_, 1);
  RangeResult all = range("", "");
  EXPECT_THAT(all.entries, IsEmpty());
  EXPECT_EQ(all.count, 0);
  EXPECT_EQ(all.revision, base_);
}

TEST_P(StoreSuite, EachWriteRaisesTheRevisionByOne) {
  EXPECT_EQ(put("/a", "1"), base_ + 1);
  EXPECT_EQ(put("/b", "1"), base_ + 2);
  EXPECT_EQ(put("/a", "2", base_ + 1), base_ + 3);
  EXPECT_EQ(remove("/b", base_ + 2), base_ + 4);
  EXPECT_EQ(store_->current_revision().value(), base_ + 4);
}

TEST_P(StoreSuite, GetReturnsRevisionsAndValue) {
  Revision created = put("/a", "1");
  Revision updated = put("/a", "2", created);
  auto entry = store_->get("/a");
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->key, "/a");
  EXPECT_EQ(*entry->value, "2");
  EXPECT_EQ(entry->create_revision, created);
  EXPECT_EQ(entry->mod_revision, updated);
  EXPECT_TRUE(store_->get("/absent").status().is(Reason::kNotFound));
}

TEST_P(StoreSuite, PutChecksTheExpectedRevision) {
  Revision first = put("/a", "1");
  Revision second = put("/a", "2", first);
  struct Case {
    const char* key;
    Revision expected;
  };
  for (const Case& c : {Case{"/a", 0}, Case{"/a", first}, Case{"/a", second + 1}, Case{"/b", second}}) {
    EXPECT_TRUE(store_->put(c.key, share("x"), c.expected).status().is(Reason::kConflict)) << c.key << c.expected;
  }
  EXPECT_EQ(store_->current_revision().value(), second);
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/a=2"));
}

TEST_P(StoreSuite, RemoveChecksTheExpectedRevision) {
  Revision first = put("/a", "1");
  Revision second = put("/a", "2", first);
  EXPECT_TRUE(store_->remove("/a", first).status().is(Reason::kConflict));
  EXPECT_TRUE(store_->remove("/a", 0).status().is(Reason::kConflict));
  EXPECT_TRUE(store_->remove("/b", 0).status().is(Reason::kConflict));
  remove("/a", second);
  EXPECT_TRUE(store_->get("/a").status().is(Reason::kNotFound));
  EXPECT_TRUE(store_->remove("/a", second).status().is(Reason::kConflict));
}

TEST_P(StoreSuite, CreatedAgainAfterADeletionIsANewObject) {
  Revision first = put("/a", "1");
  Revision gone = remove("/a", first);
  EXPECT_TRUE(store_->put("/a", share("2"), gone).status().is(Reason::kConflict));
  Revision again = put("/a", "2");
  EXPECT_EQ(store_->get("/a")->create_revision, again);
}

TEST_P(StoreSuite, ValuesAndKeysAreBytes) {
  std::string value("\0\xff k8s\0", 7);
  std::string key("/\0\xfe", 3);
  put(key, value);
  EXPECT_EQ(*store_->get(key)->value, value);
  put("/empty", "");
  EXPECT_EQ(*store_->get("/empty")->value, "");
}

TEST_P(StoreSuite, LimitsOnSizes) {
  put("/large", std::string(kMaxValueBytes, 'x'));
  EXPECT_EQ(store_->get("/large")->value->size(), kMaxValueBytes);
  auto too_large = store_->put("/larger", share(std::string(kMaxValueBytes + 1, 'x')), 0);
  EXPECT_TRUE(too_large.status().is(Reason::kRequestEntityTooLarge));
  EXPECT_TRUE(store_->put("", share("x"), 0).status().is(Reason::kBadRequest));
  EXPECT_TRUE(store_->put(std::string(kMaxKeyBytes + 1, 'k'), share("x"), 0).status().is(Reason::kBadRequest));
}

TEST_P(StoreSuite, RangeIsOrderedAndHalfOpen) {
  for (const char* key : {"/b/2", "/a", "/b/1", "/b", "/c", "/b/10"}) put(key, "v");
  EXPECT_THAT(pairs(prefix("/b/")), ElementsAre("/b/1=v", "/b/10=v", "/b/2=v"));
  EXPECT_THAT(pairs(range("/b", "/b/2")), ElementsAre("/b=v", "/b/1=v", "/b/10=v"));
  EXPECT_THAT(pairs(range("/b/2", "")), ElementsAre("/b/2=v", "/c=v"));
  EXPECT_EQ(range("", "").count, 6);
  EXPECT_THAT(pairs(range("/c", "/b")), IsEmpty());
}

TEST_P(StoreSuite, RangeOptions) {
  for (const char* key : {"/a/1", "/a/2", "/a/3", "/b"}) put(key, "v");
  RangeResult limited = prefix("/a/", {.limit = 2});
  EXPECT_THAT(pairs(limited), ElementsAre("/a/1=v", "/a/2=v"));
  EXPECT_EQ(limited.count, 3);
  RangeResult counted = prefix("/a/", {.count_only = true});
  EXPECT_THAT(counted.entries, IsEmpty());
  EXPECT_EQ(counted.count, 3);
  RangeResult keys = prefix("/a/", {.limit = 1, .keys_only = true});
  EXPECT_THAT(pairs(keys), ElementsAre("/a/1=-"));
  EXPECT_EQ(keys.entries.front().mod_revision, base_ + 1);
}

TEST_P(StoreSuite, PagesOfOneRevisionAreASnapshot) {
  Revision a1 = put("/a/1", "old");
  put("/a/2", "old");
  Revision a3 = put("/a/3", "old");
  RangeResult first = prefix("/a/", {.limit = 1});
  put("/a/1", "new", a1);
  remove("/a/3", a3);
  Revision last = put("/a/4", "new");
  RangeResult rest = range("/a/1\xff", prefix_end("/a/"), {.limit = 5, .revision = first.revision});
  EXPECT_THAT(pairs(rest), ElementsAre("/a/2=old", "/a/3=old"));
  EXPECT_EQ(rest.count, 2);
  EXPECT_EQ(rest.revision, last);
  EXPECT_THAT(pairs(prefix("/a/", {.revision = a1})), ElementsAre("/a/1=old"));
  EXPECT_THAT(pairs(range("/a/3", std::string("/a/3\0", 5), {.revision = a3})), ElementsAre("/a/3=old"));
  EXPECT_THAT(pairs(prefix("/a/")), ElementsAre("/a/1=new", "/a/2=old", "/a/4=new"));
}

TEST_P(StoreSuite, ReadingTheFutureIsABadRequest) {
  EXPECT_TRUE(store_->range("/", "", {.revision = base_ + 1}).status().is(Reason::kBadRequest));
}

TEST_P(StoreSuite, WatchFromNow) {
  Revision before = put("/a", "1");
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  Revision after = put("/a", "2", before);
  remove("/a", after);
  put("/a", "3");
  EXPECT_THAT(relative(sink->wait_for_events(3)), ElementsAre("2 put /a=2 (1@1)", "3 delete /a (2@2)", "4 put /a=3"));
}

TEST_P(StoreSuite, WatchFromThePastReplaysAndGoesOn) {
  Revision a = put("/w/a", "1");
  put("/x", "other");
  Revision updated = put("/w/a", "2", a);
  remove("/w/a", updated);
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/w/", a, sink);
  EXPECT_THAT(relative(sink->wait_for_events(2)), ElementsAre("3 put /w/a=2 (1@1)", "4 delete /w/a (2@3)"));
  put("/w/b", "live");
  EXPECT_THAT(relative(sink->wait_for_events(3)).back(), "5 put /w/b=live");
}

TEST_P(StoreSuite, WatchFromTheFutureWaitsForIt) {
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", base_ + 2, sink);
  for (const char* key : {"/1", "/2", "/3", "/4"}) put(key, "v");
  EXPECT_THAT(relative(sink->wait_for_events(2)), ElementsAre("3 put /3=v", "4 put /4=v"));
}

TEST_P(StoreSuite, WatchesSeeOnlyTheirRange) {
  auto all = std::make_shared<Recorder>();
  auto outer = std::make_shared<Recorder>();
  auto inner = std::make_shared<Recorder>();
  auto single = std::make_shared<Recorder>();
  auto odd = std::make_shared<Recorder>();
  std::vector<std::unique_ptr<Watch>> running;
  running.push_back(watch("", 0, all));
  running.push_back(watch("/p", 0, outer));
  running.push_back(watch("/p/i/", 0, inner));
  running.push_back(*store_->watch("/p/k", std::string("/p/k\0", 5), 0, single));
  running.push_back(*store_->watch("/p/j", "/p/l", 0, odd));
  for (const char* key : {"/o", "/p/i/1", "/p/i2", "/p/j", "/p/k", "/p/kk", "/q"}) put(key, "v");
  for (const auto& one : running) one->request_progress();
  const Revision now = base_ + 7;
  for (const auto& sink : {all, outer, inner, single, odd}) EXPECT_EQ(sink->wait_for_progress(now), now);
  EXPECT_EQ(all->wait_for_events(7).size(), 7u);
  EXPECT_THAT(relative(outer->wait_for_events(5)),
              ElementsAre("2 put /p/i/1=v", "3 put /p/i2=v", "4 put /p/j=v", "5 put /p/k=v", "6 put /p/kk=v"));
  EXPECT_THAT(relative(inner->wait_for_events(1)), ElementsAre("2 put /p/i/1=v"));
  EXPECT_THAT(relative(single->wait_for_events(1)), ElementsAre("5 put /p/k=v"));
  EXPECT_THAT(relative(odd->wait_for_events(3)), ElementsAre("4 put /p/j=v", "5 put /p/k=v", "6 put /p/kk=v"));
}

TEST_P(StoreSuite, ProgressComesAfterEverythingBefore) {
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/w/", 0, sink);
  running->request_progress();
  EXPECT_EQ(sink->wait_for_progress(base_), base_);
  for (int i = 0; i < 100; ++i) put("/w/" + std::to_string(i), "v");
  Revision last = put("/elsewhere", "v");
  running->request_progress();
  EXPECT_EQ(sink->wait_for_progress(last), last);
  EXPECT_EQ(sink->events_at_progress(), 100u);
}

TEST_P(StoreSuite, ProgressOfAReplayComesAfterTheReplay) {
  for (int i = 0; i < 1100; ++i) put("/w/" + std::to_string(i), "v");
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/w/", base_, sink);
  running->request_progress();
  EXPECT_EQ(sink->wait_for_progress(base_ + 1100), base_ + 1100);
  EXPECT_EQ(sink->events_at_progress(), 1100u);
}

TEST_P(StoreSuite, NothingArrivesAfterAWatchIsDestroyed) {
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  put("/a", "1");
  EXPECT_EQ(sink->wait_for_events(1).size(), 1u);
  running.reset();
  put("/b", "1");
  auto other = std::make_shared<Recorder>();
  auto later = watch("/", base_ + 1, other);
  EXPECT_EQ(other->wait_for_events(1).size(), 1u);
  EXPECT_EQ(sink->wait_for_events(1).size(), 1u);
  EXPECT_EQ(sink.use_count(), 1);
}

TEST_P(StoreSuite, ASlowWatchBlocksNoWriterAndMissesNothing) {
  constexpr int kWrites = 1000;
  const std::string value(20 << 10, 'v');  // more in all than a backlog holds
  auto slow = std::make_shared<Recorder>();
  auto running = watch("/", 0, slow);
  slow->close_gate();
  put("/first", "v");
  ASSERT_TRUE(slow->wait_until_blocked());
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < 8; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = writer; i < kWrites; i += 8) put("/" + std::to_string(i), value);
    });
  }
  writers.clear();
  slow->open_gate();
  std::vector<Event> events = slow->wait_for_events(kWrites + 1);
  ASSERT_EQ(events.size(), static_cast<std::size_t>(kWrites + 1));
  for (std::size_t i = 0; i < events.size(); ++i) {
    ASSERT_EQ(events[i].entry.mod_revision, base_ + 1 + static_cast<Revision>(i));
  }
}

TEST_P(StoreSuite, CompactionForgetsHistoryNotState) {
  Revision a = put("/a", "1");
  put("/b", "1");
  Revision a2 = put("/a", "2", a);
  Revision gone = remove("/a", a2);
  put("/c", "1");
  ASSERT_TRUE(store_->compact(gone).ok());
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/b=1", "/c=1"));
  EXPECT_THAT(pairs(range("", "", {.revision = gone})), ElementsAre("/b=1"));
  EXPECT_TRUE(store_->range("", "", {.revision = a2}).status().is(Reason::kExpired));
  EXPECT_TRUE(store_->range("/a", std::string("/a\0", 3), {.revision = a}).status().is(Reason::kExpired));
  EXPECT_TRUE(store_->compact(gone).ok()) << "again";
  EXPECT_TRUE(store_->compact(a).ok()) << "less than before";
  EXPECT_TRUE(store_->compact(gone + 100).is(Reason::kBadRequest)) << "the future";
  EXPECT_EQ(store_->current_revision().value(), gone + 1);
}

TEST_P(StoreSuite, CompactionAtTheNewestRevisionKeepsTheRevision) {
  Revision gone = remove("/a", put("/a", "1"));
  ASSERT_TRUE(store_->compact(gone).ok());
  EXPECT_THAT(range("", "").entries, IsEmpty());
  EXPECT_EQ(range("", "").revision, gone);
  EXPECT_EQ(put("/a", "2"), gone + 1);
  ASSERT_TRUE(store_->compact(gone + 1).ok());
  EXPECT_THAT(pairs(range("", "", {.revision = gone + 1})), ElementsAre("/a=2"));
}

TEST_P(StoreSuite, WatchBelowACompactionEndsWithExpired) {
  Revision a = put("/a", "1");
  Revision a2 = put("/a", "2", a);
  Revision a3 = put("/a", "3", a2);
  Revision gone = remove("/a", a3);
  put("/b", "1");
  ASSERT_TRUE(store_->compact(gone).ok());
  auto expired = std::make_shared<Recorder>();
  auto running = watch("/", a2, expired);
  auto end = expired->wait_for_end();
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->is(Reason::kExpired)) << end->to_string();
  // The event at the compacted revision itself is still there.
  auto sink = std::make_shared<Recorder>();
  auto fits = watch("/", a3, sink);
  std::vector<Event> events = sink->wait_for_events(2);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].type, Event::Type::kDelete);
  EXPECT_EQ(events[0].entry.mod_revision, gone);
  EXPECT_EQ(events[1].entry.key, "/b");
}

TEST_P(StoreSuite, RunningWatchesSurviveACompaction) {
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  Revision revision = put("/a", "0");
  for (int i = 1; i < 10; ++i) revision = put("/a", std::to_string(i), revision);
  EXPECT_EQ(sink->wait_for_events(10).size(), 10u);
  ASSERT_TRUE(store_->compact(revision).ok());
  put("/a", "last", revision);
  EXPECT_THAT(describe(sink->wait_for_events(11).back()), HasSubstr("put /a=last (9@"));
}

TEST_P(StoreSuite, CompactionReclaimsSpace) {
  Revision revision = 0;
  for (int i = 0; i < 1000; ++i) revision = put("/a", std::string(4000, 'x'), revision);
  const int64_t before = store_->size_bytes().value();
  ASSERT_TRUE(store_->compact(revision).ok());
  EXPECT_LT(store_->size_bytes().value(), before);
  EXPECT_EQ(store_->get("/a")->value->size(), 4000u);
}

TEST_P(StoreSuite, LeaseExpires) {
  LeaseId lease = store_->grant_lease(10).value();
  put("/leased/1", "v", 0, lease);
  put("/leased/2", "v", 0, lease);
  put("/other", "v");
  EXPECT_EQ(store_->get("/leased/1")->lease, lease);
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  harness_->advance(9s);
  EXPECT_EQ(range("", "").count, 3);
  harness_->advance(1s);
  EXPECT_THAT(relative(sink->wait_for_events(2)), ElementsAre("4 delete /leased/1 (v@1)", "5 delete /leased/2 (v@2)"));
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/other=v"));
  EXPECT_TRUE(store_->keep_alive(lease).is(Reason::kNotFound));
  EXPECT_TRUE(store_->put("/late", share("v"), 0, lease).status().is(Reason::kNotFound));
}

TEST_P(StoreSuite, KeepAliveProlongsALease) {
  LeaseId lease = store_->grant_lease(10).value();
  put("/leased", "v", 0, lease);
  for (int i = 0; i < 5; ++i) {
    harness_->advance(9s);
    ASSERT_TRUE(store_->keep_alive(lease).ok());
  }
  EXPECT_TRUE(store_->get("/leased").ok());
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  harness_->advance(10s);
  EXPECT_EQ(sink->wait_for_events(1).size(), 1u);
}

TEST_P(StoreSuite, AWriteWithoutTheLeaseTakesTheKeyOffIt) {
  LeaseId lease = store_->grant_lease(10).value();
  LeaseId second = store_->grant_lease(100).value();
  put("/kept", "v2", put("/kept", "v", 0, lease));
  put("/moved", "v2", put("/moved", "v", 0, lease), second);
  put("/again", "v2", put("/again", "v"), lease);
  ASSERT_TRUE(store_->revoke_lease(lease).ok());
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/kept=v2", "/moved=v2"));
  EXPECT_TRUE(store_->revoke_lease(lease).is(Reason::kNotFound));
  ASSERT_TRUE(store_->revoke_lease(second).ok());
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/kept=v2"));
}

TEST_P(StoreSuite, LeasesAreChecked) {
  EXPECT_TRUE(store_->grant_lease(0).status().is(Reason::kBadRequest));
  EXPECT_TRUE(store_->grant_lease(-1).status().is(Reason::kBadRequest));
  EXPECT_TRUE(store_->put("/a", share("v"), 0, 424242).status().is(Reason::kNotFound));
  EXPECT_TRUE(store_->keep_alive(424242).is(Reason::kNotFound));
  EXPECT_EQ(store_->current_revision().value(), base_);
}

TEST_P(StoreSuite, StateSurvivesReopening) {
  if (!harness_->persistent()) GTEST_SKIP() << "this backend forgets by design";
  LeaseId lease = store_->grant_lease(10).value();
  Revision a = put("/a", "1");
  Revision a2 = put("/a", "2", a);
  put("/leased", "v", 0, lease);
  ASSERT_TRUE(store_->compact(a).ok());
  harness_->advance(6s);
  store_.reset();
  store_ = harness_->open();
  ASSERT_NE(store_, nullptr);
  EXPECT_EQ(store_->current_revision().value(), base_ + 3);
  EXPECT_THAT(pairs(range("", "")), ElementsAre("/a=2", "/leased=v"));
  EXPECT_THAT(pairs(range("", "", {.revision = a})), ElementsAre("/a=1"));
  EXPECT_TRUE(store_->range("", "", {.revision = base_}).status().is(Reason::kExpired));
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", a, sink);
  EXPECT_THAT(relative(sink->wait_for_events(2)), ElementsAre("2 put /a=2 (1@1)", "3 put /leased=v"));
  harness_->advance(9s);  // a lease has its whole time again
  EXPECT_TRUE(store_->get("/leased").ok());
  EXPECT_EQ(put("/a", "3", a2), base_ + 4);
  harness_->advance(1s);
  EXPECT_THAT(relative(sink->wait_for_events(4)).back(), "5 delete /leased (v@3)");
}

TEST_P(StoreSuite, ConcurrentIncrementsAreLinearizable) {
  constexpr int kThreads = 8;
  constexpr int kIncrements = 50;
  put("/counter", "0");
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  std::atomic<int> conflicts = 0;
  std::vector<std::vector<Revision>> won(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int done = 0; done < kIncrements;) {
          auto entry = store_->get("/counter");
          if (!entry.ok()) return;
          auto revision =
              store_->put("/counter", share(std::to_string(std::stoi(*entry->value) + 1)), entry->mod_revision);
          if (revision.ok()) {
            // Acknowledged writes are read: at least this revision.
            if (store_->get("/counter")->mod_revision < *revision) return;
            won[thread].push_back(*revision);
            ++done;
          } else if (revision.status().is(Reason::kConflict)) {
            ++conflicts;
          } else {
            return;
          }
        }
      });
    }
  }
  EXPECT_EQ(*store_->get("/counter")->value, std::to_string(kThreads * kIncrements));
  std::set<Revision> distinct;
  for (const auto& revisions : won) {
    EXPECT_EQ(revisions.size(), static_cast<std::size_t>(kIncrements));
    EXPECT_TRUE(std::is_sorted(revisions.begin(), revisions.end()));
    distinct.insert(revisions.begin(), revisions.end());
  }
  EXPECT_EQ(distinct.size(), static_cast<std::size_t>(kThreads * kIncrements));
  std::vector<Event> events = sink->wait_for_events(kThreads * kIncrements);
  ASSERT_EQ(events.size(), static_cast<std::size_t>(kThreads * kIncrements));
  for (int i = 0; i < kThreads * kIncrements; ++i) {
    ASSERT_EQ(*events[i].entry.value, std::to_string(i + 1));
    ASSERT_EQ(events[i].previous.mod_revision, events[i].entry.mod_revision - 1);
  }
}

TEST_P(StoreSuite, OneOfManyCreatorsWins) {
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 16; ++thread) {
      threads.emplace_back([&, thread] {
        auto revision = store_->put("/once", share(std::to_string(thread)), 0);
        if (revision.ok()) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(store_->current_revision().value(), base_ + 1);
}

TEST_P(StoreSuite, ReadersSeeWholeRevisionsWhileWritersWork) {
  put("/x", "0");
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    Revision revision = base_ + 1;
    for (int i = 1; i <= 300; ++i) revision = put("/x", std::to_string(i), revision);
    stop = true;
  });
  while (!stop) {
    RangeResult result = range("", "");
    ASSERT_EQ(result.entries.size(), 1u);
    // Each revision since is one update of the only key.
    ASSERT_EQ(result.entries[0].mod_revision, result.revision);
    ASSERT_EQ(*result.entries[0].value, std::to_string(result.revision - base_ - 1));
  }
}

TEST_P(StoreSuite, ClosingTheStoreEndsItsWatches) {
  auto sink = std::make_shared<Recorder>();
  auto running = watch("/", 0, sink);
  store_.reset();
  auto end = sink->wait_for_end();
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->is(Reason::kServiceUnavailable));
  running->request_progress();
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreSuite, ::testing::ValuesIn(backends()),
                         [](const auto& info) { return info.param.name; });

TEST(PrefixEnd, IsTheSmallestKeyAfterThePrefix) {
  EXPECT_EQ(prefix_end("/a/"), "/a0");
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end(std::string("a\xff", 2)), "b");
  EXPECT_EQ(prefix_end("\x7f"), "\x80");
  EXPECT_EQ(prefix_end("\xff\xff"), "");
  EXPECT_EQ(prefix_end(""), "");
}

}  // namespace
}  // namespace trireme::store
