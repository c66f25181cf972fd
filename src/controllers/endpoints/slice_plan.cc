#include "controllers/endpoints/slice_plan.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "api/validation/equal.h"

namespace trireme::controllers {

using api::corev1::Service;
using api::discoveryv1::Endpoint;
using api::discoveryv1::EndpointPort;
using api::discoveryv1::EndpointSlice;
using api::validation::semantic_equal;

namespace {

constexpr std::string_view kHeadlessLabel = "service.kubernetes.io/headless";

using PortKey = std::tuple<std::string, int32_t, std::string, std::string>;

std::vector<PortKey> keys_of(const std::vector<EndpointPort>& ports) {
  std::vector<PortKey> keys;
  for (const EndpointPort& port : ports) {
    keys.emplace_back(port.name.value_or(""), port.port.value_or(0), port.protocol.value_or(""),
                      port.app_protocol.value_or(""));
  }
  std::ranges::sort(keys);
  return keys;
}

/// Which endpoint it is, whatever its state.
std::string identity(const Endpoint& endpoint) {
  std::string out = endpoint.target_ref ? endpoint.target_ref->uid : std::string();
  for (const std::string& address : endpoint.addresses) out += "|" + address;
  return out;
}

/// What every slice of the owner says about itself.
void stamp(EndpointSlice& slice, const SliceOwner& owner) {
  slice.metadata.labels = owner.labels;
  if (!owner.annotations.empty()) slice.metadata.annotations = owner.annotations;
}

EndpointSlice new_slice(const SliceOwner& owner, const SliceGroup& group) {
  EndpointSlice slice;
  slice.metadata.namespace_ = owner.ns;
  slice.metadata.generate_name = owner.generate_name;
  slice.metadata.owner_references.push_back(owner.reference);
  stamp(slice, owner);
  slice.address_type = group.address_type;
  slice.ports = group.ports;
  return slice;
}

/// Fits one group into the slices that have its ports already.
void plan_group(const SliceOwner& owner, SliceGroup& group, std::vector<SlicePointer>& present, size_t max_endpoints,
                SlicePlan& plan) {
  std::map<std::string, Endpoint> missing;
  for (Endpoint& endpoint : group.endpoints) missing.insert_or_assign(identity(endpoint), std::move(endpoint));
  plan.counts.endpoints += missing.size();
  plan.counts.ideal_slices += (missing.size() + max_endpoints - 1) / max_endpoints;
  std::vector<EndpointSlice> kept;
  for (const SlicePointer& old : present) {
    EndpointSlice slice = *old;
    slice.endpoints.clear();
    for (const Endpoint& endpoint : old->endpoints) {
      const auto found = missing.find(identity(endpoint));
      if (found == missing.end() || slice.endpoints.size() == max_endpoints) continue;
      slice.endpoints.push_back(std::move(found->second));
      missing.erase(found);
    }
    plan.counts.removed += old->endpoints.size() - slice.endpoints.size();
    stamp(slice, owner);
    kept.push_back(std::move(slice));
  }
  plan.counts.added += missing.size();
  auto next = missing.begin();
  const auto fill = [&](EndpointSlice& slice) {
    while (next != missing.end() && slice.endpoints.size() < max_endpoints) {
      slice.endpoints.push_back(std::move((next++)->second));
    }
  };
  // Slices that change anyway are filled first.
  for (const bool changed : {true, false}) {
    for (size_t i = 0; i < kept.size(); ++i) {
      if (semantic_equal(kept[i], *present[i]) != changed) fill(kept[i]);
    }
  }
  while (next != missing.end()) fill(plan.create.emplace_back(new_slice(owner, group)));
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].endpoints.empty()) {
      plan.remove.push_back(present[i]);
    } else if (!semantic_equal(kept[i], *present[i])) {
      plan.update.push_back(std::move(kept[i]));
    }
  }
}

}  // namespace

std::vector<SliceGroup> slice_groups(const Service& service, std::span<const PodPointer> pods,
                                     const std::function<std::string(const std::string&)>& zone_of_node) {
  std::map<std::pair<std::string, std::vector<PortKey>>, SliceGroup> groups;
  for (const std::string& family : families_of(service)) {
    for (const PodPointer& pod : pods) {
      if (!has_endpoint(*pod, /*with_terminating=*/true)) continue;
      const std::string address = pod_address(*pod, family);
      if (address.empty()) continue;
      std::vector<EndpointPort> ports = endpoint_ports<EndpointPort>(*pod, service);
      if (ports.empty() && !(service.spec.ports.empty() && is_headless(service))) continue;
      Endpoint endpoint;
      endpoint.addresses = {address};
      const bool terminating = pod->metadata.deletion_timestamp.has_value();
      const bool serving = is_ready(*pod);
      endpoint.conditions.serving = serving;
      endpoint.conditions.terminating = terminating;
      endpoint.conditions.ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
      endpoint.target_ref = pod_reference(*pod);
      if (!pod->spec.node_name.empty()) {
        endpoint.node_name = pod->spec.node_name;
        if (std::string zone = zone_of_node(pod->spec.node_name); !zone.empty()) endpoint.zone = std::move(zone);
      }
      if (std::string name = endpoint_hostname(*pod, service); !name.empty()) endpoint.hostname = std::move(name);
      SliceGroup& group = groups[{family, keys_of(ports)}];
      group.address_type = family;
      group.ports = std::move(ports);
      group.endpoints.push_back(std::move(endpoint));
    }
  }
  std::vector<SliceGroup> out;
  for (auto& [key, group] : groups) out.push_back(std::move(group));
  return out;
}

SliceOwner slice_owner(const Service& service) {
  SliceOwner owner;
  owner.ns = service.metadata.namespace_;
  owner.generate_name = service.metadata.name + "-";
  owner.reference.api_version = "v1";
  owner.reference.kind = "Service";
  owner.reference.name = service.metadata.name;
  owner.reference.uid = service.metadata.uid;
  owner.reference.controller = true;
  owner.reference.block_owner_deletion = true;
  owner.labels = service.metadata.labels;
  owner.labels.erase(kHeadlessLabel);
  owner.labels.insert_or_assign(api::discoveryv1::kLabelServiceName, service.metadata.name);
  owner.labels.insert_or_assign(api::discoveryv1::kLabelManagedBy, "endpointslice-controller.k8s.io");
  if (is_headless(service)) owner.labels.insert_or_assign(kHeadlessLabel, "");
  owner.families = families_of(service);
  return owner;
}

SlicePlan plan_slices(const SliceOwner& owner, std::vector<SliceGroup> wanted, const std::vector<SlicePointer>& present,
                      size_t max_endpoints) {
  SlicePlan plan;
  const auto drop = [&plan](const SlicePointer& slice) {
    plan.counts.removed += slice->endpoints.size();
    plan.remove.push_back(slice);
  };
  // A family without endpoints keeps one empty slice, so that clients can tell "none" from "not yet known".
  for (const std::string& family : owner.families) {
    const bool used =
        std::ranges::any_of(wanted, [&](const SliceGroup& group) { return group.address_type == family; });
    if (used) continue;
    ++plan.counts.ideal_slices;
    const auto empty = std::ranges::find_if(present, [&](const SlicePointer& slice) {
      return slice->address_type == family && slice->endpoints.empty() && slice->ports.empty();
    });
    EndpointSlice slice = empty == present.end() ? new_slice(owner, {family, {}, {}}) : **empty;
    stamp(slice, owner);
    if (empty == present.end()) {
      plan.create.push_back(std::move(slice));
    } else if (!semantic_equal(slice, **empty)) {
      plan.update.push_back(std::move(slice));
    }
    for (const SlicePointer& other : present) {
      if (other->address_type == family && (empty == present.end() || other != *empty)) drop(other);
    }
  }
  std::map<std::pair<std::string, std::vector<PortKey>>, std::vector<SlicePointer>> by_ports;
  for (const SlicePointer& slice : present) {
    const bool used =
        std::ranges::any_of(wanted, [&](const SliceGroup& group) { return group.address_type == slice->address_type; });
    if (used) by_ports[{slice->address_type, keys_of(slice->ports)}].push_back(slice);
  }
  for (SliceGroup& group : wanted) {
    const std::pair key{group.address_type, keys_of(group.ports)};
    std::vector<SlicePointer> same = std::move(by_ports[key]);
    by_ports.erase(key);
    plan_group(owner, group, same, max_endpoints, plan);
  }
  for (const auto& [key, leftover] : by_ports) std::ranges::for_each(leftover, drop);
  // A family the owner no longer has.
  for (const SlicePointer& slice : present) {
    const bool wanted_family = std::ranges::find(owner.families, slice->address_type) != owner.families.end();
    if (!wanted_family) drop(slice);
  }
  plan.counts.slices = present.size() + plan.create.size() - plan.remove.size();
  return plan;
}

}  // namespace trireme::controllers
