#include "client/event_correlator.h"

#include <gtest/gtest.h>

namespace trireme::client {
namespace {

using std::chrono::seconds;

class EventCorrelatorTest : public ::testing::Test {
 protected:
  EventCorrelator::Verdict see(const std::string& message, Duration after = seconds(1),
                               const std::string& name = "redis") {
    now_ += after;
    api::corev1::Event event;
    event.involved_object.kind = "Pod";
    event.involved_object.name = name;
    event.source.component = "test";
    event.type = "Normal";
    event.reason = "Pulled";
    event.message = message;
    auto verdict = correlator_.correlate(
        event, now_, WallTime(seconds(1'700'000'000)) + std::chrono::duration_cast<WallTime::duration>(now_));
    if (!verdict.drop) correlator_.written(verdict.cache_key, verdict.event);
    return verdict;
  }
  EventCorrelator correlator_;
  Duration now_{};
};

TEST_F(EventCorrelatorTest, EqualEventsAreCounted) {
  const auto first = see("image pulled");
  EXPECT_FALSE(first.patch);
  EXPECT_EQ(first.event.count, 1);
  EXPECT_TRUE(first.event.metadata.name.starts_with("redis."));
  const auto second = see("image pulled");
  EXPECT_TRUE(second.patch);
  EXPECT_EQ(second.event.count, 2);
  EXPECT_EQ(second.event.metadata.name, first.event.metadata.name);
  EXPECT_EQ(second.event.first_timestamp, first.event.first_timestamp);
  EXPECT_GT(second.event.last_timestamp, first.event.last_timestamp);
  EXPECT_FALSE(see("image pulled", seconds(1), "other").patch);
}

TEST_F(EventCorrelatorTest, ManySimilarOnesAreCombined) {
  for (int i = 0; i < 9; ++i) {
    const auto each = see("message " + std::to_string(i));
    EXPECT_FALSE(each.patch);
    EXPECT_EQ(each.event.message, "message " + std::to_string(i));
  }
  const auto tenth = see("message 9");
  EXPECT_FALSE(tenth.patch);
  EXPECT_EQ(tenth.event.message, "(combined from similar events): message 9");
  const auto next = see("message 10");
  EXPECT_TRUE(next.patch);
  EXPECT_EQ(next.event.count, 2);
  // Ten quiet minutes end the combination.
  EXPECT_EQ(see("message 11", seconds(601)).event.message, "message 11");
}

TEST_F(EventCorrelatorTest, SpamIsCut) {
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += see("same", Duration(1)).drop ? 0 : 1;
  EXPECT_EQ(kept, 25);
  EXPECT_TRUE(see("same", seconds(200)).drop);
  EXPECT_FALSE(see("same", seconds(200)).drop);
  EXPECT_FALSE(see("same", seconds(1), "other").drop);
}

TEST(LruMapTest, ForgetsTheOldestUse) {
  LruMap<int> map(2);
  map["a"] = 1;
  map["b"] = 2;
  map["a"] += 1;
  map["c"] = 3;
  EXPECT_TRUE(map.contains("a"));
  EXPECT_FALSE(map.contains("b"));
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(map["a"], 2);
}

}  // namespace
}  // namespace trireme::client
