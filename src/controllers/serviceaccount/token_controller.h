#pragma once

#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Of all secrets those that hold a service account's token.
client::Scope token_secrets();

/// Fills secrets of type kubernetes.io/service-account-token, which people make for accounts that need a token without
/// an end, and deletes them with their account. Keys are those of the secrets.
/// https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
class ServiceAccountTokenController final : public Controller {
 public:
  explicit ServiceAccountTokenController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  /// What the account's token must say (claims as JSON), signed.
  Result<std::string> sign(const api::corev1::Secret& secret, const api::corev1::ServiceAccount& account) const;

  client::Informer<api::corev1::Secret>& secrets_;
  client::Informer<api::corev1::ServiceAccount>& accounts_;
};

}  // namespace trireme::controllers
