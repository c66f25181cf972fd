#include <re2/re2.h>

#include <array>

#include "api/names.h"
#include "api/structural/validate.h"
#include "api/time.h"
#include "base/base64.h"

namespace trireme::api::structural {
namespace {

bool matches(std::string_view text, const char* pattern) { return re2::RE2::FullMatch(text, pattern); }

bool is_date(std::string_view text) { return Time::parse(std::string(text) + "T00:00:00Z").ok(); }

bool is_uuid(std::string_view text) {
  return matches(text, "(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}");
}

/// Go's durations, and words with a unit as upstream's format library reads them ("3 hours").
bool is_duration(std::string_view text) {
  return GoDuration::parse(text).ok() ||
         matches(text, R"(\s*-?\d+\s*(ns|nano|us|µs|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|week|wk)s?\s*)");
}

struct Format {
  std::string_view name;
  bool (*met)(std::string_view text);
};

constexpr std::array<Format, 17> kFormats = {{
    {"date-time", [](std::string_view text) { return Time::parse(text).ok(); }},
    {"datetime", [](std::string_view text) { return Time::parse(text).ok(); }},
    {"date", is_date},
    {"duration", is_duration},
    {"ipv4", [](std::string_view text) { return check_ipv4(text).empty(); }},
    {"ipv6", [](std::string_view text) { return check_ipv6(text).empty(); }},
    {"cidr", [](std::string_view text) { return check_cidr(text).empty(); }},
    {"mac", [](std::string_view text) { return matches(text, "(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5}"); }},
    {"hostname",
     [](std::string_view text) {
       return text.size() <= 255 &&
              matches(text, R"((?i)[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*\.?)");
     }},
    {"email", [](std::string_view text) { return matches(text, R"([^@\s]+@[^@\s]+)"); }},
    {"uri", [](std::string_view text) { return matches(text, R"([A-Za-z][A-Za-z0-9+.-]*:\S*|/\S*)"); }},
    {"uuid", is_uuid},
    {"uuid3", is_uuid},
    {"uuid4", is_uuid},
    {"uuid5", is_uuid},
    {"byte", [](std::string_view text) { return base64_decode(text).ok(); }},
    {"hexcolor", [](std::string_view text) { return matches(text, "#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"); }},
}};

}  // namespace

bool has_format(std::string_view format, std::string_view text) {
  for (const Format& each : kFormats) {
    if (each.name == format) return each.met(text);
  }
  return true;
}

}  // namespace trireme::api::structural
