#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "base/result.h"

/// How claims and persistent volumes find each other: what the binder, the scheduler, admission and the kubelet must
/// see alike. https://kubernetes.io/docs/concepts/storage/persistent-volumes/
namespace trireme::api {

/// https://kubernetes.io/docs/reference/labels-annotations-taints/
inline constexpr std::string_view kBindCompleted = "pv.kubernetes.io/bind-completed";
inline constexpr std::string_view kBoundByController = "pv.kubernetes.io/bound-by-controller";
inline constexpr std::string_view kProvisionedBy = "pv.kubernetes.io/provisioned-by";
inline constexpr std::string_view kSelectedNode = "volume.kubernetes.io/selected-node";
inline constexpr std::string_view kStorageProvisioner = "volume.kubernetes.io/storage-provisioner";
inline constexpr std::string_view kBetaStorageProvisioner = "volume.beta.kubernetes.io/storage-provisioner";
inline constexpr std::string_view kBetaStorageClass = "volume.beta.kubernetes.io/storage-class";
inline constexpr std::string_view kIsDefaultClass = "storageclass.kubernetes.io/is-default-class";
inline constexpr std::string_view kBetaIsDefaultClass = "storageclass.beta.kubernetes.io/is-default-class";
/// On a node: volumes are attached to it by the controller, not by its kubelet.
inline constexpr std::string_view kManagedAttach = "volumes.kubernetes.io/controller-managed-attach-detach";
inline constexpr std::string_view kClaimProtection = "kubernetes.io/pvc-protection";
inline constexpr std::string_view kVolumeProtection = "kubernetes.io/pv-protection";
/// Held by a provisioner until what a volume stands for is gone, whoever deleted the object first.
inline constexpr std::string_view kProvisionerFinalizer = "external-provisioner.volume.kubernetes.io/finalizer";

using VolumePointer = std::shared_ptr<const corev1::PersistentVolume>;
using ClaimPointer = std::shared_ptr<const corev1::PersistentVolumeClaim>;
using ClassPointer = std::shared_ptr<const storagev1::StorageClass>;

bool has_annotation(const metav1::ObjectMeta& metadata, std::string_view name);
bool has_finalizer(const metav1::ObjectMeta& metadata, std::string_view name);

/// The storage class's name, the beta annotation first; "" for none.
std::string class_of(const corev1::PersistentVolume& volume);
std::string class_of(const corev1::PersistentVolumeClaim& claim);
/// Whether the claim says anything about a class; an empty name counts.
bool names_class(const corev1::PersistentVolumeClaim& claim);
bool is_default_class(const storagev1::StorageClass& storage_class);
/// The newest of the classes marked as default, the first by name among equals; null without one.
ClassPointer default_class(std::span<const ClassPointer> classes);
/// Claims of the class wait for a pod (WaitForFirstConsumer).
bool delays_binding(const storagev1::StorageClass& storage_class);

/// The storage that a claim asks for and that a volume has; zero when it does not say.
Quantity requested_storage(const corev1::PersistentVolumeClaim& claim);
Quantity storage_capacity(const corev1::PersistentVolume& volume);
/// "Filesystem" where nothing is said.
std::string_view volume_mode(const Box<std::string>& mode);
/// Whether the volume offers every access mode that the claim asks for.
bool access_modes_suffice(const corev1::PersistentVolume& volume, const corev1::PersistentVolumeClaim& claim);

/// Whether the volume's claimRef means this claim: by name and, once bound, by UID.
bool is_bound_to(const corev1::PersistentVolume& volume, const corev1::PersistentVolumeClaim& claim);

/// Why a volume that the claim names cannot be its volume, in upstream's words; empty when it can.
std::string mismatch(const corev1::PersistentVolume& volume, const corev1::PersistentVolumeClaim& claim);

/// What decides where a volume may be used; null in the binder, which knows no node.
using VolumeFilter = std::function<bool(const corev1::PersistentVolume&)>;
/// The volume for the claim: the one reserved for it, else the smallest that suffices. `delayed`: without a node only
/// a reserved one. `usable` may be null. Null when there is none. BadRequest when the claim's selector does not parse.
Result<VolumePointer> find_matching_volume(const corev1::PersistentVolumeClaim& claim,
                                           std::span<const VolumePointer> volumes, bool delayed,
                                           const VolumeFilter& usable);
/// The binder's choice: as above, but volumes with the fewest access modes beyond what is asked for come first.
Result<VolumePointer> best_match(const corev1::PersistentVolumeClaim& claim, std::span<const VolumePointer> volumes,
                                 bool delayed);

/// The claim that stands for a pod's volume: its claimName, or the name made for a generic ephemeral volume; empty for
/// volumes of other kinds. https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
std::string claim_name(const corev1::Pod& pod, const corev1::Volume& volume);
/// OK when the claim was made for the pod; a claim of that name that somebody else made is never used.
Status check_ephemeral_owner(const corev1::Pod& pod, const corev1::PersistentVolumeClaim& claim);

}  // namespace trireme::api
