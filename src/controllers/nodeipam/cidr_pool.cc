#include "controllers/nodeipam/cidr_pool.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/ip_address.h"

namespace trireme::controllers {
namespace {

constexpr int kMaxSubnetBits = 16;

struct Range {
  bool ipv6 = false;
  std::array<uint8_t, 16> address{};
  int prefix = 0;
};

bool bit(const std::array<uint8_t, 16>& address, int index) {
  return (address[static_cast<size_t>(index / 8)] >> (7 - index % 8) & 1) != 0;
}

void set_bit(std::array<uint8_t, 16>& address, int index, bool value) {
  const auto mask = static_cast<uint8_t>(1U << (7 - index % 8));
  uint8_t& byte = address[static_cast<size_t>(index / 8)];
  byte = static_cast<uint8_t>(value ? byte | mask : byte & ~mask);
}

/// With the bits behind the prefix cleared.
std::optional<Range> parse(std::string_view cidr) {
  const auto prefix = IpPrefix::parse(cidr);
  if (!prefix) return std::nullopt;
  const IpAddress network = prefix->masked().address;
  return Range{.ipv6 = network.is_ipv6(), .address = network.bytes, .prefix = prefix->length};
}

}  // namespace

Result<CidrPool> CidrPool::create(std::string_view cidr, int mask) {
  const auto range = parse(cidr);
  if (!range) return Status::bad_request(fmt::format("\"{}\" is no range of addresses", cidr));
  const int width = range->ipv6 ? 128 : 32;
  if (mask < range->prefix || mask > width) {
    return Status::bad_request(fmt::format("the node mask /{} does not fit into the cluster's range {}", mask, cidr));
  }
  if (mask - range->prefix > kMaxSubnetBits) {
    return Status::bad_request(
        fmt::format("the cluster's range {} has more than 65536 subnets of the node mask /{}", cidr, mask));
  }
  CidrPool pool;
  pool.range_ = cidr;
  pool.ipv6_ = range->ipv6;
  pool.prefix_ = range->prefix;
  pool.mask_ = mask;
  pool.base_ = range->address;
  pool.taken_.resize(size_t{1} << (mask - range->prefix));
  return pool;
}

std::string CidrPool::subnet(size_t index) const {
  std::array<uint8_t, 16> address = base_;
  for (int i = mask_ - 1; i >= prefix_; --i, index >>= 1) set_bit(address, i, (index & 1) != 0);
  char text[INET6_ADDRSTRLEN];
  inet_ntop(ipv6_ ? AF_INET6 : AF_INET, address.data(), text, sizeof text);
  return fmt::format("{}/{}", text, mask_);
}

std::optional<CidrPool::Span> CidrPool::span_of(std::string_view cidr) const {
  const auto range = parse(cidr);
  if (!range || range->ipv6 != ipv6_) return std::nullopt;
  for (int i = 0; i < std::min(prefix_, range->prefix); ++i) {
    if (bit(range->address, i) != bit(base_, i)) return std::nullopt;
  }
  // A larger range than the pool's own takes all of it, one smaller than a subnet takes that subnet.
  size_t first = 0;
  for (int i = prefix_; i < mask_; ++i) first = first << 1 | (i < range->prefix && bit(range->address, i) ? 1 : 0);
  const int open = mask_ - std::clamp(range->prefix, prefix_, mask_);
  return Span{first, first + (size_t{1} << open) - 1};
}

void CidrPool::set(Span span, bool taken) {
  for (size_t i = span.first; i <= span.last; ++i) {
    if (taken_[i] == taken) continue;
    taken_[i] = taken;
    taken ? ++count_ : --count_;
  }
}

std::optional<std::string> CidrPool::allocate() {
  for (size_t tried = 0; tried < taken_.size(); ++tried) {
    const size_t index = (next_ + tried) % taken_.size();
    if (taken_[index]) continue;
    set({index, index}, true);
    next_ = (index + 1) % taken_.size();
    return subnet(index);
  }
  return std::nullopt;
}

bool CidrPool::occupy(std::string_view cidr) {
  const auto span = span_of(cidr);
  if (!span) return false;
  set(*span, true);
  return true;
}

void CidrPool::release(std::string_view cidr) {
  if (const auto span = span_of(cidr)) set(*span, false);
}

}  // namespace trireme::controllers
