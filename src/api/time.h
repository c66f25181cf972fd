#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::api {

/// metav1.Time: an instant in whole seconds, or unset (Go's zero time, written as null). Ordered, unset first.
class Time {
 public:
  Time() = default;
  explicit Time(WallTime at) : seconds_(std::chrono::floor<std::chrono::seconds>(at.time_since_epoch()).count()) {}
  static Time from_unix(int64_t seconds) {
    Time time;
    time.seconds_ = seconds;
    return time;
  }
  /// RFC 3339 with any offset; fractions of a second are dropped. Years 0000 to 9999.
  static Result<Time> parse(std::string_view text);

  bool is_zero() const { return seconds_ == kUnset; }
  explicit operator bool() const { return !is_zero(); }
  /// Seconds since 1970 in UTC. Only when set.
  int64_t unix_seconds() const { return seconds_; }
  /// Only when set and within the years 1678 to 2261.
  WallTime wall() const { return WallTime(std::chrono::seconds(seconds_)); }
  /// "2025-03-01T12:00:00Z"; empty when unset.
  std::string to_string() const;

  friend auto operator<=>(const Time&, const Time&) = default;

 private:
  static constexpr int64_t kUnset = std::numeric_limits<int64_t>::min();
  int64_t seconds_ = kUnset;
};

/// metav1.MicroTime: an instant in microseconds, or unset.
class MicroTime {
 public:
  MicroTime() = default;
  explicit MicroTime(WallTime at)
      : micros_(std::chrono::floor<std::chrono::microseconds>(at.time_since_epoch()).count()) {}
  static MicroTime from_unix_micros(int64_t micros) {
    MicroTime time;
    time.micros_ = micros;
    return time;
  }
  /// RFC 3339 with any offset; digits below a microsecond are dropped.
  static Result<MicroTime> parse(std::string_view text);

  bool is_zero() const { return micros_ == kUnset; }
  explicit operator bool() const { return !is_zero(); }
  int64_t unix_micros() const { return micros_; }
  WallTime wall() const { return WallTime(std::chrono::microseconds(micros_)); }
  /// "2025-03-01T12:00:00.000000Z"; empty when unset.
  std::string to_string() const;

  friend auto operator<=>(const MicroTime&, const MicroTime&) = default;

 private:
  static constexpr int64_t kUnset = std::numeric_limits<int64_t>::min();
  int64_t micros_ = kUnset;
};

/// metav1.Duration: signed nanoseconds, written as Go writes time.Duration ("1h2m3.5s").
class GoDuration {
 public:
  GoDuration() = default;
  GoDuration(Duration value) : value_(value) {}  // NOLINT: implicit by intent
  static Result<GoDuration> parse(std::string_view text);

  Duration value() const { return value_; }
  std::string to_string() const;

  friend auto operator<=>(const GoDuration&, const GoDuration&) = default;

 private:
  Duration value_{0};
};

}  // namespace trireme::api
