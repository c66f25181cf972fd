#include "api/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "base/duration.h"
#include "base/text.h"

namespace trireme::api {
namespace {

constexpr uint64_t kStar = uint64_t{1} << 63;
constexpr int kYearsAhead = 5;

struct Field {
  uint64_t low;
  uint64_t high;
  std::span<const std::string_view> names;  ///< Of low, low + 1, …
};

constexpr std::array<std::string_view, 12> kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDayNames = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
const Field kMinute{0, 59, {}};
const Field kHour{0, 23, {}};
const Field kDay{1, 31, {}};
const Field kMonth{1, 12, kMonthNames};
const Field kWeekday{0, 6, kDayNames};

bool has(uint64_t bits, int value) { return (bits >> value & 1) != 0; }

/// The parts between separators; runs of separators count as one, and none at the ends (Go's Fields).
std::vector<std::string_view> words(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (size_t start = text.find_first_not_of(separators); start != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(separators, start), text.size());
    parts.push_back(text.substr(start, end - start));
    start = text.find_first_not_of(separators, end);
  }
  return parts;
}

Result<uint64_t> parse_number(std::string_view text) {
  auto failure = [&](std::string_view why) {
    return Status::bad_request(
        fmt::format("failed to parse int from {0}: strconv.Atoi: parsing \"{0}\": {1}", text, why));
  };
  // A plus sign may stand before the digits, as in Go.
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  if (digits.empty() || (text.starts_with('+') && digits.front() == '-')) return failure("invalid syntax");
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size()) return failure("invalid syntax");
  if (error != std::errc()) return failure("value out of range");
  if (value < 0) return Status::bad_request(fmt::format("negative number ({}) not allowed: {}", value, text));
  return static_cast<uint64_t>(value);
}

Result<uint64_t> parse_value(std::string_view text, const Field& field) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] == lowered) return field.low + i;
  }
  return parse_number(text);
}

Result<uint64_t> parse_range(std::string_view text, const Field& field) {
  const auto range_and_step = split(text, '/');
  const auto ends = split(range_and_step[0], '-');
  uint64_t low = field.low;
  uint64_t high = field.high;
  uint64_t bits = 0;
  if (ends[0] == "*" || ends[0] == "?") {
    bits = kStar;
  } else {
    TRY_ASSIGN(low, parse_value(ends[0], field));
    high = low;
    if (ends.size() > 2) return Status::bad_request(fmt::format("too many hyphens: {}", text));
    if (ends.size() == 2) {
      TRY_ASSIGN(high, parse_value(ends[1], field));
    }
  }
  uint64_t step = 1;
  if (range_and_step.size() > 2) return Status::bad_request(fmt::format("too many slashes: {}", text));
  if (range_and_step.size() == 2) {
    TRY_ASSIGN(step, parse_number(range_and_step[1]));
    if (ends.size() == 1) high = field.high;  // "5/10" is "5-59/10"
    if (step > 1) bits = 0;
  }
  if (low < field.low) {
    return Status::bad_request(fmt::format("beginning of range ({}) below minimum ({}): {}", low, field.low, text));
  }
  if (high > field.high) {
    return Status::bad_request(fmt::format("end of range ({}) above maximum ({}): {}", high, field.high, text));
  }
  if (low > high) {
    return Status::bad_request(fmt::format("beginning of range ({}) beyond end of range ({}): {}", low, high, text));
  }
  if (step == 0) {
    return Status::bad_request(fmt::format("step of range should be a positive number: {}", text));
  }
  for (uint64_t value = low; value <= high; value += std::min<uint64_t>(step, 64)) bits |= uint64_t{1} << value;
  return bits;
}

Result<uint64_t> parse_field(std::string_view text, const Field& field) {
  uint64_t bits = 0;
  for (const std::string_view range : words(text, ",")) {
    TRY_ASSIGN(const uint64_t more, parse_range(range, field));
    bits |= more;
  }
  return bits;
}

/// What a descriptor is short for; empty when it is none.
std::string_view expansion(std::string_view descriptor) {
  if (descriptor == "@yearly" || descriptor == "@annually") return "0 0 1 1 *";
  if (descriptor == "@monthly") return "0 0 1 * *";
  if (descriptor == "@weekly") return "0 0 * * 0";
  if (descriptor == "@daily" || descriptor == "@midnight") return "0 0 * * *";
  if (descriptor == "@hourly") return "0 * * * *";
  return {};
}

}  // namespace

/// A time on the clock on the wall.
struct CronSchedule::Local {
  int year;
  int month;
  int day;
  int hour;
  int minute;
  int second;
  int weekday;  ///< 0: Sunday
};

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  CronSchedule out;
  if (text.empty()) return Status::bad_request("empty spec string");
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    const size_t equals = text.find('=');
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view name = text.substr(equals + 1, space - equals - 1);
    Result<TimeZone> zone = TimeZone::load(name);
    if (!zone.ok()) {
      return Status::bad_request(fmt::format("provided bad location {}: {}", name, zone.status().message()));
    }
    out.zone_ = *zone;
    out.own_zone_ = true;
    text.remove_prefix(std::min(text.find_first_not_of(kSpace, space), text.size()));
    while (!text.empty() && kSpace.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  }
  if (text.starts_with('@')) {
    constexpr std::string_view kEvery = "@every ";
    if (text.starts_with(kEvery)) {
      const Result<Duration> interval = parse_duration(text.substr(kEvery.size()));
      if (!interval.ok()) {
        return Status::bad_request(fmt::format("failed to parse duration {}: {}", text, interval.status().message()));
      }
      out.every_seconds_ = std::max<int64_t>(std::chrono::duration_cast<std::chrono::seconds>(*interval).count(), 1);
      return out;
    }
    const std::string_view fields = expansion(text);
    if (fields.empty()) return Status::bad_request(fmt::format("unrecognized descriptor: {}", text));
    text = fields;
  }
  const auto fields = words(text, kSpace);
  if (fields.size() != 5) {
    return Status::bad_request(
        fmt::format("expected exactly 5 fields, found {}: [{}]", fields.size(), fmt::join(fields, " ")));
  }
  TRY_ASSIGN(out.minutes_, parse_field(fields[0], kMinute));
  TRY_ASSIGN(out.hours_, parse_field(fields[1], kHour));
  TRY_ASSIGN(out.days_, parse_field(fields[2], kDay));
  TRY_ASSIGN(out.months_, parse_field(fields[3], kMonth));
  TRY_ASSIGN(out.weekdays_, parse_field(fields[4], kWeekday));
  return out;
}

CronSchedule::Local CronSchedule::local(int64_t unix_seconds) const {
  using namespace std::chrono;  // NOLINT: calendar arithmetic
  const sys_seconds at{seconds(unix_seconds + zone_.at(unix_seconds).offset)};
  const sys_days day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(time.hours().count()),
          static_cast<int>(time.minutes().count()),
          static_cast<int>(time.seconds().count()),
          static_cast<int>(weekday(day).c_encoding())};
}

/// The instant at which the wall shows this; months and days may be out of range and carry over. Of two instants, or
/// none, the one that Go's time.Date gives.
int64_t CronSchedule::instant(int year, int month, int day, int hour, int minute, int second) const {
  using namespace std::chrono;  // NOLINT: calendar arithmetic
  const year_month_day first = std::chrono::year(year) / std::chrono::month(1) / std::chrono::day(1);
  const sys_days start = sys_days(first + months(month - 1)) + days(day - 1);
  const int64_t wall = sys_seconds(start).time_since_epoch().count() + hour * 3600 + minute * 60 + second;
  const TimeZone::Span guess = zone_.at(wall);
  if (guess.offset == 0) return wall;
  const int64_t at = wall - guess.offset;
  if (at >= guess.begin && at < guess.end) return at;
  return wall - zone_.at(at).offset;
}

/// Of day of the month and day of the week one is enough, unless one is `*`: then it is the other that counts.
bool CronSchedule::day_matches(const Local& at) const {
  const bool day = has(days_, at.day);
  const bool weekday = has(weekdays_, at.weekday);
  return ((days_ | weekdays_) & kStar) != 0 ? day && weekday : day || weekday;
}

std::optional<WallTime> CronSchedule::next(WallTime after) const {
  int64_t at = std::chrono::floor<std::chrono::seconds>(after.time_since_epoch()).count();
  if (every_seconds_ > 0) {
    constexpr int64_t kLast = std::chrono::floor<std::chrono::seconds>(WallTime::max().time_since_epoch()).count();
    if (at > kLast - every_seconds_) return std::nullopt;
    return WallTime(std::chrono::seconds(at + every_seconds_));
  }
  // A list without members ("," is accepted) is never met.
  if (minutes_ == 0 || hours_ == 0 || months_ == 0) return std::nullopt;
  ++at;
  // From the largest field to the smallest: go on to the next value that is in the schedule, with all smaller fields at
  // their beginning, and start over when that carries into a larger field.
  bool moved = false;
  const int last_year = local(at).year + kYearsAhead;
  for (;;) {
    Local now = local(at);
    if (now.year > last_year) return std::nullopt;
    const auto go_to = [&](int64_t instant) {
      at = instant;
      now = local(at);
    };
    bool carried = false;
    while (!carried && !has(months_, now.month)) {
      if (!moved) go_to(instant(now.year, now.month, 1, 0, 0, 0));
      moved = true;
      go_to(instant(now.year, now.month + 1, now.day, now.hour, now.minute, now.second));
      carried = now.month == 1;
    }
    while (!carried && !day_matches(now)) {
      if (!moved) go_to(instant(now.year, now.month, now.day, 0, 0, 0));
      moved = true;
      go_to(instant(now.year, now.month, now.day + 1, now.hour, now.minute, now.second));
      // A day whose midnight is skipped begins at another hour.
      if (now.hour > 12) {
        go_to(at + (24 - now.hour) * 3600);
      } else if (now.hour != 0) {
        go_to(at - now.hour * 3600);
      }
      carried = now.day == 1;
    }
    while (!carried && !has(hours_, now.hour)) {
      if (!moved) go_to(instant(now.year, now.month, now.day, now.hour, 0, 0));
      moved = true;
      go_to(at + 3600);
      carried = now.hour == 0;
    }
    while (!carried && !has(minutes_, now.minute)) {
      if (!moved) go_to(at - now.second);
      moved = true;
      go_to(at + 60);
      carried = now.minute == 0;
    }
    if (carried) continue;
    if (now.second == 0) return WallTime(std::chrono::seconds(at));
    go_to(at + 60 - now.second);
    moved = true;
    // A new minute is checked from the beginning.
  }
}

}  // namespace trireme::api
