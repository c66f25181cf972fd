#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::linux {

/// An Ethernet address.
struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  /// "0a:58:0a:f4:00:01", in either case.
  static std::optional<MacAddress> parse(std::string_view text);
  /// Random, unicast and locally administered.
  static MacAddress random();

  bool empty() const { return *this == MacAddress(); }
  std::string to_string() const;

  auto operator<=>(const MacAddress&) const = default;
};

}  // namespace trireme::linux
