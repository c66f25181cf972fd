#include "controllers/runtime/batches.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace trireme::controllers {
namespace {

TEST(RunBatchTest, CallsEachNumberOnceAndTellsTheFirstFailure) {
  for (const bool parallel : {false, true}) {
    std::vector<std::atomic<int>> calls(100);
    const BatchResult result = run_batch(calls.size(), parallel, [&](size_t i) {
      ++calls[i];
      return i == 7 || i == 60 ? Status::internal(std::to_string(i)) : Status();
    });
    for (const auto& each : calls) EXPECT_EQ(each.load(), 1);
    EXPECT_EQ(result.succeeded, 98u);
    EXPECT_EQ(result.failure.message(), "7");
  }
}

TEST(RunBatchTest, StaysOnItsThreadWhenAsked) {
  std::set<std::thread::id> threads;
  run_batch(50, /*parallel=*/false, [&](size_t) {
    threads.insert(std::this_thread::get_id());
    return Status();
  });
  EXPECT_EQ(threads, std::set{std::this_thread::get_id()});
}

TEST(SlowStartTest, DoublesUntilSomethingFails) {
  for (const bool parallel : {false, true}) {
    std::atomic<int> calls{0};
    EXPECT_EQ(slow_start(20, parallel, [&](size_t) { return ++calls, Status(); }).succeeded, 20u);
    EXPECT_EQ(calls.load(), 20);
    calls = 0;
    const auto refused = slow_start(500, parallel, [&](size_t) { return ++calls, Status::internal("quota"); });
    EXPECT_EQ(refused.succeeded, 0u);
    EXPECT_FALSE(refused.failure.ok());
    EXPECT_EQ(calls.load(), 1);
    calls = 0;
    // 1 + 2 succeed; the batch of 4 is finished, no other begins.
    const auto later =
        slow_start(500, parallel, [&](size_t i) { return ++calls, i >= 3 ? Status::internal("quota") : Status(); });
    EXPECT_EQ(later.succeeded, 3u);
    EXPECT_EQ(calls.load(), 7);
  }
}

}  // namespace
}  // namespace trireme::controllers
