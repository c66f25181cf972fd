#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::cmd {

struct ContainerdOptions {
  std::string folder;  ///< Configuration, content and state live below it.
  std::string cni_config_folder;
  std::string cni_program_folder;
  std::string sandbox_image = "registry.k8s.io/pause:3.10";
  /// Image host and the URL asked before it: {"docker.io", "http://127.0.0.1:5000"}.
  std::vector<std::pair<std::string, std::string>> registry_mirrors;
};

/// A containerd of the cluster's own, with a configuration fitted to this machine. It runs in a session of its own, so
/// that Ctrl-C does not reach it; one that an earlier `trireme up` of this folder left running is taken over.
class Containerd {
 public:
  static Result<std::unique_ptr<Containerd>> start(const ContainerdOptions& options);

  std::string endpoint() const { return "unix://" + socket_; }
  /// Blocks until it accepts connections.
  Status wait_ready(Duration timeout);
  /// Ends containerd; containers go on under their shims.
  void stop();

 private:
  explicit Containerd(const std::string& folder);
  Status launch();

  std::string configuration_file_;
  std::string socket_;
  std::string log_file_;
  std::string pid_file_;
  pid_t pid_ = 0;
};

/// How containerd was started last in this folder, as far as removing its pods needs it. NotFound: it never was.
Result<ContainerdOptions> last_containerd_options(const std::string& folder);

/// The process id of the containerd that runs on `folder`'s configuration, 0 when none does.
pid_t running_containerd(const std::string& folder);

}  // namespace trireme::cmd
