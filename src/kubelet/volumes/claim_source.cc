#include "kubelet/volumes/claim_source.h"

#include <fmt/format.h>

#include <utility>

#include "api/volumes.h"

namespace trireme::kubelet {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::corev1::Volume;

bool is_read_only_claim(const Volume& volume) {
  const auto& claim = volume.volume_source.persistent_volume_claim;
  return claim && claim->read_only;
}

Result<VolumeObject> ClaimSource::ask(const Pod& pod, const Volume& volume, const std::string& claim_name) {
  Result<PersistentVolumeClaim> claim = client_.get<PersistentVolumeClaim>(pod.metadata.namespace_, claim_name);
  if (!claim.ok()) return claim.status().with_context("failed to fetch PVC from API server");
  if (volume.volume_source.ephemeral) TRY(api::check_ephemeral_owner(pod, *claim));
  // A pod that ran before this kubelet was started goes on.
  if (claim->metadata.deletion_timestamp && pod.status.phase != api::corev1::kPodRunning) {
    return Status::bad_request("PVC is being deleted");
  }
  if (claim->status.phase != api::corev1::kClaimBound) return Status::bad_request("PVC is not bound");
  const std::string& name = claim->spec.volume_name;
  if (name.empty()) return Status::bad_request("PVC has empty pvc.Spec.VolumeName");
  Result<PersistentVolume> found = client_.get<PersistentVolume>("", name);
  if (!found.ok()) return found.status().with_context(fmt::format("failed to fetch PV {} from API server", name));
  const auto& reference = found->spec.claim_ref;
  if (!reference) {
    return Status::bad_request(
        fmt::format("found PV object {} with nil pv.Spec.ClaimRef indicating it is not yet bound to the claim", name));
  }
  if (reference->uid != claim->metadata.uid) {
    return Status::bad_request(
        fmt::format("found PV object {} with a pv.Spec.ClaimRef.UID {} that does not point to claim.UID {}", name,
                    reference->uid, claim->metadata.uid));
  }
  return std::make_shared<const PersistentVolume>(std::move(*found));
}

Result<VolumeObject> ClaimSource::find(const Pod& pod, const Volume& volume) {
  const std::string claim = api::claim_name(pod, volume);
  if (claim.empty()) return VolumeObject();
  const std::string& uid = pod.metadata.uid;
  {
    const std::lock_guard lock(mutex_);
    const auto& known = found_[uid];
    if (const auto found = known.find(volume.name); found != known.end()) return found->second;
  }
  Result<VolumeObject> found = ask(pod, volume, claim);
  if (!found.ok()) {
    return found.status().with_context(
        fmt::format("Unable to attach or mount volumes: unmounted volumes=[{0}], unattached volumes=[], failed to "
                    "process volumes=[{0}]: error processing PVC {1}/{2}",
                    volume.name, pod.metadata.namespace_, claim));
  }
  const std::lock_guard lock(mutex_);
  found_[uid][volume.name] = *found;
  return found;
}

void ClaimSource::release(const std::string& pod_uid) {
  const std::lock_guard lock(mutex_);
  found_.erase(pod_uid);
}

}  // namespace trireme::kubelet
