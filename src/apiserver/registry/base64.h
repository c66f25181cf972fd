#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trireme::apiserver {

/// The URL alphabet without padding, as continue tokens use it.
std::string base64url_encode(std::string_view bytes);
/// Nothing when it is malformed.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace trireme::apiserver
