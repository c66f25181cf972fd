#include "base/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

namespace trireme {
namespace {

/// The byte of a mask of `length` bits at `index`.
uint8_t mask_byte(int length, size_t index) {
  const int bits = length - static_cast<int>(index) * 8;
  if (bits >= 8) return 0xff;
  return bits <= 0 ? 0 : static_cast<uint8_t>(0xff << (8 - bits));
}

/// Adds 2^(`shift`) to the address.
void add_bit(IpAddress& address, int shift) {
  int carry = 1 << (shift % 8);
  for (int i = static_cast<int>(address.size()) - 1 - shift / 8; i >= 0 && carry != 0; --i) {
    const int sum = address.bytes[static_cast<size_t>(i)] + carry;
    address.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(sum);
    carry = sum >> 8;
  }
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  IpAddress result;
  const std::string copy(text);
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, copy.c_str(), result.bytes.data()) != 1) continue;
    result.family = static_cast<uint8_t>(family);
    return result;
  }
  return std::nullopt;
}

IpAddress IpAddress::from_bytes(const void* data, size_t size) {
  IpAddress result;
  if (size != 4 && size != 16) return result;
  result.family = size == 4 ? AF_INET : AF_INET6;
  std::memcpy(result.bytes.data(), data, size);
  return result;
}

bool IpAddress::is_ipv6() const { return family == AF_INET6; }

size_t IpAddress::size() const { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

std::string IpAddress::to_string() const {
  if (empty()) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(family, bytes.data(), text.data(), text.size());
}

IpAddress IpAddress::plus(uint64_t offset) const {
  IpAddress result = *this;
  for (int bit = 0; bit < 64 && offset != 0; ++bit, offset >>= 1) {
    if ((offset & 1) != 0 && bit < bits()) add_bit(result, bit);
  }
  return result;
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  IpPrefix result{*address, 0};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, result.length);
  if (error != std::errc() || rest != end || result.length > address->bits()) return std::nullopt;
  return result;
}

IpPrefix IpPrefix::host(const IpAddress& address) { return {address, static_cast<uint8_t>(address.bits())}; }

IpPrefix IpPrefix::masked() const {
  IpPrefix result = *this;
  for (size_t i = 0; i < result.address.bytes.size(); ++i) result.address.bytes[i] &= mask_byte(length, i);
  return result;
}

IpAddress IpPrefix::last() const {
  IpAddress result = address;
  for (size_t i = 0; i < result.size(); ++i) result.bytes[i] |= static_cast<uint8_t>(~mask_byte(length, i));
  return result;
}

bool IpPrefix::contains(const IpAddress& other) const {
  return !empty() && other.family == address.family && IpPrefix{other, length}.masked().address == masked().address;
}

IpPrefix IpPrefix::next() const {
  IpPrefix result = masked();
  if (length > 0) add_bit(result.address, address.bits() - length);
  return result;
}

std::string IpPrefix::to_string() const { return empty() ? "" : fmt::format("{}/{}", address.to_string(), length); }

}  // namespace trireme
