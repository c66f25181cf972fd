#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ip_address.h"

namespace trireme::policy {

using Address = IpAddress;

enum class Family : uint8_t { kIpv4, kIpv6 };

inline Family family_of(const Address& address) { return address.is_ipv6() ? Family::kIpv6 : Family::kIpv4; }

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
