#pragma once

#include "api/openapi/openapi.h"
#include "api/openapi/schemas.h"

namespace trireme::api::openapi {

/// The schemas of a custom kind and of its lists: the definition's, with what every resource has. For version 2 without
/// what that does not know (alternatives and nullable values).
void add_custom_schemas(const CustomSchema& custom, Dialect dialect, SchemaSet& schemas);

}  // namespace trireme::api::openapi
