#include "scheduler/pod_info.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/codec.h"
#include "api/types/metav1.h"

namespace trireme::scheduler {

using api::corev1::Container;
using api::corev1::Pod;

namespace {

constexpr int64_t kDefaultMilliCpu = 100;
constexpr int64_t kDefaultMemory = 200 * 1024 * 1024;
constexpr std::string_view kAnyAddress = "0.0.0.0";

/// Huge pages, volumes to attach, and everything with a domain: counted by name.
bool is_scalar(std::string_view name) {
  return name.starts_with("hugepages-") || name.starts_with("attachable-volumes-") ||
         name.find('/') != std::string_view::npos;
}

void raise_all(api::Map<int64_t>& into, const api::Map<int64_t>& from) {
  for (const auto& [name, amount] : from) {
    int64_t& own = into[name];
    own = std::max(own, amount);
  }
}

bool is_sidecar(const Container& container) {
  return container.restart_policy == api::corev1::kContainerRestartPolicyAlways;
}

Resources container_requests(const Container& container, bool fill_missing) {
  Resources out = resources_of(container.resources.requests);
  if (fill_missing) {
    if (!container.resources.requests.contains(api::corev1::kResourceCPU)) out.milli_cpu = kDefaultMilliCpu;
    if (!container.resources.requests.contains(api::corev1::kResourceMemory)) out.memory = kDefaultMemory;
  }
  return out;
}

Resources requests_of(const Pod& pod, bool fill_missing) {
  Resources total;
  for (const Container& container : pod.spec.containers) total.add(container_requests(container, fill_missing));
  Resources sidecars;
  Resources starting;
  for (const Container& container : pod.spec.init_containers) {
    Resources needed = container_requests(container, fill_missing);
    if (is_sidecar(container)) {
      total.add(needed);
      sidecars.add(needed);
      starting.raise_to(sidecars);
    } else {
      needed.add(sidecars);
      starting.raise_to(needed);
    }
  }
  total.raise_to(starting);
  if (!pod.spec.overhead.empty()) total.add(resources_of(pod.spec.overhead));
  total.pods = 0;
  return total;
}

void collect_host_ports(const Container& container, std::vector<HostPort>& out) {
  for (const auto& port : container.ports) {
    if (port.host_port <= 0) continue;
    out.push_back({port.host_ip.empty() ? std::string(kAnyAddress) : port.host_ip,
                   port.protocol.empty() ? std::string(api::corev1::kProtocolTCP) : port.protocol, port.host_port});
  }
}

template <typename Terms>
void collect_required(const Pod& pod, const Terms& terms, std::vector<AffinityTerm>& out) {
  for (const auto& term : terms) out.emplace_back(pod, term);
}

template <typename Terms>
void collect_preferred(const Pod& pod, const Terms& terms, std::vector<AffinityTerm>& out) {
  for (const auto& term : terms) {
    if (term.weight != 0) out.emplace_back(pod, term.pod_affinity_term, term.weight);
  }
}

}  // namespace

void Resources::add(const Resources& other) {
  milli_cpu += other.milli_cpu;
  memory += other.memory;
  ephemeral_storage += other.ephemeral_storage;
  pods += other.pods;
  for (const auto& [name, amount] : other.scalar) scalar[name] += amount;
}

void Resources::subtract(const Resources& other) {
  milli_cpu -= other.milli_cpu;
  memory -= other.memory;
  ephemeral_storage -= other.ephemeral_storage;
  pods -= other.pods;
  for (const auto& [name, amount] : other.scalar) scalar[name] -= amount;
}

void Resources::raise_to(const Resources& other) {
  milli_cpu = std::max(milli_cpu, other.milli_cpu);
  memory = std::max(memory, other.memory);
  ephemeral_storage = std::max(ephemeral_storage, other.ephemeral_storage);
  pods = std::max(pods, other.pods);
  raise_all(scalar, other.scalar);
}

bool asks_less(const Resources& before, const Resources& after) {
  if (after.milli_cpu < before.milli_cpu || after.memory < before.memory ||
      after.ephemeral_storage < before.ephemeral_storage) {
    return true;
  }
  return std::ranges::any_of(before.scalar, [&](const auto& each) {
    const auto found = after.scalar.find(each.first);
    return found == after.scalar.end() || found->second < each.second;
  });
}

Resources resources_of(const api::Map<Quantity>& list) {
  Resources out;
  for (const auto& [name, quantity] : list) {
    if (name == api::corev1::kResourceCPU) {
      out.milli_cpu = quantity.milli_value();
    } else if (name == api::corev1::kResourceMemory) {
      out.memory = quantity.value();
    } else if (name == api::corev1::kResourceEphemeralStorage) {
      out.ephemeral_storage = quantity.value();
    } else if (name == api::corev1::kResourcePods) {
      out.pods = quantity.value();
    } else if (is_scalar(name)) {
      out.scalar.emplace(name, quantity.value());
    }
  }
  return out;
}

Resources pod_requests(const Pod& pod) { return requests_of(pod, false); }

bool HostPort::conflicts(const HostPort& other) const {
  return port == other.port && protocol == other.protocol &&
         (ip == other.ip || ip == kAnyAddress || other.ip == kAnyAddress);
}

api::LabelSelector effective_selector(const api::metav1::LabelSelector* selector, const Labels& pod_labels,
                                      const std::vector<std::string>& match_keys,
                                      const std::vector<std::string>& mismatch_keys) {
  if (!selector) return api::LabelSelector::nothing();
  api::metav1::LabelSelector merged = *selector;
  const auto add = [&](const std::vector<std::string>& keys, std::string_view op) {
    for (const std::string& key : keys) {
      const auto label = pod_labels.find(key);
      if (label == pod_labels.end()) continue;
      auto& requirement = merged.match_expressions.emplace_back();
      requirement.key = key;
      requirement.operator_ = op;
      requirement.values = {label->second};
    }
  };
  add(match_keys, api::metav1::kLabelSelectorOpIn);
  add(mismatch_keys, api::metav1::kLabelSelectorOpNotIn);
  auto parsed = api::LabelSelector::from(merged);
  return parsed.ok() ? std::move(*parsed) : api::LabelSelector::nothing();
}

AffinityTerm::AffinityTerm(const Pod& owner, const api::corev1::PodAffinityTerm& term, int32_t weight)
    : namespaces_(term.namespaces),
      selector_(effective_selector(term.label_selector.get(), owner.metadata.labels, term.match_label_keys,
                                   term.mismatch_label_keys)),
      namespace_selector_(api::LabelSelector::nothing()),
      topology_key_(term.topology_key),
      weight_(weight) {
  if (term.namespace_selector) {
    auto parsed = api::LabelSelector::from(*term.namespace_selector);
    if (parsed.ok()) namespace_selector_ = std::move(*parsed);
  } else if (namespaces_.empty()) {
    namespaces_.push_back(owner.metadata.namespace_);
  }
}

bool AffinityTerm::matches(const Pod& pod, const Labels* namespace_labels) const {
  const bool in_namespace = std::ranges::find(namespaces_, pod.metadata.namespace_) != namespaces_.end() ||
                            namespace_selector_.matches(namespace_labels ? *namespace_labels : Labels());
  return in_namespace && selector_.matches(pod.metadata.labels);
}

namespace {

void append(std::string& out, const Labels& labels) {
  for (const auto& [key, value] : labels) out.append(key).append(1, '=').append(value).append(1, '\n');
}

std::string placement_of(const Pod& pod) {
  std::string out;
  append(out, pod.spec.node_selector);
  if (pod.spec.affinity && pod.spec.affinity->node_affinity) {
    const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
    if (required) out += api::encode_json(*required);
  }
  return out;
}

AffinityTerms terms_of(const Pod& pod) {
  AffinityTerms out;
  if (!pod.spec.affinity) return out;
  if (const auto& towards = pod.spec.affinity->pod_affinity) {
    collect_required(pod, towards->required_during_scheduling_ignored_during_execution, out.required);
    collect_preferred(pod, towards->preferred_during_scheduling_ignored_during_execution, out.preferred);
  }
  if (const auto& away = pod.spec.affinity->pod_anti_affinity) {
    collect_required(pod, away->required_during_scheduling_ignored_during_execution, out.required_anti);
    collect_preferred(pod, away->preferred_during_scheduling_ignored_during_execution, out.preferred_anti);
  }
  return out;
}

}  // namespace

const AffinityTerms& PodInfo::terms() const {
  static const AffinityTerms kNone;
  return affinity ? *affinity : kNone;
}

PodInfoPointer PodInfo::make(PodPointer pod) {
  auto info = std::make_shared<PodInfo>();
  info->requests = pod_requests(*pod);
  const Resources filled = requests_of(*pod, true);
  info->non_zero_milli_cpu = filled.milli_cpu;
  info->non_zero_memory = filled.memory;
  info->priority = pod->spec.priority.value_or(0);
  for (const Container& container : pod->spec.containers) collect_host_ports(container, info->host_ports);
  for (const Container& container : pod->spec.init_containers) {
    if (is_sidecar(container)) collect_host_ports(container, info->host_ports);
  }
  if (AffinityTerms terms = terms_of(*pod); !terms.empty()) info->affinity = std::move(terms);
  info->placement = placement_of(*pod);
  info->pod = std::move(pod);
  return info;
}

std::string PodInfo::shape() const {
  std::string out = fmt::format("{} {} {}", requests.milli_cpu, requests.memory, requests.ephemeral_storage);
  for (const auto& [name, amount] : requests.scalar) out += fmt::format(" {}={}", name, amount);
  for (const HostPort& port : host_ports) out += fmt::format(" {}/{}/{}", port.ip, port.protocol, port.port);
  for (const auto& toleration : pod->spec.tolerations) out.append(1, '\n').append(api::encode_json(toleration));
  out.append("\n\n").append(placement).append("\n\n").append(pod->spec.node_name);
  return out;
}

std::string PodInfo::identity() const {
  std::string out = pod->metadata.namespace_ + '\n';
  append(out, pod->metadata.labels);
  return out;
}

std::string PodInfo::affinity_key() const {
  std::string out = identity();
  if (!pod->spec.affinity) return out;
  if (pod->spec.affinity->pod_affinity) out += api::encode_json(*pod->spec.affinity->pod_affinity);
  out += '\n';
  if (pod->spec.affinity->pod_anti_affinity) out += api::encode_json(*pod->spec.affinity->pod_anti_affinity);
  return out;
}

bool is_finished(const Pod& pod) {
  return pod.status.phase == api::corev1::kPodSucceeded || pod.status.phase == api::corev1::kPodFailed;
}

}  // namespace trireme::scheduler
