#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "base/result.h"

/// Failures in the words and with the details of upstream's API errors, and their form on the wire.
/// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
namespace trireme::api {

namespace metav1 {
struct Status;
}

/// What an error is about: "deployments.apps".
struct GroupResource {
  std::string_view group;
  std::string_view resource;

  GroupResource(std::string_view group, std::string_view resource) : group(group), resource(resource) {}
  GroupResource(const ResourceInfo& info) : group(info.group), resource(info.resource) {}  // NOLINT: implicit by intent
  std::string to_string() const;
};

/// `text` as Go's %q prints it.
std::string go_quote(std::string_view text);

Status not_found(GroupResource about, std::string_view name);
Status already_exists(GroupResource about, std::string_view name);
/// The server could not find a free name for a generateName.
Status generate_name_conflict(GroupResource about, std::string_view name, int retry_after_seconds = 1);
inline constexpr std::string_view kObjectModified =
    "the object has been modified; please apply your changes to the latest version and try again";
Status conflict(GroupResource about, std::string_view name, std::string_view why = kObjectModified);
Status forbidden(GroupResource about, std::string_view name, std::string_view why);
Status unauthorized(std::string_view why = "Unauthorized");
/// `kind` with its group: "Deployment" in "apps". Causes carry the message without the field.
Status invalid(std::string_view group, std::string_view kind, std::string_view name, std::vector<StatusCause> causes);
Status method_not_supported(GroupResource about, std::string_view action);
Status expired(std::string_view message);
Status gone(std::string_view message);
/// The requested resource version lies before the oldest kept one: `too old resource version: 5 (17)`.
Status too_old_resource_version(uint64_t requested, uint64_t oldest);
Status too_many_requests(std::string_view message, int retry_after_seconds);
Status server_timeout(GroupResource about, std::string_view operation, int retry_after_seconds);
Status request_timeout(std::string_view message, int retry_after_seconds);
Status request_entity_too_large(std::string_view message);
Status internal_error(std::string_view message);
/// What a client makes of an answer that is no Status.
Status server_response(int code, std::string_view verb, GroupResource about, std::string_view name,
                       std::string_view body, int retry_after_seconds);

metav1::Status to_metav1(const Status& status);
/// OK when it says Success.
Status from_metav1(const metav1::Status& status);
/// The JSON body of a failing answer.
std::string status_json(const Status& status);
/// The body of a failed answer to a client's request: a Status if it is one, else by server_response.
Status parse_status(int code, std::string_view body, std::string_view verb, GroupResource about, std::string_view name,
                    int retry_after_seconds = 0);

/// Causes of `invalid`, named as upstream's field errors.
namespace field_error {
StatusCause required(std::string_view field, std::string_view detail = "");
/// `value` as it is shown: strings in Go quotes (see the overload), numbers and booleans plain.
StatusCause invalid_raw(std::string_view field, std::string_view value, std::string_view detail);
StatusCause invalid(std::string_view field, std::string_view value, std::string_view detail);
StatusCause invalid(std::string_view field, int64_t value, std::string_view detail);
StatusCause not_supported(std::string_view field, std::string_view value, std::vector<std::string_view> supported);
StatusCause duplicate(std::string_view field, std::string_view value);
StatusCause not_found(std::string_view field, std::string_view value);
StatusCause forbidden(std::string_view field, std::string_view detail);
StatusCause too_long(std::string_view field, int64_t max_bytes);
StatusCause too_many(std::string_view field, int64_t actual, int64_t max_items);
}  // namespace field_error

}  // namespace trireme::api
