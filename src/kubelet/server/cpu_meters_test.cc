#include "kubelet/server/cpu_meters.h"

#include <gtest/gtest.h>

namespace trireme::kubelet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CpuMetersTest : public testing::Test {
 protected:
  bool look(Duration at, uint64_t cpu_milliseconds) { return meters_.look("c", cpu_milliseconds * 1'000'000, at, at); }
  /// In thousandths of a core.
  uint64_t rate() { return meters_.rate("c").value_or(CpuMeters::Rate{}).nano_cores / 1'000'000; }
  CpuMeters meters_;
};

TEST_F(CpuMetersTest, ARateTakesTwoLooksASecondApart) {
  EXPECT_FALSE(look(seconds(100), 0));
  EXPECT_FALSE(meters_.rate("c"));
  EXPECT_FALSE(look(seconds(100) + milliseconds(500), 100));
  EXPECT_TRUE(look(seconds(102), 500));
  EXPECT_EQ(rate(), 250u);
  EXPECT_EQ(meters_.rate("c")->window, seconds(2));
  EXPECT_TRUE(look(seconds(102) + milliseconds(10), 10'000)) << "not since the last look, but since the first";
}

TEST_F(CpuMetersTest, LaterRatesAreOfLately) {
  look(seconds(100), 0);
  EXPECT_TRUE(look(seconds(120), 20'000));
  EXPECT_EQ(rate(), 1000u);
  EXPECT_TRUE(look(seconds(120) + milliseconds(500), 20'001)) << "too early for a new one";
  EXPECT_EQ(rate(), 1000u);
  EXPECT_TRUE(look(seconds(130), 20'000));
  EXPECT_EQ(rate(), 0u) << "idle since 120";
}

TEST_F(CpuMetersTest, OldLooksAndRestartsBeginAnew) {
  look(seconds(100), 1000);
  EXPECT_FALSE(look(seconds(161), 2000));
  EXPECT_TRUE(look(seconds(162), 2100));
  EXPECT_FALSE(look(seconds(164), 5)) << "the counter went back";
  EXPECT_FALSE(meters_.rate("c"));
}

TEST_F(CpuMetersTest, WhatIsGoneIsForgotten) {
  look(seconds(100), 1000);
  meters_.forget_unseen(seconds(160));
  EXPECT_EQ(meters_.size(), 1u);
  meters_.forget_unseen(seconds(161));
  EXPECT_EQ(meters_.size(), 0u);
}

}  // namespace
}  // namespace trireme::kubelet
