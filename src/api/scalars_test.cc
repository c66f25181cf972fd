#include <gtest/gtest.h>

#include "api/int_or_string.h"
#include "api/map.h"
#include "api/time.h"
#include "base/box.h"

namespace trireme::api {
namespace {

TEST(Time, ReadsRfc3339) {
  const struct {
    std::string_view text, canonical;
  } cases[] = {
      {"2025-03-01T12:34:56Z", "2025-03-01T12:34:56Z"},
      {"2025-03-01T12:34:56.999999999Z", "2025-03-01T12:34:56Z"},
      {"2025-03-01T12:34:56+02:00", "2025-03-01T10:34:56Z"},
      {"2025-03-01T00:34:56-05:30", "2025-03-01T06:04:56Z"},
      {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
      {"1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"},
      {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
      {"0001-01-01T00:00:01Z", "0001-01-01T00:00:01Z"},
      {"0001-01-01T00:00:00Z", ""},  // Go's zero time means unset
  };
  for (const auto& [text, canonical] : cases) {
    const Result<Time> time = Time::parse(text);
    ASSERT_TRUE(time.ok()) << text << ": " << time.status().to_string();
    EXPECT_EQ(time->to_string(), canonical) << text;
    EXPECT_EQ(time->is_zero(), canonical.empty()) << text;
  }
}

TEST(Time, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", "2025-03-01", "2025-03-01 12:34:56Z", "2025-02-30T00:00:00Z", "2025-13-01T00:00:00Z",
        "2025-03-01T24:00:00Z", "2025-03-01T12:60:00Z", "2025-03-01T12:34:56", "2025-03-01T12:34:56.Z",
        "2025-03-01T12:34:56Zx", "2025-03-01T12:34:56+2:00", "25-03-01T12:34:56Z", "-025-03-01T12:34:56Z"}) {
    EXPECT_FALSE(Time::parse(text).ok()) << text;
  }
}

TEST(Time, ConvertsAndOrders) {
  const WallTime at{std::chrono::milliseconds(1'740'832'496'700)};
  EXPECT_EQ(Time(at).unix_seconds(), 1'740'832'496);
  EXPECT_EQ(Time(at).wall(), WallTime(std::chrono::seconds(1'740'832'496)));
  EXPECT_LT(Time(), Time::from_unix(-1));
  EXPECT_LT(Time::from_unix(1), Time::from_unix(2));
  EXPECT_EQ(Time(WallTime(std::chrono::milliseconds(-1))).to_string(), "1969-12-31T23:59:59Z");
}

TEST(MicroTime, KeepsMicroseconds) {
  EXPECT_EQ(MicroTime::parse("2025-03-01T12:34:56.123456Z")->to_string(), "2025-03-01T12:34:56.123456Z");
  EXPECT_EQ(MicroTime::parse("2025-03-01T12:34:56Z")->to_string(), "2025-03-01T12:34:56.000000Z");
  EXPECT_EQ(MicroTime::parse("2025-03-01T12:34:56.1234567Z")->to_string(), "2025-03-01T12:34:56.123456Z");
  EXPECT_EQ(MicroTime::from_unix_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
  EXPECT_TRUE(MicroTime().to_string().empty());
}

TEST(GoDuration, PrintsAsGo) {
  EXPECT_EQ(GoDuration().to_string(), "0s");
  EXPECT_EQ(GoDuration(std::chrono::milliseconds(3'723'500)).to_string(), "1h2m3.5s");
  EXPECT_EQ(GoDuration::parse("1h2m3.5s")->value(), std::chrono::milliseconds(3'723'500));
  EXPECT_FALSE(GoDuration::parse("1 hour").ok());
}

TEST(IntOrString, ScalesPercentages) {
  EXPECT_EQ(*IntOrString(3).scaled(10, true), 3);
  EXPECT_EQ(*IntOrString("25%").scaled(10, true), 3);
  EXPECT_EQ(*IntOrString("25%").scaled(10, false), 2);
  EXPECT_EQ(*IntOrString("100%").scaled(7, true), 7);
  EXPECT_EQ(*IntOrString("0%").scaled(7, true), 0);
  for (const char* text : {"", "25", "%", "x%", "25%%", "2.5%"}) {
    EXPECT_FALSE(IntOrString(text).scaled(10, true).ok()) << text;
  }
  EXPECT_EQ(IntOrString("http").to_string(), "http");
  EXPECT_EQ(IntOrString(80).to_string(), "80");
  EXPECT_NE(IntOrString(80), IntOrString("80"));
}

TEST(Map, StaysSortedAndUnique) {
  Map<int> map{{"b", 2}, {"a", 1}, {"b", 3}};
  EXPECT_EQ(map.size(), 2U);
  EXPECT_EQ(map.at("b"), 2);
  map["c"] = 3;
  map["aa"] += 5;
  std::string keys;
  for (const auto& [key, value] : map) keys += key + std::to_string(value) + " ";
  EXPECT_EQ(keys, "a1 aa5 b2 c3 ");
  EXPECT_FALSE(map.emplace("a", 9).second);
  EXPECT_FALSE(map.insert_or_assign("a", 9).second);
  EXPECT_EQ(map.get("a"), 9);
  EXPECT_EQ(map.get("zz", -1), -1);
  EXPECT_EQ(map.erase("a"), 1U);
  EXPECT_EQ(map.erase("a"), 0U);
  EXPECT_FALSE(map.contains("a"));
  EXPECT_THROW(map.at("a"), std::out_of_range);
  EXPECT_EQ(map, (Map<int>{{"c", 3}, {"b", 2}, {"aa", 5}}));
}

TEST(Box, CopiesDeeply) {
  Box<std::string> a("x");
  Box<std::string> b = a;
  *b += "y";
  EXPECT_EQ(*a, "x");
  EXPECT_EQ(*b, "xy");
  a = b;
  EXPECT_EQ(*a, "xy");
  b.reset();
  EXPECT_FALSE(b);
  EXPECT_EQ(b.get(), nullptr);
  a = b;
  EXPECT_FALSE(a.has_value());
  EXPECT_EQ(a.ensure(), "");
  a->append("z");
  EXPECT_EQ(a.ensure(), "z");
}

}  // namespace
}  // namespace trireme::api
