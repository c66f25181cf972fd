#include "apiserver/strategy/strategy.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "api/custom_resource.h"
#include "api/types/certificatesv1.h"
#include "api/types/corev1.h"
#include "api/validation/equal.h"
#include "apiserver/strategy/kinds.h"

namespace trireme::apiserver::strategy {
namespace {

using api::FieldInfo;
using api::FieldKind;
using api::FieldShape;
using api::Object;
using api::TypeInfo;

/// What differs between kinds in ways that a table can say.
struct Traits {
  std::string_view api_version;
  std::string_view kind;
  bool generation = false;    ///< Counts changes of the specification.
  bool keeps_status = false;  ///< A create may bring a status (nodes).
  bool create_on_update = false;
  bool unconditional_update = true;
  bool status_keeps_metadata = false;  ///< A status write changes nothing in the metadata.
};

constexpr Traits kTraits[] = {
    {.api_version = "v1", .kind = "Node", .keeps_status = true},
    {.api_version = "v1", .kind = "Service", .create_on_update = true},
    {.api_version = "v1", .kind = "Endpoints", .create_on_update = true},
    {.api_version = "v1", .kind = "Event", .create_on_update = true},
    {.api_version = "events.k8s.io/v1", .kind = "Event", .create_on_update = true},
    {.api_version = "v1", .kind = "LimitRange", .create_on_update = true},
    {.api_version = "v1", .kind = "ReplicationController", .generation = true},
    {.api_version = "v1", .kind = "PodTemplate", .generation = true},
    {.api_version = "apps/v1", .kind = "Deployment", .generation = true},
    {.api_version = "apps/v1", .kind = "ReplicaSet", .generation = true},
    {.api_version = "apps/v1", .kind = "StatefulSet", .generation = true},
    {.api_version = "apps/v1", .kind = "DaemonSet", .generation = true},
    {.api_version = "batch/v1", .kind = "Job", .generation = true},
    {.api_version = "batch/v1", .kind = "CronJob", .generation = true},
    {.api_version = "networking.k8s.io/v1", .kind = "Ingress", .generation = true},
    {.api_version = "networking.k8s.io/v1", .kind = "IngressClass", .generation = true},
    {.api_version = "networking.k8s.io/v1", .kind = "NetworkPolicy", .generation = true},
    {.api_version = "policy/v1", .kind = "PodDisruptionBudget", .generation = true, .unconditional_update = false},
    {.api_version = "scheduling.k8s.io/v1", .kind = "PriorityClass", .generation = true},
    {.api_version = "discovery.k8s.io/v1", .kind = "EndpointSlice", .generation = true},
    {.api_version = "coordination.k8s.io/v1", .kind = "Lease", .create_on_update = true, .unconditional_update = false},
    {.api_version = "rbac.authorization.k8s.io/v1", .kind = "Role", .create_on_update = true},
    {.api_version = "rbac.authorization.k8s.io/v1", .kind = "RoleBinding", .create_on_update = true},
    {.api_version = "rbac.authorization.k8s.io/v1", .kind = "ClusterRole", .create_on_update = true},
    {.api_version = "rbac.authorization.k8s.io/v1", .kind = "ClusterRoleBinding", .create_on_update = true},
    {.api_version = "storage.k8s.io/v1", .kind = "CSIDriver", .unconditional_update = false},
    {.api_version = "storage.k8s.io/v1", .kind = "CSINode", .unconditional_update = false},
    {.api_version = "storage.k8s.io/v1", .kind = "CSIStorageCapacity", .unconditional_update = false},
    {.api_version = "storage.k8s.io/v1", .kind = "VolumeAttachment", .unconditional_update = false},
    {.api_version = "node.k8s.io/v1", .kind = "RuntimeClass", .unconditional_update = false},
    {.api_version = "flowcontrol.apiserver.k8s.io/v1",
     .kind = "FlowSchema",
     .generation = true,
     .status_keeps_metadata = true},
    {.api_version = "flowcontrol.apiserver.k8s.io/v1",
     .kind = "PriorityLevelConfiguration",
     .generation = true,
     .status_keeps_metadata = true},
    {.api_version = "admissionregistration.k8s.io/v1",
     .kind = "ValidatingWebhookConfiguration",
     .generation = true,
     .unconditional_update = false},
    {.api_version = "admissionregistration.k8s.io/v1",
     .kind = "MutatingWebhookConfiguration",
     .generation = true,
     .unconditional_update = false},
    {.api_version = "admissionregistration.k8s.io/v1",
     .kind = "ValidatingAdmissionPolicy",
     .generation = true,
     .unconditional_update = false,
     .status_keeps_metadata = true},
    {.api_version = "admissionregistration.k8s.io/v1",
     .kind = "ValidatingAdmissionPolicyBinding",
     .generation = true,
     .unconditional_update = false},
    {.api_version = "apiextensions.k8s.io/v1",
     .kind = "CustomResourceDefinition",
     .generation = true,
     .unconditional_update = false,
     .status_keeps_metadata = true},
    {.api_version = "apiregistration.k8s.io/v1",
     .kind = "APIService",
     .unconditional_update = false,
     .status_keeps_metadata = true},
    {.api_version = "certificates.k8s.io/v1", .kind = "CertificateSigningRequest", .status_keeps_metadata = true},
};

/// Everything the strategy knows of one kind, looked up once.
struct Plan {
  Traits traits;
  const FieldInfo* status = nullptr;
  const KindHooks* hooks = nullptr;
};

const FieldInfo* find_field(const TypeInfo& type, std::string_view name) {
  const auto found =
      std::find_if(type.fields.begin(), type.fields.end(), [&](const FieldInfo& f) { return f.json_name == name; });
  return found == type.fields.end() ? nullptr : &*found;
}

const Plan& plan_of(const TypeInfo& type) {
  static const std::unordered_map<std::string, Traits> kByName = [] {
    std::unordered_map<std::string, Traits> by_name;
    for (const Traits& traits : kTraits) {
      by_name.emplace(std::string(traits.api_version) + "/" + std::string(traits.kind), traits);
    }
    return by_name;
  }();
  // Plans live as long as the process, one a kind; each thread fills its own table, so that no lock is needed.
  thread_local std::unordered_map<const TypeInfo*, Plan> plans;
  const auto [at, inserted] = plans.try_emplace(&type);
  if (!inserted) return at->second;
  Plan& plan = at->second;
  const auto traits = kByName.find(std::string(type.api_version) + "/" + std::string(type.kind));
  if (traits != kByName.end()) plan.traits = traits->second;
  const FieldInfo* status = find_field(type, "status");
  if (status != nullptr && status->kind == FieldKind::kStruct && status->shape == FieldShape::kPlain) {
    plan.status = status;
  }
  for (const KindHooks& hooks : kind_hooks()) {
    if (hooks.type == &type) plan.hooks = &hooks;
  }
  return plan;
}

void* at(Object& object, const FieldInfo& field) { return static_cast<char*>(object.data()) + field.offset; }
const void* at(const Object& object, const FieldInfo& field) {
  return static_cast<const char*>(object.data()) + field.offset;
}

void clear(Object& object, const FieldInfo& field) {
  void* place = at(object, field);
  field.type->destroy(place);
  field.type->construct(place);
}

/// Whether anything but metadata and status changed.
bool specification_changed(const Object& updated, const Object& old) {
  const TypeInfo& type = updated.type();
  for (const FieldInfo& field : type.fields) {
    if (field.json_name == "metadata" || field.json_name == "status") continue;
    TypeInfo one = type;
    one.fields = std::span(&field, 1);
    if (!api::validation::semantic_equal(one, updated.data(), old.data())) return true;
  }
  return false;
}

/// What no client may change in an object that exists.
void keep_system_metadata(Object& updated, const Object& old) {
  auto& meta = updated.metadata();
  const auto& before = old.metadata();
  meta.generation = before.generation;
  meta.self_link.clear();
  if (meta.uid.empty()) meta.uid = before.uid;
  meta.creation_timestamp = before.creation_timestamp;
  if (before.deletion_timestamp) meta.deletion_timestamp = before.deletion_timestamp;
  if (before.deletion_grace_period_seconds && !meta.deletion_grace_period_seconds) {
    meta.deletion_grace_period_seconds = before.deletion_grace_period_seconds;
  }
}

void prepare_status_update(Object& updated, const Object& old, const Plan& plan) {
  keep_system_metadata(updated, old);
  for (const FieldInfo& field : updated.type().fields) {
    if (field.json_name == "metadata" || &field == plan.status) continue;
    if (field.kind == FieldKind::kStruct && field.shape == FieldShape::kPlain) {
      field.type->copy(at(updated, field), at(old, field));
    }
  }
  if (plan.traits.status_keeps_metadata) {
    auto managed = updated.metadata().managed_fields;
    auto version = updated.metadata().resource_version;
    updated.metadata() = old.metadata();
    updated.metadata().managed_fields = std::move(managed);
    updated.metadata().resource_version = std::move(version);
  }
}

/// The stored pod with nothing but its ephemeral containers from the request.
void prepare_ephemeral_containers(api::corev1::Pod& updated, const api::corev1::Pod& old) {
  api::corev1::Pod merged = old;
  merged.metadata.name = updated.metadata.name;
  merged.metadata.resource_version = updated.metadata.resource_version;
  merged.metadata.managed_fields = updated.metadata.managed_fields;
  merged.spec.ephemeral_containers = updated.spec.ephemeral_containers;
  updated = std::move(merged);
}

/// The stored pod with nothing but its containers' resources from the request (KEP-1287).
void prepare_resize(api::corev1::Pod& updated, const api::corev1::Pod& old) {
  api::corev1::Pod merged = old;
  merged.metadata.resource_version = updated.metadata.resource_version;
  merged.metadata.managed_fields = updated.metadata.managed_fields;
  for (auto& container : merged.spec.containers) {
    for (const auto& wanted : updated.spec.containers) {
      if (wanted.name == container.name) container.resources = wanted.resources;
    }
  }
  updated = std::move(merged);
}

}  // namespace

void prepare_for_create(Object& object, WallTime now) {
  const Plan& plan = plan_of(object.type());
  auto& meta = object.metadata();
  meta.deletion_timestamp.reset();
  meta.deletion_grace_period_seconds.reset();
  meta.self_link.clear();
  meta.resource_version.clear();
  meta.generation = plan.traits.generation ? 1 : 0;
  if (plan.status != nullptr && !plan.traits.keeps_status) clear(object, *plan.status);
  if (plan.hooks != nullptr && plan.hooks->create != nullptr) plan.hooks->create(object.data(), now);
}

void prepare_for_update(Object& updated, const Object& old, WallTime now) {
  const Plan& plan = plan_of(updated.type());
  keep_system_metadata(updated, old);
  if (plan.status != nullptr) plan.status->type->copy(at(updated, *plan.status), at(old, *plan.status));
  if (plan.hooks != nullptr && plan.hooks->update != nullptr) plan.hooks->update(updated.data(), old.data(), now);
  if (plan.traits.generation && specification_changed(updated, old)) {
    updated.metadata().generation = old.metadata().generation + 1;
  }
}

void prepare_for_subresource_update(Object& updated, const Object& old, std::string_view subresource, WallTime now) {
  const Plan& plan = plan_of(updated.type());
  auto* pod = updated.as<api::corev1::Pod>();
  auto* ns = updated.as<api::corev1::Namespace>();
  if (pod != nullptr && subresource == "ephemeralcontainers") {
    prepare_ephemeral_containers(*pod, *old.as<api::corev1::Pod>());
  } else if (pod != nullptr && subresource == "resize") {
    prepare_resize(*pod, *old.as<api::corev1::Pod>());
  } else if (ns != nullptr && subresource == "finalize") {
    keep_system_metadata(updated, old);
    ns->status = old.as<api::corev1::Namespace>()->status;
  } else if (subresource == "status" || subresource == "approval") {
    prepare_status_update(updated, old, plan);
    if (plan.hooks != nullptr && plan.hooks->status != nullptr) plan.hooks->status(updated.data(), old.data(), now);
  } else {
    prepare_for_update(updated, old, now);
  }
}

void record_requester(Object& object, const authn::UserInfo& user) {
  auto* request = object.as<api::certificatesv1::CertificateSigningRequest>();
  if (request == nullptr) return;
  request->spec.username = user.name;
  request->spec.uid = user.uid;
  request->spec.groups = user.groups;
  request->spec.extra.clear();
  for (const auto& [key, values] : user.extra) request->spec.extra.insert_or_assign(key, values);
}

bool allow_create_on_update(const TypeInfo& type) { return plan_of(type).traits.create_on_update; }

bool allow_unconditional_update(const TypeInfo& type) {
  return !api::is_custom(type) && plan_of(type).traits.unconditional_update;
}

std::optional<int64_t> grace_period(const Object& object, std::optional<int64_t> requested) {
  const auto* pod = object.as<api::corev1::Pod>();
  if (pod == nullptr) return std::nullopt;
  int64_t period = requested.value_or(pod->spec.termination_grace_period_seconds.value_or(0));
  const bool finished = pod->status.phase == api::corev1::kPodFailed || pod->status.phase == api::corev1::kPodSucceeded;
  if (pod->spec.node_name.empty() || finished) period = 0;
  // A negative period asks for the shortest one that still tells the kubelet.
  return period < 0 ? 1 : period;
}

}  // namespace trireme::apiserver::strategy
