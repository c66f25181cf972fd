#include "controllers/expand/volume_expand_controller.h"

#include "api/volumes.h"

namespace trireme::controllers {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;

bool wants_to_grow(const PersistentVolumeClaim& claim) {
  return claim.status.phase == api::corev1::kClaimBound && !claim.metadata.deletion_timestamp &&
         api::requested_storage(claim) > claim.status.capacity.get("storage");
}

VolumeExpandController::VolumeExpandController(const ControllerContext& context)
    : Controller(context, "persistentvolume-expander-controller"),
      claims_(context.informers->informer<PersistentVolumeClaim>()),
      volumes_(context.informers->informer<PersistentVolume>()),
      events_(context.events->recorder("volume_expand")) {
  claims_.add_handler([this](const auto& before, const auto& after) {
    if (!after || !wants_to_grow(*after)) return;
    const bool news = !before || api::requested_storage(*before) != api::requested_storage(*after) ||
                      before->status.phase != after->status.phase;
    if (news) enqueue(client::key_of(after->metadata));
  });
}

Result<Outcome> VolumeExpandController::reconcile(const std::string& key) {
  const auto claim = claims_.get(key);
  if (!claim || !wants_to_grow(*claim)) return Outcome::done();
  const auto volume = volumes_.get("", claim->spec.volume_name);
  if (!volume || !volume->spec.claim_ref || volume->spec.claim_ref->uid != claim->metadata.uid) return Outcome::done();
  events_.warning(*claim, "ExternalExpanding",
                  "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external "
                  "controller to process this PVC.");
  return Outcome::done();
}

}  // namespace trireme::controllers
