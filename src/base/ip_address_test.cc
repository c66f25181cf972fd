#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(IpAddressTest, ReadsAndPrintsBothFamilies) {
  for (const char* text : {"10.1.2.3", "0.0.0.0", "fd00::1", "::", "2001:db8::ff:0:1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  for (const char* text : {"", "10.1.2", "10.1.2.256", "fe80::1%eth0", "fd00:::1", "10.1.2.3/24", " 10.1.2.3"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.1.2.3\0", 9)));
}

TEST(IpAddressTest, CountsOn) {
  const auto plus = [](const char* text, uint64_t offset) { return IpAddress::parse(text)->plus(offset).to_string(); };
  EXPECT_EQ(plus("10.244.0.0", 1), "10.244.0.1");
  EXPECT_EQ(plus("10.244.0.255", 1), "10.244.1.0");
  EXPECT_EQ(plus("10.0.0.0", 65538), "10.1.0.2");
  EXPECT_EQ(plus("255.255.255.255", 1), "0.0.0.0");
  EXPECT_EQ(plus("fd00::ffff:ffff:ffff:ffff", 1), "fd00:0:0:1::");
}

TEST(IpPrefixTest, ReadsOnlyNetworks) {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "/8"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
  EXPECT_EQ(IpPrefix::parse("10.1.2.3/16")->to_string(), "10.1.2.3/16");
  EXPECT_EQ(IpPrefix::parse("10.1.2.3/16")->masked().to_string(), "10.1.0.0/16");
  EXPECT_EQ(IpPrefix::parse("10.1.2.3/0")->masked().to_string(), "0.0.0.0/0");
  EXPECT_EQ(IpPrefix::parse("fd00:1:2:3ff::1/58")->masked().to_string(), "fd00:1:2:3c0::/58");
}

TEST(IpPrefixTest, KnowsItsLastAddress) {
  const auto last = [](const char* text) { return IpPrefix::parse(text)->last().to_string(); };
  EXPECT_EQ(last("10.1.2.3/16"), "10.1.255.255");
  EXPECT_EQ(last("10.1.2.3/32"), "10.1.2.3");
  EXPECT_EQ(last("10.1.2.9/29"), "10.1.2.15");
  EXPECT_EQ(last("0.0.0.0/0"), "255.255.255.255");
  EXPECT_EQ(last("fd00::/120"), "fd00::ff");
}

TEST(IpPrefixTest, KnowsWhatLiesInside) {
  const auto inside = [](const char* outer, const char* inner) {
    return IpPrefix::parse(outer)->contains(*IpPrefix::parse(inner));
  };
  EXPECT_TRUE(inside("10.244.0.0/16", "10.244.3.0/24"));
  EXPECT_TRUE(inside("10.244.0.0/16", "10.244.0.0/16"));
  EXPECT_FALSE(inside("10.244.0.0/16", "10.245.0.0/24"));
  EXPECT_FALSE(inside("10.244.3.0/24", "10.244.0.0/16"));
  EXPECT_FALSE(inside("0.0.0.0/0", "fd00::/64"));
  EXPECT_TRUE(inside("0.0.0.0/0", "10.0.0.0/8"));
  EXPECT_TRUE(IpPrefix::parse("10.244.3.0/24")->overlaps(*IpPrefix::parse("10.244.0.0/16")));
  EXPECT_FALSE(IpPrefix().contains(*IpAddress::parse("10.0.0.1")));
}

TEST(IpPrefixTest, GoesOnToTheNext) {
  EXPECT_EQ(IpPrefix::parse("10.244.0.0/24")->next().to_string(), "10.244.1.0/24");
  EXPECT_EQ(IpPrefix::parse("10.244.255.0/24")->next().to_string(), "10.245.0.0/24");
  EXPECT_EQ(IpPrefix::parse("10.0.0.8/30")->next().to_string(), "10.0.0.12/30");
  EXPECT_EQ(IpPrefix::parse("fd00:0:0:ff::/64")->next().to_string(), "fd00:0:0:100::/64");
}

}  // namespace
}  // namespace trireme
