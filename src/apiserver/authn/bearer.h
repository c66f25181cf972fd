#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "apiserver/authn/authn.h"

namespace trireme::apiserver::authn {

/// The token of `Authorization: Bearer …` (also of a WebSocket's subprotocol, RFC 6455 clients cannot set headers), or
/// nothing.
std::optional<std::string> bearer_token(const net::Request& request);

/// Users by a token that stays as it is: `--token-auth-file`, lines of `token,user,uid[,"group,group"]`.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
class TokenFileAuthenticator final : public Authenticator {
 public:
  static Result<std::shared_ptr<TokenFileAuthenticator>> parse(std::string_view text);
  Result<std::optional<UserInfo>> authenticate(const net::Request& request) override;

 private:
  /// By the token's SHA-256, so that a look-up's time tells nothing about a token.
  std::unordered_map<std::string, UserInfo> users_;
};

}  // namespace trireme::apiserver::authn
