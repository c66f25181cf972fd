#include "base/clock.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace trireme {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(RealClock, TimersFireInOrder) {
  auto clock = real_clock();
  std::promise<void> both;
  std::vector<int> order;
  auto second = clock->call_after(milliseconds(20), [&] {
    order.push_back(2);
    both.set_value();
  });
  auto first = clock->call_after(milliseconds(5), [&] { order.push_back(1); });
  both.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(RealClock, ADestroyedTimerDoesNotFire) {
  auto clock = real_clock();
  bool fired = false;
  auto timer = clock->call_after(milliseconds(5), [&] { fired = true; });
  timer.reset();
  std::promise<void> later;
  auto after = clock->call_after(milliseconds(15), [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_FALSE(fired);
}

TEST(RealClock, ATimerMayDestroyItselfWhileItRuns) {
  auto clock = real_clock();
  std::promise<void> done;
  std::promise<void> armed;
  auto is_armed = armed.get_future().share();
  std::unique_ptr<Clock::Timer> timer;
  timer = clock->call_after(milliseconds(1), [&] {
    is_armed.wait();
    timer.reset();
    done.set_value();
  });
  armed.set_value();
  done.get_future().wait();
}

TEST(RealClock, AStopEndsASleep) {
  auto clock = real_clock();
  std::jthread sleeper([&](std::stop_token stop) { EXPECT_FALSE(clock->sleep_for(hours(1), stop)); });
  sleeper.request_stop();
  sleeper.join();
  EXPECT_TRUE(clock->sleep_for(milliseconds(1), {}));
}

}  // namespace
}  // namespace trireme
