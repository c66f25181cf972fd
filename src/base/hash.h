#pragma once

#include <cstdint>
#include <string_view>

namespace trireme {

/// FNV-1a: the same for the same text in every process and version, so names may be made from it. Not for hostile
/// input.
constexpr uint32_t fnv1a_32(std::string_view text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}
constexpr uint64_t fnv1a_64(std::string_view text) {
  uint64_t hash = 14695981039346656037U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return hash;
}

}  // namespace trireme
