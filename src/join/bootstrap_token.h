#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "base/result.h"

/// Bootstrap tokens as kubeadm makes and shows them: what a machine proves itself by until it has a certificate.
/// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
namespace trireme::join {

/// The group whose members may ask for a node's first certificate; the one that kubeadm gives its tokens.
inline constexpr std::string_view kNodeTokenGroup = "system:bootstrappers:kubeadm:default-node-token";
inline constexpr std::string_view kTokenSecretPrefix = "bootstrap-token-";

struct BootstrapToken {
  std::string id;      ///< Six characters, no secret.
  std::string secret;  ///< Sixteen.

  std::string text() const { return id + "." + secret; }
  /// "abcdef.0123456789abcdef"; BadRequest tells the form without repeating what was given.
  static Result<BootstrapToken> parse(std::string_view text);
  /// From the kernel's random numbers.
  static BootstrapToken generate();
};

struct TokenSettings {
  Duration ttl = std::chrono::hours(24);  ///< Zero: for ever.
  std::string description;
  std::vector<std::string> usages = {"signing", "authentication"};
  std::vector<std::string> groups = {std::string(kNodeTokenGroup)};
};

/// The secret kube-system/bootstrap-token-ID. BadRequest on a usage or group that there is not.
Result<api::corev1::Secret> token_secret(const BootstrapToken& token, const TokenSettings& settings, WallTime now);

/// The table that `trireme token list` prints: a row a token, the soonest to end first. Secrets of other types and
/// those without a readable token are left out.
std::string token_table(const std::vector<api::corev1::Secret>& secrets, WallTime now);

/// The command by which another machine joins.
std::string join_command(std::string_view server_url, const BootstrapToken& token, std::string_view ca_hash);

}  // namespace trireme::join
