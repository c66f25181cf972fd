#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/flags.h"

namespace trireme::cmd {

/// What `trireme up`, `server`, `join` and `reset` are told.
struct ClusterOptions {
  std::string data_dir = "/var/lib/trireme";
  std::string bind_address = "0.0.0.0";
  std::string advertise_address;  ///< Empty: the node's address.
  int https_port = 6443;
  int kubelet_port = 10250;
  std::string node_name;
  std::string node_ip;  ///< One address, or an IPv4 and an IPv6 one with a comma between them.
  int node_lease_duration_seconds = 40;
  bool no_node = false;
  bool stop_pods = false;
  std::vector<std::string> controllers = {"*"};
  /// How pods of different machines reach each other: "vxlan", "host-gw", "none" (a CNI configuration of somebody
  /// else's), or the path of a flannel net-conf.json. Empty: as the cluster says that this machine has joined.
  std::string network;
  bool iptables_forward_rules = true;
  std::string cni_bin_dir;                     ///< Empty: where the standard plugins are found.
  std::string cluster_cidr = "10.244.0.0/16";  ///< One range, or an IPv4 and an IPv6 one with a comma between them.
  bool allocate_node_cidrs = true;
  int node_cidr_mask_size = 24;
  int node_cidr_mask_size_ipv6 = 64;
  std::string service_cidr = "10.96.0.0/16";    ///< See service_ranges.
  std::vector<std::string> nodeport_addresses;  ///< Networks, or "primary"; empty: all addresses of the node.
  std::string proxy_healthz_bind_address = "0.0.0.0:10256";
  std::string proxy_metrics_bind_address = "127.0.0.1:10249";
  std::string container_runtime_endpoint;
  std::vector<std::string> registry_mirrors;  ///< "docker.io=http://127.0.0.1:5000"
  std::string sandbox_image = "registry.k8s.io/pause:3.10";
  std::string token_auth_file;
  std::vector<std::string> enable_admission_plugins;
  std::vector<std::string> disable_admission_plugins;
  std::string admission_control_config_file;
  bool ingress = false;
  int ingress_http_port = 80;
  int ingress_https_port = 443;
  std::vector<std::string> cluster_dns;  ///< Empty: the tenth of the services; "none": no DNS server.
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";
  std::vector<std::string> dns_upstreams;
  std::vector<std::string> dns_stub_domains;  ///< "corp.example=10.0.0.1"
  std::vector<std::string> extra_names;       ///< More names and addresses in the API server's certificate.
  Duration node_monitor_grace_period = std::chrono::seconds(40);
  Duration cluster_signing_duration = std::chrono::hours(8760);
  Duration legacy_service_account_token_clean_up_period = std::chrono::hours(8760);
  /// Other machines may join: the kubelet listens on all addresses, not on the node's alone.
  bool many_machines = false;
  /// The node's address was not given: it follows the machine's, and the kubelet listens on all addresses.
  bool follow_addresses = false;
  std::string ready_file;
  int verbosity = 0;
  bool help = false;

  std::vector<std::string> node_addresses() const;
  /// Of the cluster that this machine has joined.
  std::string membership_file() const { return data_dir + "/membership.json"; }
  std::string pki_folder() const { return data_dir + "/pki"; }
  std::string containerd_folder() const { return data_dir + "/containerd"; }
  std::string network_folder() const { return data_dir + "/cni"; }
  /// Where the container runtime looks for the network's configuration.
  std::string cni_config_folder() const { return network == "none" ? "/etc/cni/net.d" : network_folder() + "/conf"; }
  /// Where the cluster's DNS is served; empty: nowhere.
  std::vector<std::string> dns_addresses() const;
  std::string ingress_folder() const { return data_dir + "/ingress"; }
  std::string dns_folder() const { return data_dir + "/dns"; }
  std::string kubelet_folder() const { return data_dir + "/kubelet"; }
  /// Of the directories that claims of the class local-path get.
  std::string local_path_folder() const { return data_dir + "/volumes"; }
  std::string kubeconfig_file() const { return data_dir + "/admin.kubeconfig"; }
  std::string database_file() const { return data_dir + "/store/state.db"; }
  /// Below which "/kubepods" is made. Clusters in other than the default folder keep to groups of their own.
  std::string cgroup_root() const;
};

/// Binds the flags. `usage` names the command.
FlagSet cluster_flags(std::string usage, ClusterOptions& options);
/// Only those of a node.
FlagSet node_flags(std::string usage, ClusterOptions& options);

/// Makes paths absolute, fills in names and addresses, and checks what can be checked early.
Status complete(ClusterOptions& options);

/// The ranges of --service-cluster-ip-range: one, or one of each family.
std::vector<std::string> service_ranges(const std::string& cidrs);
/// The address of the service default/kubernetes: the first of the first service range. BadRequest when the ranges are
/// none.
Result<std::string> first_address(const std::string& cidrs);

/// Whether an address is in one of the networks, which commas separate.
bool in_networks(const std::string& cidrs, const std::string& address);

/// {"docker.io", "http://…"} of each --registry-mirror.
Result<std::vector<std::pair<std::string, std::string>>> parse_mirrors(const std::vector<std::string>& mirrors);

}  // namespace trireme::cmd
