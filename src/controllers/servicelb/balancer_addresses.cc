#include "controllers/servicelb/balancer_addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/ip_address.h"

namespace trireme::controllers {
namespace {

using api::corev1::Node;
using api::corev1::Service;

std::string bytes_of(const IpAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.size()};
}
std::optional<std::string> bytes_of(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) return std::nullopt;
  return bytes_of(*address);
}

std::string text_of(const std::string& bytes) { return IpAddress::from_bytes(bytes.data(), bytes.size()).to_string(); }

/// One further (or, with -1, back); false behind the family's last.
bool step(std::string& address, int by) {
  for (size_t i = address.size(); i > 0; --i) {
    auto byte = static_cast<unsigned char>(address[i - 1]);
    address[i - 1] = static_cast<char>(static_cast<unsigned char>(byte + by));
    if (byte != (by > 0 ? 0xff : 0)) return true;
  }
  return false;
}

std::optional<AddressRange> parse_range(std::string_view text) {
  if (size_t dash = text.find('-'); dash != std::string_view::npos) {
    auto first = bytes_of(text.substr(0, dash));
    auto last = bytes_of(text.substr(dash + 1));
    if (!first || !last || first->size() != last->size() || *last < *first) return std::nullopt;
    return AddressRange{*first, *last};
  }
  const auto network = IpPrefix::parse(text);
  if (!network) return std::nullopt;
  AddressRange range{bytes_of(network->masked().address), bytes_of(network->last())};
  if (!network->address.is_ipv6() && network->length < 31) {
    step(range.first, 1);
    step(range.last, -1);
  }
  return range;
}

bool of_family(const std::string& bytes, const std::string& family) {
  return bytes.size() == (family == "IPv6" ? 16U : 4U);
}

std::vector<std::string> families_of(const Service& service) {
  return service.spec.ip_families.empty() ? std::vector<std::string>{"IPv4"} : service.spec.ip_families;
}

}  // namespace

std::vector<std::string>& load_balancer_ip_ranges() {
  static std::vector<std::string> ranges;
  return ranges;
}

std::string& load_balancer_announcement() {
  static std::string how = "layer2";
  return how;
}

Result<std::vector<AddressRange>> parse_ranges(const std::vector<std::string>& texts) {
  std::vector<AddressRange> out;
  for (const std::string& text : texts) {
    auto range = parse_range(text);
    if (!range) {
      return Status::bad_request(
          fmt::format("--load-balancer-ip-range: \"{}\" is neither a network in CIDR notation nor FIRST-LAST", text));
    }
    out.push_back(std::move(*range));
  }
  return out;
}

Status check_load_balancer_flags() {
  TRY(parse_ranges(load_balancer_ip_ranges()).status());
  const std::string& how = load_balancer_announcement();
  if (how == "layer2" || how == "none") return {};
  return Status::bad_request(fmt::format("--load-balancer-announce: \"{}\" is neither layer2 nor none", how));
}

bool wants_balancer(const Service& service) {
  return service.spec.type == "LoadBalancer" && !service.metadata.deletion_timestamp &&
         service.spec.load_balancer_class.value_or(std::string(kNodeBalancerClass)) == kNodeBalancerClass;
}

std::vector<std::string> node_addresses(const Service& service, const NodePointers& nodes,
                                        const SlicePointers& slices) {
  std::set<std::string> with_endpoints;
  const bool local = service.spec.external_traffic_policy == "Local";
  for (const auto& slice : slices) {
    for (const auto& endpoint : slice->endpoints) {
      if (endpoint.node_name && endpoint.conditions.ready.value_or(true)) with_endpoints.insert(*endpoint.node_name);
    }
  }
  std::vector<std::string> out;
  for (const std::string& family : families_of(service)) {
    std::set<std::string> external;
    std::set<std::string> internal;
    for (const auto& node : nodes) {
      if (!serves_balancers(*node) || (local && !with_endpoints.contains(node->metadata.name))) continue;
      for (const auto& address : node->status.addresses) {
        auto bytes = bytes_of(address.address);
        if (!bytes || !of_family(*bytes, family)) continue;
        if (address.type == "ExternalIP") external.insert(*bytes);
        if (address.type == "InternalIP") internal.insert(*bytes);
      }
    }
    for (const std::string& bytes : external.empty() ? internal : external) out.push_back(text_of(bytes));
  }
  return out;
}

std::vector<std::string> listeners(const Service& service, const std::vector<std::string>& addresses) {
  std::vector<std::string> out;
  for (const std::string& address : addresses) {
    for (const auto& port : service.spec.ports) {
      out.push_back(fmt::format("{}:{}/{}", address, port.port, port.protocol.empty() ? "TCP" : port.protocol));
    }
  }
  return out;
}

Result<std::vector<std::string>> range_addresses(const Service& service, const std::string& key,
                                                 const std::vector<AddressRange>& ranges,
                                                 const std::map<std::string, std::string>& taken) {
  const auto free = [&](const std::string& bytes) {
    auto owner = taken.find(text_of(bytes));
    return owner == taken.end() || owner->second == key;
  };
  const auto in_ranges = [&](const std::string& bytes) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) { return range.contains(bytes); });
  };
  std::vector<std::string> out;
  auto asked = bytes_of(service.spec.load_balancer_ip);
  for (const std::string& family : families_of(service)) {
    if (asked && of_family(*asked, family)) {
      if (!in_ranges(*asked)) {
        return Status::bad_request(
            fmt::format("the address {} is not in the load balancers' range", service.spec.load_balancer_ip));
      }
      if (!free(*asked)) {
        return Status(Reason::kConflict, fmt::format("the address {} belongs to service {}",
                                                     service.spec.load_balancer_ip, taken.at(text_of(*asked))));
      }
      out.push_back(text_of(*asked));
      continue;
    }
    std::optional<std::string> found;
    for (const auto& ingress : service.status.load_balancer.ingress) {
      auto bytes = bytes_of(ingress.ip);
      if (!found && bytes && of_family(*bytes, family) && in_ranges(*bytes) && free(*bytes)) found = bytes;
    }
    for (const AddressRange& range : ranges) {
      if (found || !of_family(range.first, family)) continue;
      for (std::string address = range.first; range.contains(address);) {
        if (free(address)) {
          found = address;
          break;
        }
        if (!step(address, 1)) break;
      }
    }
    if (found) out.push_back(text_of(*found));
  }
  if (out.empty()) {
    return Status(Reason::kConflict, "no address of the load balancers' range is left");
  }
  return out;
}

}  // namespace trireme::controllers
