#include "kubelet/pods/actions.h"

#include <fmt/format.h>

#include "kubelet/pods/container_config.h"
#include "kubelet/pods/labels.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::Pod;
using cri::ContainerState;
using cri::ContainerStatus;

/// Whether the sandbox can go on serving the pod.
bool sandbox_usable(const Pod& pod, const cri::SandboxStatus* sandbox) {
  if (sandbox == nullptr || sandbox->state != cri::SandboxState::kReady) return false;
  bool host = sandbox->network == cri::NamespaceMode::kNode;
  if (host != host_network(pod)) return false;
  return host || !sandbox->ips.empty();
}

std::optional<int64_t> probe_grace(const Box<api::corev1::Probe>& probe) {
  return probe ? probe->termination_grace_period_seconds : std::nullopt;
}

/// Why a running container must be replaced; nothing when it may go on.
std::optional<PodActions::Kill> replacement(const Container& container, const ContainerStatus& status,
                                            const ProbeResults& probes) {
  auto hash = status.annotations.find(std::string(labels::kHash));
  if (hash != status.annotations.end() && hash->second != container_hash(container)) {
    return PodActions::Kill{status.id, container.name,
                            fmt::format("Container {} definition changed, will be restarted", container.name),
                            std::nullopt};
  }
  // Absent until the probe has decided; false once its failures reached the threshold.
  if (probes.get(status.id, ProbeKind::kStartup) == false) {
    return PodActions::Kill{status.id, container.name,
                            fmt::format("Container {} failed startup probe, will be restarted", container.name),
                            probe_grace(container.startup_probe)};
  }
  if (probes.get(status.id, ProbeKind::kLiveness) == false) {
    return PodActions::Kill{status.id, container.name,
                            fmt::format("Container {} failed liveness probe, will be restarted", container.name),
                            probe_grace(container.liveness_probe)};
  }
  return std::nullopt;
}

/// A container of `sandbox_id`'s era ran: init containers need not run again for it.
bool initialized_before(const Pod& pod, const RuntimePod& runtime, const std::string& sandbox_id) {
  for (const Container& container : pod.spec.containers) {
    const ContainerStatus* status = runtime.latest(container.name);
    if (status != nullptr && status->sandbox_id == sandbox_id && status->state != ContainerState::kCreated) return true;
  }
  return false;
}

/// Handles one container that shall run: kills it, starts it or leaves it. Returns whether it runs or will run.
bool reconcile(const Pod& pod, const Container& container, bool init, const RuntimePod& runtime,
               const std::string& sandbox_id, const ProbeResults& probes, PodActions& actions) {
  const ContainerStatus* status = runtime.latest(container.name);
  if (status == nullptr || status->sandbox_id != sandbox_id) {
    if (status != nullptr && status->state == ContainerState::kExited &&
        !should_restart(pod, container, init, status->exit_code)) {
      return false;
    }
    actions.start.push_back(&container);
    return true;
  }
  switch (status->state) {
    case ContainerState::kRunning: {
      auto kill = replacement(container, *status, probes);
      if (!kill) return true;
      actions.kill.push_back(std::move(*kill));
      if (pod.spec.restart_policy == "Never" && !is_restartable_init(container)) return true;
      actions.start.push_back(&container);
      return true;
    }
    case ContainerState::kExited:
      if (!should_restart(pod, container, init, status->exit_code)) return false;
      actions.start.push_back(&container);
      return true;
    case ContainerState::kCreated:  // a start that failed, or was cut off by the kubelet's end
    case ContainerState::kUnknown:
      actions.kill.push_back(
          {status->id, container.name,
           fmt::format("Container {} is in an unknown state, try killing it before restart", container.name),
           std::nullopt});
      actions.start.push_back(&container);
      return true;
  }
  return true;
}

/// Walks the init containers in order. Returns whether regular containers may run.
bool walk_init_containers(const Pod& pod, const RuntimePod& runtime, const std::string& sandbox_id,
                          const ProbeResults& probes, PodActions& actions) {
  bool initialized = initialized_before(pod, runtime, sandbox_id);
  for (const Container& container : pod.spec.init_containers) {
    const ContainerStatus* status = runtime.latest(container.name);
    bool current = status != nullptr && status->sandbox_id == sandbox_id;
    if (is_restartable_init(container)) {
      reconcile(pod, container, true, runtime, sandbox_id, probes, actions);
      if (initialized) continue;
      if (!current || status->state != ContainerState::kRunning) return false;
      if (container.startup_probe && probes.get(status->id, ProbeKind::kStartup) != true) return false;
      continue;
    }
    if (initialized) continue;
    if (current && status->state == ContainerState::kExited && status->exit_code == 0) continue;
    if (current && status->state == ContainerState::kExited && pod.spec.restart_policy == "Never") {
      actions.finished = true;
      return false;
    }
    reconcile(pod, container, true, runtime, sandbox_id, probes, actions);
    return false;
  }
  return true;
}

}  // namespace

bool should_restart(const Pod& pod, const Container& container, bool init, int32_t exit_code) {
  if (init && is_restartable_init(container)) return true;
  if (pod.spec.restart_policy == "Never") return false;
  if (pod.spec.restart_policy == "OnFailure" || init) return exit_code != 0;
  return true;
}

PodActions compute_actions(const Pod& pod, const RuntimePod& runtime, const ProbeResults& probes) {
  PodActions actions;
  const cri::SandboxStatus* sandbox = runtime.newest_sandbox();
  bool usable = sandbox_usable(pod, sandbox);
  if (usable) {
    actions.sandbox_id = sandbox->id;
  } else {
    // A sandbox whose network failed has no time of creation by which the newest could be told; its name stays taken.
    for (const cri::SandboxStatus& each : runtime.sandboxes) {
      actions.sandbox_attempt = std::max(actions.sandbox_attempt, each.metadata.attempt + 1);
    }
  }

  bool may_run = walk_init_containers(pod, runtime, actions.sandbox_id, probes, actions);
  if (actions.finished) {
    actions.kill.clear();
    actions.start.clear();
    actions.stop_sandboxes = true;
    return actions;
  }
  if (may_run) {
    bool any = false;
    for (const Container& container : pod.spec.containers) {
      any |= reconcile(pod, container, false, runtime, actions.sandbox_id, probes, actions);
    }
    actions.finished = !any;
  } else if (!usable) {
    // Without a sandbox nothing runs: a pod whose containers have all ended for good must not start over.
    bool any = false;
    bool seen = false;
    for (const Container& container : pod.spec.containers) {
      const ContainerStatus* status = runtime.latest(container.name);
      seen |= status != nullptr;
      any |= status == nullptr || status->state != ContainerState::kExited ||
             should_restart(pod, container, false, status->exit_code);
    }
    actions.finished = seen && !any;
  }
  if (actions.finished) {
    actions.kill.clear();
    actions.start.clear();
    actions.stop_sandboxes = true;
    return actions;
  }
  if (!usable) {
    actions.stop_sandboxes = sandbox != nullptr;
    actions.create_sandbox = true;
    actions.kill.clear();  // they end with the sandbox
  }
  return actions;
}

}  // namespace trireme::kubelet
