#include "controllers/bootstrap/bootstrap_tokens.h"

#include <algorithm>

#include "base/log.h"

namespace trireme::controllers {
namespace {

constexpr size_t kIdLength = 6;
constexpr size_t kSecretLength = 16;

bool is_word(const std::string& text, size_t length) {
  return text.size() == length &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

}  // namespace

std::optional<WallTime> token_expiration(const api::corev1::Secret& secret) {
  const std::string text = secret.data.get("expiration");
  if (text.empty()) return std::nullopt;
  const auto time = api::Time::parse(text);
  if (!time.ok()) {
    log::warning("A bootstrap token's expiration cannot be read",
                 {{"secret", secret.metadata.name}, {"expiration", text}});
    return std::nullopt;
  }
  return time->wall();
}

std::optional<SigningToken> signing_token(const api::corev1::Secret& secret, WallTime now) {
  if (secret.type != kBootstrapTokenType || secret.metadata.deletion_timestamp) return std::nullopt;
  SigningToken token{secret.data.get("token-id"), secret.data.get("token-secret")};
  if (!is_word(token.id, kIdLength) || !is_word(token.secret, kSecretLength)) return std::nullopt;
  if (secret.metadata.name != "bootstrap-token-" + token.id) return std::nullopt;
  if (secret.data.get("usage-bootstrap-signing") != "true") return std::nullopt;
  if (const auto end = token_expiration(secret); end && *end <= now) return std::nullopt;
  return token;
}

}  // namespace trireme::controllers
