#include "policy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>

namespace trireme::policy {
namespace {

/// One more; false when there is none.
bool increment(Address& address) {
  for (size_t i = address.size(); i-- > 0;) {
    if (++address.bytes[i] != 0) return true;
  }
  return false;
}

/// One less; false when there is none.
bool decrement(Address& address) {
  for (size_t i = address.size(); i-- > 0;) {
    if (address.bytes[i]-- != 0) return true;
  }
  return false;
}

}  // namespace

std::string Address::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(family == Family::kIpv4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof(text));
  return text;
}

std::optional<Address> Address::parse(std::string_view text) {
  Address address;
  const std::string copy(text);
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) return address;
  address.family = Family::kIpv6;
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

size_t AddressHash::operator()(const Address& address) const {
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(address.bytes.data()), address.size()});
}

std::optional<AddressRange> AddressRange::parse_cidr(std::string_view cidr) {
  const size_t slash = cidr.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = Address::parse(cidr.substr(0, slash));
  if (!address) return std::nullopt;
  size_t length = 0;
  const char* end = cidr.data() + cidr.size();
  const auto [rest, error] = std::from_chars(cidr.data() + slash + 1, end, length);
  if (error != std::errc() || rest != end || length > address->size() * 8) return std::nullopt;
  AddressRange range{*address, *address};
  for (size_t i = 0; i < address->size(); ++i) {
    const size_t fixed = std::min<size_t>(length - std::min(length, i * 8), 8);
    const auto mask = static_cast<uint8_t>(0xff00U >> fixed);
    range.first.bytes[i] &= mask;
    range.last.bytes[i] |= static_cast<uint8_t>(~mask);
  }
  return range;
}

AddressRange AddressRange::all(Family family) {
  AddressRange range;
  range.first.family = range.last.family = family;
  std::fill_n(range.last.bytes.begin(), range.last.size(), uint8_t{0xff});
  return range;
}

std::vector<AddressRange> united(std::vector<AddressRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<AddressRange> out;
  for (const AddressRange& range : ranges) {
    if (!out.empty() && out.back().last.family == range.first.family) {
      Address next = out.back().last;
      if (!increment(next) || range.first <= next) {
        out.back().last = std::max(out.back().last, range.last);
        continue;
      }
    }
    out.push_back(range);
  }
  return out;
}

std::vector<AddressRange> subtracted(std::vector<AddressRange> ranges, std::vector<AddressRange> except) {
  ranges = united(std::move(ranges));
  except = united(std::move(except));
  std::vector<AddressRange> out;
  for (AddressRange rest : ranges) {
    bool some = true;
    for (const AddressRange& hole : except) {
      if (hole.first.family != rest.first.family || hole.last < rest.first || rest.last < hole.first) continue;
      if (rest.first < hole.first) {
        AddressRange before{rest.first, hole.first};
        decrement(before.last);
        out.push_back(before);
      }
      rest.first = hole.last;
      some = increment(rest.first) && rest.first <= rest.last;
      if (!some) break;
    }
    if (some) out.push_back(rest);
  }
  return out;
}

}  // namespace trireme::policy
