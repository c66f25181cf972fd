// Persistent volumes and claims, storage classes, CSI drivers and nodes, volume attachments.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/codec.h"
#include "api/types/storagev1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"
#include "api/validation/resources.h"
#include "api/validation/rules.h"
#include "api/volumes.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kAccessModes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"};
constexpr size_t kMaxParameters = 512;
constexpr size_t kMaxParameterBytes = 256 * 1024;

void check_access_modes(const std::vector<std::string>& modes, const Path& at, ErrorList& errors) {
  bool once_pod = false;
  bool other = false;
  for (const auto& mode : modes) {
    const bool known = Supported(kAccessModes).contains(mode);
    if (!known) errors.not_supported(at, mode, kAccessModes);
    (mode == "ReadWriteOncePod" ? once_pod : other) |= known;
  }
  if (once_pod && other) errors.forbidden(at, "may not use ReadWriteOncePod with other access modes");
}

void check_volume_mode(const Box<std::string>& mode, const Path& at, ErrorList& errors) {
  if (mode && *mode != "Block" && *mode != "Filesystem") {
    errors.not_supported(at, *mode, {"Block", "Filesystem"});
  }
}

template <typename Reference>
void check_data_source(const Reference& source, const Path& at, ErrorList& errors) {
  if (source.name.empty()) errors.required(at.child("name"));
  if (source.kind.empty()) errors.required(at.child("kind"));
  const std::string group = source.api_group.value_or("");
  if (group.empty() && source.kind != "PersistentVolumeClaim") {
    errors.invalid(at, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
  }
  if (!group.empty()) check_dns_subdomain(group, at.child("apiGroup"), errors);
}

void volume_create(const corev1::PersistentVolume& object, ErrorList& errors) {
  const auto& spec = object.spec;
  const Path at("spec");
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.access_modes.empty()) errors.required(at.child("accessModes"));
  check_access_modes(spec.access_modes, at.child("accessModes"), errors);
  const Path capacity = at.child("capacity");
  if (spec.capacity.empty()) errors.required(capacity);
  if (!spec.capacity.contains("storage") || spec.capacity.size() > 1) {
    errors.not_supported(capacity, BadValue::raw("map"), {"storage"});
  }
  for (const auto& [name, quantity] : spec.capacity) {
    if (quantity.sign() < 0) {
      errors.invalid(capacity.key(name), quantity.value(), "must be a valid resource quantity");
    }
    check_positive(quantity, capacity.key(name), errors);
  }
  const std::string& policy = spec.persistent_volume_reclaim_policy;
  if (!policy.empty()) {
    errors.check_enum(at.child("persistentVolumeReclaimPolicy"), policy, {"Delete", "Recycle", "Retain"});
  }
  if (spec.node_affinity) {
    const Path path = at.child("nodeAffinity", "required");
    if (spec.node_affinity->required) {
      check_node_selector(*spec.node_affinity->required, path, errors);
    } else {
      errors.required(path, "must specify required node constraints");
    }
  }
  check_persistent_volume_source(spec.persistent_volume_source, object.metadata.name, spec.node_affinity.has_value(),
                                 at, errors);
  if (const auto& host = spec.persistent_volume_source.host_path;
      host && policy == "Recycle" && host->path.find_first_not_of('/') == std::string::npos) {
    errors.forbidden(at.child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'");
  }
  if (!spec.storage_class_name.empty()) {
    check_name(NameRule::kSubdomain, spec.storage_class_name, at.child("storageClassName"), errors);
  }
  check_volume_mode(spec.volume_mode, at.child("volumeMode"), errors);
}

void volume_update(const corev1::PersistentVolume& updated, const corev1::PersistentVolume& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  volume_create(updated, errors);
  corev1::PersistentVolumeSource source = updated.spec.persistent_volume_source;
  const auto& before = old.spec.persistent_volume_source;
  if (source.csi && before.csi && !before.csi->controller_expand_secret_ref) {
    source.csi->controller_expand_secret_ref.reset();
  }
  if (!semantic_equal(source, before)) {
    errors.forbidden(Path("spec.persistentvolumesource"),
                     "spec.persistentvolumesource is immutable after creation\n" +
                         describe_changes(type_info<corev1::PersistentVolumeSource>(), &before, &source));
  }
  check_immutable(updated.spec.volume_mode, old.spec.volume_mode, Path("volumeMode"), errors,
                  BadValue(updated.spec.volume_mode.value_or("")));
  if (old.spec.node_affinity &&
      (!updated.spec.node_affinity || !semantic_equal(*updated.spec.node_affinity, *old.spec.node_affinity))) {
    errors.invalid(Path("nodeAffinity"),
                   BadValue::raw(updated.spec.node_affinity ? encode_json(*updated.spec.node_affinity) : "null"),
                   "field is immutable, except for updating from beta label to GA");
  }
}

void volume_status(const corev1::PersistentVolume& updated, const corev1::PersistentVolume& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
}

void claim_create(const corev1::PersistentVolumeClaim& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_claim_spec(object.spec, Path("spec"), errors);
}

void claim_update(const corev1::PersistentVolumeClaim& updated, const corev1::PersistentVolumeClaim& old,
                  ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  claim_create(updated, errors);
  corev1::PersistentVolumeClaimSpec now = updated.spec;
  corev1::PersistentVolumeClaimSpec before = old.spec;
  // The controller binds a claim by naming its volume, once.
  if (before.volume_name.empty()) before.volume_name = now.volume_name;
  const std::string now_class = updated.metadata.annotations.get(kBetaStorageClass);
  const std::string before_class = old.metadata.annotations.get(kBetaStorageClass);
  const bool from_annotation = !before_class.empty() && !before.storage_class_name && now.storage_class_name &&
                               *now.storage_class_name == before_class &&
                               (now_class.empty() || now_class == before_class);
  if (from_annotation) {
    now.storage_class_name.reset();
  } else {
    check_immutable(now_class, before_class, Path("metadata.annotations").child(kBetaStorageClass), errors);
    if (now.storage_class_name && !before.storage_class_name &&
        (before_class.empty() || *now.storage_class_name == before_class)) {
      now.storage_class_name = before.storage_class_name;
    }
  }
  if (updated.status.phase == "Bound") {
    if (const auto size = before.resources.requests.find("storage"); size != before.resources.requests.end()) {
      now.resources.requests["storage"] = size->second;
    }
    if (now.volume_attributes_class_name) now.volume_attributes_class_name = before.volume_attributes_class_name;
  }
  if (!semantic_equal(now, before)) {
    errors.forbidden(Path("spec"),
                     "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                     "bound claims\n" +
                         describe_changes(type_info<corev1::PersistentVolumeClaimSpec>(), &before, &now));
  }
  const Quantity new_size = updated.spec.resources.requests.get("storage");
  if (new_size < old.spec.resources.requests.get("storage") && new_size <= old.status.capacity.get("storage")) {
    // Shrinking an expansion that failed is allowed, down to what was provisioned (KEP-1790).
    errors.forbidden(Path("spec.resources.requests.storage"), "field can not be less than status.capacity");
  }
  check_immutable(updated.spec.volume_mode, old.spec.volume_mode, Path("volumeMode"), errors,
                  BadValue(updated.spec.volume_mode.value_or("")));
}

void claim_status(const corev1::PersistentVolumeClaim& updated, const corev1::PersistentVolumeClaim& old,
                  ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (updated.spec.access_modes.empty()) errors.required(Path("Spec.accessModes"));
  for (const auto& [name, quantity] : updated.status.capacity) {
    if (quantity.sign() < 0) {
      errors.invalid(Path("status.capacity").key(name), quantity.value(), "must be a valid resource quantity");
    }
  }
}

void check_provisioner(std::string_view name, const Path& at, ErrorList& errors) {
  if (name.empty()) return errors.required(at);
  std::string lowered(name);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  check_qualified_name(lowered, at, errors);
}

void storage_class_create(const storagev1::StorageClass& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  check_provisioner(object.provisioner, Path("provisioner"), errors);
  const Path parameters("parameters");
  size_t size = 0;
  if (object.parameters.size() > kMaxParameters) errors.too_long(parameters, kMaxParameters);
  for (const auto& [key, value] : object.parameters) {
    if (key.empty()) errors.invalid(parameters, key, "field can not be empty.");
    size += key.size() + value.size();
  }
  if (size > kMaxParameterBytes) errors.too_long(parameters, kMaxParameterBytes);
  if (object.reclaim_policy) {
    errors.check_enum(Path("reclaimPolicy"), *object.reclaim_policy, {"Delete", "Retain"});
  }
  if (!object.volume_binding_mode) {
    errors.required(Path("volumeBindingMode"));
  } else {
    errors.check_enum(Path("volumeBindingMode"), *object.volume_binding_mode, {"Immediate", "WaitForFirstConsumer"});
  }
  for (size_t t = 0; t < object.allowed_topologies.size(); ++t) {
    const Path path = Path("allowedTopologies").index(t).child("matchLabelExpressions");
    std::set<std::string_view> keys;
    const auto& expressions = object.allowed_topologies[t].match_label_expressions;
    for (size_t i = 0; i < expressions.size(); ++i) {
      const Path values = path.index(i).child("values");
      if (expressions[i].values.empty()) errors.required(values);
      std::set<std::string_view> seen;
      for (size_t v = 0; v < expressions[i].values.size(); ++v) {
        if (!seen.insert(expressions[i].values[v]).second) errors.duplicate(values.index(v), expressions[i].values[v]);
      }
      check_qualified_name(expressions[i].key, path.index(i).child("key"), errors);
      if (!keys.insert(expressions[i].key).second) errors.duplicate(path.index(i).child("key"), expressions[i].key);
    }
  }
}

void storage_class_update(const storagev1::StorageClass& updated, const storagev1::StorageClass& old,
                          ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (!(updated.parameters == old.parameters)) {
    errors.forbidden(Path("parameters"), "updates to parameters are forbidden.");
  }
  if (updated.provisioner != old.provisioner) {
    errors.forbidden(Path("provisioner"), "updates to provisioner are forbidden.");
  }
  if (updated.reclaim_policy != old.reclaim_policy) {
    errors.forbidden(Path("reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
  }
  check_immutable(updated.volume_binding_mode, old.volume_binding_mode, Path("volumeBindingMode"), errors,
                  BadValue(updated.volume_binding_mode.value_or("")));
  storage_class_create(updated, errors);
}

void driver_create(const storagev1::CSIDriver& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  check_csi_driver_name(object.metadata.name, Path("metadata.name"), errors);
  const auto& spec = object.spec;
  const Path at("spec");
  if (!spec.attach_required) errors.required(at.child("attachedRequired"));
  if (!spec.pod_info_on_mount) errors.required(at.child("podInfoOnMount"));
  if (!spec.storage_capacity) errors.required(at.child("storageCapacity"));
  if (!spec.fs_group_policy) {
    errors.required(at.child("fsGroupPolicy"));
  } else {
    errors.check_enum(at.child("fsGroupPolicy"), *spec.fs_group_policy, {"ReadWriteOnceWithFSType", "File", "None"});
  }
  std::set<std::string_view> audiences;
  for (size_t i = 0; i < spec.token_requests.size(); ++i) {
    const Path path = at.child("tokenRequests").index(i);
    if (!audiences.insert(spec.token_requests[i].audience).second) {
      errors.duplicate(path.child("audience"), spec.token_requests[i].audience);
    }
    if (const auto& seconds = spec.token_requests[i].expiration_seconds) {
      if (*seconds < 600) {
        errors.invalid(path.child("expirationSeconds"), *seconds, "may not specify a duration less than 10 minutes");
      }
      if (*seconds > (int64_t{1} << 32)) {
        errors.invalid(path.child("expirationSeconds"), *seconds,
                       "may not specify a duration larger than 2^32 seconds");
      }
    }
  }
  for (const auto& mode : spec.volume_lifecycle_modes) {
    if (mode != "Persistent" && mode != "Ephemeral") {
      errors.not_supported(at.child("volumeLifecycleModes"), mode, {"Ephemeral", "Persistent"});
    }
  }
  if (!spec.se_linux_mount) errors.required(at.child("seLinuxMount"));
}

void driver_update(const storagev1::CSIDriver& updated, const storagev1::CSIDriver& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  driver_create(updated, errors);
  const auto attach = updated.spec.attach_required;
  check_immutable(attach, old.spec.attach_required, Path("spec.attachedRequired"), errors,
                  attach ? BadValue(*attach) : BadValue::raw("null"));
  check_immutable(updated.spec.volume_lifecycle_modes, old.spec.volume_lifecycle_modes,
                  Path("spec.volumeLifecycleModes"), errors, updated.spec.volume_lifecycle_modes);
}

void csi_node_create(const storagev1::CSINode& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  std::set<std::string_view> names;
  for (size_t i = 0; i < object.spec.drivers.size(); ++i) {
    const auto& driver = object.spec.drivers[i];
    const Path path = Path("spec.drivers").index(i);
    check_csi_driver_name(driver.name, path.child("name"), errors);
    if (driver.node_id.empty()) errors.required(path.child("nodeID"));
    if (driver.node_id.size() > 192)
      errors.invalid(path.child("nodeID"), driver.node_id, "must be 192 characters or less");
    if (driver.allocatable && driver.allocatable->count && *driver.allocatable->count < 0) {
      errors.invalid(path.child("allocatable", "count"), *driver.allocatable->count, kNotNegative);
    }
    std::set<std::string_view> keys;
    for (size_t k = 0; k < driver.topology_keys.size(); ++k) {
      if (!keys.insert(driver.topology_keys[k]).second)
        errors.duplicate(path.child("topologyKeys"), driver.topology_keys[k]);
      check_qualified_name(driver.topology_keys[k], path.child("topologyKeys"), errors);
    }
    if (!names.insert(driver.name).second) errors.duplicate(path.child("name"), driver.name);
  }
}

void csi_node_update(const storagev1::CSINode& updated, const storagev1::CSINode& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  csi_node_create(updated, errors);
  for (const auto& before : old.spec.drivers) {
    for (const auto& now : updated.spec.drivers) {
      if (now.name == before.name && !semantic_equal(now, before)) {
        errors.invalid(Path("CSINodeDriver"), BadValue::raw(encode_json(now)), kImmutable);
      }
    }
  }
}

void attachment_create(const storagev1::VolumeAttachment& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  const auto& spec = object.spec;
  const Path at("spec");
  check_csi_driver_name(spec.attacher, at.child("attacher"), errors);
  const auto& source = spec.source;
  if (!source.inline_volume_spec && !source.persistent_volume_name) {
    errors.required(at.child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
  }
  if (source.inline_volume_spec && source.persistent_volume_name) {
    errors.forbidden(at.child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
  }
  if (source.persistent_volume_name) {
    if (source.persistent_volume_name->empty()) {
      errors.required(at.child("source", "persistentVolumeName"), "must specify non empty persistentVolumeName");
    } else {
      check_name(NameRule::kSubdomain, *source.persistent_volume_name, at.child("source", "persistentVolumeName"),
                 errors);
    }
  }
  check_name(NameRule::kSubdomain, spec.node_name, at.child("nodeName"), errors);
}

void attachment_update(const storagev1::VolumeAttachment& updated, const storagev1::VolumeAttachment& old,
                       ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  attachment_create(updated, errors);
  if (!semantic_equal(updated.spec, old.spec)) {
    errors.invalid(Path("spec"), BadValue::raw(encode_json(updated.spec)), kImmutable);
  }
}

void capacity_create(const storagev1::CSIStorageCapacity& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  if (object.node_topology) check_selector(*object.node_topology, Path("nodeTopology"), errors);
  check_name(NameRule::kSubdomain, object.storage_class_name, Path("storageClassName"), errors);
  if (object.capacity) check_not_negative(*object.capacity, Path("capacity"), errors);
  if (object.maximum_volume_size) check_not_negative(*object.maximum_volume_size, Path("maximumVolumeSize"), errors);
}

void capacity_update(const storagev1::CSIStorageCapacity& updated, const storagev1::CSIStorageCapacity& old,
                     ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  capacity_create(updated, errors);
  check_immutable(updated.storage_class_name, old.storage_class_name, Path("storageClassName"), errors);
  const bool same_topology = updated.node_topology.has_value() == old.node_topology.has_value() &&
                             (!updated.node_topology || semantic_equal(*updated.node_topology, *old.node_topology));
  if (!same_topology) errors.invalid(Path("nodeTopology"), BadValue::raw("null"), kImmutable);
}

}  // namespace

void check_claim_spec(const corev1::PersistentVolumeClaimSpec& spec, const Path& at, ErrorList& errors) {
  if (spec.access_modes.empty()) errors.required(at.child("accessModes"), "at least 1 access mode is required");
  if (spec.selector) check_selector(*spec.selector, at.child("selector"), errors);
  check_access_modes(spec.access_modes, at.child("accessModes"), errors);
  const Path size_path = at.child("resources").key("storage");
  if (const auto size = spec.resources.requests.find("storage"); size == spec.resources.requests.end()) {
    errors.required(size_path);
  } else {
    check_positive(size->second, size_path, errors);
  }
  if (spec.storage_class_name && !spec.storage_class_name->empty()) {
    check_name(NameRule::kSubdomain, *spec.storage_class_name, at.child("storageClassName"), errors);
  }
  check_volume_mode(spec.volume_mode, at.child("volumeMode"), errors);
  if (spec.data_source) check_data_source(*spec.data_source, at.child("dataSource"), errors);
  if (spec.data_source_ref) {
    check_data_source(*spec.data_source_ref, at.child("dataSourceRef"), errors);
    const std::string other = spec.data_source_ref->namespace_.value_or("");
    if (!other.empty()) {
      check_name(NameRule::kLabel, other, at.child("dataSourceRef", "namespace"), errors);
      if (spec.data_source) {
        errors.invalid(at, at.child("dataSource").str(),
                       "may not be specified when dataSourceRef.namespace is specified");
      }
    } else if (spec.data_source && (spec.data_source->api_group != spec.data_source_ref->api_group ||
                                    spec.data_source->kind != spec.data_source_ref->kind ||
                                    spec.data_source->name != spec.data_source_ref->name)) {
      errors.invalid(at, at.child("dataSource").str(), "must match dataSourceRef");
    }
  }
}

std::span<const KindRules> storage_rules() {
  static const KindRules kRules[] = {
      kind_rules<corev1::PersistentVolume, volume_create, volume_update, volume_status>(),
      kind_rules<corev1::PersistentVolumeClaim, claim_create, claim_update, claim_status>(),
      kind_rules<storagev1::StorageClass, storage_class_create, storage_class_update>(),
      kind_rules<storagev1::CSIDriver, driver_create, driver_update>(),
      kind_rules<storagev1::CSINode, csi_node_create, csi_node_update>(),
      kind_rules<storagev1::VolumeAttachment, attachment_create, attachment_update>(),
      kind_rules<storagev1::CSIStorageCapacity, capacity_create, capacity_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
