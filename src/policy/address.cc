#include "policy/address.h"

#include <algorithm>
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

size_t AddressHash::operator()(const Address& address) const {
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(address.bytes.data()), address.size()});
}

std::optional<AddressRange> AddressRange::parse_cidr(std::string_view cidr) {
  const auto prefix = IpPrefix::parse(cidr);
  if (!prefix) return std::nullopt;
  return AddressRange{prefix->masked().address, prefix->last()};
}

AddressRange AddressRange::all(Family family) {
  return parse_cidr(family == Family::kIpv4 ? "0.0.0.0/0" : "::/0").value();
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
