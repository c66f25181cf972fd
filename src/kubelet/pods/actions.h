#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "kubelet/pods/runtime_pod.h"
#include "kubelet/probes/results.h"

namespace trireme::kubelet {

/// What brings the runtime from what it has of a pod to what the pod's spec wants.
struct PodActions {
  struct Kill {
    std::string container_id;
    std::string name;
    std::string message;           ///< For the event.
    std::optional<int64_t> grace;  ///< Seconds; absent: the pod's own.
  };

  bool stop_sandboxes = false;  ///< Everything of the pod is to be stopped first.
  bool create_sandbox = false;
  uint32_t sandbox_attempt = 0;
  std::string sandbox_id;  ///< The one in use, unless another is to be created.
  std::vector<Kill> kill;
  std::vector<const api::corev1::Container*> start;  ///< In this order; may include init containers.
  bool finished = false;                             ///< Nothing of the pod will run again.
};

/// Pure. Follows the pod life cycle page and KEP-753 (sidecars). Back-off is the caller's: `start` is what should run.
PodActions compute_actions(const api::corev1::Pod& pod, const RuntimePod& runtime, const ProbeResults& probes);

/// Whether a container that ended with `exit_code` runs again.
bool should_restart(const api::corev1::Pod& pod, const api::corev1::Container& container, bool init, int32_t exit_code);

}  // namespace trireme::kubelet
