#include "linux/mac_address.h"

#include <gtest/gtest.h>

namespace trireme::linux {
namespace {

TEST(MacAddressTest, ReadsAndPrints) {
  EXPECT_EQ(MacAddress::parse("0A:58:0a:f4:00:01")->to_string(), "0a:58:0a:f4:00:01");
  for (const char* text :
       {"", "0a:58:0a:f4:00", "0a:58:0a:f4:00:01:02", "0a-58-0a-f4-00-01", "0g:58:0a:f4:00:01", " a:58:0a:f4:00:01"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
  const MacAddress made = MacAddress::random();
  EXPECT_EQ(made.bytes[0] & 0x03, 0x02);
  EXPECT_NE(made, MacAddress::random());
}

}  // namespace
}  // namespace trireme::linux
