#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/conntrack_settings.h"
#include "proxy/proxy.h"

/// KubeProxyConfiguration: what a proxy process is told by its file, and by flags of the same meaning.
/// https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/
namespace trireme::proxy {

struct Configuration {
  std::string kubeconfig;
  std::string hostname_override;
  /// Its family decides on which addresses health and metrics are served when nothing is said.
  std::string bind_address = "0.0.0.0";
  bool bind_address_hard_fail = false;  ///< A port that cannot be opened ends the process.
  /// Address and port, the default port when only an address is given. Empty, which a file cannot say: off.
  std::string healthz_bind_address = "0.0.0.0:10256";
  std::string metrics_bind_address = "127.0.0.1:10249";
  std::string mode;  ///< As asked for; the rules are nftables' whatever it says.
  bool masquerade_all = false;
  Duration min_sync_period = ProxyOptions().min_sync_period;
  Duration sync_period = ProxyOptions().sync_period;
  std::string cluster_cidr;           ///< One range, or one of each family with a comma between them.
  std::string detect_local_mode;      ///< "ClusterCIDR" (so when empty), "NodeCIDR" or one of the next two's.
  std::string bridge_interface;       ///< With BridgeInterface.
  std::string interface_name_prefix;  ///< With InterfaceNamePrefix.
  std::string service_cidr;           ///< A flag of our own: --service-cluster-ip-range.
  std::vector<std::string> nodeport_addresses;
  int oom_score_adj = -999;
  ConntrackSettings conntrack;
  int verbosity = 0;
  /// Paths of fields that were set and change nothing here, each with a word why.
  std::vector<std::string> without_effect;
};

/// Reads a file (YAML or JSON), as kubeadm writes it, too: what is empty, null or a duration of zero is as if absent.
/// BadRequest lists everything that is wrong, with the fields' paths.
Result<Configuration> parse_configuration(std::string_view text);

/// What the proxy runs with. BadRequest when texts are no addresses, networks or modes.
Result<ProxyOptions> options_of(const Configuration& configuration);

}  // namespace trireme::proxy
