#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kubelet/cri/runtime.h"

namespace trireme::kubelet::cri {

/// A runtime that runs nothing and keeps the books: for hollow nodes and tests. Containers run until they are stopped
/// or `exit` is called; times come from the clock. Thread-safe.
class HollowRuntime final : public Runtime {
 public:
  explicit HollowRuntime(std::shared_ptr<Clock> clock) : clock_(std::move(clock)) {}

  /// Ends a running container, as its process would.
  void exit(const std::string& container_id, int32_t code);
  /// The newest container of that name; empty when there is none.
  std::string container_id(const std::string& name) const;
  /// Images that a pull finds. Empty at first, which means: all.
  void set_registry(std::set<std::string> images);
  /// Images on the node.
  void add_image(const std::string& name);
  /// Called before `operation` ("run_sandbox", "create_container", "start_container", "pull_image"); a failure is its
  /// answer.
  void set_fault(std::function<Status(const std::string& operation)> fault);
  /// What was asked for, in order: "run_sandbox", "create:main", "start:main", "stop:main", "pull:redis".
  std::vector<std::string> calls() const;
  ContainerConfig config_of(const std::string& container_id) const;
  void set_exec(std::function<ExecResult(const std::vector<std::string>&)> exec);

  Result<VersionInfo> version() override { return VersionInfo{"hollow", "1.0"}; }
  Result<std::vector<RuntimeCondition>> status() override;
  Result<std::string> run_sandbox(const SandboxConfig& config) override;
  Status stop_sandbox(const std::string& id) override;
  Status remove_sandbox(const std::string& id) override;
  Result<SandboxStatus> sandbox_status(const std::string& id) override;
  Result<std::vector<Sandbox>> list_sandboxes(const SandboxFilter& filter) override;
  Result<std::string> create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                       const SandboxConfig& sandbox) override;
  Status start_container(const std::string& id) override;
  Status stop_container(const std::string& id, std::chrono::seconds grace) override;
  Status remove_container(const std::string& id) override;
  Result<ContainerStatus> container_status(const std::string& id) override;
  Result<std::vector<Container>> list_containers(const ContainerFilter& filter) override;
  Status reopen_log(const std::string&) override { return {}; }
  Result<ExecResult> exec_sync(const std::string& id, const std::vector<std::string>& command,
                               std::chrono::seconds timeout) override;
  Result<std::vector<ContainerStats>> container_stats(const ContainerFilter& filter) override;
  Result<std::vector<Image>> list_images() override;
  Result<Image> image_status(const std::string& image) override;
  Result<std::string> pull_image(const std::string& image, const AuthConfig* auth,
                                 const SandboxConfig* sandbox) override;
  Status remove_image(const std::string& image) override;
  Result<std::vector<FilesystemUsage>> image_filesystems() override { return std::vector<FilesystemUsage>(); }
  Status watch_exits(std::stop_token stop, const std::function<void()>& on_open,
                     const std::function<void(const std::string&)>& on_change) override;

 private:
  struct Entry {
    ContainerStatus status;
    ContainerConfig config;
  };
  int64_t now() const;
  Status fault(const std::string& operation);
  void note(std::string call);
  void end_locked(Entry& entry, int32_t code);

  const std::shared_ptr<Clock> clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, SandboxStatus> sandboxes_;
  std::map<std::string, Entry> containers_;
  std::map<std::string, Image> images_;
  std::set<std::string> registry_;
  std::vector<std::string> calls_;
  std::vector<std::string> exits_;
  std::function<Status(const std::string&)> fault_;
  std::function<ExecResult(const std::vector<std::string>&)> exec_;
  int last_id_ = 0;
};

}  // namespace trireme::kubelet::cri
