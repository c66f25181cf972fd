#include "base/quantity.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace trireme {
namespace {

__extension__ using Int128 = __int128;

constexpr int kNanoDigits = 9;
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

constexpr Int128 power_of_ten(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

/// The saturation bound, in nanos: 10^29 units.
constexpr Int128 kMaxNanos = power_of_ten(38);
/// Upstream caps binary quantities at the largest int64.
constexpr Int128 kMaxBinaryNanos = Int128(kMaxInt64) * power_of_ten(kNanoDigits);

struct Suffix {
  Quantity::Format format = Quantity::Format::kDecimalSi;
  int64_t ten = 0;  // exponent of 10
  int two = 0;      // exponent of 2
};

struct NamedSuffix {
  std::string_view name;
  Suffix suffix;
};
constexpr Quantity::Format kSi = Quantity::Format::kDecimalSi;
constexpr Quantity::Format kBinary = Quantity::Format::kBinarySi;
// Ordered by exponent, so that printing finds suffix i at index 3 + exponent/3 or 10 + exponent/10.
constexpr NamedSuffix kSuffixes[] = {
    {"n", {kSi, -9, 0}},      {"u", {kSi, -6, 0}},      {"m", {kSi, -3, 0}},      {"", {kSi, 0, 0}},
    {"k", {kSi, 3, 0}},       {"M", {kSi, 6, 0}},       {"G", {kSi, 9, 0}},       {"T", {kSi, 12, 0}},
    {"P", {kSi, 15, 0}},      {"E", {kSi, 18, 0}},      {"Ki", {kBinary, 0, 10}}, {"Mi", {kBinary, 0, 20}},
    {"Gi", {kBinary, 0, 30}}, {"Ti", {kBinary, 0, 40}}, {"Pi", {kBinary, 0, 50}}, {"Ei", {kBinary, 0, 60}}};

/// A quantity's text cut into its parts; leading zeros are gone from `whole`.
struct Parts {
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
  std::string_view suffix;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view take_digits(std::string_view& text) {
  size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

Status wrong_format() {
  return Status::bad_request(
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

Result<Parts> split(std::string_view text) {
  Parts parts;
  if (text.empty()) return wrong_format();
  if (text.front() == '+' || text.front() == '-') {
    parts.negative = text.front() == '-';
    text.remove_prefix(1);
  }
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  parts.whole = take_digits(text);
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    parts.fraction = take_digits(text);
  }
  parts.suffix = text;
  text.remove_prefix(std::min(text.find_first_not_of("eEinumkKMGTP"), text.size()));
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
  take_digits(text);
  if (!text.empty()) return wrong_format();
  return parts;
}

Result<Suffix> interpret(std::string_view text) {
  for (const NamedSuffix& named : kSuffixes) {
    if (named.name == text) return named.suffix;
  }
  if (text.size() > 1 && (text.front() == 'e' || text.front() == 'E')) {
    text.remove_prefix(1);
    if (text.front() == '+' && text.size() > 1) text.remove_prefix(1);
    Suffix suffix{Quantity::Format::kDecimalExponent, 0, 0};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), suffix.ten);
    if (error == std::errc() && end == text.data() + text.size()) {
      suffix.ten = std::clamp<int64_t>(suffix.ten, -1'000'000, 1'000'000);
      return suffix;
    }
  }
  return Status::bad_request("unable to parse quantity's suffix");
}

/// |mantissa * 2^two * 10^ten| rounded up, saturated.
Int128 scale(Int128 mantissa, int two, int64_t ten, bool inexact) {
  mantissa <<= two;
  for (; ten > 0 && mantissa != 0 && mantissa < kMaxNanos; --ten) mantissa = std::min(mantissa, kMaxNanos / 10) * 10;
  for (; ten < 0 && mantissa != 0; ++ten) {
    inexact |= mantissa % 10 != 0;
    mantissa /= 10;
  }
  if (inexact) ++mantissa;
  return std::min(mantissa, kMaxNanos);
}

/// The nanos behind unsigned parts.
Int128 to_nanos(const Parts& parts, const Suffix& suffix) {
  // Room is left for one more digit and then the factor 2^60.
  const Int128 limit = power_of_ten(suffix.format == kBinary ? 19 : 36);
  Int128 mantissa = 0;
  int64_t ten = suffix.ten + kNanoDigits - static_cast<int64_t>(parts.fraction.size());
  bool inexact = false;
  for (const std::string_view digits : {parts.whole, parts.fraction}) {
    for (const char digit : digits) {
      if (mantissa < limit) {
        mantissa = mantissa * 10 + (digit - '0');
      } else {
        ++ten;
        inexact |= digit != '0';
      }
    }
  }
  const Int128 nanos = scale(mantissa, suffix.two, ten, inexact);
  return suffix.format == kBinary ? std::min(nanos, kMaxBinaryNanos) : nanos;
}

/// Whether upstream's fast path keeps the text as it was written.
bool keeps_spelling(const Parts& parts, const Suffix& suffix, Int128 nanos) {
  const int64_t whole = std::max<int64_t>(1, static_cast<int64_t>(parts.whole.size()));
  const int64_t fraction = static_cast<int64_t>(parts.fraction.size());
  if (suffix.format == kBinary) {
    const int64_t precision = 15 - whole - suffix.two * 3 / 10 - 1;
    return fraction == 0 && precision >= 0 && ((nanos / power_of_ten(kNanoDigits)) >> suffix.two & 7) != 0;
  }
  const int64_t exponent = suffix.ten - fraction;
  return whole + fraction <= 18 && exponent >= -kNanoDigits && exponent % 3 == 0 && !parts.whole.empty() &&
         !(std::string(parts.whole) + std::string(parts.fraction)).ends_with("000");
}

std::string print(Int128 value, std::string_view suffix) {
  char digits[48];
  char* at = std::end(digits);
  const bool negative = value < 0;
  if (negative) value = -value;
  do {
    *--at = static_cast<char>('0' + static_cast<int>(value % 10));
    value /= 10;
  } while (value != 0);
  if (negative) *--at = '-';
  std::string text(at, std::end(digits));
  text += suffix;
  return text;
}

std::string canonical(Int128 nanos, Quantity::Format format) {
  if (nanos == 0) return "0";
  const Int128 one = power_of_ten(kNanoDigits);
  if (format == kBinary && nanos % one == 0 && (nanos <= -1024 * one || nanos >= 1024 * one)) {
    Int128 value = nanos / one;
    size_t thousands = 0;
    for (; value % 1024 == 0 && thousands < 6; ++thousands) value /= 1024;
    return print(value, thousands == 0 ? "" : kSuffixes[9 + thousands].name);
  }
  const bool exponents = format == Quantity::Format::kDecimalExponent;
  int exponent = -kNanoDigits;
  for (; nanos % 1000 == 0 && (exponents || exponent < 18); exponent += 3) nanos /= 1000;
  if (!exponents) return print(nanos, kSuffixes[3 + exponent / 3].name);
  return print(nanos, exponent == 0 ? "" : "e" + std::to_string(exponent));
}

Int128 saturated(Int128 nanos) { return std::clamp(nanos, -kMaxNanos, kMaxNanos); }

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  TRY_ASSIGN(const Parts parts, split(text));
  TRY_ASSIGN(const Suffix suffix, interpret(parts.suffix));
  Quantity quantity;
  quantity.nanos_ = to_nanos(parts, suffix);
  quantity.format_ = suffix.format;
  const bool keeps = quantity.nanos_ != 0 && keeps_spelling(parts, suffix, quantity.nanos_);
  if (suffix.format == kBinary && quantity.nanos_ < power_of_ten(kNanoDigits)) quantity.format_ = kSi;
  if (parts.negative) quantity.nanos_ = -quantity.nanos_;
  if (keeps && canonical(quantity.nanos_, quantity.format_) != text) quantity.spelling_ = std::string(text);
  return quantity;
}

Quantity Quantity::of(int64_t value, Format format) {
  Quantity quantity;
  quantity.nanos_ = Int128(value) * power_of_ten(kNanoDigits);
  quantity.format_ = format;
  return quantity;
}

Quantity Quantity::of_milli(int64_t milli, Format format) {
  Quantity quantity;
  quantity.nanos_ = Int128(milli) * power_of_ten(kNanoDigits - 3);
  quantity.format_ = format;
  return quantity;
}

int64_t Quantity::scaled(int exponent) const {
  const Int128 unit = power_of_ten(kNanoDigits + exponent);
  Int128 value = nanos_ / unit;
  if (nanos_ % unit != 0) value += nanos_ > 0 ? 1 : -1;
  return static_cast<int64_t>(std::clamp<Int128>(value, std::numeric_limits<int64_t>::min(), kMaxInt64));
}

double Quantity::to_double() const { return static_cast<double>(nanos_) / 1e9; }

std::string Quantity::to_string() const { return spelling_ ? *spelling_ : canonical(nanos_, format_); }

Quantity& Quantity::operator+=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = saturated(nanos_ + other.nanos_);
  spelling_.reset();
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = saturated(nanos_ - other.nanos_);
  spelling_.reset();
  return *this;
}

Quantity Quantity::operator-() const {
  Quantity negated = *this;
  negated.nanos_ = -nanos_;
  negated.spelling_.reset();
  return negated;
}

}  // namespace trireme
