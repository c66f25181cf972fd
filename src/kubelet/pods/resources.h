#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/types/corev1.h"
#include "kubelet/cri/types.h"
#include "linux/cgroup.h"

/// From a pod's resource requirements to the kernel's numbers. Pure functions.
/// Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ and the cgroup part of KEP-2254.
namespace trireme::kubelet {

enum class QosClass { kGuaranteed, kBurstable, kBestEffort };

QosClass qos_class(const api::corev1::Pod& pod);
std::string_view to_string(QosClass qos);

/// cpu.shares for a CPU request in thousandths of a core; never below the kernel's minimum of 2.
uint64_t milli_cpu_to_shares(int64_t milli_cpu);
/// cpu.cfs_quota_us of a 100 ms period for a CPU limit; 0 when there is none.
int64_t milli_cpu_to_quota(int64_t milli_cpu);

/// `capacity_bytes` is the node's memory. Guaranteed -997, best-effort 1000, burstable between by its request.
int64_t oom_score_adjust(const api::corev1::Pod& pod, const api::corev1::Container& container, uint64_t capacity_bytes);

/// What a container's own group is given.
cri::Resources container_resources(const api::corev1::Pod& pod, const api::corev1::Container& container,
                                   uint64_t capacity_bytes, bool cgroup_v2);

/// "/kubepods", "/kubepods/burstable" or "/kubepods/besteffort" below `cgroup_root`.
std::string qos_cgroup(std::string_view cgroup_root, QosClass qos);
std::string pod_cgroup(std::string_view cgroup_root, const api::corev1::Pod& pod);
/// Limits of the pod's group: memory and CPU only where every container has a limit.
linux::CgroupLimits pod_limits(const api::corev1::Pod& pod);

/// A pod's effective request or limit of "cpu" (thousandths) or "memory" (bytes): the sum over containers and
/// restartable init containers, at least what any init step needs, plus overhead.
int64_t pod_request(const api::corev1::Pod& pod, const std::string& resource);

}  // namespace trireme::kubelet
