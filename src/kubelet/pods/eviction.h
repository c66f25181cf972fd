#pragma once

#include <optional>

#include "kubelet/pods/node_services.h"
#include "kubelet/pods/pod_manager.h"

namespace trireme::kubelet {

/// Ends pods whose emptyDir volumes on disk have outgrown their sizeLimit (those in memory cannot). Reads the disk use
/// of pods that have such a limit, and of no others.
void enforce_volume_limits(NodeServices& node, PodManager& pods);

/// Which limit the pod is over, or nothing.
std::optional<PodFailure> over_volume_limit(const api::corev1::Pod& pod, const VolumeManager& volumes);

}  // namespace trireme::kubelet
