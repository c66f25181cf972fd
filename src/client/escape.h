#pragma once

#include <string>
#include <string_view>

namespace trireme::client {

/// `text` as one segment of a path, or one value of a query, for RawClient::get_path.
std::string escaped(std::string_view text);

}  // namespace trireme::client
