#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cmd/containerd.h"
#include "cmd/pki.h"

namespace trireme::client {
class EventBroadcaster;
class InformerFactory;
class RawClient;
}  // namespace trireme::client

namespace trireme::kubelet {
class Kubelet;
}

namespace trireme::proxy {
class Announcer;
class Proxy;
}  // namespace trireme::proxy

namespace trireme::net {
class Transport;
}

namespace trireme::overlay {
class Overlay;
}

namespace trireme::policy {
class Enforcer;
}

namespace trireme::cmd {

class ControlPlane;
class NodeDns;
struct ClusterOptions;

/// How a node is known to its cluster.
struct NodeIdentity {
  std::shared_ptr<net::Transport> transport;  ///< To the API server, as system:node:NAME.
  /// Of the kubelet's server: files that may change while it runs.
  std::string serving_certificate_file;
  std::string serving_key_file;
  std::string client_ca_file;
};

/// The identity of the node in the control plane's own process.
Result<NodeIdentity> local_identity(const ClusterOptions& options, Pki& pki, ControlPlane& control_plane);

/// This machine as a node: its network, its containerd and its kubelet.
class Node {
 public:
  Node(const ClusterOptions& options, std::shared_ptr<Clock> clock);
  ~Node();

  /// What needs no control plane: containerd, and what the kernel must do for pods. The network when the ranges of
  /// addresses are known.
  /// `cni_config_folder`: where containerd looks for the network's configuration. Called again with another folder it
  /// starts containerd anew.
  Status prepare_runtime(const std::string& cni_config_folder);
  Status prepare_network();
  Status start(const NodeIdentity& identity);
  /// The node's addresses have changed.
  void set_addresses(const std::vector<std::string>& addresses);
  /// Until the Node object says Ready. With --network=none also when nothing else is missing for it than a network
  /// plugin, which is then printed: it may be installed by means of this cluster.
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
  std::unique_ptr<overlay::Overlay> overlay_;           ///< Null with --network=none.
  std::unique_ptr<proxy::Proxy> proxy_;
  std::shared_ptr<client::EventBroadcaster> events_;
  std::unique_ptr<proxy::Announcer> announcer_;
  std::unique_ptr<NodeDns> dns_;  ///< Null with --cluster-dns=none.
  std::unique_ptr<policy::Enforcer> policies_;
  std::unique_ptr<kubelet::Kubelet> kubelet_;
};

/// What the user reads about a node's start: "node NAME Ready", unless somebody else makes it Ready.
std::string node_step_name(const ClusterOptions& options);

/// The ranges of addresses that this machine's network was ever set up for, in this data folder: what `reset` undoes.
std::vector<std::string> remembered_networks(const ClusterOptions& options);

/// Stops and removes every pod sandbox that the runtime has.
Status remove_all_pods(const std::string& endpoint);

}  // namespace trireme::cmd
