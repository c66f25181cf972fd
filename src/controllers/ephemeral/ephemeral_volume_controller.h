#pragma once

#include <string>

#include "api/types/corev1.h"
#include "base/metrics.h"
#include "client/event_recorder.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Makes the claims of pods' generic ephemeral volumes; each belongs to its pod and goes with it. Keys are pods.
/// https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
class EphemeralVolumeController final : public Controller, public metrics::Source {
 public:
  explicit EphemeralVolumeController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  Status ensure_claim(const api::corev1::Pod& pod, const api::corev1::Volume& volume);

  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::PersistentVolumeClaim>& claims_;
  client::EventRecorder events_;
  metrics::Counters attempts_;
  metrics::Counters failures_;
};

}  // namespace trireme::controllers
