#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "base/metrics.h"
#include "client/event_recorder.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/newest.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

/// Brings claims and persistent volumes together, two-way, and decides what becomes of a volume whose claim is gone.
/// Keys are "claim ns/name" and "volume name"; one worker, so that no two decisions are made on the same volumes.
/// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#lifecycle-of-a-volume-and-claim
class PersistentVolumeBinder final : public Controller, public metrics::Source {
 public:
  explicit PersistentVolumeBinder(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  using Claim = api::corev1::PersistentVolumeClaim;
  using Volume = api::corev1::PersistentVolume;
  using StorageClass = api::storagev1::StorageClass;

  Status sync_claim(const Claim& claim);
  Status sync_unbound_claim(const Claim& claim);
  Status sync_requested_volume(const Claim& claim);
  Status sync_bound_claim(const Claim& claim);
  Status sync_without_volume(const Claim& claim, bool delayed);
  Status provision(const Claim& claim);
  void tell_what_it_waits_for(const Claim& claim);
  /// Whether the claim got the default class.
  Result<bool> assign_default_class(const Claim& claim);

  Status sync_volume(const Volume& volume);
  Status sync_claimed_volume(const Volume& volume);
  Status release(const Volume& volume);
  Status reclaim(const Volume& volume);
  Status unbind(const Volume& volume);
  /// The claim that the volume's claimRef means, asked from the server where the cache cannot tell; null when gone.
  Result<api::ClaimPointer> claim_of(const Volume& volume);

  /// Writes all four parts of a binding that are not there yet: volume, its phase, claim, its phase.
  Status bind(const Volume& volume, const Claim& claim);
  Status set_claim_phase(const Claim& claim, std::string_view phase, const Volume* volume);
  Status lose_claim(const Claim& claim, std::string_view reason, std::string message);
  Result<Volume> set_volume_phase(const Volume& volume, std::string_view phase, std::string message = {});

  Result<Claim> write(const Claim& claim, bool status);
  Result<Volume> write(const Volume& volume, bool status);
  void enqueue_claim(const api::metav1::ObjectMeta& metadata);
  void enqueue_claims_of_class(const std::string& name, bool is_default);

  client::Informer<Claim>& claim_cache_;
  client::Informer<Volume>& volume_cache_;
  client::Informer<StorageClass>& classes_;
  client::Informer<api::corev1::Pod>& pods_;
  Newest<Claim> claims_;
  Newest<Volume> volumes_;
  client::EventRecorder events_;
  metrics::Counters default_class_attempts_;
  metrics::Counters default_class_failures_;
};

/// The index of pods by the claims they use, "ns/name"; `index_by_claim` adds it.
inline constexpr std::string_view kPodsByClaim = "claim";
void index_by_claim(client::Informer<api::corev1::Pod>& pods);

}  // namespace trireme::controllers
