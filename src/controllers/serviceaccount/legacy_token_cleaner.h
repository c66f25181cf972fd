#pragma once

#include <set>
#include <string>

#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Marks tokens that were made for service accounts by earlier versions, and that nobody has used for long, as invalid,
/// and deletes them when nobody has missed them for as long again (--legacy-service-account-token-clean-up-period). Has
/// one key; comes back once a day.
/// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#auto-generated-legacy-serviceaccount-token-clean-up
class LegacyTokenCleanerController final : public Controller {
 public:
  explicit LegacyTokenCleanerController(const ControllerContext& context);
  void begin() override;
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Secret = api::corev1::Secret;
  /// The first moment from which on every use has been noted; nothing when that is not known yet.
  Result<WallTime> tracked_since();
  /// Whether a version before 1.24 made it for its account: there the account refers to it.
  bool is_generated(const Secret& secret) const;
  bool is_mounted(const Secret& secret) const;
  Status mark_invalid(const Secret& secret, const std::string& day);

  const Duration period_;
  client::Informer<Secret>& secrets_;
  client::Informer<api::corev1::ServiceAccount>& accounts_;
  client::Informer<api::corev1::Pod>& pods_;
};

/// Names of the secrets that a pod uses: in its volumes, in its containers' environment, and to pull its images.
std::set<std::string> secret_names(const api::corev1::Pod& pod);

}  // namespace trireme::controllers
