#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"

/// What a secret of type bootstrap.kubernetes.io/token says.
/// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#bootstrap-token-secret-format
namespace trireme::controllers {

inline constexpr std::string_view kBootstrapTokenType = "bootstrap.kubernetes.io/token";

/// When the token ends; nothing for one that does not, or whose expiration cannot be read (which is logged: a token
/// that somebody meant to end must not be kept by a typing error for ever, but deleting it is not ours to guess).
std::optional<WallTime> token_expiration(const api::corev1::Secret& secret);

struct SigningToken {
  std::string id;
  std::string secret;
};
/// The token, when it may sign cluster-info: it is complete, named as its id asks, not expired, and for signing.
std::optional<SigningToken> signing_token(const api::corev1::Secret& secret, WallTime now);

}  // namespace trireme::controllers
