#include "api/volumes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "api/selectors.h"

namespace trireme::api {

using corev1::PersistentVolume;
using corev1::PersistentVolumeClaim;

namespace {

constexpr std::string_view kStorage = "storage";
constexpr std::string_view kTrue = "true";

std::set<std::string> modes_of(const std::vector<std::string>& modes) { return {modes.begin(), modes.end()}; }

}  // namespace

bool has_annotation(const metav1::ObjectMeta& metadata, std::string_view name) {
  return metadata.annotations.contains(name);
}

bool has_finalizer(const metav1::ObjectMeta& metadata, std::string_view name) {
  return std::ranges::count(metadata.finalizers, name) > 0;
}

std::string class_of(const PersistentVolume& volume) {
  const auto beta = volume.metadata.annotations.find(kBetaStorageClass);
  return beta != volume.metadata.annotations.end() ? beta->second : volume.spec.storage_class_name;
}

std::string class_of(const PersistentVolumeClaim& claim) {
  const auto beta = claim.metadata.annotations.find(kBetaStorageClass);
  return beta != claim.metadata.annotations.end() ? beta->second : claim.spec.storage_class_name.value_or("");
}

bool names_class(const PersistentVolumeClaim& claim) {
  return claim.spec.storage_class_name || has_annotation(claim.metadata, kBetaStorageClass);
}

bool is_default_class(const storagev1::StorageClass& storage_class) {
  const auto& annotations = storage_class.metadata.annotations;
  return annotations.get(kIsDefaultClass) == kTrue || annotations.get(kBetaIsDefaultClass) == kTrue;
}

ClassPointer default_class(std::span<const ClassPointer> classes) {
  ClassPointer found;
  for (const ClassPointer& each : classes) {
    if (!is_default_class(*each)) continue;
    const bool better = !found || each->metadata.creation_timestamp > found->metadata.creation_timestamp ||
                        (each->metadata.creation_timestamp == found->metadata.creation_timestamp &&
                         each->metadata.name < found->metadata.name);
    if (better) found = each;
  }
  return found;
}

bool delays_binding(const storagev1::StorageClass& storage_class) {
  return storage_class.volume_binding_mode == storagev1::kVolumeBindingWaitForFirstConsumer;
}

Quantity requested_storage(const PersistentVolumeClaim& claim) { return claim.spec.resources.requests.get(kStorage); }
Quantity storage_capacity(const PersistentVolume& volume) { return volume.spec.capacity.get(kStorage); }

std::string_view volume_mode(const Box<std::string>& mode) {
  return mode ? std::string_view(*mode) : corev1::kPersistentVolumeFilesystem;
}

bool access_modes_suffice(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  return std::ranges::all_of(claim.spec.access_modes, [&](const std::string& mode) {
    return std::ranges::count(volume.spec.access_modes, mode) > 0;
  });
}

bool is_bound_to(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  const auto& reference = volume.spec.claim_ref;
  return reference && reference->name == claim.metadata.name && reference->namespace_ == claim.metadata.namespace_ &&
         (reference->uid.empty() || reference->uid == claim.metadata.uid);
}

std::string mismatch(const PersistentVolume& volume, const PersistentVolumeClaim& claim) {
  if (volume.metadata.deletion_timestamp) {
    return fmt::format("the volume is marked for deletion \"{}\"", volume.metadata.name);
  }
  if (storage_capacity(volume).value() < requested_storage(claim).value()) return "requested PV is too small";
  if (class_of(volume) != class_of(claim)) return "storageClassName does not match";
  if (volume_mode(volume.spec.volume_mode) != volume_mode(claim.spec.volume_mode)) return "incompatible volumeMode";
  if (!access_modes_suffice(volume, claim)) return "incompatible accessMode";
  return {};
}

Result<VolumePointer> find_matching_volume(const PersistentVolumeClaim& claim, std::span<const VolumePointer> volumes,
                                           bool delayed, const VolumeFilter& usable) {
  LabelSelector selector;
  if (claim.spec.selector) {
    TRY_ASSIGN(selector, LabelSelector::from(*claim.spec.selector));
  }
  const Quantity requested = requested_storage(claim);
  const std::string wanted_class = class_of(claim);
  VolumePointer smallest;
  for (const VolumePointer& volume : volumes) {
    const bool reserved = is_bound_to(*volume, claim);
    if (volume->spec.claim_ref && !reserved) continue;
    if (storage_capacity(*volume) < requested || volume->metadata.deletion_timestamp) continue;
    if (volume_mode(volume->spec.volume_mode) != volume_mode(claim.spec.volume_mode)) continue;
    const bool can_be_used = !usable || usable(*volume);
    // Reserved for the claim: this one or none.
    if (reserved) return can_be_used ? volume : nullptr;
    if (!usable && delayed) continue;
    // A volume of another phase is about to be changed by the binder: a conflict is all that could come of it.
    if (volume->status.phase != corev1::kVolumeAvailable || !selector.matches(volume->metadata.labels)) continue;
    if (class_of(*volume) != wanted_class || !can_be_used || !access_modes_suffice(*volume, claim)) continue;
    if (!smallest || storage_capacity(*volume) < storage_capacity(*smallest)) smallest = volume;
  }
  return smallest;
}

Result<VolumePointer> best_match(const PersistentVolumeClaim& claim, std::span<const VolumePointer> volumes,
                                 bool delayed) {
  // Volumes that can do the same things stand together; those that can do least come first.
  std::map<std::pair<size_t, std::set<std::string>>, std::vector<VolumePointer>> groups;
  for (const VolumePointer& volume : volumes) {
    if (!access_modes_suffice(*volume, claim)) continue;
    std::set<std::string> modes = modes_of(volume->spec.access_modes);
    const size_t count = modes.size();
    groups[{count, std::move(modes)}].push_back(volume);
  }
  for (const auto& [modes, group] : groups) {
    TRY_ASSIGN(VolumePointer found, find_matching_volume(claim, group, delayed, nullptr));
    if (found) return found;
  }
  return VolumePointer();
}

std::string claim_name(const corev1::Pod& pod, const corev1::Volume& volume) {
  const auto& source = volume.volume_source;
  if (source.persistent_volume_claim) return source.persistent_volume_claim->claim_name;
  if (source.ephemeral) return fmt::format("{}-{}", pod.metadata.name, volume.name);
  return {};
}

Status check_ephemeral_owner(const corev1::Pod& pod, const PersistentVolumeClaim& claim) {
  const auto& owners = claim.metadata.owner_references;
  const bool owned = claim.metadata.namespace_ == pod.metadata.namespace_ &&
                     std::ranges::any_of(owners, [&](const metav1::OwnerReference& owner) {
                       return owner.controller.value_or(false) && owner.uid == pod.metadata.uid;
                     });
  if (owned) return {};
  return Status::bad_request(fmt::format("PVC {}/{} was not created for pod {}/{} (pod is not owner)",
                                         claim.metadata.namespace_, claim.metadata.name, pod.metadata.namespace_,
                                         pod.metadata.name));
}

}  // namespace trireme::api
