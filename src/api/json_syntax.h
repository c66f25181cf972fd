#pragma once

#include <string_view>

namespace trireme::api {

/// Whether `text` is exactly one well-formed JSON value, not nested too deeply for this project's parsers.
bool is_json(std::string_view text);

}  // namespace trireme::api
