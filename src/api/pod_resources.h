#pragma once

#include <string_view>

#include "api/types/corev1.h"

/// What a whole pod asks for, from what its containers do.
namespace trireme::api {

using ResourceList = Map<Quantity>;

/// Adds `more` to `total`, name by name.
void add_resources(ResourceList& total, const ResourceList& more);
/// Raises every amount of `total` to that of `floor`.
void raise_resources(ResourceList& total, const ResourceList& floor);

/// Containers and sidecars together, or what starting takes when an init container needs more; with the overhead.
/// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
ResourceList pod_requests(const corev1::PodSpec& spec, bool with_overhead = true);
/// The same of limits. Overhead counts only where something is limited at all.
ResourceList pod_limits(const corev1::PodSpec& spec, bool with_overhead = true);

/// Guaranteed, Burstable or BestEffort. Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
std::string_view qos_class(const corev1::PodSpec& spec);

}  // namespace trireme::api
