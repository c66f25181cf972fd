#include "linux/mac_address.h"

#include <fmt/format.h>

#include <charconv>
#include <random>

namespace trireme::linux {

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress result;
  if (text.size() != 17) return std::nullopt;
  for (size_t i = 0; i < 6; ++i) {
    const char* begin = text.data() + i * 3;
    const auto [rest, error] = std::from_chars(begin, begin + 2, result.bytes[i], 16);
    if (error != std::errc() || rest != begin + 2 || (i < 5 && *rest != ':')) return std::nullopt;
  }
  return result;
}

MacAddress MacAddress::random() {
  std::random_device device;
  MacAddress result;
  for (uint8_t& byte : result.bytes) byte = static_cast<uint8_t>(device());
  result.bytes[0] = static_cast<uint8_t>((result.bytes[0] & 0xfe) | 0x02);
  return result;
}

std::string MacAddress::to_string() const { return fmt::format("{:02x}", fmt::join(bytes, ":")); }

}  // namespace trireme::linux
