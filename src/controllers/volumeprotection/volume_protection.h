#pragma once

#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/pods.h"

/// Claims and volumes that are in use outlive their deletion, by finalizers.
/// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
namespace trireme::controllers {

/// Keeps claims while a pod on a node uses them. Keys are claims.
class ClaimProtectionController final : public Controller {
 public:
  explicit ClaimProtectionController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Claim = api::corev1::PersistentVolumeClaim;
  /// Asks the server when the cache knows no user, since a wrong no would lose data.
  Result<bool> in_use(const Claim& claim);
  void enqueue_claims_of(const api::corev1::Pod& pod);

  client::Informer<Claim>& claims_;
  client::Informer<api::corev1::Pod>& pods_;
};

/// Keeps volumes while they are bound. Keys are volumes.
class VolumeProtectionController final : public Controller {
 public:
  explicit VolumeProtectionController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::PersistentVolume>& volumes_;
};

/// Whether a pod keeps the claim from going: it is on a node, which may have it mounted.
bool uses_claim(const api::corev1::Pod& pod, const api::corev1::PersistentVolumeClaim& claim);

}  // namespace trireme::controllers
