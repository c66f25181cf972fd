#pragma once

#include <memory>

#include "apiserver/authn/authn.h"
#include "apiserver/watch/caches.h"
#include "base/clock.h"

namespace trireme::apiserver::authn {

/// Takes bootstrap tokens ("abcdef.0123456789abcdef") whose secret in kube-system allows authentication: the user
/// system:bootstrap:ID of the group system:bootstrappers and those that the secret names.
/// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
class BootstrapTokenAuthenticator final : public Authenticator {
 public:
  BootstrapTokenAuthenticator(std::shared_ptr<Caches> caches, std::shared_ptr<Clock> clock)
      : caches_(std::move(caches)), clock_(std::move(clock)) {}
  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override;

 private:
  std::shared_ptr<Caches> caches_;
  std::shared_ptr<Clock> clock_;
};

}  // namespace trireme::apiserver::authn
