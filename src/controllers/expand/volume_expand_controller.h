#pragma once

#include <string>

#include "api/types/corev1.h"
#include "client/event_recorder.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Notices bound claims that ask for more than they have, and hands them over to whoever can grow their volumes: no
/// volume of this cluster is grown by the control plane itself. Keys are claims.
/// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
class VolumeExpandController final : public Controller {
 public:
  explicit VolumeExpandController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::PersistentVolumeClaim>& claims_;
  client::Informer<api::corev1::PersistentVolume>& volumes_;
  client::EventRecorder events_;
};

/// Bound, and asking for more than it has.
bool wants_to_grow(const api::corev1::PersistentVolumeClaim& claim);

}  // namespace trireme::controllers
