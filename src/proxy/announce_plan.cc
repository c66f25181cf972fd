#include "proxy/announce_plan.h"

#include <algorithm>

#include "api/load_balancer.h"
#include "base/hash.h"
#include "client/informer.h"

namespace trireme::proxy {
namespace {

/// FNV-1a alone hardly spreads what the last characters say, in which names of nodes differ.
uint64_t weight(const IpAddress& address, const std::string& node) {
  uint64_t hash = fnv1a_64(node + "#" + address.to_string());
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 31U);
}

std::set<std::string> nodes_with_endpoints(const std::vector<SlicePointer>& slices) {
  std::set<std::string> out;
  for (const SlicePointer& slice : slices) {
    for (const auto& endpoint : slice->endpoints) {
      if (endpoint.node_name && endpoint.conditions.ready.value_or(true)) out.insert(*endpoint.node_name);
    }
  }
  return out;
}

}  // namespace

Families families_served(const api::corev1::Node& node) {
  Families out;
  if (!api::serves_balancers(node)) return out;
  for (const auto& each : node.status.addresses) {
    if (const auto address = IpAddress::parse(each.address)) (address->is_ipv6() ? out.ip6 : out.ip4) = true;
  }
  return out;
}

AnnouncePlan plan_announcements(const std::vector<ServicePointer>& services, const std::vector<NodePointer>& nodes,
                                const std::function<std::vector<SlicePointer>(const std::string& key)>& slices_of,
                                std::string_view self) {
  AnnouncePlan plan;
  std::map<std::string, Families> able;
  for (const NodePointer& node : nodes) able[node->metadata.name] = families_served(*node);
  for (const ServicePointer& service : services) {
    if (!api::is_announced(*service)) continue;
    const std::string key = client::key_of(service->metadata);
    const bool local = service->spec.external_traffic_policy == "Local";
    const std::set<std::string> serving = local ? nodes_with_endpoints(slices_of(key)) : std::set<std::string>();
    for (const auto& ingress : service->status.load_balancer.ingress) {
      const auto address = IpAddress::parse(ingress.ip);
      if (!address || ingress.ip_mode.value_or("VIP") == "Proxy") continue;
      plan.all.emplace(*address, key);
      std::vector<std::string> candidates;
      for (const auto& [name, families] : able) {
        const bool reaches = address->is_ipv6() ? families.ip6 : families.ip4;
        if (reaches && (!local || serving.contains(name))) candidates.push_back(name);
      }
      const auto chosen =
          std::ranges::max_element(candidates, {}, [&](const std::string& name) { return weight(*address, name); });
      if (chosen != candidates.end() && *chosen == self) plan.ours.insert(*address);
    }
  }
  return plan;
}

}  // namespace trireme::proxy
