#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kubelet/cri/types.h"

namespace trireme::kubelet::cri {

/// A container runtime and its image store. Thread-safe; every call blocks.
///
/// Failures carry NotFound where the runtime said so, Timeout for an expired deadline, ServiceUnavailable when the
/// runtime could not be reached, else InternalError with the runtime's own words.
class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual Result<VersionInfo> version() = 0;
  virtual Result<std::vector<RuntimeCondition>> status() = 0;

  virtual Result<std::string> run_sandbox(const SandboxConfig& config) = 0;
  virtual Status stop_sandbox(const std::string& id) = 0;
  virtual Status remove_sandbox(const std::string& id) = 0;
  virtual Result<SandboxStatus> sandbox_status(const std::string& id) = 0;
  virtual Result<std::vector<Sandbox>> list_sandboxes(const SandboxFilter& filter) = 0;

  virtual Result<std::string> create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                               const SandboxConfig& sandbox) = 0;
  virtual Status start_container(const std::string& id) = 0;
  /// SIGTERM (or the image's stop signal), and SIGKILL after `grace`; returns when the container has exited.
  virtual Status stop_container(const std::string& id, std::chrono::seconds grace) = 0;
  virtual Status remove_container(const std::string& id) = 0;
  virtual Result<ContainerStatus> container_status(const std::string& id) = 0;
  virtual Result<std::vector<Container>> list_containers(const ContainerFilter& filter) = 0;
  virtual Status reopen_log(const std::string& id) = 0;
  virtual Result<ExecResult> exec_sync(const std::string& id, const std::vector<std::string>& command,
                                       std::chrono::seconds timeout) = 0;
  virtual Result<std::vector<ContainerStats>> container_stats(const ContainerFilter& filter) = 0;

  virtual Result<std::vector<Image>> list_images() = 0;
  /// NotFound when the image is not there.
  virtual Result<Image> image_status(const std::string& image) = 0;
  /// Returns the reference by which the image can be used.
  virtual Result<std::string> pull_image(const std::string& image, const AuthConfig* auth,
                                         const SandboxConfig* sandbox) = 0;
  virtual Status remove_image(const std::string& image) = 0;
  virtual Result<std::vector<FilesystemUsage>> image_filesystems() = 0;

  /// Calls `on_change` with the id of every container or sandbox that exits, as soon as the runtime tells, until a stop
  /// is requested or the stream breaks. `on_open` is called once the subscription stands. An answer of
  /// MethodNotAllowed: this runtime has no events, so that it must be polled.
  virtual Status watch_exits(std::stop_token stop, const std::function<void()>& on_open,
                             const std::function<void(const std::string& id)>& on_change) = 0;
};

/// The runtime behind a CRI v1 socket ("unix:///run/containerd/containerd.sock"). Connects lazily and reconnects.
std::shared_ptr<Runtime> grpc_runtime(const std::string& endpoint);

}  // namespace trireme::kubelet::cri
