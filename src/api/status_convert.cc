#include "api/status_convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "api/codec.h"
#include "api/types/metav1.h"

namespace trireme::api {
namespace {

StatusDetails details_of(const GroupResource& about, std::string_view name, int retry_after_seconds = 0) {
  StatusDetails details;
  details.name = name;
  details.group = about.group;
  details.kind = about.resource;
  details.retry_after_seconds = retry_after_seconds;
  return details;
}

std::string qualified(std::string_view name, std::string_view group) {
  return group.empty() ? std::string(name) : fmt::format("{}.{}", name, group);
}

StatusDetails retry_after(int seconds) {
  StatusDetails details;
  details.retry_after_seconds = seconds;
  return details;
}

}  // namespace

std::string GroupResource::to_string() const { return qualified(resource, group); }

std::string go_quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\a':
        out += "\\a";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\v':
        out += "\\v";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

Status not_found(GroupResource about, std::string_view name) {
  return {Reason::kNotFound, fmt::format("{} {} not found", about.to_string(), go_quote(name)),
          details_of(about, name)};
}

Status already_exists(GroupResource about, std::string_view name) {
  return {Reason::kAlreadyExists, fmt::format("{} {} already exists", about.to_string(), go_quote(name)),
          details_of(about, name)};
}

Status generate_name_conflict(GroupResource about, std::string_view name, int retry_after_seconds) {
  return {Reason::kAlreadyExists,
          fmt::format("{} {} already exists, the server was not able to generate a unique name for the object",
                      about.to_string(), go_quote(name)),
          details_of(about, name, retry_after_seconds)};
}

Status conflict(GroupResource about, std::string_view name, std::string_view why) {
  return {Reason::kConflict,
          fmt::format("Operation cannot be fulfilled on {} {}: {}", about.to_string(), go_quote(name), why),
          details_of(about, name)};
}

Status forbidden(GroupResource about, std::string_view name, std::string_view why) {
  std::string subject = about.to_string();
  if (!subject.empty() && !name.empty()) subject += " " + go_quote(name);
  std::string message =
      subject.empty() ? fmt::format("forbidden: {}", why) : fmt::format("{} is forbidden: {}", subject, why);
  return {Reason::kForbidden, std::move(message), details_of(about, name)};
}

Status unauthorized(std::string_view why) { return {Reason::kUnauthorized, std::string(why)}; }

Status invalid(std::string_view group, std::string_view kind, std::string_view name, std::vector<StatusCause> causes) {
  std::vector<std::string> messages;
  for (const StatusCause& cause : causes) {
    std::string message = fmt::format("{}: {}", cause.field, cause.message);
    if (std::find(messages.begin(), messages.end(), message) == messages.end()) messages.push_back(std::move(message));
  }
  std::string text = fmt::format("{} {} is invalid", qualified(kind, group), go_quote(name));
  if (messages.size() == 1) text += ": " + messages.front();
  if (messages.size() > 1) text += fmt::format(": [{}]", fmt::join(messages, ", "));
  StatusDetails details = details_of({group, kind}, name);
  details.causes = std::move(causes);
  return {Reason::kInvalid, std::move(text), std::move(details)};
}

Status method_not_supported(GroupResource about, std::string_view action) {
  return {Reason::kMethodNotAllowed,
          fmt::format("{} is not supported on resources of kind {}", action, go_quote(about.to_string())),
          details_of(about, "")};
}

Status expired(std::string_view message) { return {Reason::kExpired, std::string(message)}; }
Status gone(std::string_view message) { return {Reason::kGone, std::string(message)}; }

Status too_old_resource_version(uint64_t requested, uint64_t oldest) {
  return expired(fmt::format("too old resource version: {} ({})", requested, oldest));
}

Status too_many_requests(std::string_view message, int retry_after_seconds) {
  return {Reason::kTooManyRequests, std::string(message), retry_after(retry_after_seconds)};
}

Status server_timeout(GroupResource about, std::string_view operation, int retry_after_seconds) {
  return {Reason::kServerTimeout,
          fmt::format("The {} operation against {} could not be completed at this time, please try again.", operation,
                      about.to_string()),
          details_of(about, operation, retry_after_seconds)};
}

Status request_timeout(std::string_view message, int retry_after_seconds) {
  return {Reason::kTimeout, fmt::format("Timeout: {}", message), retry_after(retry_after_seconds)};
}

Status request_entity_too_large(std::string_view message) {
  return {Reason::kRequestEntityTooLarge, fmt::format("Request entity too large: {}", message)};
}

Status internal_error(std::string_view message) {
  StatusDetails details;
  details.causes.push_back({"", std::string(message), ""});
  return {Reason::kInternalError, fmt::format("Internal error occurred: {}", message), std::move(details)};
}

Status server_response(int code, std::string_view verb, GroupResource about, std::string_view name,
                       std::string_view body, int retry_after_seconds) {
  Reason reason = Reason::kUnknown;
  std::string message =
      fmt::format("the server responded with the status code {} but did not return more information", code);
  switch (code) {
    case 400:
      reason = Reason::kBadRequest;
      message = "the server rejected our request for an unknown reason";
      break;
    case 401:
      reason = Reason::kUnauthorized;
      message = "the server has asked for the client to provide credentials";
      break;
    case 403:
      reason = Reason::kForbidden;
      message = body;
      break;
    case 404:
      reason = Reason::kNotFound;
      message = "the server could not find the requested resource";
      break;
    case 405:
      reason = Reason::kMethodNotAllowed;
      message = "the server does not allow this method on the requested resource";
      break;
    case 406:
      reason = Reason::kNotAcceptable;
      message = body.empty() || body == "unknown"
                    ? "the server was unable to respond with a content type that the client supports"
                    : std::string(body);
      break;
    case 409:
      reason = verb == "POST" ? Reason::kAlreadyExists : Reason::kConflict;
      message = "the server reported a conflict";
      break;
    case 415:
      reason = Reason::kUnsupportedMediaType;
      message = body;
      break;
    case 422:
      reason = Reason::kInvalid;
      message = "the server rejected our request due to an error in our request";
      break;
    case 429:
      reason = Reason::kTooManyRequests;
      message = "the server has received too many requests and has asked us to try again later";
      break;
    case 503:
      reason = Reason::kServiceUnavailable;
      message = "the server is currently unable to handle the request";
      break;
    case 504:
      reason = Reason::kTimeout;
      message =
          "the server was unable to return a response in the time allotted, but may still be processing the request";
      break;
    default:
      if (code >= 500) {
        reason = Reason::kInternalError;
        message = fmt::format("an error on the server ({}) has prevented the request from succeeding", go_quote(body));
      }
  }
  std::string verb_lower(verb);
  std::transform(verb_lower.begin(), verb_lower.end(), verb_lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (!about.resource.empty() && !name.empty()) {
    message = fmt::format("{} ({} {} {})", message, verb_lower, about.to_string(), name);
  } else if (!about.resource.empty()) {
    message = fmt::format("{} ({} {})", message, verb_lower, about.to_string());
  }
  StatusDetails details = details_of(about, name, retry_after_seconds);
  if (!body.empty()) details.causes.push_back({"UnexpectedServerResponse", std::string(body.substr(0, 4096)), ""});
  return Status(reason, std::move(message), std::move(details)).with_code(code);
}

metav1::Status to_metav1(const Status& status) {
  metav1::Status wire;
  wire.code = status.code();
  if (status.ok()) {
    wire.status = "Success";
    return wire;
  }
  wire.status = "Failure";
  wire.message = status.message();
  wire.reason = trireme::to_string(status.reason());
  const StatusDetails& details = status.details();
  if (!details.name.empty() || !details.group.empty() || !details.kind.empty() || !details.uid.empty() ||
      !details.causes.empty() || details.retry_after_seconds != 0) {
    metav1::StatusDetails& out = wire.details.emplace();
    out.name = details.name;
    out.group = details.group;
    out.kind = details.kind;
    out.uid = details.uid;
    out.retry_after_seconds = details.retry_after_seconds;
    for (const StatusCause& cause : details.causes) {
      metav1::StatusCause& to = out.causes.emplace_back();
      to.reason = cause.type;
      to.message = cause.message;
      to.field = cause.field;
    }
  } else if (status.is(Reason::kNotFound) || status.is(Reason::kForbidden) || status.is(Reason::kMethodNotAllowed)) {
    wire.details.emplace();  // Upstream prints an empty object for these.
  }
  return wire;
}

Status from_metav1(const metav1::Status& wire) {
  if (wire.status == "Success") return {};
  StatusDetails details;
  if (wire.details) {
    details.name = wire.details->name;
    details.group = wire.details->group;
    details.kind = wire.details->kind;
    details.uid = wire.details->uid;
    details.retry_after_seconds = wire.details->retry_after_seconds;
    for (const metav1::StatusCause& cause : wire.details->causes)
      details.causes.push_back({cause.reason, cause.message, cause.field});
  }
  Status status(reason_from_string(wire.reason), wire.message, std::move(details));
  return wire.code != 0 ? status.with_code(wire.code) : status;
}

std::string status_json(const Status& status) { return encode_json(to_metav1(status)); }

Status parse_status(int code, std::string_view body, std::string_view verb, GroupResource about, std::string_view name,
                    int retry_after_seconds) {
  if (body.starts_with('{')) {
    auto wire = decode_json<metav1::Status>(body);
    if (wire.ok() && wire->status == "Failure") {
      Status status = from_metav1(*wire);
      return wire->code != 0 ? status : status.with_code(code);
    }
  }
  return server_response(code, verb, about, name, body, retry_after_seconds);
}

namespace field_error {
namespace {

std::string with_detail(std::string_view text, std::string_view detail) {
  return detail.empty() ? std::string(text) : fmt::format("{}: {}", text, detail);
}

}  // namespace

StatusCause required(std::string_view field, std::string_view detail) {
  return {"FieldValueRequired", with_detail("Required value", detail), std::string(field)};
}

StatusCause invalid_raw(std::string_view field, std::string_view value, std::string_view detail) {
  return {"FieldValueInvalid", with_detail(fmt::format("Invalid value: {}", value), detail), std::string(field)};
}

StatusCause invalid(std::string_view field, std::string_view value, std::string_view detail) {
  return invalid_raw(field, go_quote(value), detail);
}

StatusCause invalid(std::string_view field, int64_t value, std::string_view detail) {
  return invalid_raw(field, fmt::to_string(value), detail);
}

StatusCause not_supported(std::string_view field, std::string_view value, std::vector<std::string_view> supported) {
  std::vector<std::string> quoted;
  for (std::string_view one : supported) quoted.push_back(go_quote(one));
  std::string detail = quoted.empty() ? "" : fmt::format("supported values: {}", fmt::join(quoted, ", "));
  return {"FieldValueNotSupported", with_detail(fmt::format("Unsupported value: {}", go_quote(value)), detail),
          std::string(field)};
}

StatusCause duplicate(std::string_view field, std::string_view value) {
  return {"FieldValueDuplicate", fmt::format("Duplicate value: {}", go_quote(value)), std::string(field)};
}

StatusCause not_found(std::string_view field, std::string_view value) {
  return {"FieldValueNotFound", fmt::format("Not found: {}", go_quote(value)), std::string(field)};
}

StatusCause forbidden(std::string_view field, std::string_view detail) {
  return {"FieldValueForbidden", with_detail("Forbidden", detail), std::string(field)};
}

StatusCause too_long(std::string_view field, int64_t max_bytes) {
  return {"FieldValueTooLong",
          max_bytes >= 0 ? fmt::format("Too long: may not be more than {} bytes", max_bytes)
                         : "Too long: value is too long",
          std::string(field)};
}

StatusCause too_many(std::string_view field, int64_t actual, int64_t max_items) {
  return {"FieldValueTooMany", fmt::format("Too many: {}: must have at most {} items", actual, max_items),
          std::string(field)};
}

}  // namespace field_error

}  // namespace trireme::api
