#include "apiserver/registry/service_range.h"

#include <gtest/gtest.h>

namespace trireme::apiserver {
namespace {

TEST(ServiceRangeTest, ReadsBothFamilies) {
  struct Case {
    const char* text;
    const char* written;  ///< Null: refused.
    uint32_t count;
    const char* first;
    const char* last;
  };
  const Case cases[] = {
      {"10.96.0.0/16", "10.96.0.0/16", 65534, "10.96.0.1", "10.96.255.254"},
      {"10.96.3.7/24", "10.96.3.0/24", 254, "10.96.3.1", "10.96.3.254"},
      {"10.0.0.0/30", "10.0.0.0/30", 2, "10.0.0.1", "10.0.0.2"},
      {"fd00::/112", "fd00::/112", 65535, "fd00::1", "fd00::ffff"},
      {"FD00:0:0::1:5/120", "fd00::1:0/120", 255, "fd00::1:1", "fd00::1:ff"},
      {"fd00::/64", "fd00::/64", 65535, "fd00::1", "fd00::ffff"},
      {"10.0.0.0/31", nullptr, 0, "", ""},
      {"10.0.0.0/7", nullptr, 0, "", ""},
      {"10.0.0.0", nullptr, 0, "", ""},
      {"10.0.0.0/16x", nullptr, 0, "", ""},
      {"fd00::/127", nullptr, 0, "", ""},
      {"fd00::/32", nullptr, 0, "", ""},
      {"services", nullptr, 0, "", ""},
      {"", nullptr, 0, "", ""},
  };
  for (const Case& each : cases) {
    const auto range = ServiceRange::parse(each.text);
    ASSERT_EQ(range.ok(), each.written != nullptr) << each.text;
    if (!range.ok()) continue;
    EXPECT_EQ(range->to_string(), each.written);
    EXPECT_EQ(range->count(), each.count) << each.text;
    EXPECT_EQ(range->address(1), each.first);
    EXPECT_EQ(range->address(range->count()), each.last);
    EXPECT_EQ(range->offset_of(each.first), 1u);
    EXPECT_EQ(range->offset_of(each.last), each.count) << each.text;
    EXPECT_EQ(range->family(), range->is_v6() ? "IPv6" : "IPv4");
  }
}

TEST(ServiceRangeTest, KnowsWhatIsItsOwn) {
  const auto v4 = *ServiceRange::parse("10.96.4.0/22");
  for (const char* outside :
       {"10.96.4.0", "10.96.7.255", "10.96.3.255", "10.96.8.0", "11.96.4.1", "fd00::1", "x", ""}) {
    EXPECT_FALSE(v4.offset_of(outside)) << outside;
  }
  EXPECT_EQ(v4.offset_of("10.96.7.254"), 1022u);
  const auto v6 = *ServiceRange::parse("fd00:96::/108");
  EXPECT_EQ(v6.offset_of("fd00:96:0:0::0:ff"), 255u);
  for (const char* outside : {"fd00:96::", "fd00:96::1:0", "fd00:97::1", "fd00:96:0:0:1::1", "10.96.0.1"}) {
    EXPECT_FALSE(v6.offset_of(outside)) << outside;
  }
}

TEST(ServiceRangeTest, TextsOfOneAddressAreOne) {
  EXPECT_EQ(ServiceRange::canonical("FD00:0::0:1"), "fd00::1");
  EXPECT_EQ(ServiceRange::canonical("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(ServiceRange::canonical("None"), "");
}

}  // namespace
}  // namespace trireme::apiserver
