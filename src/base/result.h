#pragma once

#include <cassert>
#include <optional>
#include <utility>

#include "base/status.h"

namespace trireme {

/// A value, or the Status that tells why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                  // NOLINT: implicit by intent
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT: implicit by intent
  Result(Reason reason, std::string message) : status_(reason, std::move(message)) {}

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }

  T& value() & {
    assert(ok());
    return *value_;
  }
  const T& value() const& {
    assert(ok());
    return *value_;
  }
  T&& value() && {
    assert(ok());
    return std::move(*value_);
  }
  T value_or(T other) && { return ok() ? std::move(*value_) : std::move(other); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace trireme

/// Returns from the enclosing function when `expression` (a Status) is a failure.
#define TRY(expression)                                                                      \
  do {                                                                                       \
    if (::trireme::Status try_status_ = (expression); !try_status_.ok()) return try_status_; \
  } while (false)

#define TRIREME_CONCAT_INNER(a, b) a##b
#define TRIREME_CONCAT(a, b) TRIREME_CONCAT_INNER(a, b)

/// `TRY_ASSIGN(auto pod, decode(bytes));` binds the value or returns the failing Status.
#define TRY_ASSIGN(declaration, expression) \
  TRY_ASSIGN_INNER(TRIREME_CONCAT(try_result_, __LINE__), declaration, expression)
#define TRY_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                             \
  if (!result.ok()) return result.status();               \
  declaration = std::move(result).value()
