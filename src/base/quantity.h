#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/box.h"
#include "base/result.h"

namespace trireme {

/// A fixed-point amount with a suffix, as resource.Quantity: "100m", "1536Mi", "1e3". Exact in steps of 10^-9; finer
/// values round up (away from zero), and magnitudes above 10^29 saturate.
/// Canonical text: no fraction, the largest suffix that loses nothing.
/// Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
class Quantity {
 public:
  /// The family of suffixes that the text had and that printing keeps.
  enum class Format : uint8_t { kDecimalSi, kBinarySi, kDecimalExponent };

  Quantity() = default;
  /// BadRequest when `text` is not a quantity, with upstream's message.
  static Result<Quantity> parse(std::string_view text);
  static Quantity of(int64_t value, Format format = Format::kDecimalSi);
  static Quantity of_milli(int64_t milli, Format format = Format::kDecimalSi);

  Format format() const { return format_; }
  bool is_zero() const { return nanos_ == 0; }
  /// -1, 0 or 1.
  int sign() const { return nanos_ < 0 ? -1 : nanos_ > 0 ? 1 : 0; }
  /// In whole units, rounded up (away from zero); saturates at the bounds of int64.
  int64_t value() const { return scaled(0); }
  /// In thousandths, rounded up; saturates.
  int64_t milli_value() const { return scaled(-3); }
  /// In units of 10^`exponent` (-9 to 18), rounded up; saturates.
  int64_t scaled(int exponent) const;
  double to_double() const;
  /// The canonical text. Like upstream, a parsed quantity that needs no shift of its decimals keeps its spelling.
  std::string to_string() const;

  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator-(Quantity a, const Quantity& b) { return a -= b; }
  Quantity operator-() const;

  /// By amount; the format does not matter.
  friend bool operator==(const Quantity& a, const Quantity& b) { return a.nanos_ == b.nanos_; }
  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
    return a.nanos_ < b.nanos_   ? std::strong_ordering::less
           : a.nanos_ > b.nanos_ ? std::strong_ordering::greater
                                 : std::strong_ordering::equal;
  }

 private:
  /// Aligned like its halves, so that a quantity takes 32 bytes: every container has several.
  __extension__ typedef __int128 Int128 __attribute__((aligned(8)));

  Int128 nanos_ = 0;
  Box<std::string> spelling_;  // set when it differs from the canonical text
  Format format_ = Format::kDecimalSi;
};

}  // namespace trireme
