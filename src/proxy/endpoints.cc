#include "proxy/endpoints.h"

#include <algorithm>
#include <map>
#include <set>

#include "proxy/address.h"

namespace trireme::proxy {

using api::discoveryv1::EndpointSlice;

std::vector<EndpointInfo> endpoints_of(const ServiceView& view, const api::corev1::ServicePort& port, bool ip6,
                                       const NodeView& node) {
  std::map<Target, EndpointInfo> found;
  const std::string_view protocol = port.protocol.empty() ? std::string_view("TCP") : std::string_view(port.protocol);
  for (const SlicePointer& slice : view.slices) {
    if (slice->address_type != (ip6 ? "IPv6" : "IPv4")) continue;
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name.value_or("") != port.name || !slice_port.port) continue;
      if (slice_port.protocol.value_or("TCP") != protocol) continue;
      for (const auto& endpoint : slice->endpoints) {
        if (endpoint.addresses.empty()) continue;
        auto address = parse_address(endpoint.addresses[0]);
        if (!address || is_ip6(*address) != ip6) continue;
        EndpointInfo info;
        info.target = {std::move(*address), static_cast<uint16_t>(*slice_port.port)};
        info.ready = endpoint.conditions.ready.value_or(true);
        info.serving = endpoint.conditions.serving.value_or(info.ready);
        info.terminating = endpoint.conditions.terminating.value_or(false);
        info.local = endpoint.node_name && *endpoint.node_name == node.name;
        if (endpoint.hints) {
          for (const auto& zone : endpoint.hints->for_zones) info.zone_hints.push_back(zone.name);
        }
        // While a pod moves from one slice to another it is in both: the better word counts.
        auto [at, added] = found.try_emplace(info.target, info);
        if (!added && !at->second.ready && info.ready) at->second = std::move(info);
      }
    }
  }
  std::vector<EndpointInfo> out;
  out.reserve(found.size());
  for (auto& [target, info] : found) out.push_back(std::move(info));
  return out;
}

ChosenEndpoints choose(const std::vector<EndpointInfo>& endpoints, bool uses_cluster, bool uses_local,
                       const std::string& zone) {
  const auto hinted_here = [&](const EndpointInfo& endpoint) {
    return std::find(endpoint.zone_hints.begin(), endpoint.zone_hints.end(), zone) != endpoint.zone_hints.end();
  };
  const auto pick = [&](auto wanted) {
    std::vector<Target> out;
    for (const EndpointInfo& endpoint : endpoints) {
      if (wanted(endpoint)) out.push_back(endpoint.target);
    }
    return out;
  };
  ChosenEndpoints out;
  bool all_hinted = !zone.empty();
  bool one_here = false;
  for (const EndpointInfo& endpoint : endpoints) {
    if (endpoint.ready || (endpoint.serving && endpoint.terminating)) out.any = true;
    if (!endpoint.ready) continue;
    if (endpoint.zone_hints.empty()) all_hinted = false;
    if (hinted_here(endpoint)) one_here = true;
  }
  const bool by_zone = all_hinted && one_here;
  if (uses_cluster) {
    out.cluster = pick([&](const EndpointInfo& e) { return e.ready && (!by_zone || hinted_here(e)); });
    if (out.cluster.empty()) out.cluster = pick([](const EndpointInfo& e) { return e.serving && e.terminating; });
  }
  if (uses_local) {
    out.local = pick([](const EndpointInfo& e) { return e.local && e.ready; });
    if (out.local.empty()) {
      out.local = pick([](const EndpointInfo& e) { return e.local && e.serving && e.terminating; });
    }
  }
  return out;
}

std::vector<Target> arrange(const std::vector<Target>& before, std::vector<Target> wanted) {
  if (before.empty()) return wanted;
  std::set<Target> fresh(wanted.begin(), wanted.end());
  std::vector<const Target*> places(wanted.size(), nullptr);
  std::vector<Target> rest;  // stays, but its place does not
  for (size_t i = 0; i < before.size(); ++i) {
    auto at = fresh.find(before[i]);
    if (at == fresh.end()) continue;
    if (i < places.size()) {
      places[i] = &before[i];
    } else {
      rest.push_back(before[i]);
    }
    fresh.erase(at);
  }
  rest.insert(rest.end(), fresh.begin(), fresh.end());
  std::vector<Target> out;
  out.reserve(wanted.size());
  size_t next = 0;
  for (const Target* place : places) out.push_back(place != nullptr ? *place : rest[next++]);
  return out;
}

}  // namespace trireme::proxy
