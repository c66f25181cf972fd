#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trireme::apiserver {

/// A range of cluster IPs, of either family.
class ServiceRange {
 public:
  /// "10.96.0.0/16" (/8 to /30) or "fd00::/112" (/64 to /126; of more than 65,536 addresses the first ones are used, as
  /// upstream has it). BadRequest otherwise.
  static Result<ServiceRange> parse(std::string_view cidr);

  bool is_v6() const { return v6_; }
  /// "IPv4" or "IPv6".
  std::string family() const;
  /// The range as it was given, without host bits.
  std::string to_string() const;
  /// Usable addresses, which have the offsets 1 to `count()`: all but the network's own and IPv4's broadcast address.
  uint32_t count() const { return count_; }
  std::string address(uint32_t offset) const;
  /// Nothing for what is no usable address of the range.
  std::optional<uint32_t> offset_of(std::string_view address) const;

  /// The way in which all texts of one address are written; empty for what is none.
  static std::string canonical(std::string_view address);

 private:
  using Bytes = std::array<uint8_t, 16>;  ///< IPv4 has the last four.
  static std::optional<Bytes> read(std::string_view address, bool v6);

  Bytes base_{};
  bool v6_ = false;
  int bits_ = 0;
  uint32_t count_ = 0;
};

}  // namespace trireme::apiserver
