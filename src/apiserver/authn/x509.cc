#include "apiserver/authn/x509.h"

namespace trireme::apiserver::authn {

Result<std::optional<UserInfo>> X509Authenticator::authenticate(const net::Request& request) {
  const auto& certificate = request.peer.certificate;
  // A certificate without a name says nothing about who calls.
  if (!certificate || certificate->common_name.empty()) return std::optional<UserInfo>();
  UserInfo user;
  user.name = certificate->common_name;
  user.groups = certificate->organizations;
  return std::optional(std::move(user));
}

}  // namespace trireme::apiserver::authn
