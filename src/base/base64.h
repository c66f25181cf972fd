#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace trireme {

/// RFC 4648 base64 with padding, the form of byte fields in JSON.
std::string base64_encode(std::string_view bytes);
void append_base64(std::string_view bytes, std::string& out);
/// Line breaks are skipped, as Go does; anything else outside the alphabet is BadRequest
/// ("illegal base64 data at input byte N").
Result<std::string> base64_decode(std::string_view text);

}  // namespace trireme
