#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace trireme::api {

/// A port, percentage or count that may be an integer or a string (intstr.IntOrString). Default: the integer 0.
class IntOrString {
 public:
  IntOrString() = default;
  IntOrString(int32_t value) : int_(value) {}                                  // NOLINT: implicit by intent
  IntOrString(std::string text) : is_string_(true), text_(std::move(text)) {}  // NOLINT: implicit by intent
  IntOrString(const char* text) : IntOrString(std::string(text)) {}            // NOLINT: implicit by intent

  bool is_string() const { return is_string_; }
  bool is_int() const { return !is_string_; }
  /// 0 for strings.
  int32_t int_value() const { return int_; }
  /// Empty for integers.
  const std::string& string_value() const { return text_; }
  /// The text, or the integer in decimal.
  std::string to_string() const { return is_string_ ? text_ : std::to_string(int_); }

  /// An integer as it is; a string must be a percentage ("25%") and gives that part of `total`, rounded up or down.
  /// BadRequest for any other string. Source: intstr.GetScaledValueFromIntOrPercent.
  Result<int32_t> scaled(int32_t total, bool round_up) const;

  friend bool operator==(const IntOrString&, const IntOrString&) = default;

 private:
  bool is_string_ = false;
  int32_t int_ = 0;
  std::string text_;
};

}  // namespace trireme::api
