#include "controllers/persistentvolume/persistent_volume_binder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "controllers/support/key_kind.h"

namespace trireme::controllers {

using api::ClaimPointer;
using api::ClassPointer;
using api::VolumePointer;
using api::corev1::Pod;

namespace {

constexpr KeyKind kClaimKey("claim");
constexpr KeyKind kVolumeKey("volume");
constexpr std::string_view kUnboundClaims = "unbound-by-class";
constexpr std::string_view kClaimsByVolume = "volume";
constexpr std::string_view kInTreePrefix = "kubernetes.io/";
constexpr std::string_view kYes = "yes";

std::string key_of_reference(const api::corev1::ObjectReference& reference) {
  return fmt::format("{}/{}", reference.namespace_, reference.name);
}

bool bind_completed(const api::corev1::PersistentVolumeClaim& claim) {
  return api::has_annotation(claim.metadata, api::kBindCompleted);
}

/// Released or failed already: what happened to it stays visible while it is tried again.
bool is_over(const api::corev1::PersistentVolume& volume) {
  return volume.status.phase == api::corev1::kVolumeReleased || volume.status.phase == api::corev1::kVolumeFailed;
}

}  // namespace

void index_by_claim(client::Informer<Pod>& pods) {
  pods.add_index(std::string(kPodsByClaim), [](const Pod& pod) {
    std::vector<std::string> keys;
    for (const auto& volume : pod.spec.volumes) {
      const std::string claim = api::claim_name(pod, volume);
      if (!claim.empty()) keys.push_back(fmt::format("{}/{}", pod.metadata.namespace_, claim));
    }
    return keys;
  });
}

PersistentVolumeBinder::PersistentVolumeBinder(const ControllerContext& context)
    : Controller(context, "persistentvolume-binder-controller"),
      claim_cache_(context.informers->informer<Claim>()),
      volume_cache_(context.informers->informer<Volume>()),
      classes_(context.informers->informer<StorageClass>()),
      pods_(context.informers->informer<Pod>()),
      claims_(claim_cache_),
      volumes_(volume_cache_),
      events_(context.events->recorder("persistentvolume-controller")),
      default_class_attempts_("retroactive_storageclass_total",
                              "Total number of retroactive StorageClass assignments to persistent volume claim"),
      default_class_failures_(
          "retroactive_storageclass_errors_total",
          "Total number of failed retroactive StorageClass assignments to persistent volume claim") {
  index_by_claim(pods_);
  claim_cache_.add_index(std::string(kUnboundClaims), [](const Claim& claim) -> std::vector<std::string> {
    if (bind_completed(claim)) return {};
    return {api::class_of(claim)};
  });
  claim_cache_.add_index(std::string(kClaimsByVolume), [](const Claim& claim) -> std::vector<std::string> {
    if (claim.spec.volume_name.empty()) return {};
    return {claim.spec.volume_name};
  });
  claim_cache_.add_handler([this](const ClaimPointer& before, const ClaimPointer& after) {
    const Claim& claim = after ? *after : *before;
    if (after) enqueue_claim(claim.metadata);
    // A claim that is gone or has found its volume concerns that volume.
    if (!claim.spec.volume_name.empty()) enqueue(kVolumeKey(claim.spec.volume_name));
  });
  volume_cache_.add_handler([this](const VolumePointer& before, const VolumePointer& after) {
    const Volume& volume = after ? *after : *before;
    if (after) enqueue(kVolumeKey(volume.metadata.name));
    if (volume.spec.claim_ref) {
      enqueue(kClaimKey(key_of_reference(*volume.spec.claim_ref)));
    } else if (after) {
      enqueue_claims_of_class(api::class_of(volume), false);
    }
    for (const ClaimPointer& claim : claim_cache_.by_index(kClaimsByVolume, volume.metadata.name)) {
      enqueue_claim(claim->metadata);
    }
  });
  classes_.add_handler([this](const ClassPointer&, const ClassPointer& after) {
    if (after) enqueue_claims_of_class(after->metadata.name, api::is_default_class(*after));
  });
  // What an unbound claim waits for changes with its pods.
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    if (before || !after || !after->spec.node_name.empty()) return;
    for (const auto& volume : after->spec.volumes) {
      const std::string name = api::claim_name(*after, volume);
      if (name.empty()) continue;
      const ClaimPointer claim = claim_cache_.get(after->metadata.namespace_, name);
      if (claim && !bind_completed(*claim)) enqueue_claim(claim->metadata);
    }
  });
}

void PersistentVolumeBinder::enqueue_claim(const api::metav1::ObjectMeta& metadata) {
  enqueue(kClaimKey(client::key_of(metadata)));
}

void PersistentVolumeBinder::enqueue_claims_of_class(const std::string& name, bool is_default) {
  for (const ClaimPointer& claim : claim_cache_.by_index(kUnboundClaims, name)) enqueue_claim(claim->metadata);
  if (!is_default || name.empty()) return;
  for (const ClaimPointer& claim : claim_cache_.by_index(kUnboundClaims, "")) enqueue_claim(claim->metadata);
}

Result<Outcome> PersistentVolumeBinder::reconcile(const std::string& key) {
  Status status;
  if (const auto claim_key = kClaimKey.name_in(key)) {
    const ClaimPointer claim = claims_.get(*claim_key);
    if (claim) status = sync_claim(*claim);
  } else if (const auto volume_name = kVolumeKey.name_in(key)) {
    const VolumePointer volume = volumes_.get(*volume_name);
    if (volume) status = sync_volume(*volume);
  }
  // Deleted meanwhile: the watch tells the rest.
  if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  return Outcome::done();
}

// Claims

Status PersistentVolumeBinder::sync_claim(const Claim& claim) {
  return bind_completed(claim) ? sync_bound_claim(claim) : sync_unbound_claim(claim);
}

Status PersistentVolumeBinder::sync_unbound_claim(const Claim& claim) {
  if (!claim.spec.volume_name.empty()) return sync_requested_volume(claim);
  const ClassPointer storage_class = classes_.get("", api::class_of(claim));
  const bool delayed = storage_class && api::delays_binding(*storage_class);
  Result<VolumePointer> found = api::best_match(claim, volumes_.list(), delayed);
  if (!found.ok()) return found.status();
  return *found ? bind(**found, claim) : sync_without_volume(claim, delayed);
}

Status PersistentVolumeBinder::sync_without_volume(const Claim& claim, bool delayed) {
  TRY_ASSIGN(const bool assigned, assign_default_class(claim));
  if (assigned) return {};
  if (delayed && !api::has_annotation(claim.metadata, api::kSelectedNode)) {
    tell_what_it_waits_for(claim);
  } else if (!api::class_of(claim).empty()) {
    return provision(claim);
  } else {
    events_.normal(claim, "FailedBinding",
                   "no persistent volumes available for this claim and no storage class is set");
  }
  return set_claim_phase(claim, api::corev1::kClaimPending, nullptr);
}

Result<bool> PersistentVolumeBinder::assign_default_class(const Claim& claim) {
  if (api::names_class(claim)) return false;
  const ClassPointer found = api::default_class(classes_.list());
  if (!found) return false;
  Claim changed = claim;
  changed.spec.storage_class_name = found->metadata.name;
  default_class_attempts_.add({});
  const Status written = write(changed, /*status=*/false).status();
  if (!written.ok()) default_class_failures_.add({});
  TRY(written);
  return true;
}

void PersistentVolumeBinder::tell_what_it_waits_for(const Claim& claim) {
  std::vector<std::string> names;
  for (const PodPointer& pod : pods_.by_index(kPodsByClaim, client::key_of(claim.metadata))) {
    if (pod->spec.node_name.empty() && !is_finished(*pod)) names.push_back(pod->metadata.name);
  }
  if (names.empty()) {
    events_.normal(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
  } else {
    events_.normal(
        claim, "WaitForPodScheduled",
        fmt::format("waiting for pod{} {} to be scheduled", names.size() > 1 ? "s" : "", fmt::join(names, ",")));
  }
}

Status PersistentVolumeBinder::provision(const Claim& claim) {
  const std::string name = api::class_of(claim);
  const ClassPointer storage_class = classes_.get("", name);
  if (!storage_class) {
    events_.warning(claim, "ProvisioningFailed", fmt::format("storageclass.storage.k8s.io \"{}\" not found", name));
    return {};
  }
  const std::string& provisioner = storage_class->provisioner;
  if (provisioner.starts_with(kInTreePrefix)) {
    events_.warning(claim, "ProvisioningFailed", fmt::format("no volume plugin matched name: {}", provisioner));
    return {};
  }
  // Provisioners beside this controller look for the annotations.
  Claim changed = claim;
  changed.metadata.annotations.insert_or_assign(api::kBetaStorageProvisioner, provisioner);
  changed.metadata.annotations.insert_or_assign(api::kStorageProvisioner, provisioner);
  if (changed.metadata.annotations != claim.metadata.annotations) {
    TRY_ASSIGN(changed, write(changed, /*status=*/false));
  }
  events_.normal(changed, "ExternalProvisioning",
                 fmt::format("Waiting for a volume to be created either by the external provisioner '{}' or manually "
                             "by the system administrator. If volume creation is delayed, please verify that the "
                             "provisioner is running and correctly registered.",
                             provisioner));
  return {};
}

Status PersistentVolumeBinder::sync_requested_volume(const Claim& claim) {
  const VolumePointer volume = volumes_.get(claim.spec.volume_name);
  if (!volume) return set_claim_phase(claim, api::corev1::kClaimPending, nullptr);
  if (!volume->spec.claim_ref) {
    const std::string why_not = api::mismatch(*volume, claim);
    if (why_not.empty()) return bind(*volume, claim);
    events_.warning(claim, "VolumeMismatch",
                    fmt::format("Cannot bind to requested volume \"{}\": {}", volume->metadata.name, why_not));
    return set_claim_phase(claim, api::corev1::kClaimPending, nullptr);
  }
  if (api::is_bound_to(*volume, claim)) return bind(*volume, claim);
  events_.warning(claim, "FailedBinding",
                  fmt::format("volume \"{}\" already bound to a different claim.", volume->metadata.name));
  return set_claim_phase(claim, api::corev1::kClaimPending, nullptr);
}

Status PersistentVolumeBinder::sync_bound_claim(const Claim& claim) {
  if (claim.spec.volume_name.empty()) {
    return lose_claim(claim, "ClaimLost",
                      "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
  }
  VolumePointer volume = volumes_.get(claim.spec.volume_name);
  if (!volume) {
    // Losing a claim is final: a cache that is behind must not bring it about.
    Result<Volume> live = client().get<Volume>("", claim.spec.volume_name);
    if (!live.ok() && !live.status().is(Reason::kNotFound)) return live.status();
    if (!live.ok()) {
      return lose_claim(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    }
    volume = std::make_shared<const Volume>(std::move(*live));
  }
  if (!volume->spec.claim_ref || volume->spec.claim_ref->uid == claim.metadata.uid) return bind(*volume, claim);
  return lose_claim(claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly");
}

Status PersistentVolumeBinder::lose_claim(const Claim& claim, std::string_view reason, std::string message) {
  if (claim.status.phase == api::corev1::kClaimLost) return {};
  TRY(set_claim_phase(claim, api::corev1::kClaimLost, nullptr));
  events_.warning(claim, reason, std::move(message));
  return {};
}

Status PersistentVolumeBinder::set_claim_phase(const Claim& claim, std::string_view phase, const Volume* volume) {
  Claim changed = claim;
  changed.status.phase = phase;
  if (!volume) {
    changed.status.access_modes.clear();
    changed.status.capacity.clear();
  } else {
    changed.status.access_modes = volume->spec.access_modes;
    if (!volume->spec.capacity.contains("storage")) {
      return Status::internal(
          fmt::format("PersistentVolume \"{}\" is without a storage capacity", volume->metadata.name));
    }
    // Once bound, the size is what the file system was grown to, which is told by whoever grows it.
    const bool first = claim.status.phase == api::corev1::kClaimPending || !claim.status.capacity.contains("storage");
    if (first) changed.status.capacity = volume->spec.capacity;
  }
  const bool same = changed.status.phase == claim.status.phase &&
                    changed.status.access_modes == claim.status.access_modes &&
                    changed.status.capacity == claim.status.capacity;
  return same ? Status() : write(changed, /*status=*/true).status();
}

Status PersistentVolumeBinder::bind(const Volume& volume, const Claim& claim) {
  Volume bound = volume;
  const auto& reference = volume.spec.claim_ref;
  if (!reference || reference->uid != claim.metadata.uid || !api::is_bound_to(volume, claim)) {
    if (!api::is_bound_to(volume, claim)) {
      bound.metadata.annotations.insert_or_assign(api::kBoundByController, std::string(kYes));
    }
    bound.spec.claim_ref = client::reference_to(claim);
    TRY_ASSIGN(bound, write(bound, /*status=*/false));
  }
  TRY_ASSIGN(bound, set_volume_phase(bound, api::corev1::kVolumeBound));

  Claim taken = claim;
  if (claim.spec.volume_name != volume.metadata.name) {
    taken.spec.volume_name = volume.metadata.name;
    taken.metadata.annotations.insert_or_assign(api::kBoundByController, std::string(kYes));
  }
  if (!bind_completed(claim)) {
    taken.metadata.annotations.insert_or_assign(api::kBindCompleted, std::string(kYes));
  }
  if (taken.metadata.annotations != claim.metadata.annotations || taken.spec.volume_name != claim.spec.volume_name) {
    TRY_ASSIGN(taken, write(taken, /*status=*/false));
    log::info("Bound a claim", {{"claim", client::key_of(claim.metadata)}, {"volume", volume.metadata.name}});
  }
  return set_claim_phase(taken, api::corev1::kClaimBound, &bound);
}

// Volumes

Status PersistentVolumeBinder::sync_volume(const Volume& volume) {
  // Reserved by name only: the claim's own pass binds it.
  if (!volume.spec.claim_ref || volume.spec.claim_ref->uid.empty()) {
    return set_volume_phase(volume, api::corev1::kVolumeAvailable).status();
  }
  return sync_claimed_volume(volume);
}

Result<ClaimPointer> PersistentVolumeBinder::claim_of(const Volume& volume) {
  const auto& reference = *volume.spec.claim_ref;
  ClaimPointer claim = claims_.get(key_of_reference(reference));
  if (claim && claim->metadata.uid == reference.uid) return claim;
  if (is_over(volume)) return ClaimPointer();
  // To release a volume is to lose its data: only the server's word counts.
  Result<Claim> live = client().get<Claim>(reference.namespace_, reference.name);
  if (!live.ok() && !live.status().is(Reason::kNotFound)) return live.status();
  if (!live.ok() || live->metadata.uid != reference.uid) return ClaimPointer();
  return std::make_shared<const Claim>(std::move(*live));
}

Status PersistentVolumeBinder::sync_claimed_volume(const Volume& volume) {
  TRY_ASSIGN(const ClaimPointer claim, claim_of(volume));
  if (!claim) return release(volume);
  const std::string& name = volume.metadata.name;
  if (claim->spec.volume_name == name) return set_volume_phase(volume, api::corev1::kVolumeBound).status();
  if (claim->spec.volume_name.empty()) {
    if (api::volume_mode(volume.spec.volume_mode) != api::volume_mode(claim->spec.volume_mode)) {
      events_.warning(volume, "VolumeMismatch",
                      fmt::format("Cannot bind PersistentVolume to requested PersistentVolumeClaim \"{}\" due to "
                                  "incompatible volumeMode.",
                                  claim->metadata.name));
      events_.warning(*claim, "VolumeMismatch",
                      fmt::format("Cannot bind PersistentVolume \"{}\" to requested PersistentVolumeClaim \"{}\" due "
                                  "to incompatible volumeMode.",
                                  name, claim->metadata.name));
      return {};
    }
    enqueue_claim(claim->metadata);
    return {};
  }
  // The claim went elsewhere. What was made for it alone is of no use to anybody.
  const bool made_for_it = api::has_annotation(volume.metadata, api::kProvisionedBy) &&
                           volume.spec.persistent_volume_reclaim_policy == api::corev1::kPersistentVolumeReclaimDelete;
  return made_for_it ? release(volume) : unbind(volume);
}

Status PersistentVolumeBinder::release(const Volume& volume) {
  if (is_over(volume)) return reclaim(volume);
  TRY_ASSIGN(const Volume released, set_volume_phase(volume, api::corev1::kVolumeReleased));
  log::info("Released a volume",
            {{"volume", volume.metadata.name}, {"policy", volume.spec.persistent_volume_reclaim_policy}});
  return reclaim(released);
}

Status PersistentVolumeBinder::reclaim(const Volume& volume) {
  const std::string& policy = volume.spec.persistent_volume_reclaim_policy;
  if (policy == api::corev1::kPersistentVolumeReclaimRetain || volume.metadata.deletion_timestamp) return {};
  const auto fail = [&](std::string_view reason, std::string message) -> Status {
    if (volume.status.phase == api::corev1::kVolumeFailed) return {};
    TRY(set_volume_phase(volume, api::corev1::kVolumeFailed, message).status());
    events_.warning(volume, reason, std::move(message));
    return {};
  };
  if (policy == api::corev1::kPersistentVolumeReclaimDelete) {
    const std::string provisioner = volume.metadata.annotations.get(api::kProvisionedBy);
    if (!provisioner.empty() && !provisioner.starts_with(kInTreePrefix)) return {};  // Its provisioner deletes it.
    return fail("VolumeFailedDelete",
                fmt::format("error getting deleter volume plugin for volume \"{}\": no deletable volume plugin matched",
                            volume.metadata.name));
  }
  if (policy == api::corev1::kPersistentVolumeReclaimRecycle) {
    return fail("VolumeFailedRecycle", "No recycler plugin found for the volume!");
  }
  return fail("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy");
}

Status PersistentVolumeBinder::unbind(const Volume& volume) {
  Volume free = volume;
  if (api::has_annotation(volume.metadata, api::kBoundByController)) {
    free.spec.claim_ref.reset();
    free.metadata.annotations.erase(api::kBoundByController);
  } else {
    free.spec.claim_ref->uid.clear();  // The user reserved it: it stays reserved.
  }
  TRY_ASSIGN(free, write(free, /*status=*/false));
  return set_volume_phase(free, api::corev1::kVolumeAvailable).status();
}

Result<api::corev1::PersistentVolume> PersistentVolumeBinder::set_volume_phase(const Volume& volume,
                                                                               std::string_view phase,
                                                                               std::string message) {
  if (volume.status.phase == phase) return volume;
  Volume changed = volume;
  changed.status.phase = phase;
  changed.status.message = std::move(message);
  return write(changed, /*status=*/true);
}

Result<api::corev1::PersistentVolumeClaim> PersistentVolumeBinder::write(const Claim& claim, bool status) {
  TRY_ASSIGN(Claim written, status ? client().update_status(claim) : client().update(claim));
  claims_.wrote(written);
  return written;
}

Result<api::corev1::PersistentVolume> PersistentVolumeBinder::write(const Volume& volume, bool status) {
  TRY_ASSIGN(Volume written, status ? client().update_status(volume) : client().update(volume));
  volumes_.wrote(written);
  return written;
}

}  // namespace trireme::controllers
