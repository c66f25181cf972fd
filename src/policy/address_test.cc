#include "policy/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme::policy {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> texts(const std::vector<AddressRange>& ranges) {
  std::vector<std::string> out;
  for (const AddressRange& range : ranges) out.push_back(range.first.to_string() + "-" + range.last.to_string());
  return out;
}

AddressRange cidr(const char* text) { return AddressRange::parse_cidr(text).value(); }

TEST(Address, ReadsAndWrites) {
  for (const char* text : {"10.0.0.1", "255.255.255.255", "fd00::1", "::"}) {
    ASSERT_TRUE(Address::parse(text)) << text;
    EXPECT_EQ(Address::parse(text)->to_string(), text);
  }
  for (const char* text : {"", "10.0.0", "10.0.0.0/8", "fd00::1::2", "host"})
    EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(Address, RangesOfPrefixes) {
  struct Case {
    const char* cidr;
    const char* range;
  };
  for (const Case& c : {Case{"10.1.2.3/8", "10.0.0.0-10.255.255.255"}, Case{"10.1.2.3/32", "10.1.2.3-10.1.2.3"},
                        Case{"0.0.0.0/0", "0.0.0.0-255.255.255.255"}, Case{"10.1.2.200/27", "10.1.2.192-10.1.2.223"},
                        Case{"fd00::/127", "fd00::-fd00::1"}}) {
    EXPECT_THAT(texts({cidr(c.cidr)}), ElementsAre(c.range)) << c.cidr;
  }
  EXPECT_EQ(cidr("0.0.0.0/0"), AddressRange::all(Family::kIpv4));
  EXPECT_EQ(cidr("::/0"), AddressRange::all(Family::kIpv6));
  for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "/8"}) {
    EXPECT_FALSE(AddressRange::parse_cidr(text)) << text;
  }
}

TEST(Address, RangesAreUnited) {
  EXPECT_THAT(texts(united({cidr("10.0.1.0/24"), cidr("10.0.0.0/24"), cidr("10.0.3.0/24")})),
              ElementsAre("10.0.0.0-10.0.1.255", "10.0.3.0-10.0.3.255"));
  EXPECT_THAT(texts(united({cidr("10.0.0.0/8"), cidr("10.3.0.0/16")})), ElementsAre("10.0.0.0-10.255.255.255"));
  EXPECT_THAT(texts(united({cidr("::/0"), cidr("255.0.0.0/8"), cidr("fd00::/8")})),
              ElementsAre("255.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

TEST(Address, ExceptionsAreCutOut) {
  EXPECT_THAT(texts(subtracted({cidr("10.0.0.0/24")}, {cidr("10.0.0.64/26"), cidr("10.0.0.0/32")})),
              ElementsAre("10.0.0.1-10.0.0.63", "10.0.0.128-10.0.0.255"));
  EXPECT_THAT(texts(subtracted({cidr("10.0.0.0/24")}, {cidr("10.0.0.128/25"), cidr("10.1.0.0/16")})),
              ElementsAre("10.0.0.0-10.0.0.127"));
  EXPECT_TRUE(subtracted({cidr("10.0.0.0/24")}, {cidr("0.0.0.0/0")}).empty());
  EXPECT_THAT(texts(subtracted({cidr("0.0.0.0/0")}, {cidr("255.255.255.255/32"), cidr("0.0.0.0/32")})),
              ElementsAre("0.0.0.1-255.255.255.254"));
  EXPECT_THAT(texts(subtracted({cidr("fd00::/64")}, {cidr("10.0.0.0/8")})),
              ElementsAre("fd00::-fd00::ffff:ffff:ffff:ffff"));
}

}  // namespace
}  // namespace trireme::policy
