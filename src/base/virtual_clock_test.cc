#include "base/virtual_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

namespace trireme {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

TEST(VirtualClock, StandsStillUntilAdvanced) {
  VirtualClock clock;
  EXPECT_EQ(clock.now(), VirtualClock::kDefaultStart);
  clock.advance(90s);
  EXPECT_EQ(clock.now(), VirtualClock::kDefaultStart + 90s);
  EXPECT_EQ(clock.monotonic(), 90s);
}

TEST(VirtualClock, FiresTimersInOrderAtTheirTime) {
  VirtualClock clock;
  std::vector<std::string> fired;
  auto note = [&](std::string name) {
    return [&, name] { fired.push_back(name + "@" + std::to_string(clock.monotonic() / 1s)); };
  };
  auto late = clock.call_after(5s, note("late"));
  auto early = clock.call_after(2s, note("early"));
  auto same = clock.call_after(5s, note("same"));
  auto beyond = clock.call_after(11s, note("beyond"));
  auto cancelled = clock.call_after(1s, note("cancelled"));
  cancelled.reset();
  clock.advance(10s);
  EXPECT_THAT(fired, ElementsAre("early@2", "late@5", "same@5"));
  EXPECT_EQ(clock.timers(), 1u);
  EXPECT_EQ(clock.next_due(), 1s);
}

TEST(VirtualClock, FiresTimersThatCallbacksSet) {
  VirtualClock clock;
  int count = 0;
  std::unique_ptr<Clock::Timer> timer;
  std::function<void()> again = [&] {
    ++count;
    timer = clock.call_after(1s, again);  // destroys the timer whose callback this is
  };
  timer = clock.call_after(1s, again);
  clock.advance(10s);
  EXPECT_EQ(count, 10);
  EXPECT_TRUE(clock.advance_to_next());
  EXPECT_EQ(count, 11);
  timer.reset();
  EXPECT_FALSE(clock.advance_to_next());
}

TEST(VirtualClock, WakesSleepers) {
  VirtualClock clock;
  std::atomic<bool> completed = false;
  std::jthread sleeper([&](std::stop_token stop) { completed = clock.sleep_for(3s, stop); });
  ASSERT_TRUE(clock.wait_for_waiters(1));
  clock.advance(2s);
  EXPECT_EQ(clock.sleepers(), 1u);
  clock.advance(1s);
  sleeper.join();
  EXPECT_TRUE(completed);
}

TEST(VirtualClock, StopEndsASleep) {
  VirtualClock clock;
  std::atomic<bool> completed = true;
  std::jthread sleeper([&](std::stop_token stop) { completed = clock.sleep_for(3s, stop); });
  ASSERT_TRUE(clock.wait_for_waiters(1));
  sleeper.request_stop();
  sleeper.join();
  EXPECT_FALSE(completed);
  EXPECT_EQ(clock.sleepers(), 0u);
}

TEST(VirtualClock, TheOnlyThreadSleepsByMovingTheTime) {
  VirtualClock clock(VirtualClock::kDefaultStart, VirtualClock::Sleep::kAdvances);
  bool fired = false;
  auto timer = clock.call_after(2s, [&] { fired = true; });
  EXPECT_TRUE(clock.sleep_for(3s, {}));
  EXPECT_TRUE(fired);
  EXPECT_EQ(clock.monotonic(), 3s);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.sleep_for(3s, stop.get_token()));
  EXPECT_EQ(clock.monotonic(), 3s);
}

}  // namespace
}  // namespace trireme
