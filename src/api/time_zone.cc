#include "api/time_zone.h"

#include <date/tz.h>

#include <cstdlib>
#include <exception>
#include <limits>
#include <string>

namespace trireme::api {
namespace {

/// Null when there is no such zone, or no database.
const date::time_zone* find_zone(std::string_view name) {
  try {
    return date::locate_zone(std::string(name));
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace

Result<TimeZone> TimeZone::load(std::string_view name) {
  TimeZone zone;
  if (name.empty() || name == "UTC") return zone;
  zone.zone_ = find_zone(name);
  if (zone.zone_ == nullptr) return Status::bad_request("unknown time zone " + std::string(name));
  return zone;
}

TimeZone TimeZone::local() {
  TimeZone zone;
  if (const char* name = std::getenv("TZ"); name != nullptr) {
    zone.zone_ = find_zone(*name == ':' ? name + 1 : name);
    return zone;
  }
  try {
    zone.zone_ = date::current_zone();
  } catch (const std::exception&) {
    zone.zone_ = nullptr;
  }
  return zone;
}

TimeZone::Span TimeZone::at(int64_t unix_seconds) const {
  constexpr Span kUtc{std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), 0};
  if (zone_ == nullptr) return kUtc;
  try {
    const date::sys_seconds at{std::chrono::seconds(unix_seconds)};
    const date::sys_info info = static_cast<const date::time_zone*>(zone_)->get_info(at);
    return {info.begin.time_since_epoch().count(), info.end.time_since_epoch().count(), info.offset.count()};
  } catch (const std::exception&) {  // the zone's file cannot be read
    return kUtc;
  }
}

}  // namespace trireme::api
