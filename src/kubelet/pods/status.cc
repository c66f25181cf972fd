#include "kubelet/pods/status.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/conditions.h"
#include "kubelet/pods/container_config.h"
#include "kubelet/pods/resources.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::ContainerState;
using api::corev1::ContainerStatus;
using api::corev1::Pod;
using api::corev1::PodCondition;
using api::corev1::PodStatus;

constexpr int32_t kKilledExitCode = 137;

api::Time time_of(int64_t nanoseconds) { return nanoseconds <= 0 ? api::Time() : api::Time(wall_time(nanoseconds)); }

ContainerStatus* find_status(std::vector<ContainerStatus>& list, std::string_view name) {
  for (ContainerStatus& status : list) {
    if (status.name == name) return &status;
  }
  return nullptr;
}
const ContainerStatus* find_status(const std::vector<ContainerStatus>& list, std::string_view name) {
  return find_status(const_cast<std::vector<ContainerStatus>&>(list), name);
}

class StatusMaker {
 public:
  explicit StatusMaker(const StatusInputs& inputs) : in_(inputs), pod_(inputs.pod), old_(inputs.pod.status) {}

  PodStatus make() {
    initialized_ = init_containers_done();
    make_container_statuses();
    status_.phase = phase();
    status_.message = in_.failure ? in_.failure->message : old_.message;
    status_.reason = in_.failure ? in_.failure->reason : old_.reason;
    status_.nominated_node_name = "";
    status_.qos_class = std::string(to_string(qos_class(pod_)));
    status_.start_time = old_.start_time ? old_.start_time : std::optional(api::Time(in_.now));
    status_.resize = old_.resize;
    status_.ephemeral_container_statuses = old_.ephemeral_container_statuses;
    add_addresses();
    add_conditions();
    return std::move(status_);
  }

 private:
  bool ran_before() const {
    for (const Container& container : pod_.spec.containers) {
      const cri::ContainerStatus* status = in_.runtime.latest(container.name);
      if (status != nullptr && status->state != cri::ContainerState::kCreated) return true;
    }
    return false;
  }

  bool init_containers_done() const {
    if (ran_before()) return true;
    for (const Container& container : pod_.spec.init_containers) {
      const cri::ContainerStatus* status = in_.runtime.latest(container.name);
      if (status == nullptr) return false;
      if (is_restartable_init(container)) {
        if (!container_started(container, *status, in_.probes)) return false;
      } else if (status->state != cri::ContainerState::kExited || status->exit_code != 0) {
        return false;
      }
    }
    return true;
  }

  ContainerState terminated(const cri::ContainerStatus& from) const {
    ContainerState state;
    auto& terminated = state.terminated.emplace();
    terminated.exit_code = from.exit_code;
    terminated.reason = from.reason;
    terminated.message = from.message;
    if (auto words = in_.termination_messages.find(from.id);
        words != in_.termination_messages.end() && !words->second.empty()) {
      if (!terminated.message.empty()) terminated.message += ": ";
      terminated.message += words->second;
    }
    terminated.started_at = time_of(from.started_at);
    terminated.finished_at = time_of(from.finished_at);
    terminated.container_id = in_.runtime_name + "://" + from.id;
    return state;
  }

  ContainerState waiting(std::string reason, std::string message) const {
    ContainerState state;
    auto& waiting = state.waiting.emplace();
    waiting.reason = std::move(reason);
    waiting.message = std::move(message);
    return state;
  }

  void fill_waiting(const Container& container, ContainerStatus& status, bool init) const {
    auto known = in_.waiting.find(container.name);
    if (known != in_.waiting.end()) {
      status.state = waiting(known->second.reason, known->second.message);
    } else {
      bool behind_init = !pod_.spec.init_containers.empty() && (init || !initialized_);
      status.state = waiting(behind_init ? "PodInitializing" : "ContainerCreating", "");
    }
  }

  ContainerStatus make_container_status(const Container& container, const ContainerStatus* old, bool init) const {
    ContainerStatus status;
    status.name = container.name;
    status.image = container.image;
    status.started = false;
    const cri::ContainerStatus* latest = in_.runtime.latest(container.name);
    if (latest == nullptr) {
      make_without_container(container, old, init, status);
      return status;
    }
    status.image = latest->image.empty() ? container.image : latest->image;
    status.image_id = latest->image_ref;
    status.container_id = in_.runtime_name + "://" + latest->id;
    status.restart_count = static_cast<int32_t>(latest->attempt);
    switch (latest->state) {
      case cri::ContainerState::kRunning:
        status.state.running.emplace().started_at = time_of(latest->started_at);
        status.started = container_started(container, *latest, in_.probes);
        status.ready = container_ready(container, *latest, in_.probes);
        break;
      case cri::ContainerState::kExited: {
        bool one_shot = init && !is_restartable_init(container);
        if (one_shot && latest->exit_code == 0) status.ready = true;
        if (in_.waiting.contains(container.name) && !in_.terminal) {
          fill_waiting(container, status, init);
          status.last_state = terminated(*latest);
          status.ready = false;
        } else {
          status.state = terminated(*latest);
        }
        break;
      }
      case cri::ContainerState::kCreated:
        fill_waiting(container, status, init);
        break;
      case cri::ContainerState::kUnknown:
        status.state.terminated.emplace();
        status.state.terminated->reason = "ContainerStatusUnknown";
        status.state.terminated->message = "The container could not be located when the pod was terminated";
        status.state.terminated->exit_code = kKilledExitCode;
        break;
    }
    if (!status.last_state.terminated) {
      if (const cri::ContainerStatus* before = in_.runtime.previous(container.name)) {
        status.last_state = terminated(*before);
      } else if (old != nullptr && old->container_id == status.container_id) {
        status.last_state = old->last_state;
      } else if (old != nullptr && old->state.terminated && latest->attempt > 0) {
        status.last_state = old->state;
      }
    }
    return status;
  }

  /// The runtime has no trace of the container: either it was never made, or it was removed behind our back.
  void make_without_container(const Container& container, const ContainerStatus* old, bool init,
                              ContainerStatus& status) const {
    if (old != nullptr) {
      status.restart_count = old->restart_count;
      status.last_state = old->last_state;
      bool one_shot = init && !is_restartable_init(container);
      if (old->state.terminated && (in_.terminal || (one_shot && initialized_))) {
        status = *old;
        return;
      }
      if (old->state.running && in_.terminal) {
        status = *old;
        status.ready = false;
        status.started = false;
        status.state = ContainerState();
        auto& lost = status.state.terminated.emplace();
        lost.reason = "ContainerStatusUnknown";
        lost.message = "The container could not be located when the pod was deleted. The container used to be Running";
        lost.exit_code = kKilledExitCode;
        lost.container_id = old->container_id;
        return;
      }
    }
    if (init && initialized_ && !is_restartable_init(container)) {
      // Collected after the pod was initialized: what it reported last stays true.
      status.ready = true;
      auto& done = status.state.terminated.emplace();
      done.reason = "Completed";
      done.message =
          "Unable to get init container status from container runtime and pod has been initialized, treat it "
          "as exited normally";
      return;
    }
    fill_waiting(container, status, init);
  }

  void make_container_statuses() {
    for (const Container& container : pod_.spec.init_containers) {
      status_.init_container_statuses.push_back(
          make_container_status(container, find_status(old_.init_container_statuses, container.name), true));
    }
    for (const Container& container : pod_.spec.containers) {
      status_.container_statuses.push_back(
          make_container_status(container, find_status(old_.container_statuses, container.name), false));
    }
    std::sort(status_.container_statuses.begin(), status_.container_statuses.end(),
              [](const ContainerStatus& a, const ContainerStatus& b) { return a.name < b.name; });
  }

  std::string phase() const {
    if (in_.failure) return "Failed";
    if (old_.phase == "Failed" || old_.phase == "Succeeded") return old_.phase;
    bool init_failed = false;
    for (const ContainerStatus& init : status_.init_container_statuses) {
      const Container* container = find_init(init.name);
      if (is_restartable_init(*container)) continue;
      init_failed |= init.state.terminated && init.state.terminated->exit_code != 0;
    }
    if (init_failed && pod_.spec.restart_policy == "Never") return "Failed";
    int waiting = 0, running = 0, stopped = 0, succeeded = 0;
    for (const ContainerStatus& container : status_.container_statuses) {
      if (container.state.running) {
        ++running;
      } else if (container.state.terminated) {
        ++stopped;
        if (container.state.terminated->exit_code == 0) ++succeeded;
      } else if (container.last_state.terminated) {
        ++stopped;  // it ran and waits for its next turn
      } else {
        ++waiting;
      }
    }
    if (in_.terminal && running == 0) {
      if (waiting > 0 || stopped != succeeded) return "Failed";
      return "Succeeded";
    }
    if (!initialized_ && !pod_.spec.init_containers.empty()) return "Pending";
    if (waiting > 0) return "Pending";
    if (running > 0) return "Running";
    if (stopped == 0) return "Pending";
    if (pod_.spec.restart_policy == "Always") return "Running";
    if (stopped == succeeded) return "Succeeded";
    return pod_.spec.restart_policy == "Never" ? "Failed" : "Running";
  }

  const Container* find_init(std::string_view name) const {
    for (const Container& container : pod_.spec.init_containers) {
      if (container.name == name) return &container;
    }
    return nullptr;
  }

  void add_addresses() {
    if (!in_.host_ips.empty()) {
      status_.host_ip = in_.host_ips[0];
      for (const std::string& ip : in_.host_ips) status_.host_ips.emplace_back().ip = ip;
    }
    std::vector<std::string> ips = host_network(pod_) ? in_.host_ips : in_.runtime.ips();
    if (host_network(pod_) && in_.runtime.newest_sandbox() == nullptr) ips.clear();
    if (ips.empty()) {
      // A finished pod's sandbox is gone; its addresses stay on record, as upstream keeps them.
      status_.pod_ip = old_.pod_ip;
      status_.pod_ips = old_.pod_ips;
      if (in_.runtime.newest_sandbox() == nullptr && !in_.terminal && !is_terminal()) {
        status_.pod_ip.clear();
        status_.pod_ips.clear();
      }
      return;
    }
    // The node's own family first, whichever the runtime names first.
    const auto is_v6 = [](const std::string& ip) { return ip.find(':') != std::string::npos; };
    if (!in_.host_ips.empty()) {
      const bool v6_first = is_v6(in_.host_ips[0]);
      std::ranges::stable_partition(ips, [&](const std::string& ip) { return is_v6(ip) == v6_first; });
    }
    status_.pod_ip = ips[0];
    for (const std::string& ip : ips) status_.pod_ips.emplace_back().ip = ip;
  }

  bool is_terminal() const { return status_.phase == "Succeeded" || status_.phase == "Failed"; }

  void add_condition(std::string_view type, bool value, std::string reason = {}, std::string message = {}) {
    PodCondition condition;
    condition.type = std::string(type);
    condition.status = value ? "True" : "False";
    condition.reason = std::move(reason);
    condition.message = std::move(message);
    const PodCondition* before = api::find_condition(old_.conditions, type);
    bool same = before != nullptr && before->status == condition.status;
    condition.last_transition_time = same ? before->last_transition_time : api::Time(in_.now);
    status_.conditions.push_back(std::move(condition));
  }

  void add_conditions() {
    const cri::SandboxStatus* sandbox = in_.runtime.newest_sandbox();
    add_condition("PodReadyToStartContainers", sandbox != nullptr && sandbox->state == cri::SandboxState::kReady &&
                                                   (host_network(pod_) || !sandbox->ips.empty()));
    bool succeeded = status_.phase == "Succeeded";
    if (initialized_ || pod_.spec.init_containers.empty()) {
      add_condition("Initialized", true, succeeded ? "PodCompleted" : "");
    } else {
      add_condition("Initialized", false, "ContainersNotInitialized",
                    fmt::format("containers with incomplete status: [{}]", fmt::join(unready_init(), " ")));
    }
    std::vector<std::string> unready;
    for (const ContainerStatus& init : status_.init_container_statuses) {
      if (is_restartable_init(*find_init(init.name)) && !init.ready) unready.push_back(init.name);
    }
    for (const Container& container : pod_.spec.containers) {
      const ContainerStatus* status = find_status(std::as_const(status_).container_statuses, container.name);
      if (!status->ready) unready.push_back(container.name);
    }
    bool ready = unready.empty() && !is_terminal();
    std::string reason, message;
    if (succeeded) {
      reason = "PodCompleted";
    } else if (status_.phase == "Failed") {
      reason = "PodFailed";
      if (!unready.empty()) message.clear();
    } else if (!ready) {
      reason = "ContainersNotReady";
      message = fmt::format("containers with unready status: [{}]", fmt::join(unready, " "));
    }
    add_ready_condition(ready, reason, message);
    add_condition("ContainersReady", ready, reason, message);
    if (const PodCondition* scheduled = api::find_condition(old_.conditions, "PodScheduled")) {
      status_.conditions.push_back(*scheduled);
    } else {
      add_condition("PodScheduled", true);
    }
    for (const PodCondition& other : old_.conditions) {
      if (api::find_condition(status_.conditions, other.type) == nullptr) status_.conditions.push_back(other);
    }
  }

  void add_ready_condition(bool containers_ready, const std::string& reason, const std::string& message) {
    if (!containers_ready) {
      add_condition("Ready", false, reason, message);
      return;
    }
    std::vector<std::string> closed;
    for (const auto& gate : pod_.spec.readiness_gates) {
      const PodCondition* condition = api::find_condition(old_.conditions, gate.condition_type);
      if (condition == nullptr) {
        closed.push_back(
            fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.condition_type));
      } else if (condition->status != "True") {
        closed.push_back(fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}",
                                     gate.condition_type, condition->status));
      }
    }
    if (closed.empty()) {
      add_condition("Ready", true);
    } else {
      add_condition("Ready", false, "ReadinessGatesNotReady", fmt::format("{}", fmt::join(closed, ", ")));
    }
  }

  std::vector<std::string> unready_init() const {
    std::vector<std::string> names;
    for (const ContainerStatus& init : status_.init_container_statuses) {
      bool sidecar = is_restartable_init(*find_init(init.name));
      if (sidecar ? !init.started.value_or(false) : !init.ready) names.push_back(init.name);
    }
    return names;
  }

  const StatusInputs& in_;
  const Pod& pod_;
  const PodStatus& old_;
  PodStatus status_;
  bool initialized_ = false;
};

}  // namespace

bool container_started(const Container& container, const cri::ContainerStatus& status, const ProbeResults& probes) {
  if (status.state != cri::ContainerState::kRunning) return false;
  return !container.startup_probe || probes.get(status.id, ProbeKind::kStartup) == true;
}

bool container_ready(const Container& container, const cri::ContainerStatus& status, const ProbeResults& probes) {
  if (!container_started(container, status, probes)) return false;
  return !container.readiness_probe || probes.get(status.id, ProbeKind::kReadiness) == true;
}

PodStatus make_pod_status(const StatusInputs& inputs) { return StatusMaker(inputs).make(); }

}  // namespace trireme::kubelet
