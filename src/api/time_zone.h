#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace trireme::api {

/// A zone of the system's time zone database (the package tzdata). A value; thread-safe.
class TimeZone {
 public:
  /// UTC.
  TimeZone() = default;
  /// A name such as "Europe/Zurich"; "" and "UTC" are UTC. BadRequest "unknown time zone …" for names that the database
  /// does not have, and for all but UTC where there is no database.
  static Result<TimeZone> load(std::string_view name);
  /// The machine's: what the environment's TZ names, else the system's setting, else UTC.
  static TimeZone local();

  /// A stretch of time in which the offset from UTC stays the same; all in seconds, times since 1970 in UTC.
  struct Span {
    int64_t begin;
    int64_t end;  ///< The first second that is not in it.
    int64_t offset;
  };
  Span at(int64_t unix_seconds) const;

 private:
  const void* zone_ = nullptr;  ///< The library's; it lives as long as the process. Null: UTC.
};

}  // namespace trireme::api
