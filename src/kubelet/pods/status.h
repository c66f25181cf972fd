#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "kubelet/pods/runtime_pod.h"
#include "kubelet/probes/results.h"

/// The pod status that the node reports, computed from what it knows. Pure functions.
/// Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
namespace trireme::kubelet {

/// Why a container does not run yet: "ImagePullBackOff" and the like.
struct WaitingReason {
  std::string reason;
  std::string message;
};

/// Why the node ended a pod: "DeadlineExceeded", "Evicted".
struct PodFailure {
  std::string reason;
  std::string message;
};

struct StatusInputs {
  const api::corev1::Pod& pod;  ///< With the status last reported.
  const RuntimePod& runtime;
  const std::map<std::string, WaitingReason>& waiting;  ///< By container name.
  const ProbeResults& probes;
  std::vector<std::string> host_ips;
  /// What a container wrote as its last words, by container id.
  const std::map<std::string, std::string>& termination_messages;
  std::string runtime_name = "containerd";
  bool terminal = false;  ///< Nothing of the pod will run again: the phase becomes Succeeded or Failed.
  std::optional<PodFailure> failure;
  WallTime now;
};

api::corev1::PodStatus make_pod_status(const StatusInputs& inputs);

/// Whether a container that the status shows may serve: running, started and found ready by its probe.
bool container_ready(const api::corev1::Container& container, const cri::ContainerStatus& status,
                     const ProbeResults& probes);
bool container_started(const api::corev1::Container& container, const cri::ContainerStatus& status,
                       const ProbeResults& probes);

}  // namespace trireme::kubelet
