#include "client/work_queue.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/virtual_clock.h"

namespace trireme::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WorkQueueTest : public ::testing::Test {
 protected:
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  WorkQueue queue_{clock_};
};

TEST_F(WorkQueueTest, KeepsOrderAndDropsDuplicates) {
  for (const char* key : {"a", "b", "a", "c", "b"}) queue_.add(key);
  EXPECT_EQ(queue_.size(), 3u);
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(queue_.get(), key);
}

TEST_F(WorkQueueTest, CountsAsClientGoDoes) {
  queue_.add("a");
  queue_.add("a");
  queue_.add_after("b", seconds(3));
  EXPECT_EQ(queue_.statistics().adds, 1u) << "once, however often it is added; what comes later does not wait yet";
  EXPECT_EQ(queue_.statistics().retries, 1u);
  clock_->advance(seconds(3));
  EXPECT_EQ(queue_.statistics().adds, 2u);
  ASSERT_EQ(queue_.get(), "a");
  clock_->advance(seconds(2));
  ASSERT_EQ(queue_.get(), "b");
  clock_->advance(seconds(5));
  EXPECT_EQ(queue_.under_way().total, Duration(seconds(12)));
  EXPECT_EQ(queue_.under_way().longest, Duration(seconds(7)));
  queue_.done("a");
  queue_.done("b");
  EXPECT_EQ(queue_.under_way().total, Duration::zero());
  std::string text;
  queue_.statistics().waited.print(text, "waited", {}, {});
  queue_.statistics().worked.print(text, "worked", {}, {});
  EXPECT_NE(text.find("waited_sum 5\nwaited_count 2"), std::string::npos) << text;
  EXPECT_NE(text.find("worked_sum 12\nworked_count 2"), std::string::npos) << text;
}

TEST_F(WorkQueueTest, TryGetDoesNotWait) {
  EXPECT_EQ(queue_.try_get(), std::nullopt);
  queue_.add("a");
  EXPECT_EQ(queue_.try_get(), "a");
  queue_.add("a");
  EXPECT_EQ(queue_.try_get(), std::nullopt) << "it is being processed";
  queue_.done("a");
  EXPECT_EQ(queue_.try_get(), "a");
}

TEST_F(WorkQueueTest, AKeyAddedWhileProcessedComesAgainOnlyWhenDone) {
  queue_.add("a");
  ASSERT_EQ(queue_.get(), "a");
  queue_.add("a");
  queue_.add("a");
  EXPECT_EQ(queue_.size(), 0u);
  queue_.done("a");
  EXPECT_EQ(queue_.size(), 1u);
  ASSERT_EQ(queue_.get(), "a");
  queue_.done("a");
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(WorkQueueTest, AddAfterWaitsForTheClock) {
  queue_.add_after("late", seconds(10));
  queue_.add_after("soon", seconds(1));
  queue_.add_after("now", seconds(0));
  EXPECT_EQ(queue_.get(), "now");
  clock_->advance(milliseconds(999));
  EXPECT_EQ(queue_.size(), 0u);
  clock_->advance(milliseconds(1));
  EXPECT_EQ(queue_.get(), "soon");
  clock_->advance(seconds(9));
  EXPECT_EQ(queue_.get(), "late");
}

TEST_F(WorkQueueTest, ADelayedKeyKeepsTheEarlierTime) {
  queue_.add_after("a", seconds(5));
  queue_.add_after("a", seconds(9));
  queue_.add_after("b", seconds(9));
  queue_.add_after("b", seconds(2));
  clock_->advance(seconds(2));
  EXPECT_EQ(queue_.get(), "b");
  clock_->advance(seconds(3));
  EXPECT_EQ(queue_.get(), "a");
  queue_.done("a");
  queue_.done("b");
  clock_->advance(seconds(60));
  EXPECT_EQ(queue_.size(), 0u);
  EXPECT_EQ(clock_->timers(), 0u);
}

TEST_F(WorkQueueTest, BackOffDoublesUntilForgotten) {
  Duration expected = milliseconds(5);
  for (int failure = 0; failure < 30; ++failure) {
    queue_.add_rate_limited("a");
    EXPECT_EQ(queue_.requeues("a"), failure + 1);
    ASSERT_EQ(clock_->next_due(), expected) << failure;
    clock_->advance(expected);
    ASSERT_EQ(queue_.get(), "a");
    queue_.done("a");
    expected = std::min<Duration>(expected * 2, seconds(1000));
  }
  queue_.forget("a");
  EXPECT_EQ(queue_.requeues("a"), 0);
  queue_.add_rate_limited("a");
  EXPECT_EQ(clock_->next_due(), milliseconds(5));
}

TEST_F(WorkQueueTest, TheBucketSlowsMassFailures) {
  for (int i = 0; i < 150; ++i) queue_.add_rate_limited("key" + std::to_string(i));
  clock_->advance(milliseconds(5));
  EXPECT_EQ(queue_.size(), 100u);
  clock_->advance(seconds(5));
  EXPECT_EQ(queue_.size(), 150u);
}

TEST_F(WorkQueueTest, ShutDownHandsOutWhatIsReadyAndWakesWorkers) {
  queue_.add("a");
  queue_.add_after("b", seconds(1));
  queue_.shut_down();
  queue_.add("c");
  EXPECT_EQ(queue_.get(), "a");
  EXPECT_EQ(queue_.get(), std::nullopt);
  clock_->advance(seconds(2));
  EXPECT_EQ(queue_.get(), std::nullopt);
}

TEST_F(WorkQueueTest, AWaitingWorkerStopsAtOnce) {
  std::jthread worker([&](std::stop_token stop) { EXPECT_EQ(queue_.get(stop), std::nullopt); });
  worker.request_stop();
  worker.join();
}

TEST_F(WorkQueueTest, WorkersNeverShareAKey) {
  std::atomic<int> inside[4] = {};
  std::atomic<int> handled{0};
  std::vector<std::jthread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (auto key = queue_.get()) {
        auto& here = inside[std::stoi(*key)];
        EXPECT_EQ(here.fetch_add(1), 0);
        std::this_thread::yield();
        here.fetch_sub(1);
        ++handled;
        queue_.done(*key);
      }
    });
  }
  for (int i = 0; i < 2000; ++i) queue_.add(std::to_string(i % 4));
  queue_.shut_down();
  workers.clear();
  EXPECT_GE(handled.load(), 4);
}

}  // namespace
}  // namespace trireme::client
