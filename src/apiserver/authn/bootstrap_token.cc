#include "apiserver/authn/bootstrap_token.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "api/types/corev1.h"
#include "apiserver/authn/bearer.h"
#include "base/text.h"

namespace trireme::apiserver::authn {
namespace {

constexpr size_t kIdLength = 6;
constexpr size_t kSecretLength = 16;
constexpr std::string_view kGroup = "system:bootstrappers";
constexpr std::string_view kGroupPrefix = "system:bootstrappers:";

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

/// Takes as long whatever differs.
bool equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<std::optional<UserInfo>> BootstrapTokenAuthenticator::authenticate(const net::Request& request) {
  const auto token = bearer_token(request);
  if (!token || token->size() != kIdLength + 1 + kSecretLength || (*token)[kIdLength] != '.') {
    return std::optional<UserInfo>();
  }
  const std::string id = token->substr(0, kIdLength);
  const std::string_view word = std::string_view(*token).substr(kIdLength + 1);
  if (!is_word(id) || !is_word(word)) return std::optional<UserInfo>();

  const auto found = caches_->get<api::corev1::Secret>("kube-system", "bootstrap-token-" + id);
  if (!found.ok()) return std::optional<UserInfo>();
  const api::corev1::Secret& secret = **found;
  const auto invalid = [] { return Status::unauthorized("invalid bootstrap token"); };
  if (secret.metadata.deletion_timestamp || secret.type != "bootstrap.kubernetes.io/token") return invalid();
  if (secret.data.get("token-id") != id || !equal(secret.data.get("token-secret"), word)) return invalid();
  if (secret.data.get("usage-bootstrap-authentication") != "true") return invalid();
  if (const std::string expiration = secret.data.get("expiration"); !expiration.empty()) {
    const auto end = api::Time::parse(expiration);
    // One that cannot be read might have ended long ago.
    if (!end.ok() || end->wall() <= clock_->now()) return invalid();
  }
  UserInfo user;
  user.name = "system:bootstrap:" + id;
  user.groups.emplace_back(kGroup);
  if (const std::string extra = secret.data.get("auth-extra-groups"); !extra.empty()) {
    for (const std::string_view group : split(extra, ',')) {
      if (!group.starts_with(kGroupPrefix)) return invalid();
      user.groups.emplace_back(group);
    }
  }
  return std::optional(std::move(user));
}

}  // namespace trireme::apiserver::authn
