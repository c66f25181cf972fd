#pragma once

#include <string>
#include <string_view>

#include "apiserver/http/context.h"

namespace trireme::apiserver {

inline constexpr std::string_view kJsonMedia = "application/json";

/// The JSON of /version.
std::string version_document();

/// /openapi/v2 and /openapi/v3; false when the path is none of them.

}  // namespace trireme::apiserver
