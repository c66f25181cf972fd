#pragma once

#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Deletes bootstrap tokens when they have expired. Keys are those of secrets in kube-system.
class TokenCleanerController final : public Controller {
 public:
  explicit TokenCleanerController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::Secret>& secrets_;
};

/// Keeps the signatures of the map kube-public/cluster-info: one by every bootstrap token for signing, by which a
/// machine that joins knows that the map is the cluster's own. Has one key, that of the map; the map itself is made by
/// whoever sets the cluster up.
/// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#configmap-signing
class BootstrapSignerController final : public Controller {
 public:
  explicit BootstrapSignerController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::corev1::Secret>& secrets_;
  client::Informer<api::corev1::ConfigMap>& maps_;
};

}  // namespace trireme::controllers
