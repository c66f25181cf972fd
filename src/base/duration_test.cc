#include "base/duration.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(Duration, ParsesWhatGoParses) {
  struct Row {
    const char* text;
    Duration expected;
  };
  for (const Row& row : {
           Row{"0", Duration::zero()},
           Row{"10s", seconds(10)},
           Row{"1h30m", hours(1) + minutes(30)},
           Row{"1.5s", milliseconds(1500)},
           Row{".5s", milliseconds(500)},
           Row{"-1m", -minutes(1)},
           Row{"+2ms", milliseconds(2)},
           Row{"3µs", nanoseconds(3000)},
           Row{"1h0m0.000000001s", hours(1) + nanoseconds(1)},
       }) {
    auto parsed = parse_duration(row.text);
    ASSERT_TRUE(parsed.ok()) << row.text;
    EXPECT_EQ(*parsed, row.expected) << row.text;
  }
}

TEST(Duration, RefusesTheRest) {
  for (const char* text : {"", "10", "s", "1x", "-", ".", "1.s.", "1s ", "99999999999999999999s", "300000000h"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
}

TEST(Duration, PrintsAsGo) {
  EXPECT_EQ(format_duration(Duration::zero()), "0s");
  EXPECT_EQ(format_duration(seconds(10)), "10s");
  EXPECT_EQ(format_duration(hours(1) + minutes(30)), "1h30m0s");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(format_duration(milliseconds(100)), "100ms");
  EXPECT_EQ(format_duration(nanoseconds(1500)), "1.5µs");
  EXPECT_EQ(format_duration(-minutes(2)), "-2m0s");
}

}  // namespace
}  // namespace trireme
