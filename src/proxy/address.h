#pragma once

#include <compare>
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

/// Without those that lie in others of them, and sorted.
std::vector<Prefix> outermost(std::vector<Prefix> prefixes);

}  // namespace trireme::proxy
