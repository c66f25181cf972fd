#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/status.h"

/// Starts and stops single containers, with their hooks and events.
namespace trireme::kubelet {

struct StartRequest {
  const api::corev1::Pod& pod;
  const api::corev1::Container& container;
  uint32_t attempt = 0;
  std::string sandbox_id;
  const cri::SandboxConfig& sandbox;
  const PodVolumes& volumes;
  const ImageOutcome& image;
  std::vector<std::string> pod_ips;
};

/// What keeps a container from running, and when to try again.
struct StartFailure {
  WaitingReason waiting;
  Duration retry_after = std::chrono::seconds(10);
};

/// The pod's config with its cgroup parent.
NodeContext node_context(const NodeServices& node, const api::corev1::Pod& pod);
DownwardContext downward_context(const NodeServices& node, const api::corev1::Pod& pod,
                                 const std::vector<std::string>& pod_ips);

/// Creates and starts the container, and runs its postStart hook. Nothing on success.
std::optional<StartFailure> start_container(NodeServices& node, const StartRequest& request);

/// Runs the preStop hook, then asks the container to end within what remains of `grace`. Blocks until it has ended.
/// `container` may be null when the spec is no longer known.
void kill_container(NodeServices& node, const api::corev1::Pod* pod, const api::corev1::Container* container,
                    const std::string& container_id, std::chrono::seconds grace, const std::string& message,
                    const std::vector<std::string>& pod_ips);

/// The image pull secrets that exist.
std::vector<api::corev1::Secret> pull_secrets(NodeServices& node, const api::corev1::Pod& pod);

}  // namespace trireme::kubelet
