#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/value.h"
#include "apiserver/authn/authn.h"
#include "apiserver/watch/caches.h"
#include "base/clock.h"
#include "net/jwt.h"

/// Service account tokens: signed JWTs that are bound to a ServiceAccount and, as a rule, to a Pod.
/// Source: KEP-1205, https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
namespace trireme::apiserver::authn {

inline constexpr std::string_view kServiceAccountPrefix = "system:serviceaccount:";
inline constexpr std::string_view kServiceAccountsGroup = "system:serviceaccounts";

struct ServiceAccountOptions {
  std::string issuer = "https://kubernetes.default.svc.cluster.local";
  std::vector<std::string> audiences;              ///< Empty: the issuer.
  std::string signing_key_pem;                     ///< For the issuer.
  std::vector<std::string> verification_keys_pem;  ///< More keys whose tokens are taken, beside the signing key.
  std::shared_ptr<Clock> clock;
  /// Sets a label of a secret: how the use of tokens without an end is noted, once a day. Null: it is not noted.
  std::function<Status(const std::string& ns, const std::string& name, const std::string& uid, const std::string& label,
                       const std::string& value)>
      label_secret = {};
};

/// Takes tokens whose account (and pod or secret, for bound ones) still exists with the same uid.
class ServiceAccountAuthenticator final : public Authenticator {
 public:
  static Result<std::shared_ptr<ServiceAccountAuthenticator>> create(ServiceAccountOptions options,
                                                                     std::shared_ptr<Caches> caches);

  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override;

  /// The same for a token that came otherwise (TokenReview): nothing when another issuer made it.
  /// `audiences` empty means the server's own.
  Result<std::optional<UserInfo>> authenticate_token(const std::string& token,
                                                     const std::vector<std::string>& audiences);

 private:
  ServiceAccountAuthenticator() = default;
  /// A token without an end, which is good as long as the secret that holds it.
  Result<std::optional<UserInfo>> secret_token(const std::string& token, const api::Value& claims);
  void note_use(const api::corev1::Secret& secret) const;

  ServiceAccountOptions options_;
  std::vector<net::VerificationKey> keys_;
  std::shared_ptr<Caches> caches_;
};

/// Signs tokens for serviceaccounts/token.
Result<std::shared_ptr<TokenIssuer>> service_account_issuer(ServiceAccountOptions options);

}  // namespace trireme::apiserver::authn
