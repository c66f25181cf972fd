#include "dns/records.h"

#include <algorithm>

#include "base/ip_address.h"

namespace trireme::dns {
namespace {

using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

std::string dashed(std::string address) {
  std::replace(address.begin(), address.end(), '.', '-');
  std::replace(address.begin(), address.end(), ':', '-');
  return address;
}

std::string service_of(const EndpointSlice& slice) {
  const auto label = slice.metadata.labels.find(std::string(api::discoveryv1::kLabelServiceName));
  return label == slice.metadata.labels.end() ? std::string() : label->second;
}

Port make_port(std::string_view name, std::string_view protocol, int32_t number) {
  return {lower(name), protocol.empty() ? "tcp" : lower(protocol), static_cast<uint16_t>(number)};
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  if (!parsed) return std::nullopt;
  return Address{.bytes = parsed->bytes, .v6 = parsed->is_ipv6()};
}

std::string to_text(const Address& address) {
  return IpAddress::from_bytes(address.bytes.data(), address.v6 ? 16 : 4).to_string();
}

ServiceRecords& Records::at(const std::string& ns, const std::string& name) {
  auto& entry = services_[ns + "/" + name];
  if (!entry) {
    entry = std::make_unique<ServiceRecords>();
    entry->ns = ns;
    entry->name = name;
  }
  return *entry;
}

void Records::drop_if_unused(const ServiceRecords& service) {
  if (service.kind == ServiceRecords::Kind::kAbsent && service.slices.empty()) {
    services_.erase(service.ns + "/" + service.name);
  }
}

void Records::apply(const std::shared_ptr<const Service>& before, const std::shared_ptr<const Service>& after) {
  ++serial_;
  const auto& metadata = (after ? after : before)->metadata;
  ServiceRecords& service = at(metadata.namespace_, metadata.name);
  index_reverse(service, false);
  service.kind = ServiceRecords::Kind::kAbsent;
  service.cluster_ips.clear();
  service.ports.clear();
  service.external_name.clear();
  if (after) {
    const auto& spec = after->spec;
    if (spec.type == "ExternalName") {
      service.kind = ServiceRecords::Kind::kExternalName;
      service.external_name = spec.external_name;
    } else if (spec.cluster_ip == "None") {
      service.kind = ServiceRecords::Kind::kHeadless;
    } else {
      service.kind = ServiceRecords::Kind::kClusterIp;
      const auto take = [&](const std::string& ip) {
        const auto address = parse_address(ip);
        if (address &&
            std::find(service.cluster_ips.begin(), service.cluster_ips.end(), *address) == service.cluster_ips.end()) {
          service.cluster_ips.push_back(*address);
        }
      };
      take(spec.cluster_ip);
      for (const std::string& ip : spec.cluster_ips) take(ip);
    }
    for (const auto& port : spec.ports) service.ports.push_back(make_port(port.name, port.protocol, port.port));
  }
  rebuild_endpoints(service);
  index_reverse(service, true);
  drop_if_unused(service);
}

void Records::apply(const std::shared_ptr<const EndpointSlice>& before,
                    const std::shared_ptr<const EndpointSlice>& after) {
  ++serial_;
  const std::string old_service = before ? service_of(*before) : std::string();
  const std::string new_service = after ? service_of(*after) : std::string();
  const auto change = [&](const std::string& name, const EndpointSlice& slice, bool add) {
    if (name.empty()) return;
    ServiceRecords& service = at(slice.metadata.namespace_, name);
    index_reverse(service, false);
    if (add) {
      service.slices[slice.metadata.name] = after;
    } else {
      service.slices.erase(slice.metadata.name);
    }
    rebuild_endpoints(service);
    index_reverse(service, true);
    drop_if_unused(service);
  };
  if (before && old_service != new_service) change(old_service, *before, false);
  if (after) change(new_service, *after, true);
}

void Records::set_namespace(const std::string& name, bool exists) {
  ++serial_;
  if (exists) {
    namespaces_.insert(name);
  } else {
    namespaces_.erase(name);
  }
}

void Records::rebuild_endpoints(ServiceRecords& service) {
  service.endpoints.clear();
  service.port_lists.clear();
  service.addresses.clear();
  service.v4_addresses = 0;
  for (const auto& [name, slice] : service.slices) {
    if (slice->address_type == api::discoveryv1::kAddressTypeFQDN) continue;
    const auto list = static_cast<uint32_t>(service.port_lists.size());
    auto& ports = service.port_lists.emplace_back();
    for (const auto& port : slice->ports) {
      if (port.port) ports.push_back(make_port(port.name.value_or(""), port.protocol.value_or(""), *port.port));
    }
    for (const auto& endpoint : slice->endpoints) {
      if (!endpoint.conditions.ready.value_or(true)) continue;
      for (const std::string& text : endpoint.addresses) {
        const auto address = parse_address(text);
        if (!address) continue;
        const bool named = endpoint.hostname && !endpoint.hostname->empty();
        service.endpoints.push_back({named ? lower(*endpoint.hostname) : dashed(text), *address, list});
      }
    }
  }
  std::sort(service.endpoints.begin(), service.endpoints.end(), [](const auto& a, const auto& b) {
    return std::tie(a.host, a.address, a.ports) < std::tie(b.host, b.address, b.ports);
  });
  if (service.kind != ServiceRecords::Kind::kHeadless) return;
  for (const auto& endpoint : service.endpoints) service.addresses.push_back(endpoint.address);
  auto& all = service.addresses;
  std::sort(all.begin(), all.end(),
            [](const Address& a, const Address& b) { return std::tie(a.v6, a.bytes) < std::tie(b.v6, b.bytes); });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  service.v4_addresses =
      static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const Address& address) { return !address.v6; }));
}

void Records::index_reverse(const ServiceRecords& service, bool add) {
  if (service.kind == ServiceRecords::Kind::kAbsent) return;
  const auto change = [&](const Address& address, const std::string& host) {
    if (add) {
      auto& entries = reverse_[address];
      const auto same = [&](const ReverseEntry& entry) { return entry.service == &service && entry.host == host; };
      if (std::none_of(entries.begin(), entries.end(), same)) entries.push_back({&service, host});
      return;
    }
    const auto found = reverse_.find(address);
    if (found == reverse_.end()) return;
    std::erase_if(found->second, [&](const ReverseEntry& entry) { return entry.service == &service; });
    if (found->second.empty()) reverse_.erase(found);
  };
  for (const Address& address : service.cluster_ips) change(address, {});
  if (service.kind == ServiceRecords::Kind::kExternalName) return;
  for (const EndpointRecord& endpoint : service.endpoints) change(endpoint.address, endpoint.host);
}

const ServiceRecords* Records::find(std::string_view ns, std::string_view service) const {
  std::array<char, 2 * 64> key;
  if (ns.size() + service.size() + 1 > key.size()) return nullptr;
  std::memcpy(key.data(), ns.data(), ns.size());
  key[ns.size()] = '/';
  std::memcpy(key.data() + ns.size() + 1, service.data(), service.size());
  const auto found = services_.find(std::string_view(key.data(), ns.size() + service.size() + 1));
  if (found == services_.end() || found->second->kind == ServiceRecords::Kind::kAbsent) return nullptr;
  return found->second.get();
}

const std::vector<ReverseEntry>* Records::reverse(const Address& address) const {
  const auto found = reverse_.find(address);
  return found == reverse_.end() ? nullptr : &found->second;
}

}  // namespace trireme::dns
