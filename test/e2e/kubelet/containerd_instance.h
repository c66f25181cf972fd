#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "linux/process.h"

namespace trireme::test {

/// A containerd of the test's own: root, state, socket, bridge and images below one temporary directory. Destruction
/// ends its pods and leaves no process, mount, namespace, interface or route behind.
class ContainerdInstance {
 public:
  /// What is missing on this machine, or nothing.
  static std::optional<std::string> why_not();
  static Result<std::unique_ptr<ContainerdInstance>> start();
  ~ContainerdInstance();

  const std::string& directory() const { return directory_; }
  std::string endpoint() const { return "unix://" + directory_ + "/containerd.sock"; }
  std::string image() const { return "docker.io/library/busybox:1"; }
  /// Ends containerd and starts it again; containers run on.
  Status restart();

 private:
  ContainerdInstance() = default;
  Status launch();
  Status import_image(const std::string& busybox, const std::string& name, const std::vector<std::string>& entrypoint);
  void end_pods();

  std::string directory_;
  std::string bridge_;
  std::string unreachable_;
  std::optional<linux::ChildProcess> process_;
};

}  // namespace trireme::test
