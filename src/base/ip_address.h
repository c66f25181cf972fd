#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme {

/// An IPv4 or IPv6 address, or none. Orders by family, then as the network does.
struct IpAddress {
  uint8_t family = 0;               ///< AF_INET, AF_INET6, or 0: none.
  std::array<uint8_t, 16> bytes{};  ///< In network order; IPv4 uses the first four.

  /// "10.1.2.3", "fd00::1"; no zones.
  static std::optional<IpAddress> parse(std::string_view text);
  /// The first `size` bytes (4 or 16); none for another size.
  static IpAddress from_bytes(const void* data, size_t size);

  bool empty() const { return family == 0; }
  bool is_ipv6() const;
  /// Bytes of an address of this family: 0, 4 or 16.
  size_t size() const;
  int bits() const { return static_cast<int>(size()) * 8; }
  /// "" for none.
  std::string to_string() const;
  /// The address `offset` further; wraps around at the family's end.
  IpAddress plus(uint64_t offset) const;

  auto operator<=>(const IpAddress&) const = default;
};

/// An address with a prefix length: a network, or an interface's address.
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;

  /// "10.244.0.0/16"; bits behind the prefix stay as they are.
  static std::optional<IpPrefix> parse(std::string_view text);
  /// The address alone: /32 or /128.
  static IpPrefix host(const IpAddress& address);

  bool empty() const { return address.empty(); }
  /// With the bits behind the prefix cleared: the network.
  IpPrefix masked() const;
  /// The network's last address: all bits behind the prefix set.
  IpAddress last() const;
  bool contains(const IpAddress& other) const;
  bool contains(const IpPrefix& other) const { return other.length >= length && contains(other.address); }
  bool overlaps(const IpPrefix& other) const { return contains(other) || other.contains(*this); }
  /// The network of the same length behind this one; wraps around at the family's end.
  IpPrefix next() const;
  std::string to_string() const;

  auto operator<=>(const IpPrefix&) const = default;
};

}  // namespace trireme
