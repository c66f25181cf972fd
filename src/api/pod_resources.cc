#include "api/pod_resources.h"

namespace trireme::api {
namespace {

using corev1::Container;

template <typename ListOf>
ResourceList total_of(const corev1::PodSpec& spec, ListOf list_of) {
  ResourceList total;
  for (const Container& container : spec.containers) add_resources(total, list_of(container));
  ResourceList sidecars;
  ResourceList starting;
  for (const Container& container : spec.init_containers) {
    ResourceList needed = list_of(container);
    if (container.restart_policy == corev1::kContainerRestartPolicyAlways) {
      add_resources(total, needed);
      add_resources(sidecars, needed);
      needed = sidecars;
    } else {
      add_resources(needed, sidecars);
    }
    raise_resources(starting, needed);
  }
  raise_resources(total, starting);
  return total;
}

}  // namespace

void add_resources(ResourceList& total, const ResourceList& more) {
  for (const auto& [name, quantity] : more) {
    const auto [at, added] = total.emplace(name, quantity);
    if (!added) at->second += quantity;
  }
}

void raise_resources(ResourceList& total, const ResourceList& floor) {
  for (const auto& [name, quantity] : floor) {
    const auto [at, added] = total.emplace(name, quantity);
    if (!added && at->second < quantity) at->second = quantity;
  }
}

ResourceList pod_requests(const corev1::PodSpec& spec, bool with_overhead) {
  ResourceList total = total_of(spec, [](const Container& container) { return container.resources.requests; });
  if (with_overhead) add_resources(total, spec.overhead);
  return total;
}

ResourceList pod_limits(const corev1::PodSpec& spec, bool with_overhead) {
  ResourceList total = total_of(spec, [](const Container& container) { return container.resources.limits; });
  if (!with_overhead) return total;
  for (const auto& [name, quantity] : spec.overhead) {
    const auto limited = total.find(name);
    if (limited != total.end()) limited->second += quantity;
  }
  return total;
}

std::string_view qos_class(const corev1::PodSpec& spec) {
  ResourceList requests;
  ResourceList limits;
  bool guaranteed = true;
  auto add = [](ResourceList& total, const ResourceList& list) {
    size_t found = 0;
    for (const std::string_view name : {corev1::kResourceCPU, corev1::kResourceMemory}) {
      const auto quantity = list.find(name);
      if (quantity == list.end() || quantity->second.sign() <= 0) continue;
      total[name] += quantity->second;
      ++found;
    }
    return found;
  };
  for (const auto* containers : {&spec.containers, &spec.init_containers}) {
    for (const Container& container : *containers) {
      add(requests, container.resources.requests);
      if (add(limits, container.resources.limits) != 2) guaranteed = false;
    }
  }
  if (requests.empty() && limits.empty()) return corev1::kPodQOSBestEffort;
  return guaranteed && requests == limits ? corev1::kPodQOSGuaranteed : corev1::kPodQOSBurstable;
}

}  // namespace trireme::api
