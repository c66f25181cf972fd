#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "linux/netlink_parse.h"

namespace trireme::fuzz {

// Messages are binary: these set a length and a type that is read (16: link, 20: address, 24: route, 28: neighbour,
// 2: error), and the driver writes the rest.
const char* const kSeeds[] = {
    "0000\x10\x00\x00\x00padpad0000000000000000AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH",
    "\x30\x01\x01\x01\x18\x01\x01\x01route route route route route route route",
    nullptr,
};

}  // namespace trireme::fuzz

namespace {

/// The bytes as one or more messages of the types that are read: without this nearly all input would be refused by
/// its first length.
void shape(std::vector<uint32_t>& words, size_t size) {
  constexpr uint16_t kTypes[] = {2, 3, 16, 17, 20, 21, 24, 25, 28, 29};
  auto* bytes = reinterpret_cast<uint8_t*>(words.data());
  for (size_t at = 0; at + 16 <= size;) {
    const uint32_t rest = static_cast<uint32_t>(size - at);
    uint32_t length = bytes[at] < 200 ? rest : 16 + bytes[at] % 64;
    if (length > rest) length = rest;
    const uint16_t type = kTypes[bytes[at + 4] % std::size(kTypes)];
    std::memcpy(bytes + at, &length, sizeof length);
    std::memcpy(bytes + at + 4, &type, sizeof type);
    at += (length + 3) / 4 * 4;
  }
}

void check(const trireme::linux::NetlinkMessage& message) {
  using namespace trireme::linux;  // NOLINT
  if (const auto* address = std::get_if<Address>(&message.object)) {
    trireme::fuzz::require(address->prefix.length <= address->prefix.address.bits(), "a prefix fits its family");
  }
  if (const auto* route = std::get_if<Route>(&message.object)) {
    trireme::fuzz::require(route->destination.length <= route->destination.address.bits(), "a route's prefix fits");
    (void)to_string(*route);
  }
  if (const auto* neighbour = std::get_if<Neighbour>(&message.object)) (void)neighbour->address.to_string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Exactly as large as the input, so that a sanitizer sees the first byte too many.
  std::vector<uint32_t> words((size + 3) / 4);
  if (size > 0) std::memcpy(words.data(), data, size);
  const std::string_view bytes(reinterpret_cast<const char*>(words.data()), size);
  trireme::linux::parse_netlink(bytes, check);
  shape(words, size);
  trireme::linux::parse_netlink(bytes, check);
  return 0;
}
