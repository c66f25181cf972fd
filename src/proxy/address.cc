#include "proxy/address.h"

#include <algorithm>
#include <charconv>
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

std::optional<HostPort> parse_host_port(std::string_view text, uint16_t default_port) {
  HostPort out{.address = {}, .port = default_port};
  std::string_view host = text;
  if (!parse_address(text)) {
    const size_t colon = text.rfind(':');
    if (colon != std::string_view::npos && !text.ends_with(']')) {
      const std::string_view port = text.substr(colon + 1);
      const auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
      if (port.empty() || error != std::errc() || rest != port.data() + port.size()) return std::nullopt;
      host = text.substr(0, colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) {
      host = host.substr(1, host.size() - 2);
      if (host.find(':') == std::string_view::npos) return std::nullopt;
    } else if (host.find(':') != std::string_view::npos) {
      return std::nullopt;
    }
  }
  out.address = host.empty() ? "0.0.0.0" : std::string(host);
  if (text.empty() || !parse_address(out.address)) return std::nullopt;
  return out;
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
