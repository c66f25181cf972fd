#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kubelet/cri/runtime.h"

namespace trireme::kubelet {

/// What the runtime has of one pod, newest first.
struct RuntimePod {
  std::vector<cri::SandboxStatus> sandboxes;
  std::vector<cri::ContainerStatus> containers;

  /// The newest container called `name`; null when there is none.
  const cri::ContainerStatus* latest(std::string_view name) const;
  /// The newest one before `latest(name)`.
  const cri::ContainerStatus* previous(std::string_view name) const;
  const cri::SandboxStatus* newest_sandbox() const { return sandboxes.empty() ? nullptr : &sandboxes.front(); }
  /// Addresses of the newest sandbox, while it is ready.
  std::vector<std::string> ips() const;
  bool any_running() const;
};

/// Reads the runtime's view of pods. Details that cannot change any more (an exited container's, a ready sandbox's
/// addresses) are asked for once. Thread-safe.
class RuntimeObserver {
 public:
  explicit RuntimeObserver(std::shared_ptr<cri::Runtime> runtime) : runtime_(std::move(runtime)) {}

  Result<RuntimePod> observe(const std::string& pod_uid);
  /// Drops remembered details of containers and sandboxes that are gone.
  void forget(const std::vector<std::string>& ids);

 private:
  const std::shared_ptr<cri::Runtime> runtime_;
  std::mutex mutex_;
  std::map<std::string, cri::ContainerStatus> exited_;
  std::map<std::string, cri::SandboxStatus> sandboxes_;
};

WallTime wall_time(int64_t nanoseconds);

}  // namespace trireme::kubelet
