#include "kubelet/cri/grpc_convert.h"

#include <algorithm>

namespace trireme::kubelet::cri {
namespace {

template <typename WireMap>
void copy_map(const StringMap& from, WireMap* to) {
  for (const auto& [key, value] : from) (*to)[key] = value;
}

template <typename WireMap>
StringMap string_map(const WireMap& from) {
  StringMap result;
  for (const auto& [key, value] : from) result.emplace(key, value);
  return result;
}

void to_wire(const NamespaceOptions& from, wire::NamespaceOption* to) {
  to->set_network(static_cast<wire::NamespaceMode>(from.network));
  to->set_pid(static_cast<wire::NamespaceMode>(from.pid));
  to->set_ipc(static_cast<wire::NamespaceMode>(from.ipc));
  to->set_target_id(from.target_id);
}

void to_wire(const SecurityProfile& from, wire::SecurityProfile* to) {
  to->set_profile_type(static_cast<wire::SecurityProfile_ProfileType>(from.type));
  to->set_localhost_ref(from.localhost_ref);
}

void to_wire(const Resources& from, wire::LinuxContainerResources* to) {
  to->set_cpu_period(from.cpu_period);
  to->set_cpu_quota(from.cpu_quota);
  to->set_cpu_shares(from.cpu_shares);
  to->set_memory_limit_in_bytes(from.memory_limit_bytes);
  to->set_oom_score_adj(from.oom_score_adj);
  for (const auto& [size, limit] : from.hugepage_limits) {
    wire::HugepageLimit* entry = to->add_hugepage_limits();
    entry->set_page_size(size);
    entry->set_limit(limit);
  }
  copy_map(from.unified, to->mutable_unified());
}

wire::Protocol protocol(const std::string& name) {
  if (name == "UDP") return wire::UDP;
  if (name == "SCTP") return wire::SCTP;
  return wire::TCP;
}

SandboxMetadata from_wire(const wire::PodSandboxMetadata& from) {
  return {from.name(), from.uid(), from.namespace_(), from.attempt()};
}

SandboxState state_of(wire::PodSandboxState state) {
  return state == wire::SANDBOX_READY ? SandboxState::kReady : SandboxState::kNotReady;
}

ContainerState state_of(wire::ContainerState state) {
  switch (state) {
    case wire::CONTAINER_CREATED:
      return ContainerState::kCreated;
    case wire::CONTAINER_RUNNING:
      return ContainerState::kRunning;
    case wire::CONTAINER_EXITED:
      return ContainerState::kExited;
    default:
      return ContainerState::kUnknown;
  }
}

}  // namespace

void to_wire(const SandboxConfig& from, wire::PodSandboxConfig* to) {
  wire::PodSandboxMetadata* metadata = to->mutable_metadata();
  metadata->set_name(from.metadata.name);
  metadata->set_uid(from.metadata.uid);
  metadata->set_namespace_(from.metadata.ns);
  metadata->set_attempt(from.metadata.attempt);
  to->set_hostname(from.hostname);
  to->set_log_directory(from.log_directory);
  if (from.dns) {
    for (const std::string& server : from.dns->servers) to->mutable_dns_config()->add_servers(server);
    for (const std::string& search : from.dns->searches) to->mutable_dns_config()->add_searches(search);
    for (const std::string& option : from.dns->options) to->mutable_dns_config()->add_options(option);
  }
  for (const PortMapping& port : from.ports) {
    wire::PortMapping* entry = to->add_port_mappings();
    entry->set_protocol(protocol(port.protocol));
    entry->set_container_port(port.container_port);
    entry->set_host_port(port.host_port);
    entry->set_host_ip(port.host_ip);
  }
  copy_map(from.labels, to->mutable_labels());
  copy_map(from.annotations, to->mutable_annotations());
  wire::LinuxPodSandboxConfig* linux_config = to->mutable_linux();
  linux_config->set_cgroup_parent(from.cgroup_parent);
  copy_map(from.sysctls, linux_config->mutable_sysctls());
  wire::LinuxSandboxSecurityContext* security = linux_config->mutable_security_context();
  to_wire(from.security.namespaces, security->mutable_namespace_options());
  if (from.security.run_as_user) security->mutable_run_as_user()->set_value(*from.security.run_as_user);
  if (from.security.run_as_group) security->mutable_run_as_group()->set_value(*from.security.run_as_group);
  for (int64_t group : from.security.supplemental_groups) security->add_supplemental_groups(group);
  security->set_privileged(from.security.privileged);
  to_wire(from.security.seccomp, security->mutable_seccomp());
}

void to_wire(const ContainerConfig& from, wire::ContainerConfig* to) {
  to->mutable_metadata()->set_name(from.name);
  to->mutable_metadata()->set_attempt(from.attempt);
  to->mutable_image()->set_image(from.image);
  to->mutable_image()->set_user_specified_image(from.user_specified_image);
  for (const std::string& word : from.command) to->add_command(word);
  for (const std::string& word : from.args) to->add_args(word);
  to->set_working_dir(from.working_dir);
  for (const EnvVar& variable : from.envs) {
    wire::KeyValue* entry = to->add_envs();
    entry->set_key(variable.name);
    entry->set_value(variable.value);
  }
  for (const Mount& mount : from.mounts) {
    wire::Mount* entry = to->add_mounts();
    entry->set_container_path(mount.container_path);
    entry->set_host_path(mount.host_path);
    entry->set_readonly(mount.read_only);
    entry->set_propagation(static_cast<wire::MountPropagation>(mount.propagation));
  }
  for (const Device& device : from.devices) {
    wire::Device* entry = to->add_devices();
    entry->set_container_path(device.container_path);
    entry->set_host_path(device.host_path);
    entry->set_permissions(device.permissions);
  }
  copy_map(from.labels, to->mutable_labels());
  copy_map(from.annotations, to->mutable_annotations());
  to->set_log_path(from.log_path);
  to->set_stdin(from.stdin_open);
  to->set_stdin_once(from.stdin_once);
  to->set_tty(from.tty);
  to_wire(from.resources, to->mutable_linux()->mutable_resources());
  wire::LinuxContainerSecurityContext* security = to->mutable_linux()->mutable_security_context();
  for (const std::string& name : from.security.add_capabilities) {
    security->mutable_capabilities()->add_add_capabilities(name);
  }
  for (const std::string& name : from.security.drop_capabilities) {
    security->mutable_capabilities()->add_drop_capabilities(name);
  }
  security->set_privileged(from.security.privileged);
  to_wire(from.security.namespaces, security->mutable_namespace_options());
  if (from.security.run_as_user) security->mutable_run_as_user()->set_value(*from.security.run_as_user);
  if (from.security.run_as_group) security->mutable_run_as_group()->set_value(*from.security.run_as_group);
  security->set_run_as_username(from.security.run_as_username);
  security->set_readonly_rootfs(from.security.read_only_rootfs);
  for (int64_t group : from.security.supplemental_groups) security->add_supplemental_groups(group);
  security->set_no_new_privs(from.security.no_new_privileges);
  for (const std::string& path : from.security.masked_paths) security->add_masked_paths(path);
  for (const std::string& path : from.security.read_only_paths) security->add_readonly_paths(path);
  to_wire(from.security.seccomp, security->mutable_seccomp());
}

void to_wire(const AuthConfig& from, wire::AuthConfig* to) {
  to->set_username(from.username);
  to->set_password(from.password);
  to->set_auth(from.auth);
  to->set_server_address(from.server_address);
  to->set_identity_token(from.identity_token);
  to->set_registry_token(from.registry_token);
}

Sandbox from_wire(const wire::PodSandbox& from) {
  return {from.id(),         from_wire(from.metadata()), state_of(from.state()),
          from.created_at(), string_map(from.labels()),  string_map(from.annotations())};
}

SandboxStatus from_wire(const wire::PodSandboxStatus& from) {
  SandboxStatus result;
  result.id = from.id();
  result.metadata = from_wire(from.metadata());
  result.state = state_of(from.state());
  result.created_at = from.created_at();
  result.labels = string_map(from.labels());
  result.annotations = string_map(from.annotations());
  result.network = static_cast<NamespaceMode>(from.linux().namespaces().options().network());
  if (!from.network().ip().empty()) result.ips.push_back(from.network().ip());
  for (const wire::PodIP& ip : from.network().additional_ips()) result.ips.push_back(ip.ip());
  return result;
}

Container from_wire(const wire::Container& from) {
  Container result;
  result.id = from.id();
  result.sandbox_id = from.pod_sandbox_id();
  result.name = from.metadata().name();
  result.attempt = from.metadata().attempt();
  result.image = from.image().image();
  result.image_ref = from.image_ref();
  result.state = state_of(from.state());
  result.created_at = from.created_at();
  result.labels = string_map(from.labels());
  result.annotations = string_map(from.annotations());
  return result;
}

ContainerStatus from_wire(const wire::ContainerStatus& from) {
  ContainerStatus result;
  result.id = from.id();
  result.name = from.metadata().name();
  result.attempt = from.metadata().attempt();
  result.image = from.image().image();
  result.image_ref = from.image_ref();
  result.state = state_of(from.state());
  result.created_at = from.created_at();
  result.labels = string_map(from.labels());
  result.annotations = string_map(from.annotations());
  result.started_at = from.started_at();
  result.finished_at = from.finished_at();
  result.exit_code = from.exit_code();
  result.reason = from.reason();
  result.message = from.message();
  result.log_path = from.log_path();
  return result;
}

ContainerStats from_wire(const wire::ContainerStats& from) {
  ContainerStats result;
  result.id = from.attributes().id();
  result.name = from.attributes().metadata().name();
  result.labels = string_map(from.attributes().labels());
  result.timestamp = std::max(from.cpu().timestamp(), from.memory().timestamp());
  result.cpu_usage_nanoseconds = from.cpu().usage_core_nano_seconds().value();
  result.memory_working_set_bytes = from.memory().working_set_bytes().value();
  result.memory_usage_bytes = from.memory().usage_bytes().value();
  result.memory_rss_bytes = from.memory().rss_bytes().value();
  result.writable_layer_bytes = from.writable_layer().used_bytes().value();
  result.writable_layer_inodes = from.writable_layer().inodes_used().value();
  return result;
}

Image from_wire(const wire::Image& from) {
  Image result;
  result.id = from.id();
  result.repo_tags.assign(from.repo_tags().begin(), from.repo_tags().end());
  result.repo_digests.assign(from.repo_digests().begin(), from.repo_digests().end());
  result.size = from.size();
  if (from.has_uid()) result.uid = from.uid().value();
  result.username = from.username();
  result.pinned = from.pinned();
  return result;
}

}  // namespace trireme::kubelet::cri
