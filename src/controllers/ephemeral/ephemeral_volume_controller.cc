#include "controllers/ephemeral/ephemeral_volume_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/volumes.h"
#include "controllers/persistentvolume/persistent_volume_binder.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::corev1::Volume;

namespace {

constexpr int kWorkers = 5;  // upstream's --concurrent-ephemeralvolume-syncs

bool wants_claims(const Pod& pod) {
  return !pod.metadata.deletion_timestamp && !is_finished(pod) &&
         std::ranges::any_of(pod.spec.volumes,
                             [](const Volume& each) { return each.volume_source.ephemeral.has_value(); });
}

}  // namespace

EphemeralVolumeController::EphemeralVolumeController(const ControllerContext& context)
    : Controller(context, "ephemeral-volume-controller", kWorkers),
      pods_(context.informers->informer<Pod>()),
      claims_(context.informers->informer<PersistentVolumeClaim>()),
      events_(context.events->recorder("ephemeral_volume")),
      attempts_("ephemeral_volume_controller_create_total", "Number of PersistenVolumeClaims creation requests"),
      failures_("ephemeral_volume_controller_create_failures_total",
                "Number of PersistenVolumeClaims creation requests that failed") {
  index_by_claim(pods_);
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    if (!before && wants_claims(*after)) enqueue(client::key_of(after->metadata));
  });
  claims_.add_handler([this](const auto& before, const auto& after) {
    if (after) return;
    for (const PodPointer& pod : pods_.by_index(kPodsByClaim, client::key_of(before->metadata))) {
      if (wants_claims(*pod)) enqueue(client::key_of(pod->metadata));
    }
  });
}

Status EphemeralVolumeController::ensure_claim(const Pod& pod, const Volume& volume) {
  const std::string name = api::claim_name(pod, volume);
  if (const auto present = claims_.get(pod.metadata.namespace_, name)) return api::check_ephemeral_owner(pod, *present);
  const auto& pod_template = volume.volume_source.ephemeral->volume_claim_template;
  if (!pod_template) return {};
  PersistentVolumeClaim claim;
  claim.metadata.namespace_ = pod.metadata.namespace_;
  claim.metadata.name = name;
  claim.metadata.annotations = pod_template->metadata.annotations;
  claim.metadata.labels = pod_template->metadata.labels;
  auto& owner = claim.metadata.owner_references.emplace_back();
  owner.api_version = "v1";
  owner.kind = "Pod";
  owner.name = pod.metadata.name;
  owner.uid = pod.metadata.uid;
  owner.controller = true;
  owner.block_owner_deletion = true;
  claim.spec = pod_template->spec;
  attempts_.add({});
  const Status created = client().create(claim).status();
  if (!created.ok()) failures_.add({});
  if (created.ok() || namespace_is_ending(created)) return {};
  return created.with_context(fmt::format("create PVC {}", name));
}

void EphemeralVolumeController::print_metrics(std::string& out) const {
  attempts_.print(out);
  failures_.print(out);
}

Result<Outcome> EphemeralVolumeController::reconcile(const std::string& key) {
  const PodPointer pod = pods_.get(key);
  if (!pod || !wants_claims(*pod)) return Outcome::done();
  for (const Volume& volume : pod->spec.volumes) {
    if (!volume.volume_source.ephemeral) continue;
    const Status status = ensure_claim(*pod, volume);
    if (status.ok()) continue;
    if (!status.is(Reason::kAlreadyExists)) {
      events_.warning(*pod, "FailedBinding", fmt::format("ephemeral volume {}: {}", volume.name, status.message()));
    }
    return status;
  }
  return Outcome::done();
}

}  // namespace trireme::controllers
