#pragma once

#include "apiserver/authn/authn.h"

namespace trireme::apiserver::authn {

/// Users by client certificate: the common name is the user, the organizations are its groups. The connection has
/// verified the chain already (net::Peer).
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
class X509Authenticator final : public Authenticator {
 public:
  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override;
};

}  // namespace trireme::apiserver::authn
