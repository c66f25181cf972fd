#include "kubelet/node/node_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/codec.h"
#include "api/local_path.h"
#include "api/volumes.h"
#include "base/version.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Node;
using api::corev1::NodeCondition;
using api::corev1::NodeStatus;

// Runtimes report other conditions, too, such as that their configuration is out of date.
constexpr std::string_view kRuntimeReady = "RuntimeReady";
constexpr std::string_view kNetworkReady = "NetworkReady";
constexpr size_t kMaxImages = 50;  // upstream's --node-status-max-images
constexpr size_t kMaxNamesPerImage = 5;
constexpr double kMinInodesFree = 0.05;  // evictionHard nodefs.inodesFree

struct Pressure {
  const char* type;
  bool present;
  const char* good_reason;
  const char* good_message;
  const char* bad_reason;
  const char* bad_message;
};

std::string problem_of(const cri::RuntimeCondition& condition) {
  return fmt::format("container runtime {}not ready: {}=false reason:{} message:{}",
                     condition.type == kNetworkReady ? "network " : "", condition.type, condition.reason,
                     condition.message);
}

std::string not_ready_reason(const NodeFacts& facts) {
  if (!facts.runtime_reachable) return "container runtime is down";
  std::vector<std::string> problems;
  for (const cri::RuntimeCondition& condition : facts.runtime_conditions) {
    const bool counts = condition.type == kRuntimeReady || condition.type == kNetworkReady;
    if (counts && !condition.status) problems.push_back(problem_of(condition));
  }
  return fmt::format("{}", fmt::join(problems, ", "));
}

class ConditionMaker {
 public:
  ConditionMaker(const NodeStatus& before, WallTime now) : before_(before), now_(now) {}

  NodeCondition make(std::string type, bool value, std::string reason, std::string message) const {
    NodeCondition condition;
    condition.type = std::move(type);
    condition.status = value ? "True" : "False";
    condition.reason = std::move(reason);
    condition.message = std::move(message);
    condition.last_heartbeat_time = api::Time(now_);
    condition.last_transition_time = api::Time(now_);
    for (const NodeCondition& old : before_.conditions) {
      if (old.type == condition.type && old.status == condition.status) {
        condition.last_transition_time = old.last_transition_time;
      }
    }
    return condition;
  }

 private:
  const NodeStatus& before_;
  WallTime now_;
};

std::vector<api::corev1::ContainerImage> image_list(std::vector<cri::Image> images) {
  std::sort(images.begin(), images.end(), [](const cri::Image& a, const cri::Image& b) { return a.size > b.size; });
  std::vector<api::corev1::ContainerImage> result;
  for (const cri::Image& image : images) {
    if (result.size() == kMaxImages) break;
    auto& entry = result.emplace_back();
    for (const auto* names : {&image.repo_digests, &image.repo_tags}) {
      for (const std::string& name : *names) {
        if (entry.names.size() < kMaxNamesPerImage) entry.names.push_back(name);
      }
    }
    entry.size_bytes = static_cast<int64_t>(image.size);
  }
  return result;
}

Quantity reserved(const KubeletOptions& options, const std::string& name) {
  auto entry = options.system_reserved.find(name);
  if (entry == options.system_reserved.end()) return {};
  auto quantity = Quantity::parse(entry->second);
  return quantity.ok() ? *quantity : Quantity();
}

}  // namespace

Status network_state(const std::vector<cri::RuntimeCondition>& conditions) {
  for (const cri::RuntimeCondition& condition : conditions) {
    if (condition.type == kNetworkReady && !condition.status) return Status::unavailable(problem_of(condition));
  }
  return {};
}

api::Map<Quantity> node_capacity(const NodeFacts& facts) {
  api::Map<Quantity> capacity;
  capacity["cpu"] = Quantity::of(facts.machine.cpus);
  capacity["memory"] = Quantity::of(static_cast<int64_t>(facts.machine.memory_bytes), Quantity::Format::kBinarySi);
  capacity["pods"] = Quantity::of(facts.options.max_pods);
  capacity["ephemeral-storage"] =
      Quantity::of(static_cast<int64_t>(facts.node_filesystem.capacity_bytes), Quantity::Format::kBinarySi);
  capacity["hugepages-1Gi"] = Quantity::of(0);
  capacity["hugepages-2Mi"] = Quantity::of(0);
  return capacity;
}

api::Map<Quantity> node_allocatable(const NodeFacts& facts) {
  api::Map<Quantity> allocatable = node_capacity(facts);
  allocatable["cpu"] -= reserved(facts.options, "cpu");
  allocatable["memory"] -= reserved(facts.options, "memory");
  allocatable["memory"] -= Quantity::of(static_cast<int64_t>(facts.options.eviction_hard_memory));
  auto storage = static_cast<int64_t>(facts.node_filesystem.capacity_bytes);
  allocatable["ephemeral-storage"] = Quantity::of(storage - storage / 100 * facts.options.eviction_hard_nodefs_percent);
  return allocatable;
}

std::map<std::string, std::string> node_labels(const NodeFacts& facts) {
  std::map<std::string, std::string> labels = facts.options.node_labels;
  labels["kubernetes.io/hostname"] = facts.node_name;
  labels["kubernetes.io/os"] = "linux";
  labels["kubernetes.io/arch"] = facts.machine.architecture;
  labels["beta.kubernetes.io/os"] = "linux";
  labels["beta.kubernetes.io/arch"] = facts.machine.architecture;
  return labels;
}

std::map<std::string, std::string> node_annotations(const NodeFacts& facts) {
  return {{std::string(api::kManagedAttach), "true"},
          {std::string(api::kLocalPathRoot), facts.options.local_path_folder()}};
}

NodeStatus make_node_status(const NodeFacts& facts, const NodeStatus& before) {
  NodeStatus status;
  status.capacity = node_capacity(facts);
  status.allocatable = node_allocatable(facts);
  for (const auto& [name, amount] : facts.extended) {
    status.capacity[name] = amount;
    status.allocatable[name] = amount;
  }
  ConditionMaker maker(before, facts.now);
  const FilesystemSpace& disk = facts.node_filesystem;
  bool disk_low =
      disk.capacity_bytes > 0 &&
      (disk.available_bytes <
           disk.capacity_bytes / 100 * static_cast<uint64_t>(facts.options.eviction_hard_nodefs_percent) ||
       (disk.inodes > 0 && static_cast<double>(disk.inodes_free) < static_cast<double>(disk.inodes) * kMinInodesFree));
  bool memory_low = facts.available_memory > 0 && facts.available_memory < facts.options.eviction_hard_memory;
  const Pressure pressures[] = {
      {"MemoryPressure", memory_low, "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
       "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"},
      {"DiskPressure", disk_low, "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "KubeletHasDiskPressure",
       "kubelet has disk pressure"},
      {"PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available",
       "KubeletHasInsufficientPID", "kubelet has insufficient PID available"},
  };
  for (const Pressure& p : pressures) {
    status.conditions.push_back(maker.make(p.type, p.present, p.present ? p.bad_reason : p.good_reason,
                                           p.present ? p.bad_message : p.good_message));
  }
  std::string problem = not_ready_reason(facts);
  status.conditions.push_back(problem.empty()
                                  ? maker.make("Ready", true, "KubeletReady", "kubelet is posting ready status")
                                  : maker.make("Ready", false, "KubeletNotReady", problem));
  for (const std::string& address : facts.addresses) {
    auto& entry = status.addresses.emplace_back();
    entry.type = "InternalIP";
    entry.address = address;
  }
  auto& host = status.addresses.emplace_back();
  host.type = "Hostname";
  host.address = facts.node_name;
  status.daemon_endpoints.kubelet_endpoint.port = facts.server_port;
  auto& info = status.node_info;
  info.machine_id = facts.machine.machine_id;
  info.system_uuid = facts.machine.system_uuid;
  info.boot_id = facts.machine.boot_id;
  info.kernel_version = facts.machine.kernel_version;
  info.os_image = facts.machine.os_image;
  info.container_runtime_version = facts.runtime.runtime_name + "://" + facts.runtime.runtime_version;
  info.kubelet_version = kVersion;
  info.kube_proxy_version = kVersion;
  info.operating_system = "linux";
  info.architecture = facts.machine.architecture;
  status.images = image_list(facts.images);
  return status;
}

Node make_node(const NodeFacts& facts) {
  Node node;
  node.metadata.name = facts.node_name;
  for (const auto& [key, value] : node_labels(facts)) node.metadata.labels[key] = value;
  for (const auto& [key, value] : node_annotations(facts)) node.metadata.annotations[key] = value;
  node.spec.provider_id = facts.options.provider_id;
  for (const std::string& text : facts.options.register_with_taints) {
    size_t colon = text.rfind(':');
    if (colon == std::string::npos) continue;
    auto& taint = node.spec.taints.emplace_back();
    std::string pair = text.substr(0, colon);
    size_t equals = pair.find('=');
    taint.key = pair.substr(0, equals);
    if (equals != std::string::npos) taint.value = pair.substr(equals + 1);
    taint.effect = text.substr(colon + 1);
  }
  node.status = make_node_status(facts, {});
  return node;
}

bool node_status_changed(const NodeStatus& a, const NodeStatus& b) {
  NodeStatus x = a;
  NodeStatus y = b;
  for (NodeStatus* status : {&x, &y}) {
    for (NodeCondition& condition : status->conditions) condition.last_heartbeat_time = {};
  }
  return api::encode_json(x) != api::encode_json(y);
}

}  // namespace trireme::kubelet
