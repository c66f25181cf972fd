#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::policy {

enum class Family : uint8_t { kIpv4, kIpv6 };

/// An IPv4 or IPv6 address; IPv4 stands in the first four bytes. Ordered as numbers within a family.
struct Address {
  Family family = Family::kIpv4;
  std::array<uint8_t, 16> bytes{};

  size_t size() const { return family == Family::kIpv4 ? 4 : 16; }
  std::string to_string() const;
  auto operator<=>(const Address&) const = default;

  /// Empty for anything but one address.
  static std::optional<Address> parse(std::string_view text);
};

struct AddressHash {
  size_t operator()(const Address& address) const;
};

/// All addresses from `first` to `last`, both included and of one family.
struct AddressRange {
  Address first;
  Address last;
  auto operator<=>(const AddressRange&) const = default;

  bool contains(const Address& address) const { return first <= address && address <= last; }
  /// "10.0.0.0/8"; bits behind the prefix are ignored. Empty for anything else.
  static std::optional<AddressRange> parse_cidr(std::string_view cidr);
  /// Every address of the family.
  static AddressRange all(Family family);
};

/// The same addresses as sorted ranges that neither overlap nor touch.
std::vector<AddressRange> united(std::vector<AddressRange> ranges);

/// `ranges` without the addresses of `except`; both may be in any order. The result is united.
std::vector<AddressRange> subtracted(std::vector<AddressRange> ranges, std::vector<AddressRange> except);

}  // namespace trireme::policy
