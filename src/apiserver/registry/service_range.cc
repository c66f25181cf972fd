#include "apiserver/registry/service_range.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/types/corev1.h"

namespace trireme::apiserver {
namespace {

constexpr uint32_t kMostAddresses = 65536;  // of IPv6

std::string write(const std::array<uint8_t, 16>& bytes, bool v6) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data() + (v6 ? 0 : 12), text.data(), text.size());
  return text.data();
}

}  // namespace

std::optional<ServiceRange::Bytes> ServiceRange::read(std::string_view address, bool v6) {
  Bytes bytes{};
  const std::string text(address);
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data() + (v6 ? 0 : 12)) != 1) return std::nullopt;
  return bytes;
}

Result<ServiceRange> ServiceRange::parse(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  ServiceRange range;
  range.v6_ = cidr.find(':') != std::string_view::npos;
  const int width = range.v6_ ? 128 : 32;
  const auto base = read(cidr.substr(0, slash), range.v6_);
  bool good = base && slash != std::string_view::npos;
  if (good) {
    const char* end = cidr.data() + cidr.size();
    const auto [rest, error] = std::from_chars(cidr.data() + slash + 1, end, range.bits_);
    good = error == std::errc() && rest == end && range.bits_ >= (range.v6_ ? 64 : 8) && range.bits_ <= width - 2;
  }
  if (!good) {
    return Status::bad_request(
        fmt::format("\"{}\" is no service range: IPv4 between /8 and /30, or IPv6 between /64 and /126", cidr));
  }
  range.base_ = *base;
  const int host_bits = width - range.bits_;
  for (int bit = 0; bit < host_bits; ++bit) range.base_[15 - bit / 8] &= static_cast<uint8_t>(~(1u << bit % 8));
  const uint32_t size = range.v6_ && host_bits > 16 ? kMostAddresses : uint32_t{1} << host_bits;
  range.count_ = size - (range.v6_ ? 1 : 2);
  return range;
}

std::string ServiceRange::family() const {
  return std::string(v6_ ? api::corev1::kIPv6Protocol : api::corev1::kIPv4Protocol);
}

std::string ServiceRange::to_string() const { return fmt::format("{}/{}", write(base_, v6_), bits_); }

std::string ServiceRange::address(uint32_t offset) const {
  // The range's host bits are zero, and no offset is larger than they allow.
  Bytes bytes = base_;
  for (int i = 0; i < 4; ++i) bytes[15 - i] |= static_cast<uint8_t>(offset >> (8 * i));
  return write(bytes, v6_);
}

std::optional<uint32_t> ServiceRange::offset_of(std::string_view address) const {
  const auto bytes = read(address, v6_);
  if (!bytes) return std::nullopt;
  uint32_t offset = 0;
  for (size_t i = 0; i < bytes->size(); ++i) {
    const auto difference = static_cast<uint8_t>((*bytes)[i] ^ base_[i]);
    // What differs must be host bits; whether it is too much shows at the end.
    if (((*bytes)[i] & base_[i]) != base_[i] || (i < 12 && difference != 0)) return std::nullopt;
    if (i >= 12) offset = offset << 8 | difference;
  }
  if (offset < 1 || offset > count_) return std::nullopt;
  return offset;
}

std::string ServiceRange::canonical(std::string_view address) {
  const bool v6 = address.find(':') != std::string_view::npos;
  const auto bytes = read(address, v6);
  return bytes ? write(*bytes, v6) : std::string();
}

}  // namespace trireme::apiserver
