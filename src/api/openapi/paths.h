#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/openapi/writer.h"
#include "api/scheme.h"

namespace trireme::api::openapi {

/// Calls `visit` with each path of `resource`, its subresources included, and the path's item as JSON: operations with
/// parameters, bodies, answers and operationIds as upstream names them.
void each_path(const ResourceInfo& resource, Dialect dialect,
               const std::function<void(const std::string& path, const std::string& item)>& visit);

/// The types that subresources of `resource` carry (Scale, Eviction, …), for the document's schemas.
std::vector<const TypeInfo*> subresource_types(const ResourceInfo& resource);

/// "core_v1": the tag of a group and version. "" is called core.
std::string group_version_tag(std::string_view group, std::string_view version);

}  // namespace trireme::api::openapi
