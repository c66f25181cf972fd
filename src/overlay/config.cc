#include "overlay/config.h"

#include <fmt/format.h>
#include <strings.h>

#include <limits>

#include "api/value.h"

namespace trireme::overlay {
namespace {

using api::Value;

/// Go's decoder takes a member by its exact name, else by one that differs in case only.
const Value* member(const Value& object, const char* name) {
  if (const Value* exact = object.find(name)) return exact;
  for (const auto& [key, value] : object.as_object()) {
    if (::strcasecmp(key.c_str(), name) == 0) return &value;
  }
  return nullptr;
}

Status wrong(const char* name, std::string_view what, const Value& value) {
  return Status::bad_request(
      fmt::format("the network configuration's {} is {}, not {}", name, api::to_json(value), what));
}

Status read(const Value& object, const char* name, bool& out) {
  const Value* value = member(object, name);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_bool()) return wrong(name, "true or false", *value);
  out = value->as_bool();
  return {};
}

template <typename T>
Status read_number(const Value& object, const char* name, int64_t limit, T& out) {
  const Value* value = member(object, name);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_int() || value->as_int() < 0 || value->as_int() > limit) {
    return wrong(name, fmt::format("a number from 0 to {}", limit), *value);
  }
  out = static_cast<T>(value->as_int());
  return {};
}

Status read(const Value& object, const char* name, bool ipv6, IpPrefix& out) {
  const Value* value = member(object, name);
  if (value == nullptr || value->string_or_empty().empty()) return {};
  const auto prefix = IpPrefix::parse(value->string_or_empty());
  if (!prefix || prefix->address.is_ipv6() != ipv6) {
    return wrong(name,
                 ipv6 ? "an IPv6 network such as \"fd00:10:244::/56\"" : "an IPv4 network such as \"10.244.0.0/16\"",
                 *value);
  }
  out = prefix->masked();
  return {};
}

Status read(const Value& object, const char* name, bool ipv6, IpAddress& out) {
  const Value* value = member(object, name);
  if (value == nullptr || value->string_or_empty().empty()) return {};
  const auto address = IpAddress::parse(value->string_or_empty());
  if (!address || address->is_ipv6() != ipv6) return wrong(name, ipv6 ? "an IPv6 address" : "an IPv4 address", *value);
  out = *address;
  return {};
}

Status read_backend(const Value& object, NetworkConfig& config) {
  const Value* backend = member(object, "Backend");
  // Without one flannel takes its oldest, which copies every packet through user space.
  std::string_view type = "udp";
  if (backend != nullptr && !backend->is_null()) {
    if (!backend->is_object()) return wrong("Backend", "an object", *backend);
    const Value* named = member(*backend, "Type");
    type = named != nullptr ? named->string_or_empty() : std::string_view();
  }
  if (::strcasecmp(std::string(type).c_str(), "host-gw") == 0) {
    config.backend = Backend::kHostGw;
    return {};
  }
  if (::strcasecmp(std::string(type).c_str(), "vxlan") != 0) {
    return Status::bad_request(
        fmt::format("the network configuration's backend type \"{}\" is not supported; vxlan and host-gw are", type));
  }
  config.backend = Backend::kVxlan;
  TRY(read_number(*backend, "VNI", (int64_t{1} << 24) - 1, config.vni));
  TRY(read_number(*backend, "Port", 65535, config.port));
  TRY(read_number(*backend, "MTU", 65535, config.mtu));
  TRY(read(*backend, "GBP", config.gbp));
  TRY(read(*backend, "Learning", config.learning));
  return read(*backend, "DirectRouting", config.direct_routing);
}

struct Cut {
  const char* prefix;  ///< Of the names in messages: "" or "IPv6".
  const IpPrefix& network;
  int& len;
  IpAddress& min;
  IpAddress& max;
  int default_len;
};

Status complete_family(const Cut& cut) {
  const int bits = cut.network.address.bits();
  if (cut.network.empty()) {
    return Status::bad_request(
        fmt::format("please define a correct {}Network parameter in the flannel config", cut.prefix));
  }
  // Four addresses at least are in a subnet, and four subnets in the network.
  if (cut.len > 0) {
    if (cut.len > bits - 2) {
      return Status::bad_request(fmt::format("{}SubnetLen must be less than /{}", cut.prefix, bits - 1));
    }
    if (cut.len < cut.network.length + 2) {
      return Status::bad_request(
          fmt::format("{}Network must be able to accommodate at least four subnets", cut.prefix));
    }
  } else if (cut.network.length > bits - 4) {
    return Status::bad_request(
        fmt::format("{}Network is too small. Minimum useful network prefix is /{}", cut.prefix, bits - 4));
  } else {
    cut.len = cut.network.length + 2 <= cut.default_len ? cut.default_len : cut.network.length + 2;
  }
  const auto length = static_cast<uint8_t>(cut.len);
  if (cut.min.empty()) cut.min = IpPrefix{cut.network.address, length}.next().address;
  if (cut.max.empty()) {
    IpPrefix last{cut.network.address, length};
    for (int bit = cut.network.length; bit < cut.len; ++bit) {
      last.address.bytes[static_cast<size_t>(bit / 8)] |= static_cast<uint8_t>(0x80 >> (bit % 8));
    }
    cut.max = last.address;
  }
  for (const auto& [name, address] : {std::pair{"SubnetMin", cut.min}, std::pair{"SubnetMax", cut.max}}) {
    if (!cut.network.contains(address)) {
      return Status::bad_request(fmt::format("{0}{1} is not in the range of the {0}Network", cut.prefix, name));
    }
    if (IpPrefix{address, length}.masked().address != address) {
      return Status::bad_request(
          fmt::format("{}{} is not on a SubnetLen boundary: {}", cut.prefix, name, address.to_string()));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(Backend backend) { return backend == Backend::kVxlan ? "vxlan" : "host-gw"; }

Result<NetworkConfig> parse_network_config(std::string_view json) {
  auto parsed = api::parse_value(json);
  if (!parsed.ok()) return parsed.status().with_context("the network configuration");
  if (!parsed->is_object()) return Status::bad_request("the network configuration is not a JSON object");
  NetworkConfig config;
  TRY(read(*parsed, "EnableIPv4", config.enable_ipv4));
  TRY(read(*parsed, "EnableIPv6", config.enable_ipv6));
  TRY(read(*parsed, "Network", false, config.network));
  TRY(read(*parsed, "IPv6Network", true, config.ipv6_network));
  TRY(read_number(*parsed, "SubnetLen", 32, config.subnet_len));
  TRY(read_number(*parsed, "IPv6SubnetLen", 128, config.ipv6_subnet_len));
  TRY(read(*parsed, "SubnetMin", false, config.subnet_min));
  TRY(read(*parsed, "SubnetMax", false, config.subnet_max));
  TRY(read(*parsed, "IPv6SubnetMin", true, config.ipv6_subnet_min));
  TRY(read(*parsed, "IPv6SubnetMax", true, config.ipv6_subnet_max));
  TRY(read_backend(*parsed, config));
  if (!config.enable_ipv4 && !config.enable_ipv6) {
    return Status::bad_request("the network configuration enables neither IPv4 nor IPv6");
  }
  if (config.enable_ipv4 && config.network.empty()) {
    return Status::bad_request("please define a correct Network parameter in the flannel config");
  }
  if (config.enable_ipv6 && config.ipv6_network.empty()) {
    return Status::bad_request("please define a correct IPv6Network parameter in the flannel config");
  }
  return config;
}

std::string network_config_json(const NetworkConfig& config) {
  Value out = Value::object();
  out["EnableIPv4"] = config.enable_ipv4;
  out["EnableIPv6"] = config.enable_ipv6;
  if (!config.network.empty()) out["Network"] = config.network.to_string();
  if (!config.ipv6_network.empty()) out["IPv6Network"] = config.ipv6_network.to_string();
  if (config.subnet_len > 0) out["SubnetLen"] = config.subnet_len;
  if (config.ipv6_subnet_len > 0) out["IPv6SubnetLen"] = config.ipv6_subnet_len;
  if (!config.subnet_min.empty()) out["SubnetMin"] = config.subnet_min.to_string();
  if (!config.subnet_max.empty()) out["SubnetMax"] = config.subnet_max.to_string();
  if (!config.ipv6_subnet_min.empty()) out["IPv6SubnetMin"] = config.ipv6_subnet_min.to_string();
  if (!config.ipv6_subnet_max.empty()) out["IPv6SubnetMax"] = config.ipv6_subnet_max.to_string();
  Value& backend = out["Backend"];
  backend["Type"] = to_string(config.backend);
  if (config.backend == Backend::kVxlan) {
    backend["VNI"] = int64_t{config.vni};
    if (config.port != 0) backend["Port"] = int64_t{config.port};
    if (config.mtu != 0) backend["MTU"] = int64_t{config.mtu};
    if (config.gbp) backend["GBP"] = true;
    if (config.learning) backend["Learning"] = true;
    if (config.direct_routing) backend["DirectRouting"] = true;
  }
  return api::to_json(out);
}

Status complete_subnets(NetworkConfig& config) {
  if (config.enable_ipv4) {
    TRY(complete_family({"", config.network, config.subnet_len, config.subnet_min, config.subnet_max, 24}));
  }
  if (config.enable_ipv6) {
    TRY(complete_family(
        {"IPv6", config.ipv6_network, config.ipv6_subnet_len, config.ipv6_subnet_min, config.ipv6_subnet_max, 64}));
  }
  return {};
}

uint32_t pod_mtu(const NetworkConfig& config, uint32_t external_mtu) {
  if (config.backend == Backend::kHostGw) return external_mtu;
  const uint32_t outer = config.mtu != 0 ? config.mtu : external_mtu;
  const uint32_t overhead = config.enable_ipv6 ? kVxlanOverheadIpv6 : kVxlanOverhead;
  return outer > overhead ? outer - overhead : outer;
}

}  // namespace trireme::overlay
