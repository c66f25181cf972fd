#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trireme::controllers {

/// The subnets of one size that a range of addresses is cut into, and which of them are taken. Not thread-safe.
class CidrPool {
 public:
  /// Cuts `cidr` (either family) into subnets of `mask` bits. BadRequest when it is no range, when the mask does not
  /// fit in it, or when there would be more than 65,536 subnets.
  static Result<CidrPool> create(std::string_view cidr, int mask);

  /// A subnet that was free, the next after the last one given; nothing when all are taken.
  std::optional<std::string> allocate();
  /// Takes every subnet that `cidr` meets. False when it lies outside of the range.
  bool occupy(std::string_view cidr);
  void release(std::string_view cidr);

  /// As given.
  const std::string& range() const { return range_; }
  bool is_ipv6() const { return ipv6_; }
  size_t size() const { return taken_.size(); }
  size_t taken() const { return count_; }

 private:
  struct Span {
    size_t first;
    size_t last;
  };
  CidrPool() = default;
  std::string subnet(size_t index) const;
  std::optional<Span> span_of(std::string_view cidr) const;
  void set(Span span, bool taken);

  std::string range_;
  bool ipv6_ = false;
  int prefix_ = 0;
  int mask_ = 0;
  std::array<uint8_t, 16> base_{};
  std::vector<bool> taken_;
  size_t count_ = 0;
  size_t next_ = 0;
};

}  // namespace trireme::controllers
