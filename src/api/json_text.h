#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Writing JSON values as Go's encoding/json does.
namespace trireme::api {

/// A quoted string as the API server sends it: <, > and & are escaped too (append_json_string of api/value.h leaves
/// them); broken UTF-8 becomes U+FFFD.
void append_escaped_string(std::string_view text, std::string& out);
void append_json_integer(int64_t value, std::string& out);

}  // namespace trireme::api
