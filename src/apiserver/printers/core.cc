// Pods, services, nodes and the rest of the core group, events of both groups.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/types/eventsv1.h"
#include "api/volumes.h"
#include "apiserver/printers/row.h"

namespace trireme::apiserver::printers {
namespace {

using namespace api;  // NOLINT: kinds of two groups

// Pods

constexpr Column kPodColumns[] = {
    {"Name"},
    {"Ready", "string", 0, "The aggregate readiness state of this pod for accepting traffic."},
    {"Status", "string", 0, "The aggregate status of the containers in this pod."},
    {"Restarts", "string", 0,
     "The number of times the containers in this pod have been restarted and when the last container in this pod has "
     "restarted."},
    {"Age"},
    {"IP", "string", 1, "IP address allocated to the pod."},
    {"Node", "string", 1, "The node the pod is scheduled to."},
    {"Nominated Node", "string", 1, "The node the pod may be scheduled to once preempted pods have left."},
    {"Readiness Gates", "string", 1, "The conditions that count for readiness, and how many are met."}};

/// What the containers' states add up to.
struct PodSummary {
  int64_t restarts = 0;
  Time last_restart;
  int ready = 0;
  std::string reason;
};

bool has_condition(const corev1::PodStatus& status, std::string_view type) {
  return std::any_of(status.conditions.begin(), status.conditions.end(),
                     [&](const auto& condition) { return condition.type == type && condition.status == "True"; });
}

std::string terminated_reason(const corev1::ContainerStateTerminated& state) {
  if (!state.reason.empty()) return state.reason;
  return state.signal != 0 ? fmt::format("Signal:{}", state.signal) : fmt::format("ExitCode:{}", state.exit_code);
}

void note_restart(const corev1::ContainerStatus& status, int64_t& restarts, Time& last) {
  restarts += status.restart_count;
  if (status.last_state.terminated) last = std::max(last, status.last_state.terminated->finished_at);
}

/// Walks the init containers; true when one of them is not done.
bool summarize_init(const corev1::Pod& pod, const std::set<std::string_view>& sidecars, PodSummary& summary,
                    PodSummary& of_sidecars) {
  const auto& statuses = pod.status.init_container_statuses;
  for (size_t i = 0; i < statuses.size(); ++i) {
    const auto& status = statuses[i];
    const bool sidecar = sidecars.count(status.name) > 0;
    note_restart(status, summary.restarts, summary.last_restart);
    if (sidecar) note_restart(status, of_sidecars.restarts, of_sidecars.last_restart);
    const auto& state = status.state;
    if (state.terminated && state.terminated->exit_code == 0) continue;
    if (sidecar && status.started.value_or(false)) {
      if (status.ready) ++summary.ready;
      continue;
    }
    if (state.terminated) {
      summary.reason = "Init:" + terminated_reason(*state.terminated);
    } else if (state.waiting && !state.waiting->reason.empty() && state.waiting->reason != "PodInitializing") {
      summary.reason = "Init:" + state.waiting->reason;
    } else {
      summary.reason = fmt::format("Init:{}/{}", i, pod.spec.init_containers.size());
    }
    return true;
  }
  return false;
}

void summarize_containers(const corev1::Pod& pod, PodSummary& summary) {
  bool running = false;
  const auto& statuses = pod.status.container_statuses;
  for (auto status = statuses.rbegin(); status != statuses.rend(); ++status) {
    note_restart(*status, summary.restarts, summary.last_restart);
    const auto& state = status->state;
    if (state.waiting && !state.waiting->reason.empty()) {
      summary.reason = state.waiting->reason;
    } else if (state.terminated) {
      summary.reason = terminated_reason(*state.terminated);
    } else if (status->ready && state.running) {
      running = true;
      ++summary.ready;
    }
  }
  if (summary.reason == "Completed" && running) {
    summary.reason = has_condition(pod.status, corev1::kPodReady) ? "Running" : "NotReady";
  }
}

void print_pod(const corev1::Pod& pod, Row& row) {
  const auto& status = pod.status;
  PodSummary summary;
  summary.reason = status.reason.empty() ? status.phase : status.reason;
  for (const auto& condition : status.conditions) {
    if (condition.type == corev1::kPodScheduled && condition.reason == corev1::kPodReasonSchedulingGated) {
      summary.reason = corev1::kPodReasonSchedulingGated;
    }
  }
  if (status.phase == corev1::kPodSucceeded) row.condition("Succeeded", "The pod has completed successfully.");
  if (status.phase == corev1::kPodFailed) row.condition("Failed", "The pod failed.");

  std::set<std::string_view> sidecars;
  for (const auto& container : pod.spec.init_containers) {
    if (container.restart_policy.value_or("") == "Always") sidecars.insert(container.name);
  }
  PodSummary of_sidecars;
  const bool initializing = summarize_init(pod, sidecars, summary, of_sidecars);
  if (!initializing || has_condition(status, corev1::kPodInitialized)) {
    summary.restarts = of_sidecars.restarts;
    summary.last_restart = of_sidecars.last_restart;
    summarize_containers(pod, summary);
  }
  const bool finished = status.phase == corev1::kPodSucceeded || status.phase == corev1::kPodFailed;
  if (pod.metadata.deletion_timestamp) {
    if (status.reason == "NodeLost") {
      summary.reason = "Unknown";
    } else if (!finished) {
      summary.reason = "Terminating";
    }
  }
  std::string restarts = std::to_string(summary.restarts);
  if (summary.restarts != 0 && summary.last_restart)
    restarts += fmt::format(" ({} ago)", row.ago(summary.last_restart));
  size_t met = 0;
  for (const auto& gate : pod.spec.readiness_gates) {
    if (has_condition(status, gate.condition_type)) ++met;
  }
  const size_t gates = pod.spec.readiness_gates.size();
  row.text(pod.metadata.name)
      .text(fmt::format("{}/{}", summary.ready, pod.spec.containers.size() + sidecars.size()))
      .text(summary.reason)
      .text(restarts)
      .age(pod.metadata)
      .text_or_none(status.pod_ips.empty() ? status.pod_ip : status.pod_ips[0].ip)
      .text_or_none(pod.spec.node_name)
      .text_or_none(status.nominated_node_name)
      .text(gates == 0 ? "<none>" : fmt::format("{}/{}", met, gates));
}

constexpr Column kPodTemplateColumns[] = {
    {"Name"},
    {"Containers", "string", 0, "Names of each container in the template."},
    {"Images", "string", 0, "Images referenced by each container in the template."},
    {"Pod Labels", "string", 0, "The labels for the pod template."}};

void print_pod_template(const corev1::PodTemplate& object, Row& row) {
  row.text(object.metadata.name)
      .containers(object.template_.spec.containers)
      .text(format_labels(object.template_.metadata.labels));
}

// Replication controllers

constexpr Column kControllerColumns[] = {
    {"Name"},
    {"Desired", "integer", 0, "The number of desired replicas."},
    {"Current", "integer", 0, "The most recently observed number of replicas."},
    {"Ready", "integer", 0, "The number of ready replicas."},
    {"Age"},
    {"Containers", "string", 1, "Names of each container in the template."},
    {"Images", "string", 1, "Images referenced by each container in the template."},
    {"Selector", "string", 1, "A label query over the pods that should match the replica count."}};

void print_controller(const corev1::ReplicationController& object, Row& row) {
  row.text(object.metadata.name)
      .number(object.spec.replicas.value_or(0))
      .number(object.status.replicas)
      .number(object.status.ready_replicas)
      .age(object.metadata)
      .containers(object.spec.template_ ? object.spec.template_->spec.containers : std::vector<corev1::Container>())
      .text(format_labels(object.spec.selector));
}

// Services and endpoints

constexpr Column kServiceColumns[] = {{"Name"},
                                      {"Type", "string", 0, "How the service is exposed."},
                                      {"Cluster-IP", "string", 0, "The service's address inside the cluster."},
                                      {"External-IP", "string", 0, "Addresses for traffic from outside."},
                                      {"Port(s)", "string", 0, "The ports that are exposed by this service."},
                                      {"Age"},
                                      {"Selector", "string", 1, "Labels of the pods that the service routes to."}};

std::string external_addresses(const corev1::Service& service) {
  const auto& spec = service.spec;
  const std::string fixed = join(spec.external_ips);
  if (spec.type == corev1::kServiceTypeExternalName) return spec.external_name;
  if (spec.type == corev1::kServiceTypeLoadBalancer) {
    std::vector<std::string> ingress;
    for (const auto& each : service.status.load_balancer.ingress) {
      if (const auto& address = each.ip.empty() ? each.hostname : each.ip; !address.empty()) ingress.push_back(address);
    }
    const std::string balanced = load_balancer_addresses(ingress);
    if (balanced.empty() && fixed.empty()) return "<pending>";
    return balanced.empty() || fixed.empty() ? balanced + fixed : balanced + "," + fixed;
  }
  if (spec.type == corev1::kServiceTypeClusterIP || spec.type == corev1::kServiceTypeNodePort) {
    return fixed.empty() ? "<none>" : fixed;
  }
  return "<unknown>";
}

void print_service(const corev1::Service& service, Row& row) {
  std::vector<std::string> ports;
  for (const auto& port : service.spec.ports) {
    ports.push_back(port.node_port > 0 ? fmt::format("{}:{}/{}", port.port, port.node_port, port.protocol)
                                       : fmt::format("{}/{}", port.port, port.protocol));
  }
  row.text(service.metadata.name)
      .text(service.spec.type)
      .text_or_none(service.spec.cluster_ips.empty() ? service.spec.cluster_ip : service.spec.cluster_ips[0])
      .text(external_addresses(service))
      .text_or_none(join(ports))
      .age(service.metadata)
      .text(format_labels(service.spec.selector));
}

constexpr Column kEndpointsColumns[] = {
    {"Name"}, {"Endpoints", "string", 0, "The addresses and ports that implement the service."}, {"Age"}};

std::string host_port(const std::string& ip, int32_t port) {
  return ip.find(':') == std::string::npos ? fmt::format("{}:{}", ip, port) : fmt::format("[{}]:{}", ip, port);
}

void print_endpoints(const corev1::Endpoints& endpoints, Row& row) {
  std::vector<std::string> list;
  for (const auto& subset : endpoints.subsets) {
    if (subset.ports.empty()) {
      for (const auto& address : subset.addresses) list.push_back(address.ip);
    }
    for (const auto& port : subset.ports) {
      for (const auto& address : subset.addresses) list.push_back(host_port(address.ip, port.port));
    }
  }
  row.text(endpoints.metadata.name)
      .text(endpoints.subsets.empty() ? "<none>" : first_three(list, list.size()))
      .age(endpoints.metadata);
}

// Nodes

constexpr Column kNodeColumns[] = {
    {"Name"},
    {"Status", "string", 0, "The status of the node"},
    {"Roles", "string", 0, "The roles of the node"},
    {"Age"},
    {"Version", "string", 0, "Kubelet Version reported by the node."},
    {"Internal-IP", "string", 1, "The node's address inside the cluster."},
    {"External-IP", "string", 1, "The node's address outside the cluster."},
    {"OS-Image", "string", 1, "OS Image reported by the node."},
    {"Kernel-Version", "string", 1, "Kernel Version reported by the node."},
    {"Container-Runtime", "string", 1, "ContainerRuntime Version reported by the node."}};

std::string node_status(const corev1::Node& node) {
  std::string out;
  for (const auto& condition : node.status.conditions) {
    if (condition.type == corev1::kNodeReady) out = condition.status == "True" ? "Ready" : "NotReady";
  }
  if (out.empty()) out = "Unknown";
  return node.spec.unschedulable ? out + ",SchedulingDisabled" : out;
}

std::string node_roles(const corev1::Node& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : node.metadata.labels) {
    if (key.starts_with(kPrefix) && key.size() > kPrefix.size()) roles.insert(key.substr(kPrefix.size()));
    if (key == "kubernetes.io/role" && !value.empty()) roles.insert(value);
  }
  return roles.empty() ? "<none>" : join(std::vector<std::string>(roles.begin(), roles.end()));
}

std::string node_address(const corev1::Node& node, std::string_view type) {
  for (const auto& address : node.status.addresses) {
    if (address.type == type) return address.address;
  }
  return "<none>";
}

void print_node(const corev1::Node& node, Row& row) {
  const auto& info = node.status.node_info;
  auto known = [](const std::string& text) { return text.empty() ? std::string_view("<unknown>") : text; };
  row.text(node.metadata.name)
      .text(node_status(node))
      .text(node_roles(node))
      .age(node.metadata)
      .text(info.kubelet_version)
      .text(node_address(node, corev1::kNodeInternalIP))
      .text(node_address(node, corev1::kNodeExternalIP))
      .text(known(info.os_image))
      .text(known(info.kernel_version))
      .text(known(info.container_runtime_version));
}

// Namespaces, secrets, config maps, service accounts

constexpr Column kNamespaceColumns[] = {{"Name"}, {"Status", "string", 0, "The status of the namespace"}, {"Age"}};

void print_namespace(const corev1::Namespace& object, Row& row) {
  row.text(object.metadata.name).text(object.status.phase).age(object.metadata);
}

constexpr Column kSecretColumns[] = {{"Name"},
                                     {"Type", "string", 0, "Used to facilitate programmatic handling of secret data."},
                                     {"Data", "string", 0, "The number of keys in the secret."},
                                     {"Age"}};

void print_secret(const corev1::Secret& object, Row& row) {
  row.text(object.metadata.name)
      .text(object.type)
      .number(static_cast<int64_t>(object.data.size()))
      .age(object.metadata);
}

constexpr Column kConfigMapColumns[] = {{"Name"}, {"Data", "string", 0, "The number of keys in the map."}, {"Age"}};

void print_config_map(const corev1::ConfigMap& object, Row& row) {
  row.text(object.metadata.name)
      .number(static_cast<int64_t>(object.data.size() + object.binary_data.size()))
      .age(object.metadata);
}

constexpr Column kServiceAccountColumns[] = {
    {"Name"}, {"Secrets", "string", 0, "The number of secrets that pods of this account may use."}, {"Age"}};

void print_service_account(const corev1::ServiceAccount& object, Row& row) {
  row.text(object.metadata.name).number(static_cast<int64_t>(object.secrets.size())).age(object.metadata);
}

// Events

constexpr Column kEventColumns[] = {
    {"Last Seen", "string", 0, "The time at which the most recent occurrence of this event was recorded."},
    {"Type", "string", 0, "Type of this event (Normal, Warning), new types could be added in the future"},
    {"Reason", "string", 0, "The reason for the transition into the object's current status."},
    {"Object", "string", 0, "The object that this event is about."},
    {"Subobject", "string", 1, "The part of the object that this event is about."},
    {"Source", "string", 1, "The component reporting this event."},
    {"Message", "string", 0, "A human-readable description of the status of this operation."},
    {"First Seen", "string", 1, "The time at which the event was first recorded."},
    {"Count", "string", 1, "The number of times this event has occurred."},
    {"Name", "string", 1}};

/// The fields that both kinds of event have, under the names of the older one.
struct EventView {
  const metav1::ObjectMeta& meta;
  const corev1::ObjectReference& about;
  const std::string& type;
  const std::string& reason;
  const std::string& message;
  Time first;
  Time last;
  MicroTime time;
  MicroTime series_last;
  int32_t count;
  int32_t series_count;
  bool has_series;
  std::string source;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string source_text(const std::string& component, const std::string& host) {
  return host.empty() ? component : component + ", " + host;
}

void print_event_view(const EventView& event, Row& row) {
  std::string first = row.ago(event.first);
  if (!event.first) first = row.ago(event.time);
  std::string last = row.ago(event.last);
  if (!event.last) last = first;
  int64_t count = event.count;
  if (event.has_series) {
    last = row.ago(event.series_last);
    count = event.series_count;
  } else if (count == 0) {
    count = 1;  // events of the newer API say so by having no series
  }
  const std::string object =
      event.about.name.empty() ? lower(event.about.kind) : lower(event.about.kind) + "/" + event.about.name;
  std::string message = event.message;
  while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back()))) message.pop_back();
  row.text(last)
      .text(event.type)
      .text(event.reason)
      .text(object)
      .text(event.about.field_path)
      .text(event.source)
      .text(message)
      .text(first)
      .number(count)
      .text(event.meta.name);
}

void print_core_event(const corev1::Event& event, Row& row) {
  const bool old_source = !event.source.component.empty() || !event.source.host.empty();
  print_event_view(
      {event.metadata, event.involved_object, event.type, event.reason, event.message, event.first_timestamp,
       event.last_timestamp, event.event_time, event.series ? event.series->last_observed_time : MicroTime(),
       event.count, event.series ? event.series->count : 0, event.series.has_value(),
       old_source ? source_text(event.source.component, event.source.host)
                  : source_text(event.reporting_component, event.reporting_instance)},
      row);
}

void print_event(const eventsv1::Event& event, Row& row) {
  const auto& source = event.deprecated_source;
  const bool old_source = !source.component.empty() || !source.host.empty();
  print_event_view(
      {event.metadata, event.regarding, event.type, event.reason, event.note, event.deprecated_first_timestamp,
       event.deprecated_last_timestamp, event.event_time, event.series ? event.series->last_observed_time : MicroTime(),
       event.deprecated_count, event.series ? event.series->count : 0, event.series.has_value(),
       old_source ? source_text(source.component, source.host)
                  : source_text(event.reporting_controller, event.reporting_instance)},
      row);
}

// Volumes and claims

constexpr Column kVolumeColumns[] = {{"Name"},
                                     {"Capacity", "string", 0, "The volume's size."},
                                     {"Access Modes", "string", 0, "The ways the volume can be mounted."},
                                     {"Reclaim Policy", "string", 0, "What happens to the volume without its claim."},
                                     {"Status", "string", 0, "Whether the volume is available, bound or released."},
                                     {"Claim", "string", 0, "The claim the volume is bound to."},
                                     {"StorageClass", "string", 0, "StorageClass of the pv"},
                                     {"VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pv"},
                                     {"Reason", "string", 0, "Why the volume is in its status."},
                                     {"Age"},
                                     {"VolumeMode", "string", 1, "Whether a file system or a device is provided."}};

std::string access_modes(const std::vector<std::string>& modes) {
  static constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  std::vector<std::string> out;
  for (const auto& [mode, abbreviation] : kShort) {
    if (std::find(modes.begin(), modes.end(), mode) != modes.end()) out.emplace_back(abbreviation);
  }
  return join(out);
}

std::string storage(const Map<Quantity>& amounts) {
  const auto found = amounts.find("storage");
  return found == amounts.end() ? std::string() : found->second.to_string();
}

void print_volume(const corev1::PersistentVolume& object, Row& row) {
  const auto& spec = object.spec;
  const std::string phase = object.metadata.deletion_timestamp ? std::string("Terminating") : object.status.phase;
  row.text(object.metadata.name)
      .text(storage(spec.capacity))
      .text(access_modes(spec.access_modes))
      .text(spec.persistent_volume_reclaim_policy)
      .text(phase)
      .text(spec.claim_ref ? spec.claim_ref->namespace_ + "/" + spec.claim_ref->name : std::string())
      .text(object.metadata.annotations.get(api::kBetaStorageClass, spec.storage_class_name))
      .text(spec.volume_attributes_class_name.value_or("<unset>"))
      .text(object.status.reason)
      .age(object.metadata)
      .text(spec.volume_mode.value_or("<unset>"));
}

constexpr Column kClaimColumns[] = {{"Name"},
                                    {"Status", "string", 0, "Whether the claim is bound."},
                                    {"Volume", "string", 0, "The volume backing the claim."},
                                    {"Capacity", "string", 0, "The actual size of the volume."},
                                    {"Access Modes", "string", 0, "The actual access modes of the volume."},
                                    {"StorageClass", "string", 0, "StorageClass of the pvc"},
                                    {"VolumeAttributesClass", "string", 0, "VolumeAttributesClass of the pvc"},
                                    {"Age"},
                                    {"VolumeMode", "string", 1, "Whether a file system or a device is provided."}};

void print_claim(const corev1::PersistentVolumeClaim& object, Row& row) {
  const auto& spec = object.spec;
  const bool bound = !spec.volume_name.empty();
  row.text(object.metadata.name)
      .text(object.metadata.deletion_timestamp ? std::string("Terminating") : object.status.phase)
      .text(spec.volume_name)
      .text(bound ? storage(object.status.capacity) : std::string())
      .text(bound ? access_modes(object.status.access_modes) : std::string())
      .text(object.metadata.annotations.get(api::kBetaStorageClass, spec.storage_class_name.value_or("")))
      .text(spec.volume_attributes_class_name.value_or("<unset>"))
      .age(object.metadata)
      .text(spec.volume_mode.value_or("<unset>"));
}

// Quotas, component statuses

constexpr Column kQuotaColumns[] = {
    {"Name"},
    {"Request", "string", 0, "Request represents a minimum amount of cpu/memory that a container may consume."},
    {"Limit", "string", 0,
     "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."},
    {"Age"}};

void print_quota(const corev1::ResourceQuota& object, Row& row) {
  std::string requests;
  std::string limits;
  for (const auto& [name, hard] : object.status.hard) {
    std::string& out = name.starts_with("limits") ? limits : requests;
    if (!out.empty()) out += ", ";
    out += fmt::format("{}: {}/{}", name, object.status.used.get(name).to_string(), hard.to_string());
  }
  row.text(object.metadata.name).text(requests).text(limits).age(object.metadata);
}

constexpr Column kComponentColumns[] = {{"Name"},
                                        {"Status", "string", 0, "Status of the component conditions"},
                                        {"Message", "string", 0, "Message of the component conditions"},
                                        {"Error", "string", 0, "Error of the component conditions"}};

void print_component(const corev1::ComponentStatus& object, Row& row) {
  std::string status = "Unknown";
  std::string message;
  std::string error;
  for (const auto& condition : object.conditions) {
    if (condition.type != "Healthy") continue;
    status = condition.status == "True" ? "Healthy" : "Unhealthy";
    message = condition.message;
    error = condition.error;
    break;
  }
  row.text(object.metadata.name).text(status).text(message).text(error);
}

}  // namespace

std::span<const Printer> core_printers() {
  static const Printer kAll[] = {
      printer<corev1::Pod, print_pod>(kPodColumns),
      printer<corev1::PodTemplate, print_pod_template>(kPodTemplateColumns),
      printer<corev1::ReplicationController, print_controller>(kControllerColumns),
      printer<corev1::Service, print_service>(kServiceColumns),
      printer<corev1::Endpoints, print_endpoints>(kEndpointsColumns),
      printer<corev1::Node, print_node>(kNodeColumns),
      printer<corev1::Namespace, print_namespace>(kNamespaceColumns),
      printer<corev1::Secret, print_secret>(kSecretColumns),
      printer<corev1::ConfigMap, print_config_map>(kConfigMapColumns),
      printer<corev1::ServiceAccount, print_service_account>(kServiceAccountColumns),
      printer<corev1::Event, print_core_event>(kEventColumns),
      printer<eventsv1::Event, print_event>(kEventColumns),
      printer<corev1::PersistentVolume, print_volume>(kVolumeColumns),
      printer<corev1::PersistentVolumeClaim, print_claim>(kClaimColumns),
      printer<corev1::ResourceQuota, print_quota>(kQuotaColumns),
      printer<corev1::ComponentStatus, print_component>(kComponentColumns),
  };
  return kAll;
}

}  // namespace trireme::apiserver::printers
