#include "controllers/volumeprotection/volume_protection.h"

#include <algorithm>

#include "api/volumes.h"
#include "controllers/persistentvolume/persistent_volume_binder.h"

namespace trireme::controllers {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::corev1::PodList;

namespace {

/// Its kubelet has ended everything of it; only the object is left.
bool is_shut_down(const Pod& pod) {
  return pod.metadata.deletion_timestamp && pod.metadata.deletion_grace_period_seconds == int64_t{0};
}

/// What a controller writes when nothing but the finalizer is to change.
template <typename T>
Result<Outcome> set_finalizer(client::Client& client, T object, std::string_view finalizer, bool present) {
  std::erase(object.metadata.finalizers, finalizer);
  if (present) object.metadata.finalizers.emplace_back(finalizer);
  const Status status = client.update(object).status();
  if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  return Outcome::done();
}

}  // namespace

bool uses_claim(const Pod& pod, const PersistentVolumeClaim& claim) {
  if (pod.spec.node_name.empty() || pod.metadata.namespace_ != claim.metadata.namespace_) return false;
  return std::ranges::any_of(pod.spec.volumes, [&](const auto& volume) {
    if (api::claim_name(pod, volume) != claim.metadata.name) return false;
    return !volume.volume_source.ephemeral || (!is_shut_down(pod) && api::check_ephemeral_owner(pod, claim).ok());
  });
}

ClaimProtectionController::ClaimProtectionController(const ControllerContext& context)
    : Controller(context, "persistentvolumeclaim-protection-controller"),
      claims_(context.informers->informer<PersistentVolumeClaim>()),
      pods_(context.informers->informer<Pod>()) {
  index_by_claim(pods_);
  claims_.add_handler([this](const auto&, const auto& after) {
    if (!after) return;
    const bool ending = static_cast<bool>(after->metadata.deletion_timestamp);
    if (ending == api::has_finalizer(after->metadata, api::kClaimProtection)) {
      enqueue(client::key_of(after->metadata));
    }
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    // A replaced pod ended without an event of its own.
    if (before && (!after || before->metadata.uid != after->metadata.uid)) enqueue_claims_of(*before);
    if (after && (is_finished(*after) || is_shut_down(*after))) enqueue_claims_of(*after);
  });
}

void ClaimProtectionController::enqueue_claims_of(const Pod& pod) {
  for (const auto& volume : pod.spec.volumes) {
    const std::string name = api::claim_name(pod, volume);
    if (name.empty()) continue;
    const auto claim = claims_.get(pod.metadata.namespace_, name);
    if (claim && claim->metadata.deletion_timestamp) enqueue(client::key_of(claim->metadata));
  }
}

Result<bool> ClaimProtectionController::in_use(const Claim& claim) {
  const auto uses = [&](const auto& pod) { return uses_claim(*pod, claim); };
  if (std::ranges::any_of(pods_.by_index(kPodsByClaim, client::key_of(claim.metadata)), uses)) return true;
  auto live = client().list<Pod, PodList>(claim.metadata.namespace_);
  if (!live.ok()) return live.status();
  return std::ranges::any_of(live->items, [&](const Pod& pod) { return uses_claim(pod, claim); });
}

Result<Outcome> ClaimProtectionController::reconcile(const std::string& key) {
  const auto claim = claims_.get(key);
  if (!claim) return Outcome::done();
  const bool held = api::has_finalizer(claim->metadata, api::kClaimProtection);
  const bool ending = static_cast<bool>(claim->metadata.deletion_timestamp);
  if (held != ending) return Outcome::done();
  if (!ending) return set_finalizer(client(), *claim, api::kClaimProtection, true);
  TRY_ASSIGN(const bool used, in_use(*claim));
  if (used) return Outcome::done();  // The pods' end calls again.
  return set_finalizer(client(), *claim, api::kClaimProtection, false);
}

VolumeProtectionController::VolumeProtectionController(const ControllerContext& context)
    : Controller(context, "persistentvolume-protection-controller"),
      volumes_(context.informers->informer<PersistentVolume>()) {
  volumes_.add_handler([this](const auto&, const auto& after) {
    if (after) enqueue(after->metadata.name);
  });
}

Result<Outcome> VolumeProtectionController::reconcile(const std::string& key) {
  const auto volume = volumes_.get(key);
  if (!volume) return Outcome::done();
  const bool held = api::has_finalizer(volume->metadata, api::kVolumeProtection);
  if (!volume->metadata.deletion_timestamp) {
    if (held) return Outcome::done();
    return set_finalizer(client(), *volume, api::kVolumeProtection, true);
  }
  if (!held || volume->status.phase == api::corev1::kVolumeBound) return Outcome::done();
  return set_finalizer(client(), *volume, api::kVolumeProtection, false);
}

}  // namespace trireme::controllers
