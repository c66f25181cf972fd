#include "base/duration.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>

namespace trireme {
namespace {

struct Unit {
  std::string_view name;
  int64_t nanoseconds;
};

constexpr std::array<Unit, 8> kUnits{{
    {"ns", 1},
    {"us", 1'000},
    {"µs", 1'000},
    {"μs", 1'000},
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
}};

const Unit* find_unit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Status invalid(std::string_view text) { return Status::bad_request(fmt::format("invalid duration \"{}\"", text)); }

/// `value` with its fraction, without trailing zeros: 1.5, 2.
std::string decimal(uint64_t value, uint64_t unit) {
  std::string text = fmt::format("{}", value / unit);
  uint64_t fraction = value % unit;
  if (fraction == 0) return text;
  text += '.';
  for (uint64_t scale = unit / 10; fraction != 0; scale /= 10) {
    text += static_cast<char>('0' + fraction / scale);
    fraction %= scale;
  }
  return text;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return Duration::zero();
  if (rest.empty()) return invalid(text);

  // 128 bits hold every partial sum of a text of bounded length.
  if (text.size() > 64) return invalid(text);
  __extension__ using Wide = __int128;
  Wide total = 0;
  while (!rest.empty()) {
    size_t digits = 0;
    Wide whole = 0;
    while (digits < rest.size() && is_digit(rest[digits])) {
      whole = whole * 10 + (rest[digits] - '0');
      if (whole > std::numeric_limits<int64_t>::max()) return invalid(text);
      ++digits;
    }
    rest.remove_prefix(digits);
    Wide fraction = 0;
    Wide scale = 1;
    size_t fraction_digits = 0;
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      while (fraction_digits < rest.size() && is_digit(rest[fraction_digits])) {
        if (scale < 1'000'000'000'000'000) {  // further digits are below a nanosecond in every unit
          fraction = fraction * 10 + (rest[fraction_digits] - '0');
          scale *= 10;
        }
        ++fraction_digits;
      }
      rest.remove_prefix(fraction_digits);
    }
    if (digits == 0 && fraction_digits == 0) return invalid(text);
    size_t unit_length = 0;
    while (unit_length < rest.size() && rest[unit_length] != '.' && !is_digit(rest[unit_length])) ++unit_length;
    const Unit* unit = find_unit(rest.substr(0, unit_length));
    if (unit == nullptr) return invalid(text);
    rest.remove_prefix(unit_length);
    total += whole * unit->nanoseconds + fraction * unit->nanoseconds / scale;
    if (total > std::numeric_limits<int64_t>::max()) return invalid(text);
  }
  auto nanoseconds = static_cast<int64_t>(total);
  return Duration(negative ? -nanoseconds : nanoseconds);
}

std::string format_duration(Duration duration) {
  int64_t count = duration.count();
  if (count == 0) return "0s";
  uint64_t value = count < 0 ? 0 - static_cast<uint64_t>(count) : static_cast<uint64_t>(count);
  std::string sign = count < 0 ? "-" : "";
  if (value < 1'000) return fmt::format("{}{}ns", sign, value);
  if (value < 1'000'000) return sign + decimal(value, 1'000) + "µs";
  if (value < 1'000'000'000) return sign + decimal(value, 1'000'000) + "ms";
  uint64_t minutes = value / 60'000'000'000;
  std::string seconds = decimal(value % 60'000'000'000, 1'000'000'000) + "s";
  if (minutes == 0) return sign + seconds;
  if (minutes < 60) return fmt::format("{}{}m{}", sign, minutes, seconds);
  return fmt::format("{}{}h{}m{}", sign, minutes / 60, minutes % 60, seconds);
}

}  // namespace trireme
