#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"

namespace trireme::client {
class InformerFactory;
}
namespace trireme::dns {
class DnsServer;
}
namespace trireme::linux {
class NetlinkMonitor;
}

namespace trireme::cmd {

struct NodeDnsOptions {
  std::string folder;                  ///< Remembers which addresses were assigned, for `remove_node_dns`.
  std::vector<std::string> addresses;  ///< --cluster-dns
  std::string domain = "cluster.local";
  std::vector<std::string> ranges;  ///< Of services and pods.
  std::string resolv_conf = "/etc/resolv.conf";
  std::vector<std::string> upstreams;
  std::vector<std::string> stub_domains;
};

/// The cluster's DNS on this node: its addresses on the loopback interface, where pods and processes of the node reach
/// them without any rule of the service proxy, and the server that listens there.
class NodeDns {
 public:
  /// Assigns the addresses, puts back what others take away, and serves. `informers` must be started by the caller
  /// after.
  static Result<std::unique_ptr<NodeDns>> start(const NodeDnsOptions& options, client::InformerFactory& informers,
                                                std::shared_ptr<Clock> clock);
  /// Stops serving. The addresses stay, so that the next start takes over without a gap; queries are refused meanwhile.
  ~NodeDns();

 private:
  NodeDns();
  std::unique_ptr<linux::NetlinkMonitor> monitor_;
  std::unique_ptr<dns::DnsServer> server_;
};

/// Takes away the addresses that a NodeDns of this folder assigned.
Status remove_node_dns(const std::string& folder);

/// The Service kube-system/kube-dns at the cluster's DNS addresses, as every cluster has it. It has neither selector
/// nor endpoints, and the label that keeps service proxies off: the nodes serve the address themselves. One that is
/// there already is left as it is.
Status ensure_dns_service(client::Client client, const std::vector<std::string>& addresses, Clock& clock);

}  // namespace trireme::cmd
