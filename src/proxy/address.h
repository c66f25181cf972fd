#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::proxy {

/// An address as the bytes that packets carry: 4 or 16.
std::optional<std::string> parse_address(std::string_view text);
std::string address_text(std::string_view bytes);
inline bool is_ip6(std::string_view bytes) { return bytes.size() == 16; }

/// A network, "10.244.0.0/16". The address is masked.
struct Prefix {
  std::string address;
  unsigned length = 0;

  /// The last address in it.
  std::string last() const;
  bool contains(std::string_view address_bytes) const;
  bool contains(const Prefix& other) const { return other.length >= length && contains(other.address); }
  auto operator<=>(const Prefix&) const = default;
};
std::optional<Prefix> parse_prefix(std::string_view text);

/// Where a server listens.
struct HostPort {
  std::string address;  ///< "192.0.2.1", "::1"
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
/// "127.0.0.1:10249", "[::1]:10249", ":10249" (all addresses), or an address alone, which gets `default_port`.
std::optional<HostPort> parse_host_port(std::string_view text, uint16_t default_port);

/// Without those that lie in others of them, and sorted.
std::vector<Prefix> outermost(std::vector<Prefix> prefixes);

}  // namespace trireme::proxy
