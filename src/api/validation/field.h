#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/status_convert.h"
#include "base/status.h"

/// Field paths and the list of field errors that every validator appends to. The texts are those that clients see in
/// `status.details.causes`, so they follow upstream's word for word.
namespace trireme::api::validation {

/// The path of a field, for example `spec.containers[0].image` or `metadata.annotations[a/b]`. A value type.
class Path {
 public:
  Path() = default;
  explicit Path(std::string_view root) : text_(root) {}

  /// `.a.b` below this path.
  template <std::convertible_to<std::string_view>... Names>
  Path child(const Names&... names) const {
    Path below = *this;
    (below.append_name(names), ...);
    return below;
  }
  Path index(size_t i) const { return Path(text_ + "[" + std::to_string(i) + "]"); }
  Path key(std::string_view name) const { return Path(text_ + "[" + std::string(name) + "]"); }

  const std::string& str() const { return text_; }

 private:
  void append_name(std::string_view name) {
    if (!text_.empty()) text_ += '.';
    text_ += name;
  }

  std::string text_;
};

/// The offending value as an error prints it: strings quoted, numbers and booleans bare.
class BadValue {
 public:
  BadValue(std::string_view text) : text_(go_quote(text)) {}                  // NOLINT: implicit by intent
  BadValue(const std::string& text) : text_(go_quote(text)) {}                // NOLINT
  BadValue(const char* text) : text_(go_quote(text)) {}                       // NOLINT
  BadValue(std::same_as<bool> auto flag) : text_(flag ? "true" : "false") {}  // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool>) BadValue(T number) : text_(std::to_string(number)) {}  // NOLINT
  /// A list of strings, as Go prints a []string.
  BadValue(const std::vector<std::string>& list);  // NOLINT
  /// Printed as it stands (a composite value's JSON, or `null`).
  static BadValue raw(std::string text) {
    BadValue value(false);
    value.text_ = std::move(text);
    return value;
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The values a field may have, in the order in which errors list them. A view: made from an array, or from a braced
/// list within one call.
class Supported {
 public:
  Supported(std::initializer_list<std::string_view> list) : values_(list.begin(), list.size()) {}  // NOLINT
  template <size_t N>
  Supported(const std::string_view (&list)[N]) : values_(list) {}  // NOLINT: implicit by intent
  explicit Supported(std::span<const std::string_view> values) : values_(values) {}
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  bool contains(std::string_view value) const;

 private:
  std::span<const std::string_view> values_;
};

/// Collects field errors in the order found.
class ErrorList {
 public:
  void required(const Path& at, std::string_view detail = {});
  void invalid(const Path& at, const BadValue& value, std::string_view detail);
  /// `invalid` for a value of a wrong type.
  void type_invalid(const Path& at, const BadValue& value, std::string_view detail);
  /// One `invalid` for each message.
  void invalid_each(const Path& at, const BadValue& value, std::span<const std::string> messages);
  void not_supported(const Path& at, const BadValue& value, Supported supported);
  void duplicate(const Path& at, const BadValue& value, std::string_view detail = {});
  void not_found(const Path& at, const BadValue& value, std::string_view detail = {});
  void forbidden(const Path& at, std::string_view detail);
  void too_long(const Path& at, size_t max_bytes);
  void too_many(const Path& at, size_t actual, size_t max_items);
  void internal(const Path& at, std::string_view detail);

  /// `invalid` unless `value` is one of `supported`; an empty value is `required`.
  void check_enum(const Path& at, std::string_view value, Supported supported);

  bool empty() const { return causes_.empty(); }
  size_t size() const { return causes_.size(); }
  void append(ErrorList other);
  const std::vector<StatusCause>& causes() const { return causes_; }
  std::vector<StatusCause> take() { return std::move(causes_); }

 private:
  void add(std::string_view type, const Path& at, std::string message, std::string_view detail);

  std::vector<StatusCause> causes_;
};

inline constexpr std::string_view kImmutable = "field is immutable";
inline constexpr std::string_view kNotNegative = "must be greater than or equal to 0";

}  // namespace trireme::api::validation
