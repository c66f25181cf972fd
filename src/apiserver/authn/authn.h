#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

/// Who is calling: turns a request's credentials into a user.
namespace trireme::apiserver::authn {

/// Names that upstream gives a meaning to.
inline constexpr std::string_view kAnonymous = "system:anonymous";
inline constexpr std::string_view kUnauthenticatedGroup = "system:unauthenticated";
inline constexpr std::string_view kAuthenticatedGroup = "system:authenticated";
inline constexpr std::string_view kMastersGroup = "system:masters";

/// The caller, as authentication.k8s.io's UserInfo describes it.
struct UserInfo {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;

  bool in_group(std::string_view group) const;
};

/// One way to authenticate. Thread-safe; called for every request, so it must be quick.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// The user, without `system:authenticated` (the pipeline adds it); nothing when the request holds no credentials of
  /// this kind; a failure (answered 401) when it holds invalid ones.
  virtual Result<std::optional<UserInfo>> authenticate(const net::Request& request) = 0;
};

/// Tries several authenticators in order; the first user wins. A failure is returned only when none recognised the
/// request; a bearer token that nobody knows is one.
std::shared_ptr<Authenticator> any_of(std::vector<std::shared_ptr<Authenticator>> authenticators);

/// What a service account token is bound to and for whom it is made (TokenRequest).
struct TokenParameters {
  std::string ns;
  std::string service_account;
  std::string service_account_uid;
  std::vector<std::string> audiences;  ///< Empty: the API server's own.
  int64_t expiration_seconds = 3600;
  std::string bound_kind;  ///< "Pod", "Secret", "Node", or empty.
  std::string bound_name;
  std::string bound_uid;
  std::string node_name;  ///< Of a bound pod, when it has one.
  std::string node_uid;
};

struct IssuedToken {
  std::string token;
  WallTime expiration;
  std::vector<std::string> audiences;
};

/// Signs service account tokens for `serviceaccounts/token`. Thread-safe.
class TokenIssuer {
 public:
  virtual ~TokenIssuer() = default;
  virtual Result<IssuedToken> issue(const TokenParameters& parameters) = 0;
};

}  // namespace trireme::apiserver::authn
