#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/result.h"
#include "kubelet/cri/types.h"

/// From a pod's spec to what the runtime is asked for. Pure functions: everything read from the machine is passed in.
namespace trireme::kubelet {

/// A resolv.conf's content.
cri::DnsConfig parse_resolv_conf(std::string_view text);

struct NodeContext {
  std::string host_name;
  std::string cluster_domain;
  std::vector<std::string> cluster_dns;
  cri::DnsConfig host_dns;
  std::string pod_logs_dir;
  std::string cgroup_parent;  ///< The pod's group; empty: the runtime's default.
  std::string seccomp_root;
  uint64_t memory_capacity = 0;
  bool cgroup_v2 = false;
};

/// "<logs dir>/<namespace>_<name>_<uid>"
std::string pod_log_directory(const std::string& logs_dir, std::string_view ns, std::string_view name,
                              std::string_view uid);

struct HostNames {
  std::string host_name;
  std::string domain;  ///< "<subdomain>.<namespace>.svc.<cluster domain>", or empty.
};
HostNames host_names(const api::corev1::Pod& pod, const std::string& cluster_domain);

/// An event's reason and message.
struct DnsWarning {
  std::string reason;
  std::string message;
};
/// By dnsPolicy and dnsConfig, within what resolvers can take: three servers, 32 search paths of 2048 characters. What
/// was left out is told in `warnings`, as upstream's events do.
/// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
cri::DnsConfig pod_dns(const api::corev1::Pod& pod, const NodeContext& node,
                       std::vector<DnsWarning>* warnings = nullptr);

/// The content of a pod's /etc/hosts. On the host's network it is the host's own plus the aliases.
std::string hosts_file(const api::corev1::Pod& pod, const std::vector<std::string>& pod_ips, const HostNames& names,
                       std::string_view host_file);

/// BadRequest when setHostnameAsFQDN asks for a name that no kernel takes.
Status check_host_name(const api::corev1::Pod& pod, const std::string& cluster_domain);

cri::SandboxConfig make_sandbox_config(const api::corev1::Pod& pod, uint32_t attempt, const NodeContext& node);

/// A change of it restarts the container: covers name and image, as upstream since 1.31.
std::string container_hash(const api::corev1::Container& container);

struct ContainerInputs {
  const api::corev1::Pod& pod;
  const api::corev1::Container& container;
  uint32_t attempt = 0;
  std::string sandbox_id;
  cri::Image image;  ///< What the image says of its user.
  std::string image_ref;
  std::vector<cri::EnvVar> environment;
  std::vector<cri::Mount> mounts;
  std::vector<int64_t> volume_groups;  ///< Supplemental groups that volumes ask for.
};

/// BadRequest when the security context and the image contradict each other (runAsNonRoot).
Result<cri::ContainerConfig> make_container_config(const ContainerInputs& inputs, const NodeContext& node);

bool is_restartable_init(const api::corev1::Container& container);
bool host_network(const api::corev1::Pod& pod);

}  // namespace trireme::kubelet
