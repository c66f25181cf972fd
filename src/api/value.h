#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/type_info.h"
#include "base/result.h"

namespace trireme::api {

class Object;

/// One JSON document or a part of it: what patches, custom resources and field paths work on. 40 bytes a node; the
/// members of an object stand in key order, as Go prints maps. A plain value type: copies are deep, and a moved-from
/// value is null. Not synchronised.
class Value {
 public:
  using Array = std::vector<Value>;
  using Map = std::map<std::string, Value, std::less<>>;

  Value() = default;                                            // null
  Value(std::nullptr_t) {}                                      // NOLINT: implicit by intent, as are the next ones
  Value(bool value) : data_(value) {}                           // NOLINT
  Value(int value) : data_(int64_t{value}) {}                   // NOLINT
  Value(int64_t value) : data_(value) {}                        // NOLINT
  Value(double value) : data_(value) {}                         // NOLINT
  Value(std::string value) : data_(std::move(value)) {}         // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}  // NOLINT
  Value(const char* value) : data_(std::string(value)) {}       // NOLINT
  Value(Array value) : data_(std::move(value)) {}               // NOLINT
  Value(Map value) : data_(std::make_unique<Map>(std::move(value))) {}  // NOLINT
  static Value array() { return Array(); }
  static Value object() { return Map(); }

  Value(const Value& other);
  Value& operator=(const Value& other);
  Value(Value&& other) noexcept : data_(std::exchange(other.data_, Data())) {}
  Value& operator=(Value&& other) noexcept;
  ~Value() = default;

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<int64_t>(data_); }
  bool is_double() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_array() const { return std::holds_alternative<Array>(data_); }
  bool is_object() const { return std::holds_alternative<std::unique_ptr<Map>>(data_); }
  /// "null", "bool", "number", "string", "array" or "object".
  std::string_view type_name() const;

  /// The value must be of that type.
  bool as_bool() const { return std::get<bool>(data_); }
  int64_t as_int() const { return std::get<int64_t>(data_); }
  /// Any number.
  double as_double() const { return is_int() ? static_cast<double>(as_int()) : std::get<double>(data_); }
  const std::string& as_string() const { return std::get<std::string>(data_); }
  std::string& as_string() { return std::get<std::string>(data_); }
  const Array& as_array() const { return std::get<Array>(data_); }
  Array& as_array() { return std::get<Array>(data_); }
  const Map& as_object() const { return *std::get<std::unique_ptr<Map>>(data_); }
  Map& as_object() { return *std::get<std::unique_ptr<Map>>(data_); }
  /// The text of a string, else "".
  std::string_view string_or_empty() const { return is_string() ? std::string_view(as_string()) : std::string_view(); }

  /// The member `key`; null when this is no object or has no such member.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }
  /// Follows members by name and elements by decimal index: `at_path({"spec", "containers", "0", "image"})`.
  const Value* at_path(std::initializer_list<std::string_view> path) const;
  /// The member `key`, created as null when missing. A null value becomes an object first; otherwise it must be one.
  Value& operator[](std::string_view key);
  /// Whether the member `key` was there.
  bool erase(std::string_view key);
  void push_back(Value element) { as_array().push_back(std::move(element)); }

  /// Deep equality; numbers compare by value, so 1 equals 1.0.
  bool operator==(const Value& other) const;

 private:
  using Data = std::variant<std::monostate, bool, int64_t, double, std::string, Array, std::unique_ptr<Map>>;
  Data data_;
};
static_assert(sizeof(Value) <= 40);

/// Containers nested deeper than this are refused; no API object comes near it, and a thread's stack bears it in every
/// build.
inline constexpr int kMaxJsonDepth = 200;

/// Whole numbers that fit become int64, every other number double, as Kubernetes' own decoder does; of duplicate
/// members the last wins. BadRequest when it is no JSON, or has anything after the document.
Result<Value> parse_value(std::string_view json);

/// Go's encoding: object members in key order, shortest numbers, HTML characters unescaped.
void append_json(const Value& value, std::string& out);
std::string to_json(const Value& value);
/// `text` as a quoted JSON string. Invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string_view text, std::string& out);
/// A finite number as Go prints a float64: 1, 0.5, 1e+21, 1e-7.
void append_json_double(double number, std::string& out);

/// The object as its JSON would read, and back. from_value reports ill-typed values as BadRequest with the field's
/// path.
Result<Value> to_value(const Object& object);
Result<Value> to_value(const TypeInfo& type, const void* object);
Result<Object> from_value(const TypeInfo& type, const Value& value);

}  // namespace trireme::api
