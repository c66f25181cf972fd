#pragma once

#include <string_view>

namespace trireme::api::structural {

/// What every resource has, whether its schema says so or not.
inline bool is_resource_member(std::string_view name) {
  return name == "apiVersion" || name == "kind" || name == "metadata";
}

}  // namespace trireme::api::structural
