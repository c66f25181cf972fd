#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

namespace trireme::kubelet {

/// What a node's administrator decides; fields carry the names of upstream's flags and KubeletConfiguration.
struct KubeletOptions {
  std::string node_name;  ///< --hostname-override; empty: the machine's host name, in lower case.
  std::string root_dir = "/var/lib/kubelet";
  /// Folder of the directories that this node provides as persistent volumes; empty: below root_dir.
  std::string local_path_dir;
  std::string local_path_folder() const { return local_path_dir.empty() ? root_dir + "/local-path" : local_path_dir; }
  std::string pod_logs_dir = "/var/log/pods";
  std::string container_logs_dir = "/var/log/containers";  ///< Links to the newest logs; empty: none.
  std::string container_runtime_endpoint = "unix:///run/containerd/containerd.sock";
  std::vector<std::string> node_ip;  ///< IPv4 and/or IPv6; empty: the address of the default route.

  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";

  bool register_node = true;
  std::map<std::string, std::string> node_labels;
  std::vector<std::string> register_with_taints;  ///< "key=value:Effect"
  std::string provider_id;

  int max_pods = 110;
  std::map<std::string, std::string> system_reserved;   ///< "cpu" and "memory" to quantities
  uint64_t eviction_hard_memory = uint64_t{100} << 20;  ///< Kept from allocatable; below it: MemoryPressure.
  int eviction_hard_nodefs_percent = 10;                ///< Free space below this: DiskPressure.

  bool cgroups_per_qos = true;  ///< False: containers get the runtime's default parent, and no pod limits.
  std::string cgroup_root;      ///< "" is the hierarchy's root; "/kubepods" is created below it.
  std::string seccomp_profile_root = "/var/lib/kubelet/seccomp";

  std::string address = "0.0.0.0";
  uint16_t port = 10250;  ///< 0: any free port; the node's status tells which.
  bool enable_server = true;
  std::string tls_cert_file;
  std::string tls_private_key_file;
  std::string client_ca_file;
  /// Who may use the server besides the group system:masters: common names of client certificates.
  std::vector<std::string> server_allowed_names = {"kube-apiserver-kubelet-client", "kube-apiserver"};

  uint64_t container_log_max_size = uint64_t{10} << 20;
  int container_log_max_files = 5;
  int image_gc_high_threshold_percent = 85;
  int image_gc_low_threshold_percent = 80;
  Duration image_minimum_gc_age = std::chrono::minutes(2);

  Duration node_status_report_frequency = std::chrono::minutes(5);
  Duration node_status_update_frequency = std::chrono::seconds(10);
  int32_t node_lease_duration_seconds = 40;
};

}  // namespace trireme::kubelet
