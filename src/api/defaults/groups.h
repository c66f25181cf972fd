#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/defaults/defaults.h"
#include "api/type_info.h"

/// How each group's defaults are found by type, and the helpers they share.
namespace trireme::api::defaults {

struct Defaulter {
  const TypeInfo* type;
  void (*apply)(void* object);
};

template <typename T, void (*Apply)(T&)>
Defaulter defaulter() {
  return {&type_info<T>(), [](void* object) { Apply(*static_cast<T*>(object)); }};
}

inline void set(std::string& field, std::string_view value) {
  if (field.empty()) field = value;
}
inline void set(Box<std::string>& field, std::string_view value) {
  if (!field) field = std::string(value);
}
template <typename T>
requires(!std::is_same_v<T, std::string>) void set(std::optional<T>& field, T value) {
  if (!field) field = value;
}

std::span<const Defaulter> core();
std::span<const Defaulter> workloads();
std::span<const Defaulter> others();

}  // namespace trireme::api::defaults
