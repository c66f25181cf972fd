#include "proxy/address.h"

#include <algorithm>
#include <utility>

#include "base/ip_address.h"

namespace trireme::proxy {
namespace {

std::string bytes_of(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.size()};
}

IpPrefix value_of(const Prefix& prefix) {
  return {IpAddress::from_bytes(prefix.address.data(), prefix.address.size()), static_cast<uint8_t>(prefix.length)};
}

}  // namespace

std::optional<std::string> parse_address(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) return std::nullopt;
  return bytes_of(*address);
}

std::string address_text(std::string_view bytes) {
  return IpAddress::from_bytes(bytes.data(), bytes.size()).to_string();
}

std::string Prefix::last() const { return bytes_of(value_of(*this).last()); }

bool Prefix::contains(std::string_view bytes) const {
  return value_of(*this).contains(IpAddress::from_bytes(bytes.data(), bytes.size()));
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const auto prefix = IpPrefix::parse(text);
  if (!prefix) return std::nullopt;
  return Prefix{bytes_of(prefix->masked().address), prefix->length};
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
