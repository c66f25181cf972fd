#include "base/status.h"

#include <array>
#include <utility>

namespace trireme {
namespace {

struct ReasonRow {
  Reason reason;
  std::string_view text;
  int code;
};

constexpr std::array<ReasonRow, 20> kReasons{{
    {Reason::kUnknown, "", 500},
    {Reason::kBadRequest, "BadRequest", 400},
    {Reason::kUnauthorized, "Unauthorized", 401},
    {Reason::kForbidden, "Forbidden", 403},
    {Reason::kNotFound, "NotFound", 404},
    {Reason::kAlreadyExists, "AlreadyExists", 409},
    {Reason::kConflict, "Conflict", 409},
    {Reason::kGone, "Gone", 410},
    {Reason::kInvalid, "Invalid", 422},
    {Reason::kServerTimeout, "ServerTimeout", 500},
    {Reason::kStoreReadError, "StorageReadError", 500},
    {Reason::kTimeout, "Timeout", 504},
    {Reason::kTooManyRequests, "TooManyRequests", 429},
    {Reason::kMethodNotAllowed, "MethodNotAllowed", 405},
    {Reason::kNotAcceptable, "NotAcceptable", 406},
    {Reason::kRequestEntityTooLarge, "RequestEntityTooLarge", 413},
    {Reason::kUnsupportedMediaType, "UnsupportedMediaType", 415},
    {Reason::kInternalError, "InternalError", 500},
    {Reason::kExpired, "Expired", 410},
    {Reason::kServiceUnavailable, "ServiceUnavailable", 503},
}};

const ReasonRow& row(Reason reason) {
  for (const ReasonRow& candidate : kReasons) {
    if (candidate.reason == reason) return candidate;
  }
  return kReasons[0];
}

}  // namespace

std::string_view to_string(Reason reason) { return row(reason).text; }

Reason reason_from_string(std::string_view text) {
  for (const ReasonRow& candidate : kReasons) {
    if (candidate.text == text) return candidate.reason;
  }
  return Reason::kUnknown;
}

int http_code(Reason reason) { return row(reason).code; }

Status::Status(Reason reason, std::string message, StatusDetails details)
    : failure_(std::make_shared<Failure>(Failure{reason, http_code(reason), std::move(message), std::move(details)})) {}

Reason Status::reason() const { return failure_ ? failure_->reason : Reason::kUnknown; }

int Status::code() const { return failure_ ? failure_->code : 200; }

const std::string& Status::message() const {
  static const std::string empty;
  return failure_ ? failure_->message : empty;
}

const StatusDetails& Status::details() const {
  static const StatusDetails empty;
  return failure_ ? failure_->details : empty;
}

Status Status::with_code(int code) const {
  if (ok()) return *this;
  Failure changed = *failure_;
  changed.code = code;
  Status result;
  result.failure_ = std::make_shared<Failure>(std::move(changed));
  return result;
}

Status Status::with_details(StatusDetails details) const {
  if (ok()) return *this;
  Failure changed = *failure_;
  changed.details = std::move(details);
  Status result;
  result.failure_ = std::make_shared<Failure>(std::move(changed));
  return result;
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return *this;
  Failure changed = *failure_;
  changed.message = std::string(context) + ": " + changed.message;
  Status result;
  result.failure_ = std::make_shared<Failure>(std::move(changed));
  return result;
}

std::string Status::to_string() const {
  if (ok()) return "OK";
  std::string_view reason = trireme::to_string(failure_->reason);
  return std::string(reason.empty() ? "Unknown" : reason) + ": " + failure_->message;
}

}  // namespace trireme
