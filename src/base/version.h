#pragma once

#include <string_view>

namespace trireme {

/// What every component says of itself: the Kubernetes release whose API it speaks, marked as Trireme's.
inline constexpr std::string_view kVersion = "v1.32.4+trireme";

}  // namespace trireme
