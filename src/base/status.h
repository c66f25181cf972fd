#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// The `reason` of a metav1.Status, spelled as on the wire by `to_string`.
/// Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
enum class Reason : uint8_t {
  kUnknown,
  kBadRequest,
  kUnauthorized,
  kForbidden,
  kNotFound,
  kAlreadyExists,
  kConflict,
  kGone,
  kInvalid,
  kServerTimeout,
  kStoreReadError,
  kTimeout,
  kTooManyRequests,
  kMethodNotAllowed,
  kNotAcceptable,
  kRequestEntityTooLarge,
  kUnsupportedMediaType,
  kInternalError,
  kExpired,
  kServiceUnavailable,
};

std::string_view to_string(Reason reason);
Reason reason_from_string(std::string_view text);
/// The HTTP status code upstream answers with for `reason` (500 for kUnknown).
int http_code(Reason reason);

/// One field-level cause of an Invalid status. `type` is the wire's `causes[].reason`,
/// e.g. "FieldValueRequired"; `field` is a path such as `spec.containers[0].image`.
struct StatusCause {
  std::string type;
  std::string message;
  std::string field;
};

/// What the status is about; mirrors metav1.StatusDetails.
struct StatusDetails {
  std::string name;
  std::string group;
  std::string kind;
  std::string uid;
  std::vector<StatusCause> causes;
  int32_t retry_after_seconds = 0;
};

/// The outcome of an operation: OK, or a failure that mirrors metav1.Status.
/// An OK status is one null pointer. Copies share the immutable failure; safe to hand between threads.
class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Reason reason, std::string message, StatusDetails details = {});

  static Status bad_request(std::string message) { return {Reason::kBadRequest, std::move(message)}; }
  static Status unauthorized(std::string message) { return {Reason::kUnauthorized, std::move(message)}; }
  static Status not_found(std::string message) { return {Reason::kNotFound, std::move(message)}; }
  static Status internal(std::string message) { return {Reason::kInternalError, std::move(message)}; }
  static Status unavailable(std::string message) { return {Reason::kServiceUnavailable, std::move(message)}; }
  static Status timeout(std::string message) { return {Reason::kTimeout, std::move(message)}; }

  bool ok() const { return failure_ == nullptr; }
  Reason reason() const;
  bool is(Reason reason) const { return !ok() && this->reason() == reason; }
  /// HTTP code: 200 when OK; otherwise `http_code(reason())` unless `with_code` replaced it.
  int code() const;
  const std::string& message() const;
  const StatusDetails& details() const;

  Status with_code(int code) const;
  Status with_details(StatusDetails details) const;
  /// The same failure with "context: " before its message; OK stays OK.
  Status with_context(std::string_view context) const;
  /// For logs: "NotFound: pods "x" not found".
  std::string to_string() const;

 private:
  struct Failure {
    Reason reason;
    int code;
    std::string message;
    StatusDetails details;
  };
  std::shared_ptr<const Failure> failure_;
};

}  // namespace trireme
