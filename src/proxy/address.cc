#include "proxy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace trireme::proxy {
namespace {

unsigned char mask_byte(unsigned length, size_t index) {
  unsigned before = static_cast<unsigned>(index) * 8;
  if (length <= before) return 0;
  return static_cast<unsigned char>(0xff00U >> std::min(8U, length - before));
}

}  // namespace

std::optional<std::string> parse_address(std::string_view text) {
  std::string terminated(text);
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 4);
  if (::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 16);
  return std::nullopt;
}

std::string address_text(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  ::inet_ntop(is_ip6(bytes) ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string Prefix::last() const {
  std::string out = address;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<char>(static_cast<unsigned char>(out[i]) | static_cast<unsigned char>(~mask_byte(length, i)));
  }
  return out;
}

bool Prefix::contains(std::string_view bytes) const {
  if (bytes.size() != address.size()) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (((bytes[i] ^ address[i]) & mask_byte(length, i)) != 0) return false;
  }
  return true;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  Prefix prefix{std::move(*address), 0};
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data() + slash + 1, end, prefix.length);
  if (error != std::errc() || rest != end || prefix.length > prefix.address.size() * 8) return std::nullopt;
  for (size_t i = 0; i < prefix.address.size(); ++i) {
    prefix.address[i] = static_cast<char>(prefix.address[i] & mask_byte(prefix.length, i));
  }
  return prefix;
}

std::vector<Prefix> outermost(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());  // an outer one comes before what is in it
  std::vector<Prefix> out;
  for (Prefix& prefix : prefixes) {
    bool inside = std::any_of(out.begin(), out.end(), [&](const Prefix& outer) { return outer.contains(prefix); });
    if (!inside) out.push_back(std::move(prefix));
  }
  return out;
}

}  // namespace trireme::proxy
