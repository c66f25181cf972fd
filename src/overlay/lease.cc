#include "overlay/lease.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/value.h"

namespace trireme::overlay {
namespace {

using api::Value;

/// {"VNI":1,"VtepMAC":"0a:58:…"}, as flannel writes it: in this order.
std::string vxlan_data(uint32_t vni, const MacAddress& mac) {
  return fmt::format(R"({{"VNI":{},"VtepMAC":"{}"}})", vni, mac.to_string());
}

Status read_vxlan_data(const Value& data, uint32_t& vni, MacAddress& mac) {
  const Value* number = data.is_object() ? data.find("VNI") : nullptr;
  const Value* address = data.is_object() ? data.find("VtepMAC") : nullptr;
  const auto parsed = address != nullptr ? MacAddress::parse(address->string_or_empty()) : std::nullopt;
  if (!parsed) return Status::bad_request(fmt::format("backend data {} has no VtepMAC", api::to_json(data)));
  mac = *parsed;
  if (number != nullptr && number->is_int()) vni = static_cast<uint32_t>(number->as_int());
  return {};
}

Status parse_vxlan_data(std::string_view json, uint32_t& vni, MacAddress& mac) {
  TRY_ASSIGN(const Value data, api::parse_value(json));
  return read_vxlan_data(data, vni, mac);
}

std::string annotation(const api::corev1::Node& node, const std::string& name) {
  return std::string(node.metadata.annotations.get(name));
}

bool is_domain_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/// "10.244.3.0-24": the last dash parts address and length.
std::optional<IpPrefix> parse_dashed(std::string_view text) {
  const size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) return std::nullopt;
  return IpPrefix::parse(fmt::format("{}/{}", text.substr(0, dash), text.substr(dash + 1)));
}

std::string dashed(const IpPrefix& prefix) { return fmt::format("{}-{}", prefix.address.to_string(), prefix.length); }

}  // namespace

Result<AnnotationNames> AnnotationNames::make(std::string prefix) {
  const auto slashes = std::ranges::count(prefix, '/');
  if (slashes > 1) return Status::bad_request("the annotation prefix may contain one slash at most");
  if (slashes == 0) prefix += '/';
  if (!prefix.ends_with('/') && !prefix.ends_with('-')) prefix += '-';
  const std::string domain = prefix.substr(0, prefix.find('/'));
  const std::string rest = prefix.substr(domain.size() + 1);
  const bool valid = domain.find('.') != std::string::npos && std::ranges::all_of(domain, is_domain_character) &&
                     std::ranges::all_of(rest, [](char c) { return is_domain_character(c) && c != '.'; });
  if (!valid) {
    return Status::bad_request(fmt::format("the annotation prefix \"{}\" is not of the form domain/name", prefix));
  }
  AnnotationNames names;
  names.kube_managed = prefix + "kube-subnet-manager";
  names.backend_data = prefix + "backend-data";
  names.backend_v6_data = prefix + "backend-v6-data";
  names.backend_type = prefix + "backend-type";
  names.public_ip = prefix + "public-ip";
  names.public_ipv6 = prefix + "public-ipv6";
  names.public_ip_overwrite = prefix + "public-ip-overwrite";
  names.public_ipv6_overwrite = prefix + "public-ipv6-overwrite";
  return names;
}

NodeSubnets subnets_of(const api::corev1::Node& node) {
  std::vector<std::string> texts;
  for (const auto& each : node.spec.pod_cidrs) texts.emplace_back(each);
  if (texts.empty() && !node.spec.pod_cidr.empty()) texts.emplace_back(node.spec.pod_cidr);
  NodeSubnets subnets;
  for (const std::string& text : texts) {
    const auto prefix = IpPrefix::parse(text);
    if (!prefix) continue;
    IpPrefix& subnet = prefix->address.is_ipv6() ? subnets.ipv6 : subnets.ipv4;
    if (subnet.empty()) subnet = prefix->masked();
  }
  return subnets;
}

Result<std::optional<Lease>> lease_of(const api::corev1::Node& node, const NetworkConfig& config,
                                      const AnnotationNames& names) {
  if (annotation(node, names.kube_managed) != "true") return std::optional<Lease>();
  const NodeSubnets subnets = subnets_of(node);
  Lease lease;
  lease.name = node.metadata.name;
  lease.backend_type = annotation(node, names.backend_type);
  const bool vxlan = lease.backend_type == "vxlan";
  const auto read_family = [&](const std::string& ip_name, const std::string& data_name, const IpPrefix& from,
                               IpPrefix& subnet, IpAddress& ip, MacAddress& mac) -> Status {
    const std::string text = annotation(node, ip_name);
    if (text.empty() || from.empty()) return {};
    const auto address = IpAddress::parse(text);
    if (!address || address->is_ipv6() != from.address.is_ipv6()) {
      return Status::bad_request(fmt::format("annotation {}: \"{}\" is no such address", ip_name, text));
    }
    if (vxlan) {
      TRY(parse_vxlan_data(annotation(node, data_name), lease.vni, mac).with_context("annotation " + data_name));
    }
    subnet = from;
    ip = *address;
    return {};
  };
  if (config.enable_ipv4) {
    TRY(read_family(names.public_ip, names.backend_data, subnets.ipv4, lease.subnet, lease.public_ip, lease.vtep_mac));
  }
  if (config.enable_ipv6) {
    TRY(read_family(names.public_ipv6, names.backend_v6_data, subnets.ipv6, lease.ipv6_subnet, lease.public_ipv6,
                    lease.vtep_mac_ipv6));
  }
  if (lease.subnet.empty() && lease.ipv6_subnet.empty()) return std::optional<Lease>();
  return std::optional<Lease>(std::move(lease));
}

std::map<std::string, std::string> annotations_of(const Lease& lease, const NetworkConfig& config,
                                                  const AnnotationNames& names, const api::corev1::Node& node) {
  const bool vxlan = config.backend == Backend::kVxlan;
  std::map<std::string, std::string> out;
  out[names.kube_managed] = "true";
  out[names.backend_type] = to_string(config.backend);
  const auto address = [&](const std::string& overwrite_name, const IpAddress& own) {
    const std::string overwrite = annotation(node, overwrite_name);
    return overwrite.empty() ? own.to_string() : overwrite;
  };
  if (config.enable_ipv4 && !lease.public_ip.empty()) {
    out[names.backend_data] = vxlan ? vxlan_data(config.vni, lease.vtep_mac) : "null";
    out[names.public_ip] = address(names.public_ip_overwrite, lease.public_ip);
  }
  if (config.enable_ipv6 && !lease.public_ipv6.empty()) {
    out[names.backend_v6_data] = vxlan ? vxlan_data(config.vni, lease.vtep_mac_ipv6) : "null";
    out[names.public_ipv6] = address(names.public_ipv6_overwrite, lease.public_ipv6);
  }
  return out;
}

std::string subnet_key(const Lease& lease) {
  std::string key = dashed(lease.subnet);
  if (!lease.ipv6_subnet.empty()) key += "&" + dashed(lease.ipv6_subnet);
  return key;
}

std::optional<Lease> parse_subnet_key(std::string_view key) {
  Lease lease;
  lease.name = key.substr(key.rfind('/') + 1);
  const std::string_view name = lease.name;
  const size_t both = name.find('&');
  const auto first = parse_dashed(name.substr(0, both));
  if (!first || first->address.is_ipv6()) return std::nullopt;
  lease.subnet = *first;
  if (both == std::string_view::npos) return lease;
  const auto second = parse_dashed(name.substr(both + 1));
  if (!second || !second->address.is_ipv6()) return std::nullopt;
  lease.ipv6_subnet = *second;
  return lease;
}

std::string lease_json(const Lease& lease, const NetworkConfig& config) {
  const bool vxlan = config.backend == Backend::kVxlan;
  std::string out = fmt::format(R"({{"PublicIP":"{}","PublicIPv6":)",
                                lease.public_ip.empty() ? "0.0.0.0" : lease.public_ip.to_string());
  out += lease.public_ipv6.empty() ? "null" : fmt::format("\"{}\"", lease.public_ipv6.to_string());
  out += fmt::format(R"(,"BackendType":"{}")", to_string(config.backend));
  if (vxlan && !lease.public_ip.empty()) out += ",\"BackendData\":" + vxlan_data(config.vni, lease.vtep_mac);
  if (vxlan && !lease.public_ipv6.empty()) out += ",\"BackendV6Data\":" + vxlan_data(config.vni, lease.vtep_mac_ipv6);
  return out + "}";
}

Status read_lease_json(std::string_view json, Lease& lease) {
  TRY_ASSIGN(const Value value, api::parse_value(json));
  if (!value.is_object()) return Status::bad_request("the lease is not a JSON object");
  const auto text = [&](const char* name) {
    const Value* found = value.find(name);
    return found != nullptr ? found->string_or_empty() : std::string_view();
  };
  const auto ip = IpAddress::parse(text("PublicIP"));
  if (ip && !ip->is_ipv6() && ip->to_string() != "0.0.0.0") lease.public_ip = *ip;
  const auto ipv6 = IpAddress::parse(text("PublicIPv6"));
  if (ipv6 && ipv6->is_ipv6()) lease.public_ipv6 = *ipv6;
  lease.backend_type = text("BackendType");
  if (lease.backend_type != "vxlan") return {};
  const Value* data = value.find("BackendData");
  if (data != nullptr && !data->is_null()) TRY(read_vxlan_data(*data, lease.vni, lease.vtep_mac));
  data = value.find("BackendV6Data");
  if (data != nullptr && !data->is_null()) TRY(read_vxlan_data(*data, lease.vni, lease.vtep_mac_ipv6));
  return {};
}

}  // namespace trireme::overlay
