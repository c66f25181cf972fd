#pragma once

#include <memory>
#include <string>
#include <utility>

namespace trireme {

/// Immutable bytes that many owners share: an object's encoding written to many watchers and lists.
using SharedBytes = std::shared_ptr<const std::string>;

inline SharedBytes share(std::string bytes) { return std::make_shared<const std::string>(std::move(bytes)); }

}  // namespace trireme
