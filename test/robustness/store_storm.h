#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// What the writer under fire and its judge agree on.
namespace trireme::robustness {

/// A value of a given length from which its key, its number and every lost or mixed byte can be told.
inline std::string storm_value(std::string_view key, uint64_t number, std::size_t length) {
  std::string value = std::string(key) + "#" + std::to_string(number) + "#" + std::to_string(length) + "#";
  uint64_t state = number * 0x9E3779B97F4A7C15u + key.size() + length;
  while (value.size() < length) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value.push_back(static_cast<char>(state >> 56));
  }
  return value;
}

/// True when `value` is a whole value that was written to `key`; sets its number.
inline bool check_storm_value(std::string_view key, std::string_view value, uint64_t& number) {
  std::size_t first = key.size();
  if (!value.starts_with(key) || value.size() <= first || value[first] != '#') return false;
  std::size_t second = value.find('#', first + 1);
  if (second == std::string_view::npos) return false;
  std::size_t third = value.find('#', second + 1);
  if (third == std::string_view::npos) return false;
  number = std::strtoull(std::string(value.substr(first + 1, second - first - 1)).c_str(), nullptr, 10);
  auto length = std::strtoull(std::string(value.substr(second + 1, third - second - 1)).c_str(), nullptr, 10);
  return value == storm_value(key, number, length);
}

}  // namespace trireme::robustness
