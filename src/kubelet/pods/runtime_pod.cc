#include "kubelet/pods/runtime_pod.h"

#include <algorithm>

#include "kubelet/pods/labels.h"

namespace trireme::kubelet {

const cri::ContainerStatus* RuntimePod::latest(std::string_view name) const {
  for (const cri::ContainerStatus& container : containers) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

const cri::ContainerStatus* RuntimePod::previous(std::string_view name) const {
  bool seen = false;
  for (const cri::ContainerStatus& container : containers) {
    if (container.name != name) continue;
    if (seen) return &container;
    seen = true;
  }
  return nullptr;
}

std::vector<std::string> RuntimePod::ips() const {
  if (sandboxes.empty() || sandboxes.front().state != cri::SandboxState::kReady) return {};
  return sandboxes.front().ips;
}

bool RuntimePod::any_running() const {
  return std::any_of(containers.begin(), containers.end(), [](const cri::ContainerStatus& container) {
    return container.state == cri::ContainerState::kRunning;
  });
}

Result<RuntimePod> RuntimeObserver::observe(const std::string& pod_uid) {
  cri::StringMap selector{{std::string(labels::kPodUid), pod_uid}};
  TRY_ASSIGN(auto sandboxes, runtime_->list_sandboxes({{}, selector}));
  TRY_ASSIGN(auto containers, runtime_->list_containers({{}, {}, selector}));
  RuntimePod pod;
  for (const cri::Sandbox& sandbox : sandboxes) {
    std::unique_lock lock(mutex_);
    auto known = sandboxes_.find(sandbox.id);
    if (known != sandboxes_.end() && known->second.state == sandbox.state) {
      pod.sandboxes.push_back(known->second);
      continue;
    }
    lock.unlock();
    auto status = runtime_->sandbox_status(sandbox.id);
    if (!status.ok()) {
      if (status.status().is(Reason::kNotFound)) continue;
      return status.status();
    }
    lock.lock();
    sandboxes_[sandbox.id] = *status;
    pod.sandboxes.push_back(std::move(*status));
  }
  for (const cri::Container& container : containers) {
    {
      std::lock_guard lock(mutex_);
      if (auto known = exited_.find(container.id); known != exited_.end()) {
        pod.containers.push_back(known->second);
        continue;
      }
    }
    auto status = runtime_->container_status(container.id);
    if (!status.ok()) {
      if (status.status().is(Reason::kNotFound)) continue;
      return status.status();
    }
    status->sandbox_id = container.sandbox_id;
    if (status->state == cri::ContainerState::kExited) {
      std::lock_guard lock(mutex_);
      exited_[container.id] = *status;
    }
    pod.containers.push_back(std::move(*status));
  }
  auto newest_first = [](const auto& a, const auto& b) { return a.created_at > b.created_at; };
  std::sort(pod.sandboxes.begin(), pod.sandboxes.end(), newest_first);
  std::sort(pod.containers.begin(), pod.containers.end(), newest_first);
  return pod;
}

void RuntimeObserver::forget(const std::vector<std::string>& ids) {
  std::lock_guard lock(mutex_);
  for (const std::string& id : ids) {
    exited_.erase(id);
    sandboxes_.erase(id);
  }
}

WallTime wall_time(int64_t nanoseconds) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(nanoseconds)));
}

}  // namespace trireme::kubelet
