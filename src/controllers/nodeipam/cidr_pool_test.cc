#include "controllers/nodeipam/cidr_pool.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

TEST(CidrPoolTest, GivesEverySubnetOnceThenNone) {
  auto pool = CidrPool::create("10.244.0.0/22", 24);
  ASSERT_TRUE(pool.ok());
  EXPECT_EQ(pool->size(), 4u);
  for (const char* expected : {"10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"}) {
    EXPECT_EQ(pool->allocate(), expected);
  }
  EXPECT_FALSE(pool->allocate());
  pool->release("10.244.1.0/24");
  EXPECT_EQ(pool->taken(), 3u);
  EXPECT_EQ(pool->allocate(), "10.244.1.0/24");
}

TEST(CidrPoolTest, ReleasedSubnetsRestBeforeTheyAreGivenAgain) {
  auto pool = CidrPool::create("10.0.0.0/30", 32);
  ASSERT_TRUE(pool.ok());
  EXPECT_EQ(pool->allocate(), "10.0.0.0/32");
  pool->release("10.0.0.0/32");
  EXPECT_EQ(pool->allocate(), "10.0.0.1/32");
}

TEST(CidrPoolTest, TakesWhatOverlaps) {
  auto pool = CidrPool::create("10.244.0.0/22", 24);
  ASSERT_TRUE(pool.ok());
  EXPECT_TRUE(pool->occupy("10.244.2.128/25"));
  EXPECT_EQ(pool->taken(), 1u);
  EXPECT_TRUE(pool->occupy("10.244.0.0/23"));
  EXPECT_EQ(pool->taken(), 3u);
  EXPECT_EQ(pool->allocate(), "10.244.3.0/24");
  EXPECT_TRUE(pool->occupy("10.0.0.0/8"));
  EXPECT_EQ(pool->taken(), 4u);
  for (const char* outside : {"10.245.0.0/24", "fd00::/64", "nonsense", "10.244.0.0/33", "10.244.0.0"}) {
    EXPECT_FALSE(pool->occupy(outside)) << outside;
  }
}

TEST(CidrPoolTest, CutsIPv6) {
  auto pool = CidrPool::create("fd00:10:244::/56", 64);
  ASSERT_TRUE(pool.ok());
  EXPECT_TRUE(pool->is_ipv6());
  EXPECT_EQ(pool->size(), 256u);
  EXPECT_EQ(pool->allocate(), "fd00:10:244::/64");
  EXPECT_EQ(pool->allocate(), "fd00:10:244:1::/64");
  EXPECT_TRUE(pool->occupy("fd00:10:244:2::/64"));
  EXPECT_EQ(pool->allocate(), "fd00:10:244:3::/64");
}

TEST(CidrPoolTest, RefusesWhatCannotBeCut) {
  EXPECT_FALSE(CidrPool::create("10.244.0.0", 24).ok());
  EXPECT_FALSE(CidrPool::create("10.244.0.0/25", 24).ok());
  EXPECT_FALSE(CidrPool::create("10.0.0.0/8", 25).ok());
  EXPECT_FALSE(CidrPool::create("10.0.0.0/30", 33).ok());
  EXPECT_TRUE(CidrPool::create("10.0.0.0/8", 24).ok());
}

}  // namespace
}  // namespace trireme::controllers
