#include "store/watch_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "store/store_test_support.h"
#include "store/watch_index.h"

namespace trireme::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A history that the tests write and a hub reads.
class History {
 public:
  std::vector<Event> append(const std::string& key) {
    std::lock_guard lock(mutex_);
    Event event{.type = Event::Type::kPut, .entry = {.key = key, .value = share("v")}, .previous = {}};
    event.entry.mod_revision = static_cast<Revision>(events_.size()) + 2;
    events_.push_back(event);
    return {event};
  }
  HistoryReader reader() {
    return [this](std::string_view start, std::string_view end, Revision after,
                  std::size_t limit) -> Result<HistorySlice> {
      std::lock_guard lock(mutex_);
      ++reads_;
      if (!failure_.ok()) return failure_;
      HistorySlice slice{.events = {}, .through = static_cast<Revision>(events_.size()) + 1};
      for (const Event& event : events_) {
        if (event.entry.mod_revision <= after || event.entry.key < start || event.entry.key >= end) continue;
        slice.events.push_back(event);
        if (slice.events.size() < limit) continue;
        slice.through = event.entry.mod_revision;
        break;
      }
      return slice;
    };
  }
  int reads() {
    std::lock_guard lock(mutex_);
    return reads_;
  }
  void fail(Status failure) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
  Status failure_;
  int reads_ = 0;
};

std::vector<Revision> revisions(const std::vector<Event>& events) {
  std::vector<Revision> result;
  for (const Event& event : events) result.push_back(event.entry.mod_revision);
  return result;
}

TEST(WatchHub, LiveWatchesNeedNoHistory) {
  History history;
  WatchHub hub(1, history.reader());
  auto sink = std::make_shared<Recorder>();
  auto watch = hub.add("/", "0", 0, sink);
  for (const char* key : {"/a", "x", "/b"}) hub.publish(history.append(key));
  EXPECT_THAT(revisions(sink->wait_for_events(2)), ElementsAre(2, 4));
  EXPECT_EQ(history.reads(), 0);
}

TEST(WatchHub, ReplaysInChunksAndGoesLive) {
  History history;
  WatchHub hub(1, history.reader(), Dispatch::kOwnThread, {.history_chunk = 2});
  for (int i = 0; i < 5; ++i) hub.publish(history.append("/a"));
  auto sink = std::make_shared<Recorder>();
  auto watch = hub.add("/", "0", 2, sink);
  watch->request_progress();
  EXPECT_EQ(sink->wait_for_progress(6), 6);
  hub.publish(history.append("/a"));
  EXPECT_THAT(revisions(sink->wait_for_events(5)), ElementsAre(3, 4, 5, 6, 7));
  EXPECT_THAT(sink->batches(), ElementsAre(2, 2, 1));
}

TEST(WatchHub, AnOverflowingBacklogIsReadFromHistory) {
  History history;
  WatchHub hub(1, history.reader(), Dispatch::kOwnThread, {.backlog_events = 3, .history_chunk = 100});
  auto slow = std::make_shared<Recorder>();
  auto watch = hub.add("/", "0", 0, slow);
  slow->close_gate();
  hub.publish(history.append("/a"));
  ASSERT_TRUE(slow->wait_until_blocked());
  for (int i = 0; i < 10; ++i) hub.publish(history.append("/a"));
  EXPECT_EQ(history.reads(), 0);
  slow->open_gate();
  EXPECT_THAT(revisions(slow->wait_for_events(11)), ElementsAre(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  EXPECT_GE(history.reads(), 1);
}

TEST(WatchHub, AFailedReplayEndsTheWatch) {
  History history;
  WatchHub hub(1, history.reader());
  hub.publish(history.append("/a"));
  hub.publish(history.append("/a"));
  history.fail(Status::unavailable("no disk"));
  auto sink = std::make_shared<Recorder>();
  auto watch = hub.add("/", "0", 1, sink);
  auto end = sink->wait_for_end();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->message(), "no disk");
}

TEST(WatchIndex, FindsTheRangesThatHoldAKey) {
  WatchIndex<int> index;
  struct Range {
    std::string start, end;
  };
  const std::vector<Range> ranges = {
      {"", ""},         {"/a/", "/a0"}, {"/a/", "/a0"}, {"/a/b", std::string("/a/b\0", 5)},
      {"/a/b", "/a/c"}, {"/a", "/z"},   {"/m", ""}};
  for (std::size_t i = 0; i < ranges.size(); ++i) index.add(ranges[i].start, ranges[i].end, static_cast<int>(i));
  auto find = [&](std::string_view key) {
    std::set<int> found;
    index.find(key, [&](int member) { EXPECT_TRUE(found.insert(member).second); });
    return found;
  };
  EXPECT_THAT(find("/a/b"), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(find("/a/bb"), ElementsAre(0, 1, 2, 4, 5));
  EXPECT_THAT(find("/a"), ElementsAre(0, 5));
  EXPECT_THAT(find("/n"), ElementsAre(0, 5, 6));
  EXPECT_THAT(find(""), ElementsAre(0));
  for (std::size_t i = 0; i < ranges.size(); ++i) index.remove(ranges[i].start, ranges[i].end, static_cast<int>(i));
  EXPECT_THAT(find("/a/b"), IsEmpty());
}

/// Counts without waiting, as everything must be there when the call returns.
class Counter final : public WatchSink {
 public:
  void events(std::vector<Event> batch) override { count += batch.size(); }
  void progress(Revision revision) override { reached = revision; }
  void ended(const Status&) override { over = true; }
  size_t count = 0;
  Revision reached = 0;
  bool over = false;
};

TEST(WatchHub, InlineHubsDeliverBeforeTheyReturn) {
  History history;
  auto hub = std::make_unique<WatchHub>(1, history.reader(), Dispatch::kInline,
                                        WatchHubLimits{.backlog_events = 2, .history_chunk = 1});
  for (int i = 0; i < 3; ++i) hub->publish(history.append("a"));
  auto sink = std::make_shared<Counter>();
  auto watch = hub->add("a", "b", 1, sink);
  EXPECT_EQ(sink->count, 3u) << "from history";
  hub->publish(history.append("a"));
  EXPECT_EQ(sink->count, 3u) << "only queued";
  hub->deliver();
  EXPECT_EQ(sink->count, 4u);
  for (int i = 0; i < 4; ++i) hub->publish(history.append("a"));
  hub->deliver();
  EXPECT_EQ(sink->count, 8u) << "past the backlog's limit";
  watch->request_progress();
  EXPECT_EQ(sink->reached, 9);
  auto other = std::make_shared<Counter>();
  auto gone = hub->add("", "", 0, other);
  gone.reset();
  hub->publish(history.append("a"));
  hub->deliver();
  EXPECT_EQ(other->count, 0u);
  EXPECT_EQ(sink->count, 9u);
  hub.reset();
  EXPECT_TRUE(sink->over);
}

}  // namespace
}  // namespace trireme::store
