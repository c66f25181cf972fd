#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace trireme {

/// What a text of type `T` is made from, other than another one: a literal, a string_view.
template <typename U, typename T>
concept TextOf = std::is_same_v<T, std::string> && std::is_convertible_v<const U&, std::string_view> &&
    !std::is_same_v<U, std::string>;

/// What a box is compared with by its value.
template <typename U, typename B>
concept OtherThan = !std::is_same_v<U, B> && !std::is_same_v<U, std::nullopt_t>;

/// An optional value on the heap that copies deeply: Go's pointer to a struct or a string. The interface is
/// std::optional's; what is absent takes a pointer's place only. `T` may be incomplete where a Box is declared, so
/// types can contain themselves.
template <typename T>
class Box {
 public:
  Box() = default;
  Box(std::nullopt_t) {}                                           // NOLINT: implicit by intent
  Box(T value) : value_(std::make_unique<T>(std::move(value))) {}  // NOLINT: implicit by intent
  template <TextOf<T> U>
  Box(const U& text) : value_(std::make_unique<T>(std::string_view(text))) {}  // NOLINT: implicit by intent
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&& other) noexcept = default;
  Box& operator=(const Box& other) {
    if (this == &other) return *this;
    if (value_ && other.value_) {
      *value_ = *other.value_;
    } else {
      value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    }
    return *this;
  }
  Box& operator=(Box&& other) noexcept = default;
  Box& operator=(T value) {
    value_ = std::make_unique<T>(std::move(value));
    return *this;
  }

  template <TextOf<T> U>
  Box& operator=(const U& text) {
    return *this = T(std::string_view(text));
  }

  bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return value_ != nullptr; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  /// Null when empty.
  T* get() { return value_.get(); }
  const T* get() const { return value_.get(); }

  /// Replaces the content by a value made from `arguments`.
  template <typename... Arguments>
  T& emplace(Arguments&&... arguments) {
    value_ = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *value_;
  }
  template <typename U>
  T value_or(U&& fallback) const {
    return value_ ? *value_ : static_cast<T>(std::forward<U>(fallback));
  }
  /// The value, default-made first when there is none.
  T& ensure() { return value_ ? *value_ : emplace(); }
  void reset() { value_.reset(); }

  friend bool operator==(const Box& a, const Box& b) {
    return a.value_ && b.value_ ? *a.value_ == *b.value_ : a.value_ == b.value_;
  }
  friend bool operator==(const Box& a, std::nullopt_t) { return !a.value_; }
  template <OtherThan<Box> U>
  friend bool operator==(const Box& a, const U& b) {
    return a.value_ && *a.value_ == b;
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace trireme
