#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/network_hooks.h"
#include "kubelet/options.h"

namespace trireme::kubelet {

struct KubeletDependencies {
  std::shared_ptr<client::RawClient> client;
  std::shared_ptr<Clock> clock;
  /// The container runtime; null: the one at `container_runtime_endpoint`.
  std::shared_ptr<cri::Runtime> runtime;
  NetworkHooks network = {};
};

/// The node's agent: registers the node, runs the pods that are bound to it and reports on them.
///
/// It takes over what an earlier kubelet started, and leaves everything running when it stops.
class Kubelet {
 public:
  /// Returns once the threads run; the node becomes Ready when its runtime and network are. Fails on bad options,
  /// unusable directories, or a port that is taken.
  static Result<std::unique_ptr<Kubelet>> start(KubeletOptions options, KubeletDependencies dependencies);
  /// Stops; pods run on.
  virtual ~Kubelet() = default;

  virtual const std::string& node_name() const = 0;
  /// The HTTPS server's port; 0 when it is off.
  virtual uint16_t port() const = 0;
  /// The node's addresses have changed: its status tells at once, pods with their next report. Thread-safe.
  virtual void set_addresses(std::vector<std::string> addresses) = 0;
  /// Pods known to the node that are not gone yet.
  virtual size_t pod_count() const = 0;
};

}  // namespace trireme::kubelet
