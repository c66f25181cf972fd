#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// CRI's messages as plain structs: what the kubelet uses of runtime.v1, with its field names.
/// Source: https://github.com/kubernetes/cri-api (pkg/apis/runtime/v1/api.proto).
namespace trireme::kubelet::cri {

using StringMap = std::map<std::string, std::string>;

enum class NamespaceMode { kPod, kContainer, kNode, kTarget };

struct NamespaceOptions {
  NamespaceMode network = NamespaceMode::kPod;
  NamespaceMode pid = NamespaceMode::kContainer;
  NamespaceMode ipc = NamespaceMode::kPod;
  std::string target_id;
};

struct SecurityProfile {
  enum class Type { kRuntimeDefault, kUnconfined, kLocalhost };
  Type type = Type::kUnconfined;
  std::string localhost_ref;
};

struct Resources {
  int64_t cpu_period = 0;
  int64_t cpu_quota = 0;
  int64_t cpu_shares = 0;
  int64_t memory_limit_bytes = 0;
  int64_t oom_score_adj = 0;
  std::map<std::string, uint64_t> hugepage_limits;  ///< page size ("2MB") to bytes
  StringMap unified;                                ///< cgroup v2 files
};

struct SandboxSecurity {
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  bool privileged = false;
  SecurityProfile seccomp{SecurityProfile::Type::kRuntimeDefault, {}};
};

struct PortMapping {
  std::string protocol = "TCP";
  int32_t container_port = 0;
  int32_t host_port = 0;
  std::string host_ip;
};

struct DnsConfig {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
};

struct SandboxMetadata {
  std::string name;
  std::string uid;
  std::string ns;
  uint32_t attempt = 0;
};

struct SandboxConfig {
  SandboxMetadata metadata;
  std::string hostname;
  std::string log_directory;
  std::optional<DnsConfig> dns;
  std::vector<PortMapping> ports;
  StringMap labels;
  StringMap annotations;
  std::string cgroup_parent;
  SandboxSecurity security;
  StringMap sysctls;
};

enum class SandboxState { kReady, kNotReady };

struct Sandbox {
  std::string id;
  SandboxMetadata metadata;
  SandboxState state = SandboxState::kNotReady;
  int64_t created_at = 0;  ///< nanoseconds since the epoch
  StringMap labels;
  StringMap annotations;
};

struct SandboxStatus : Sandbox {
  std::vector<std::string> ips;  ///< Primary first; empty on the host's network.
  NamespaceMode network = NamespaceMode::kPod;
};

enum class MountPropagation { kPrivate, kHostToContainer, kBidirectional };

struct Mount {
  std::string container_path;
  std::string host_path;
  bool read_only = false;
  MountPropagation propagation = MountPropagation::kPrivate;
};

struct Device {
  std::string container_path;
  std::string host_path;
  std::string permissions;
};

struct ContainerSecurity {
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  bool privileged = false;
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::string run_as_username;
  bool read_only_rootfs = false;
  std::vector<int64_t> supplemental_groups;
  bool no_new_privileges = false;
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;
  SecurityProfile seccomp;
};

struct EnvVar {
  std::string name;
  std::string value;
};

struct ContainerConfig {
  std::string name;
  uint32_t attempt = 0;
  std::string image;  ///< The image's id or reference as the runtime knows it.
  std::string user_specified_image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<EnvVar> envs;
  std::vector<Mount> mounts;
  std::vector<Device> devices;
  StringMap labels;
  StringMap annotations;
  std::string log_path;  ///< Relative to the sandbox's log directory.
  bool stdin_open = false;
  bool stdin_once = false;
  bool tty = false;
  Resources resources;
  ContainerSecurity security;
};

enum class ContainerState { kCreated, kRunning, kExited, kUnknown };

struct Container {
  std::string id;
  std::string sandbox_id;
  std::string name;
  uint32_t attempt = 0;
  std::string image;
  std::string image_ref;
  ContainerState state = ContainerState::kUnknown;
  int64_t created_at = 0;  ///< nanoseconds since the epoch, as all times here
  StringMap labels;
  StringMap annotations;
};

struct ContainerStatus : Container {
  int64_t started_at = 0;
  int64_t finished_at = 0;
  int32_t exit_code = 0;
  std::string reason;
  std::string message;
  std::string log_path;
};

struct ExecResult {
  std::string output;  ///< stdout
  std::string error_output;
  int32_t exit_code = 0;
};

struct Image {
  std::string id;
  std::vector<std::string> repo_tags;
  std::vector<std::string> repo_digests;
  uint64_t size = 0;
  std::optional<int64_t> uid;  ///< The user the image runs as, when numeric;
  std::string username;        ///< or by name.
  bool pinned = false;
};

struct AuthConfig {
  std::string username;
  std::string password;
  std::string auth;
  std::string server_address;
  std::string identity_token;
  std::string registry_token;
};

struct FilesystemUsage {
  std::string mountpoint;
  uint64_t used_bytes = 0;
  uint64_t inodes_used = 0;
};

struct ContainerStats {
  std::string id;
  std::string name;
  StringMap labels;
  int64_t timestamp = 0;
  uint64_t cpu_usage_nanoseconds = 0;  ///< Cumulative.
  uint64_t memory_working_set_bytes = 0;
  uint64_t memory_usage_bytes = 0;
  uint64_t memory_rss_bytes = 0;
  uint64_t writable_layer_bytes = 0;
  uint64_t writable_layer_inodes = 0;
};

struct VersionInfo {
  std::string runtime_name;
  std::string runtime_version;
};

struct RuntimeCondition {
  std::string type;  ///< RuntimeReady, NetworkReady
  bool status = false;
  std::string reason;
  std::string message;
};

/// Empty fields match everything.
struct SandboxFilter {
  std::string id;
  StringMap labels;
};

struct ContainerFilter {
  std::string id;
  std::string sandbox_id;
  StringMap labels;
};

}  // namespace trireme::kubelet::cri
