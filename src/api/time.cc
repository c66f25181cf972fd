#include "api/time.h"

#include <algorithm>

#include "base/duration.h"

namespace trireme::api {
namespace {

// Years 0000 to 9999, what RFC 3339 can write.
constexpr int64_t kMinSeconds = -62'167'219'200;
constexpr int64_t kMaxSeconds = 253'402'300'799;
/// Go's zero time, 0001-01-01T00:00:00Z, which means unset.
constexpr int64_t kGoZeroSeconds = -62'135'596'800;

struct Instant {
  int64_t seconds = 0;
  int32_t nanos = 0;
};

/// Reads digits and separators from the front of a text; any mismatch makes it invalid for good.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  int number(size_t digits) {
    int value = 0;
    if (rest_.size() < digits) valid_ = false;
    for (size_t i = 0; valid_ && i < digits; ++i) {
      valid_ = rest_[i] >= '0' && rest_[i] <= '9';
      value = value * 10 + (rest_[i] - '0');
    }
    if (valid_) rest_.remove_prefix(digits);
    return value;
  }
  void expect(char c) {
    if (!accept(c)) valid_ = false;
  }
  bool accept(char c) {
    if (!valid_ || rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// ".123" as nanoseconds; further digits are dropped.
  int32_t fraction() {
    if (!accept('.')) return 0;
    int32_t nanos = 0;
    int digits = 0;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1), ++digits) {
      if (digits < 9) nanos = nanos * 10 + (rest_.front() - '0');
    }
    if (digits == 0) valid_ = false;
    for (; digits < 9; ++digits) nanos *= 10;
    return nanos;
  }
  bool at_end() const { return valid_ && rest_.empty(); }
  bool valid() const { return valid_; }

 private:
  std::string_view rest_;
  bool valid_ = true;
};

Result<Instant> parse_rfc3339(std::string_view text) {
  Scanner scanner(text);
  const int year = scanner.number(4);
  scanner.expect('-');
  const int month = scanner.number(2);
  scanner.expect('-');
  const int day = scanner.number(2);
  scanner.expect('T');
  const int hour = scanner.number(2);
  scanner.expect(':');
  const int minute = scanner.number(2);
  scanner.expect(':');
  const int second = scanner.number(2);
  const int32_t nanos = scanner.fraction();
  int64_t offset = 0;
  if (!scanner.accept('Z')) {
    const int sign = scanner.accept('-') ? -1 : 1;
    if (sign == 1) scanner.expect('+');
    const int hours = scanner.number(2);
    scanner.expect(':');
    const int minutes = scanner.number(2);
    if (hours > 24 || minutes > 59) scanner.expect('\0');
    offset = sign * (hours * 3600 + minutes * 60);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!scanner.at_end() || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return Status::bad_request("parsing time \"" + std::string(text.substr(0, 64)) +
                               "\" as \"2006-01-02T15:04:05Z07:00\": cannot parse it");
  }
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = days * 86'400 + hour * 3600 + minute * 60 + second - offset;
  return Instant{std::clamp(seconds, kMinSeconds, kMaxSeconds), nanos};
}

void put(char*& at, int64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
  at += digits;
}

/// "2025-03-01T12:00:00", without the zone.
char* print_seconds(int64_t seconds, char* at) {
  seconds = std::clamp(seconds, kMinSeconds, kMaxSeconds);
  int64_t day_count = seconds / 86'400;
  int64_t of_day = seconds % 86'400;
  if (of_day < 0) {
    of_day += 86'400;
    --day_count;
  }
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day_count))};
  put(at, static_cast<int>(date.year()), 4);
  *at++ = '-';
  put(at, static_cast<unsigned>(date.month()), 2);
  *at++ = '-';
  put(at, static_cast<unsigned>(date.day()), 2);
  *at++ = 'T';
  put(at, of_day / 3600, 2);
  *at++ = ':';
  put(at, of_day / 60 % 60, 2);
  *at++ = ':';
  put(at, of_day % 60, 2);
  return at;
}

}  // namespace

Result<Time> Time::parse(std::string_view text) {
  TRY_ASSIGN(const Instant instant, parse_rfc3339(text));
  return instant.seconds == kGoZeroSeconds ? Time() : from_unix(instant.seconds);
}

std::string Time::to_string() const {
  if (is_zero()) return "";
  char buffer[24];
  char* end = print_seconds(seconds_, buffer);
  *end++ = 'Z';
  return std::string(buffer, end);
}

Result<MicroTime> MicroTime::parse(std::string_view text) {
  TRY_ASSIGN(const Instant instant, parse_rfc3339(text));
  if (instant.seconds == kGoZeroSeconds && instant.nanos == 0) return MicroTime();
  return from_unix_micros(instant.seconds * 1'000'000 + instant.nanos / 1000);
}

std::string MicroTime::to_string() const {
  if (is_zero()) return "";
  int64_t seconds = micros_ / 1'000'000;
  int64_t micros = micros_ % 1'000'000;
  if (micros < 0) {
    micros += 1'000'000;
    --seconds;
  }
  char buffer[32];
  char* end = print_seconds(seconds, buffer);
  *end++ = '.';
  put(end, micros, 6);
  *end++ = 'Z';
  return std::string(buffer, end);
}

Result<GoDuration> GoDuration::parse(std::string_view text) {
  TRY_ASSIGN(const Duration value, parse_duration(text));
  return GoDuration(value);
}

std::string GoDuration::to_string() const { return format_duration(value_); }

}  // namespace trireme::api
