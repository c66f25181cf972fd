#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "cmd/containerd.h"
#include "cmd/pki.h"

namespace trireme::client {
class InformerFactory;
class RawClient;
}  // namespace trireme::client

namespace trireme::kubelet {
class Kubelet;
}

namespace trireme::cmd {

class ControlPlane;
class NodeDns;
struct ClusterOptions;

/// This machine as a node: its network, its containerd and its kubelet.
class Node {
 public:
  Node(const ClusterOptions& options, std::shared_ptr<Clock> clock);
  ~Node();

  /// What needs no control plane: the network and containerd.
  Status prepare();
  Status start(Pki& pki, ControlPlane& control_plane);
  /// Until the Node object says Ready.
  Status wait_ready(Duration timeout);
  /// Stops the kubelet, with `remove_pods` also the containers, and the containerd that was started here.
  void stop(bool remove_pods);

 private:
  Status start_dns();

  const ClusterOptions& options_;
  std::shared_ptr<Clock> clock_;
  std::unique_ptr<Containerd> containerd_;  ///< Null with --container-runtime-endpoint.
  std::string endpoint_;
  std::shared_ptr<client::RawClient> client_;
  std::unique_ptr<client::InformerFactory> informers_;  ///< Shared by all network modules of the node.
  std::unique_ptr<NodeDns> dns_;                        ///< Null with --cluster-dns=none.
  std::unique_ptr<kubelet::Kubelet> kubelet_;
};

/// Stops and removes every pod sandbox that the runtime has.
Status remove_all_pods(const std::string& endpoint);

}  // namespace trireme::cmd
