// The core group: pods and everything with a pod template, services, volumes, nodes, namespaces.

#include <utility>

#include "api/defaults/groups.h"

namespace trireme::api::defaults {
namespace {

constexpr int32_t kFileMode = 0644;
constexpr int64_t kGracePeriodSeconds = 30;
constexpr int32_t kAffinitySeconds = 10800;
constexpr int64_t kTokenSeconds = 3600;

/// Quantities finer than a thousandth are rounded up, for compatibility with the first versions.
void round_to_milli(Map<Quantity>& list) {
  for (auto& [name, quantity] : list) {
    if (quantity.scaled(-9) % 1000000 != 0) quantity = Quantity::of_milli(quantity.milli_value(), quantity.format());
  }
}

void default_http_get(corev1::HTTPGetAction& action) {
  set(action.path, "/");
  set(action.scheme, corev1::kURISchemeHTTP);
}

void default_probe(Box<corev1::Probe>& probe) {
  if (!probe) return;
  if (probe->timeout_seconds == 0) probe->timeout_seconds = 1;
  if (probe->period_seconds == 0) probe->period_seconds = 10;
  if (probe->success_threshold == 0) probe->success_threshold = 1;
  if (probe->failure_threshold == 0) probe->failure_threshold = 3;
  if (probe->probe_handler.http_get) default_http_get(*probe->probe_handler.http_get);
  if (probe->probe_handler.grpc) set(probe->probe_handler.grpc->service, "");
}

/// A Container or an EphemeralContainerCommon.
template <typename Container>
void default_container(Container& container) {
  if (container.image_pull_policy.empty()) container.image_pull_policy = default_pull_policy(container.image);
  set(container.termination_message_path, corev1::kTerminationMessagePathDefault);
  set(container.termination_message_policy, corev1::kTerminationMessageReadFile);
  for (auto& port : container.ports) set(port.protocol, corev1::kProtocolTCP);
  for (auto& variable : container.env) {
    if (variable.value_from && variable.value_from->field_ref) set(variable.value_from->field_ref->api_version, "v1");
  }
  round_to_milli(container.resources.limits);
  round_to_milli(container.resources.requests);
  default_probe(container.liveness_probe);
  default_probe(container.readiness_probe);
  default_probe(container.startup_probe);
  if (container.lifecycle) {
    for (auto* hook : {&container.lifecycle->post_start, &container.lifecycle->pre_stop}) {
      if (*hook && (*hook)->http_get) default_http_get(*(*hook)->http_get);
    }
  }
}

/// Sources whose defaults pods and persistent volumes have in common.
template <typename Sources>
void default_volume_sources(Sources& source) {
  if (source.host_path) set(source.host_path->type, "");
  if (source.iscsi) set(source.iscsi->iscsi_interface, "default");
  if (source.rbd) {
    set(source.rbd->pool, "rbd");
    set(source.rbd->user, "admin");
    set(source.rbd->keyring, "/etc/ceph/keyring");
  }
  if (source.azure_disk) {
    set(source.azure_disk->caching_mode, "ReadWrite");
    set(source.azure_disk->kind, "Shared");
    set(source.azure_disk->fs_type, "ext4");
    if (!source.azure_disk->read_only) source.azure_disk->read_only = false;
  }
  if (source.scale_io) {
    set(source.scale_io->storage_mode, "ThinProvisioned");
    set(source.scale_io->fs_type, "xfs");
  }
}

void default_downward_files(std::vector<corev1::DownwardAPIVolumeFile>& files) {
  for (auto& file : files) {
    if (file.field_ref) set(file.field_ref->api_version, "v1");
  }
}

bool has_source(const corev1::VolumeSource& source) {
  for (const FieldInfo& field : type_info<corev1::VolumeSource>().fields) {
    if (field.ops->size(reinterpret_cast<const char*>(&source) + field.offset) > 0) return true;
  }
  return false;
}

void default_volume(corev1::Volume& volume) {
  auto& source = volume.volume_source;
  if (!has_source(source)) source.empty_dir.emplace();
  if (source.secret) set(source.secret->default_mode, kFileMode);
  if (source.config_map) set(source.config_map->default_mode, kFileMode);
  if (source.downward_api) {
    set(source.downward_api->default_mode, kFileMode);
    default_downward_files(source.downward_api->items);
  }
  if (source.projected) {
    set(source.projected->default_mode, kFileMode);
    for (auto& projection : source.projected->sources) {
      if (projection.downward_api) default_downward_files(projection.downward_api->items);
      if (projection.service_account_token) set(projection.service_account_token->expiration_seconds, kTokenSeconds);
    }
  }
  if (source.ephemeral && source.ephemeral->volume_claim_template) {
    default_claim_spec(source.ephemeral->volume_claim_template->spec);
  }
  default_volume_sources(source);
}

/// Limits without a request are what is requested. Only on pods, not on templates.
void default_requests(std::vector<corev1::Container>& containers) {
  for (auto& container : containers) {
    for (const auto& [name, quantity] : container.resources.limits) {
      container.resources.requests.emplace(name, quantity);
    }
  }
}

void default_host_ports(std::vector<corev1::Container>& containers) {
  for (auto& container : containers) {
    for (auto& port : container.ports) {
      if (port.host_port == 0) port.host_port = port.container_port;
    }
  }
}

/// The single address is authoritative where it and the first of the list differ: old kubelets write only that.
template <typename Address>
void sync_addresses(std::string& one, std::vector<Address>& list) {
  if (!one.empty() && (list.empty() || list[0].ip != one)) {
    list.assign(1, Address());
    list[0].ip = one;
  }
  if (one.empty() && !list.empty()) one = list[0].ip;
}

void default_pod(corev1::Pod& pod) {
  default_requests(pod.spec.containers);
  default_requests(pod.spec.init_containers);
  set(pod.spec.enable_service_links, true);
  if (pod.spec.host_network) {
    default_host_ports(pod.spec.containers);
    default_host_ports(pod.spec.init_containers);
  }
  default_pod_spec(pod.spec);
  sync_addresses(pod.status.pod_ip, pod.status.pod_ips);
  sync_addresses(pod.status.host_ip, pod.status.host_ips);
}

void default_pod_template(corev1::PodTemplate& object) { default_pod_spec(object.template_.spec); }

void default_replication_controller(corev1::ReplicationController& controller) {
  set(controller.spec.replicas, 1);
  if (!controller.spec.template_) return;
  auto& pod = *controller.spec.template_;
  if (controller.spec.selector.empty()) controller.spec.selector = pod.metadata.labels;
  if (controller.metadata.labels.empty()) controller.metadata.labels = pod.metadata.labels;
  default_pod_spec(pod.spec);
}

void default_service(corev1::Service& service) {
  auto& spec = service.spec;
  set(spec.session_affinity, corev1::kServiceAffinityNone);
  if (spec.session_affinity == corev1::kServiceAffinityNone) spec.session_affinity_config.reset();
  if (spec.session_affinity == corev1::kServiceAffinityClientIP) {
    auto& config = spec.session_affinity_config;
    if (!config || !config->client_ip || !config->client_ip->timeout_seconds) {
      config.emplace().client_ip.emplace().timeout_seconds = kAffinitySeconds;
    }
  }
  set(spec.type, corev1::kServiceTypeClusterIP);
  for (auto& port : spec.ports) {
    set(port.protocol, corev1::kProtocolTCP);
    const auto& target = port.target_port;
    if (target.is_string() ? target.string_value().empty() : target.int_value() == 0) port.target_port = port.port;
  }
  const bool load_balancer = spec.type == corev1::kServiceTypeLoadBalancer;
  const bool node_port = spec.type == corev1::kServiceTypeNodePort;
  const bool cluster_ip = spec.type == corev1::kServiceTypeClusterIP;
  if (load_balancer || node_port || (cluster_ip && !spec.external_ips.empty())) {
    set(spec.external_traffic_policy, corev1::kServiceExternalTrafficPolicyCluster);
  }
  if (load_balancer || node_port || cluster_ip) set(spec.internal_traffic_policy, "Cluster");
  if (load_balancer) {
    set(spec.allocate_load_balancer_node_ports, true);
    for (auto& ingress : service.status.load_balancer.ingress) {
      if (!ingress.ip.empty()) set(ingress.ip_mode, "VIP");
    }
  }
}

void default_endpoints(corev1::Endpoints& endpoints) {
  for (auto& subset : endpoints.subsets) {
    for (auto& port : subset.ports) set(port.protocol, corev1::kProtocolTCP);
  }
}

/// Clients write `stringData`; what is kept and shown is `data`.
void default_secret(corev1::Secret& secret) {
  set(secret.type, corev1::kSecretTypeOpaque);
  for (auto& [key, value] : secret.string_data) secret.data.insert_or_assign(key, std::move(value));
  secret.string_data.clear();
}

void default_persistent_volume(corev1::PersistentVolume& volume) {
  set(volume.status.phase, corev1::kVolumePending);
  set(volume.spec.persistent_volume_reclaim_policy, corev1::kPersistentVolumeReclaimRetain);
  set(volume.spec.volume_mode, "Filesystem");
  round_to_milli(volume.spec.capacity);
  default_volume_sources(volume.spec.persistent_volume_source);
}

void default_persistent_volume_claim(corev1::PersistentVolumeClaim& claim) {
  set(claim.status.phase, corev1::kClaimPending);
  default_claim_spec(claim.spec);
  round_to_milli(claim.status.capacity);
}

void default_namespace(corev1::Namespace& object) {
  if (!object.metadata.name.empty()) object.metadata.labels["kubernetes.io/metadata.name"] = object.metadata.name;
  set(object.status.phase, corev1::kNamespaceActive);
}

void default_node(corev1::Node& node) {
  if (node.status.allocatable.empty()) node.status.allocatable = node.status.capacity;
  round_to_milli(node.status.capacity);
  round_to_milli(node.status.allocatable);
  auto& spec = node.spec;
  if (!spec.pod_cidr.empty() && (spec.pod_cidrs.empty() || spec.pod_cidrs[0] != spec.pod_cidr)) {
    spec.pod_cidrs.assign(1, spec.pod_cidr);
  }
  if (spec.pod_cidr.empty() && !spec.pod_cidrs.empty()) spec.pod_cidr = spec.pod_cidrs[0];
}

void default_limit_range(corev1::LimitRange& range) {
  for (auto& limit : range.spec.limits) {
    if (limit.type == corev1::kLimitTypeContainer) {
      for (const auto& [name, quantity] : limit.max) limit.default_.emplace(name, quantity);
      for (const auto& [name, quantity] : limit.default_) limit.default_request.emplace(name, quantity);
      for (const auto& [name, quantity] : limit.min) limit.default_request.emplace(name, quantity);
    }
    for (auto* list :
         {&limit.max, &limit.min, &limit.default_, &limit.default_request, &limit.max_limit_request_ratio}) {
      round_to_milli(*list);
    }
  }
}

void default_resource_quota(corev1::ResourceQuota& quota) {
  round_to_milli(quota.spec.hard);
  round_to_milli(quota.status.hard);
  round_to_milli(quota.status.used);
}

}  // namespace

std::span<const Defaulter> core() {
  static const Defaulter kAll[] = {
      defaulter<corev1::Pod, default_pod>(),
      defaulter<corev1::PodTemplate, default_pod_template>(),
      defaulter<corev1::ReplicationController, default_replication_controller>(),
      defaulter<corev1::Service, default_service>(),
      defaulter<corev1::Endpoints, default_endpoints>(),
      defaulter<corev1::Secret, default_secret>(),
      defaulter<corev1::PersistentVolume, default_persistent_volume>(),
      defaulter<corev1::PersistentVolumeClaim, default_persistent_volume_claim>(),
      defaulter<corev1::Namespace, default_namespace>(),
      defaulter<corev1::Node, default_node>(),
      defaulter<corev1::LimitRange, default_limit_range>(),
      defaulter<corev1::ResourceQuota, default_resource_quota>(),
  };
  return kAll;
}

}  // namespace trireme::api::defaults

namespace trireme::api {

std::string_view default_pull_policy(std::string_view image) {
  const std::string_view name = image.substr(0, image.find('@'));
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  const bool tagged = colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  const bool latest = tagged ? name.substr(colon + 1) == "latest" : !image.empty() && name.size() == image.size();
  return latest ? corev1::kPullAlways : corev1::kPullIfNotPresent;
}

void default_claim_spec(corev1::PersistentVolumeClaimSpec& spec) {
  defaults::set(spec.volume_mode, "Filesystem");
  defaults::round_to_milli(spec.resources.limits);
  defaults::round_to_milli(spec.resources.requests);
}

void default_pod_spec(corev1::PodSpec& spec) {
  using defaults::set;
  set(spec.dns_policy, corev1::kDNSClusterFirst);
  set(spec.restart_policy, corev1::kRestartPolicyAlways);
  if (!spec.security_context) spec.security_context.emplace();
  set(spec.termination_grace_period_seconds, defaults::kGracePeriodSeconds);
  set(spec.scheduler_name, corev1::kDefaultSchedulerName);
  if (spec.service_account_name.empty()) spec.service_account_name = spec.service_account;
  spec.service_account = spec.service_account_name;
  for (auto& volume : spec.volumes) defaults::default_volume(volume);
  for (auto& container : spec.init_containers) defaults::default_container(container);
  for (auto& container : spec.containers) defaults::default_container(container);
  for (auto& container : spec.ephemeral_containers) defaults::default_container(container.ephemeral_container_common);
  defaults::round_to_milli(spec.overhead);
}

}  // namespace trireme::api
