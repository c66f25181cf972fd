#include "api/quota/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "api/validation/resources.h"
#include "api/volumes.h"

namespace trireme::api::quota {
namespace {

using corev1::PersistentVolumeClaim;
using corev1::Pod;
using corev1::PodAffinityTerm;
using corev1::ScopedResourceSelectorRequirement;
using corev1::Service;

constexpr std::string_view kCountPrefix = "count/";
constexpr std::string_view kRequestsPrefix = "requests.";
constexpr std::string_view kOfStorageClass = ".storageclass.storage.k8s.io/";

constexpr std::string_view kPodNames[] = {
    corev1::kResourcePods,
    corev1::kResourceCPU,
    corev1::kResourceMemory,
    corev1::kResourceEphemeralStorage,
    corev1::kResourceRequestsCPU,
    corev1::kResourceRequestsMemory,
    corev1::kResourceRequestsEphemeralStorage,
    corev1::kResourceLimitsCPU,
    corev1::kResourceLimitsMemory,
    corev1::kResourceLimitsEphemeralStorage,
};
constexpr std::string_view kServiceNames[] = {corev1::kResourceServices, corev1::kResourceServicesNodePorts,
                                              corev1::kResourceServicesLoadBalancers};
constexpr std::string_view kClaimNames[] = {corev1::kResourcePersistentVolumeClaims, corev1::kResourceRequestsStorage};
// The compute resources that a quota makes mandatory. Frozen: nothing newer behaves like this.
constexpr std::string_view kMandatory[] = {corev1::kResourceCPU,         corev1::kResourceMemory,
                                           corev1::kResourceRequestsCPU, corev1::kResourceRequestsMemory,
                                           corev1::kResourceLimitsCPU,   corev1::kResourceLimitsMemory};

template <size_t N>
bool one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::ranges::find(names, name) != std::end(names);
}

Quantity one() { return Quantity::of(1); }

// Pods

bool tracks_pod_resource(std::string_view name) {
  if (one_of(name, kPodNames) || validation::is_hugepage_resource(name)) return true;
  if (name.starts_with(corev1::kResourceRequestsHugePagesPrefix)) return true;
  return name.starts_with(kRequestsPrefix) && !validation::is_native_resource(name);
}

/// What requests and limits mean in the names of quotas.
ResourceList compute_usage(const ResourceList& requests, const ResourceList& limits) {
  ResourceList out;
  out.emplace(corev1::kResourcePods, one());
  for (const std::string_view name :
       {corev1::kResourceCPU, corev1::kResourceMemory, corev1::kResourceEphemeralStorage}) {
    if (const auto request = requests.find(name); request != requests.end()) {
      out.insert_or_assign(name, request->second);
      out.insert_or_assign(fmt::format("requests.{}", name), request->second);
    }
    if (const auto limit = limits.find(name); limit != limits.end()) {
      out.insert_or_assign(fmt::format("limits.{}", name), limit->second);
    }
  }
  for (const auto& [name, request] : requests) {
    const bool pages = validation::is_hugepage_resource(name);
    if (pages) out.insert_or_assign(name, request);
    if (pages || validation::is_extended_resource(name)) out.insert_or_assign("requests." + name, request);
  }
  return out;
}

bool reaches_other_namespaces(const PodAffinityTerm& term) {
  return !term.namespaces.empty() || term.namespace_selector.has_value();
}

template <typename Affinity>
bool any_term_reaches_out(const Affinity& affinity) {
  if (!affinity) return false;
  return std::ranges::any_of(affinity->required_during_scheduling_ignored_during_execution, reaches_other_namespaces) ||
         std::ranges::any_of(affinity->preferred_during_scheduling_ignored_during_execution,
                             [](const auto& term) { return reaches_other_namespaces(term.pod_affinity_term); });
}

bool class_matches(const ScopedResourceSelectorRequirement& scope, const std::string& priority_class) {
  const std::string* value = priority_class.empty() ? nullptr : &priority_class;
  const bool listed = value != nullptr && std::ranges::find(scope.values, *value) != scope.values.end();
  if (scope.operator_ == corev1::kScopeSelectorOpIn) return listed;
  if (scope.operator_ == corev1::kScopeSelectorOpNotIn) return !listed;
  if (scope.operator_ == corev1::kScopeSelectorOpExists) return value != nullptr;
  return scope.operator_ == corev1::kScopeSelectorOpDoesNotExist && value == nullptr;
}

bool scope_matches(const ScopedResourceSelectorRequirement& scope, const Pod& pod) {
  const std::string& name = scope.scope_name;
  const bool terminating = pod.spec.active_deadline_seconds.value_or(-1) >= 0;
  if (name == corev1::kResourceQuotaScopeTerminating) return terminating;
  if (name == corev1::kResourceQuotaScopeNotTerminating) return !terminating;
  if (name == corev1::kResourceQuotaScopeBestEffort) return qos_class(pod.spec) == corev1::kPodQOSBestEffort;
  if (name == corev1::kResourceQuotaScopeNotBestEffort) return qos_class(pod.spec) != corev1::kPodQOSBestEffort;
  if (name == corev1::kResourceQuotaScopePriorityClass) return class_matches(scope, pod.spec.priority_class_name);
  if (name == corev1::kResourceQuotaScopeCrossNamespacePodAffinity) {
    const auto& affinity = pod.spec.affinity;
    return affinity &&
           (any_term_reaches_out(affinity->pod_affinity) || any_term_reaches_out(affinity->pod_anti_affinity));
  }
  return false;
}

// Services

ResourceList service_usage(const Service& service) {
  int64_t node_ports = 0;
  const bool balanced = service.spec.type == corev1::kServiceTypeLoadBalancer;
  if (balanced && !service.spec.allocate_load_balancer_node_ports.value_or(true)) {
    node_ports = std::ranges::count_if(service.spec.ports, [](const auto& port) { return port.node_port != 0; });
  } else if (balanced || service.spec.type == corev1::kServiceTypeNodePort) {
    // By intent: the ports may not be allocated yet.
    node_ports = static_cast<int64_t>(service.spec.ports.size());
  }
  ResourceList out;
  out.emplace(corev1::kResourceServices, one());
  out.emplace(corev1::kResourceServicesLoadBalancers, Quantity::of(balanced ? 1 : 0));
  out.emplace(corev1::kResourceServicesNodePorts, Quantity::of(node_ports));
  return out;
}

// Claims

bool tracks_claim_resource(std::string_view name) {
  if (one_of(name, kClaimNames)) return true;
  const size_t at = name.find(kOfStorageClass);
  return at != std::string_view::npos && one_of(name.substr(at + kOfStorageClass.size()), kClaimNames);
}

/// Usage is counted in whole bytes.
Quantity whole(const Quantity& quantity) {
  const Quantity rounded = Quantity::of(quantity.value(), quantity.format());
  return rounded == quantity ? quantity : rounded;
}

std::optional<Quantity> claimed_storage(const PersistentVolumeClaim& claim) {
  const auto wanted = claim.spec.resources.requests.find(corev1::kResourceStorage);
  if (wanted == claim.spec.resources.requests.end()) return std::nullopt;
  const auto given = claim.status.allocated_resources.find(corev1::kResourceStorage);
  const bool more = given != claim.status.allocated_resources.end() && given->second > wanted->second;
  return whole(more ? given->second : wanted->second);
}

ResourceList claim_usage(const PersistentVolumeClaim& claim) {
  std::string storage_class = claim.metadata.annotations.get(kBetaStorageClass);
  if (storage_class.empty()) storage_class = claim.spec.storage_class_name.value_or("");
  ResourceList out;
  auto charge = [&](std::string_view name, const Quantity& amount) {
    out.insert_or_assign(name, amount);
    if (!storage_class.empty())
      out.insert_or_assign(fmt::format("{}{}{}", storage_class, kOfStorageClass, name), amount);
  };
  charge(corev1::kResourcePersistentVolumeClaims, one());
  if (const auto storage = claimed_storage(claim)) charge(corev1::kResourceRequestsStorage, *storage);
  return out;
}

}  // namespace

Evaluator Evaluator::of(const ResourceInfo& resource) {
  std::string name(kCountPrefix);
  name += resource.resource;
  if (!resource.group.empty()) name += "." + resource.group;
  Kind kind = Kind::kOther;
  std::string alias;
  if (resource.group.empty()) {
    if (resource.resource == "pods") kind = Kind::kPod;
    if (resource.resource == "services") kind = Kind::kService;
    if (resource.resource == "persistentvolumeclaims") kind = Kind::kClaim;
    static constexpr std::string_view kOldNames[] = {corev1::kResourceConfigMaps, corev1::kResourceQuotas,
                                                     corev1::kResourceReplicationControllers, corev1::kResourceSecrets};
    if (one_of(resource.resource, kOldNames)) alias = resource.resource;
  }
  return {kind, std::move(name), std::move(alias)};
}

bool Evaluator::tracks(std::string_view name) const {
  if (name == count_name_) return true;
  switch (kind_) {
    case Kind::kPod:
      return tracks_pod_resource(name);
    case Kind::kService:
      return one_of(name, kServiceNames);
    case Kind::kClaim:
      return tracks_claim_resource(name);
    case Kind::kOther:
      break;
  }
  return !alias_.empty() && name == alias_;
}

std::vector<std::string> Evaluator::tracked(const ResourceList& hard) const {
  std::vector<std::string> out;
  for (const auto& [name, limit] : hard) {
    if (tracks(name)) out.push_back(name);
  }
  return out;
}

bool Evaluator::in_scopes(const corev1::ResourceQuotaSpec& quota, const void* object) const {
  const auto scopes = scopes_of(quota);
  return matching(scopes, object).size() == scopes.size();
}

std::vector<ScopedResourceSelectorRequirement> Evaluator::matching(
    const std::vector<ScopedResourceSelectorRequirement>& scopes, const void* object) const {
  std::vector<ScopedResourceSelectorRequirement> out;
  if (kind_ != Kind::kPod) return out;
  const Pod& pod = *static_cast<const Pod*>(object);
  std::ranges::copy_if(scopes, std::back_inserter(out), [&](const auto& scope) { return scope_matches(scope, pod); });
  return out;
}

ResourceList Evaluator::usage(const void* object, WallTime now) const {
  ResourceList out;
  switch (kind_) {
    case Kind::kPod: {
      const Pod& pod = *static_cast<const Pod*>(object);
      if (is_charged(pod, now)) out = compute_usage(pod_requests(pod.spec), pod_limits(pod.spec));
      break;
    }
    case Kind::kService:
      out = service_usage(*static_cast<const Service*>(object));
      break;
    case Kind::kClaim:
      out = claim_usage(*static_cast<const PersistentVolumeClaim*>(object));
      break;
    case Kind::kOther:
      if (!alias_.empty()) out.emplace(alias_, one());
      break;
  }
  out.emplace(count_name_, one());
  return out;
}

std::string Evaluator::missing(const std::vector<std::string>& tracked, const void* object) const {
  if (kind_ != Kind::kPod) return {};
  const Pod& pod = *static_cast<const Pod*>(object);
  std::map<std::string, std::set<std::string>> containers_without;
  for (const auto* containers : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const auto& container : *containers) {
      const ResourceList named = compute_usage(container.resources.requests, container.resources.limits);
      for (const std::string& name : tracked) {
        if (one_of(name, kMandatory) && !named.contains(name)) containers_without[name].insert(container.name);
      }
    }
  }
  if (containers_without.empty()) return {};
  std::vector<std::string> parts;
  for (const auto& [name, containers] : containers_without) {
    parts.push_back(fmt::format("{} for: {}", name, fmt::join(containers, ",")));
  }
  return fmt::format("must specify {}", fmt::join(parts, "; "));
}

std::vector<ScopedResourceSelectorRequirement> scopes_of(const corev1::ResourceQuotaSpec& quota) {
  std::vector<ScopedResourceSelectorRequirement> out;
  for (const std::string& name : quota.scopes) {
    ScopedResourceSelectorRequirement& scope = out.emplace_back();
    scope.scope_name = name;
    scope.operator_ = corev1::kScopeSelectorOpExists;
  }
  if (quota.scope_selector) {
    const auto& more = quota.scope_selector->match_expressions;
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

bool is_ignored(const ResourceInfo& resource) { return resource.resource == "events"; }

bool is_charged(const Pod& pod, WallTime now, WallTime* until) {
  if (pod.status.phase == corev1::kPodFailed || pod.status.phase == corev1::kPodSucceeded) return false;
  if (!pod.metadata.deletion_timestamp || !pod.metadata.deletion_grace_period_seconds) return true;
  // A node that is lost must not make its pods' owner pay for ever.
  const WallTime end =
      pod.metadata.deletion_timestamp->wall() + std::chrono::seconds(*pod.metadata.deletion_grace_period_seconds);
  if (until != nullptr) *until = end;
  return now <= end;
}

std::string to_string(const ResourceList& list) {
  std::string out;
  for (const auto& [name, quantity] : list) {
    if (!out.empty()) out += ',';
    out.append(name).append("=").append(quantity.to_string());
  }
  return out;
}

ResourceList only(const ResourceList& list, const std::vector<std::string>& names) {
  ResourceList out;
  for (const auto& [name, quantity] : list) {
    if (std::ranges::find(names, name) != names.end()) out.emplace(name, quantity);
  }
  return out;
}

std::vector<std::string> names_of(const ResourceList& list) {
  std::vector<std::string> out;
  for (const auto& [name, quantity] : list) out.push_back(name);
  return out;
}

}  // namespace trireme::api::quota
