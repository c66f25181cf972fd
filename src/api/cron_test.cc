#include "api/cron.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "api/time.h"

namespace trireme::api {
namespace {

WallTime wall(std::string_view text) {
  const Result<Time> time = Time::parse(text);
  EXPECT_TRUE(time.ok()) << text;
  return time.ok() ? time->wall() : WallTime{};
}

std::string next_of(std::string_view schedule, std::string_view after, std::string_view zone = "") {
  Result<CronSchedule> parsed = CronSchedule::parse(schedule);
  if (!parsed.ok()) return parsed.status().message();
  const Result<TimeZone> loaded = TimeZone::load(zone);
  if (!loaded.ok()) return loaded.status().message();
  parsed->set_zone(*loaded);
  const auto next = parsed->next(wall(after));
  return next ? Time(*next).to_string() : "never";
}

TEST(CronTest, NextInUtc) {
  const struct {
    std::string_view schedule;
    std::string_view after;
    std::string_view next;
  } cases[] = {
      {"* * * * *", "2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"},
      {"* * * * *", "2024-01-01T00:00:59Z", "2024-01-01T00:01:00Z"},
      {"*/15 * * * *", "2024-07-09T14:45:00Z", "2024-07-09T15:00:00Z"},
      {"*/15 * * * *", "2024-07-09T14:59:59Z", "2024-07-09T15:00:00Z"},
      {"20-35/15 * * * *", "2024-07-09T14:46:00Z", "2024-07-09T15:20:00Z"},
      {"20-35/15 * * * *", "2024-07-09T15:20:00Z", "2024-07-09T15:35:00Z"},
      {"5/20 * * * *", "2024-07-09T15:26:00Z", "2024-07-09T15:45:00Z"},
      {"0 */2 * * *", "2024-07-09T23:35:51Z", "2024-07-10T00:00:00Z"},
      {"30 6-16/4 * * 1-5", "2024-03-01T15:00:00Z", "2024-03-04T06:30:00Z"},  // a Friday
      {"0 0 29 2 *", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"0 0 * feb MON", "2024-03-01T00:00:00Z", "2025-02-03T00:00:00Z"},
      {"0 0 1,15 * 3", "2024-05-02T00:00:00Z", "2024-05-08T00:00:00Z"},  // either is enough
      {"0 0 */2 * 3", "2024-05-02T00:00:00Z", "2024-05-03T00:00:00Z"},   // a step takes the star's meaning away
      {"0 0 * * 3", "2024-05-02T00:00:00Z", "2024-05-08T00:00:00Z"},
      {"0 0 ? * ?", "2024-05-02T00:00:00Z", "2024-05-03T00:00:00Z"},
      {"59 23 31 2 *", "2024-01-01T00:00:00Z", "never"},
      {", * * * *", "2024-01-01T00:00:00Z", "never"},
      {"0 0 31 12 *", "2023-12-31T00:00:01Z", "2024-12-31T00:00:00Z"},
      {"@yearly", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
      {"@annually", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
      {"@monthly", "2024-01-31T10:00:00Z", "2024-02-01T00:00:00Z"},
      {"@weekly", "2024-01-01T00:00:00Z", "2024-01-07T00:00:00Z"},
      {"@daily", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"},
      {"@midnight", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"},
      {"@hourly", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"},
      {"@every 1h30m", "2024-01-01T00:00:07Z", "2024-01-01T01:30:07Z"},
      {"@every 10ms", "2024-01-01T00:00:07Z", "2024-01-01T00:00:08Z"},
      {"@every 2000000h", "2100-01-01T00:00:07Z", "never"},
      {"TZ=Asia/Tokyo 0 9 * * *", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"},
      {"CRON_TZ=UTC @daily", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"},
  };
  for (const auto& each : cases) EXPECT_EQ(next_of(each.schedule, each.after), each.next) << each.schedule;
}

TEST(CronTest, FractionsOfASecondDoNotCount) {
  const auto schedule = CronSchedule::parse("* * * * *");
  ASSERT_TRUE(schedule.ok());
  const WallTime minute = wall("2024-01-01T00:01:00Z");
  EXPECT_EQ(schedule->next(minute - std::chrono::milliseconds(1)), minute);
  EXPECT_EQ(schedule->next(minute + std::chrono::milliseconds(1)), minute + std::chrono::minutes(1));
}

TEST(CronTest, ChangesOfTheOffset) {
  // New York, 2012: 2:00 is followed by 3:00 on March 11th, 1:59 by 1:00 on November 4th.
  const struct {
    std::string_view schedule;
    std::vector<std::string_view> times;
  } cases[] = {
      {"0 * * * *", {"2012-03-11T05:00:00Z", "2012-03-11T06:00:00Z", "2012-03-11T07:00:00Z", "2012-03-11T08:00:00Z"}},
      // The hour that is skipped does not happen on that day.
      {"30 2 * * *", {"2012-03-10T07:30:00Z", "2012-03-12T06:30:00Z", "2012-03-13T06:30:00Z"}},
      {"0 3 * * *", {"2012-03-10T08:00:00Z", "2012-03-11T07:00:00Z", "2012-03-12T07:00:00Z"}},
      // The hour that comes twice.
      {"30 * * * *", {"2012-11-04T04:30:00Z", "2012-11-04T05:30:00Z", "2012-11-04T06:30:00Z", "2012-11-04T07:30:00Z"}},
      {"0 1 * * *", {"2012-11-03T05:00:00Z", "2012-11-04T05:00:00Z", "2012-11-04T06:00:00Z", "2012-11-05T06:00:00Z"}},
      {"0 2 * * *", {"2012-11-03T06:00:00Z", "2012-11-04T07:00:00Z", "2012-11-05T07:00:00Z"}},
  };
  for (const auto& each : cases) {
    for (size_t i = 1; i < each.times.size(); ++i) {
      EXPECT_EQ(next_of(each.schedule, each.times[i - 1], "America/New_York"), each.times[i]) << each.schedule;
    }
  }
  // São Paulo, 2018: the day begins at 1:00 on November 4th.
  EXPECT_EQ(next_of("0 1 4 11 *", "2018-10-20T00:00:00Z", "America/Sao_Paulo"), "2018-11-04T03:00:00Z");
  EXPECT_EQ(next_of("0 9 * * *", "2024-06-01T00:00:00Z", "Asia/Kolkata"), "2024-06-01T03:30:00Z");
  EXPECT_EQ(next_of("0 9 * * *", "2024-06-01T00:00:00Z", "Nowhere/Else"), "unknown time zone Nowhere/Else");
}

TEST(CronTest, WhatIsRefused) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "empty spec string"},
      {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
      {"* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"},
      {"TZ=UTC", "expected exactly 5 fields, found 0: []"},
      {"TZ=Nope * * * * *", "provided bad location Nope: unknown time zone Nope"},
      {"60 * * * *", "end of range (60) above maximum (59): 60"},
      {"* * 0 * *", "beginning of range (0) below minimum (1): 0"},
      {"* * * * 7", "end of range (7) above maximum (6): 7"},
      {"5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"},
      {"1-2-3 * * * *", "too many hyphens: 1-2-3"},
      {"*/2/3 * * * *", "too many slashes: */2/3"},
      {"*/0 * * * *", "step of range should be a positive number: */0"},
      {"*/-2 * * * *", "negative number (-2) not allowed: -2"},
      {"x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"},
      {"99999999999999999999 * * * *",
       "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of "
       "range"},
      {"* * * mon *", "failed to parse int from mon: strconv.Atoi: parsing \"mon\": invalid syntax"},
      {"@never", "unrecognized descriptor: @never"},
  };
  for (const auto& [text, problem] : cases) {
    const auto parsed = CronSchedule::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().message(), problem);
  }
  EXPECT_FALSE(CronSchedule::parse("@every x").ok());
}

}  // namespace
}  // namespace trireme::api
