#pragma once

#include <string_view>
#include <vector>

#include "api/object.h"
#include "base/status.h"

/// Upstream's v1.32 validation of every served kind. Objects must have been defaulted and prepared (names generated,
/// status cleared) before. Stateless and thread-safe; empty results mean valid. The Status around the causes comes from
/// api::invalid (status_convert.h).
namespace trireme::api::validation {

std::vector<StatusCause> validate_create(const Object& object);
/// Both of the same type.
std::vector<StatusCause> validate_update(const Object& updated, const Object& old);
/// `subresource`: "status", or "ephemeralcontainers", "resize" (pods), "finalize" (namespaces), "approval" (CSRs),
/// "binding" is a create of a Binding. Others are checked as updates.
std::vector<StatusCause> validate_subresource_update(const Object& updated, const Object& old,
                                                     std::string_view subresource);

}  // namespace trireme::api::validation
