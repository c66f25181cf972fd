#include "apiserver/authn/service_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "api/legacy_tokens.h"
#include "api/names.h"
#include "api/types/corev1.h"
#include "api/value.h"
#include "apiserver/authn/bearer.h"
#include "apiserver/authn/notices.h"
#include "base/log.h"
#include "net/x509.h"

namespace trireme::apiserver::authn {
namespace {

using api::Value;

// Of tokens that stand in secrets and have no end.
constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";
constexpr int64_t kClockLeewaySeconds = 10;

int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string_view text_at(const Value& claims, std::initializer_list<std::string_view> path) {
  const Value* found = claims.at_path(path);
  return found != nullptr ? found->string_or_empty() : std::string_view();
}

/// A numeric date (RFC 7519); `missing` when the claim is absent.
int64_t date(const Value& claims, std::string_view name, int64_t missing) {
  const Value* found = claims.find(name);
  return found != nullptr && found->is_number() ? static_cast<int64_t>(found->as_double()) : missing;
}

/// `aud` is one audience or several.
bool has_audience(const Value& claims, const std::vector<std::string>& wanted) {
  const Value* audience = claims.find("aud");
  if (audience == nullptr) return false;
  auto is_wanted = [&](const Value& each) {
    return std::find(wanted.begin(), wanted.end(), each.string_or_empty()) != wanted.end();
  };
  if (!audience->is_array()) return is_wanted(*audience);
  return std::any_of(audience->as_array().begin(), audience->as_array().end(), is_wanted);
}

Status invalid_token(std::string_view why) {
  return Status::unauthorized(fmt::format("invalid bearer token: {}", why));
}

UserInfo account_user(std::string_view ns, std::string_view name, std::string_view uid) {
  UserInfo user;
  user.name = fmt::format("{}{}:{}", kServiceAccountPrefix, ns, name);
  user.uid = uid;
  user.groups = {std::string(kServiceAccountsGroup), fmt::format("{}:{}", kServiceAccountsGroup, ns)};
  return user;
}

/// 128 random bits in the form of a UUID, naming a token in audits.
std::string token_id() {
  std::string hex;
  for (int i = 0; i < 4; ++i) hex += fmt::format("{:08x}", api::system_random());
  return fmt::format("{}-{}-4{}-a{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3), hex.substr(17, 3),
                     hex.substr(20, 12));
}

class Issuer final : public TokenIssuer {
 public:
  Issuer(ServiceAccountOptions options, std::string key_id)
      : options_(std::move(options)), key_id_(std::move(key_id)) {}

  Result<IssuedToken> issue(const TokenParameters& parameters) override {
    WallTime now = options_.clock->now();
    IssuedToken issued;
    issued.expiration = now + std::chrono::seconds(parameters.expiration_seconds);
    issued.audiences = parameters.audiences.empty() ? options_.audiences : parameters.audiences;

    Value claims = Value::object();
    claims["iss"] = options_.issuer;
    claims["sub"] = fmt::format("{}{}:{}", kServiceAccountPrefix, parameters.ns, parameters.service_account);
    claims["aud"] = Value::array();
    for (const std::string& audience : issued.audiences) claims["aud"].push_back(audience);
    claims["iat"] = unix_seconds(now);
    claims["nbf"] = unix_seconds(now);
    claims["exp"] = unix_seconds(issued.expiration);
    claims["jti"] = token_id();
    Value& kubernetes = claims["kubernetes.io"];
    kubernetes["namespace"] = parameters.ns;
    kubernetes["serviceaccount"]["name"] = parameters.service_account;
    kubernetes["serviceaccount"]["uid"] = parameters.service_account_uid;
    if (!parameters.bound_kind.empty()) {
      std::string kind = parameters.bound_kind;
      std::transform(kind.begin(), kind.end(), kind.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
      kubernetes[kind]["name"] = parameters.bound_name;
      kubernetes[kind]["uid"] = parameters.bound_uid;
    }
    if (!parameters.node_name.empty()) {
      kubernetes["node"]["name"] = parameters.node_name;
      if (!parameters.node_uid.empty()) kubernetes["node"]["uid"] = parameters.node_uid;
    }
    TRY_ASSIGN(issued.token, net::sign_jwt(api::to_json(claims), options_.signing_key_pem, key_id_));
    return issued;
  }

 private:
  ServiceAccountOptions options_;
  std::string key_id_;
};

}  // namespace

Result<std::shared_ptr<ServiceAccountAuthenticator>> ServiceAccountAuthenticator::create(
    ServiceAccountOptions options, std::shared_ptr<Caches> caches) {
  auto authenticator = std::shared_ptr<ServiceAccountAuthenticator>(new ServiceAccountAuthenticator);
  if (options.audiences.empty()) options.audiences = {options.issuer};
  std::vector<std::string> keys = options.verification_keys_pem;
  if (!options.signing_key_pem.empty()) keys.push_back(options.signing_key_pem);
  for (const std::string& key : keys) {
    TRY_ASSIGN(std::string id, net::key_id(key));
    TRY_ASSIGN(std::string public_pem, net::public_key(key));
    authenticator->keys_.push_back({std::move(id), std::move(public_pem)});
  }
  authenticator->options_ = std::move(options);
  authenticator->options_.signing_key_pem.clear();
  authenticator->caches_ = std::move(caches);
  return authenticator;
}

Result<std::optional<UserInfo>> ServiceAccountAuthenticator::authenticate(const net::Request& request) {
  auto token = bearer_token(request);
  if (!token) return std::optional<UserInfo>();
  return authenticate_token(*token, {});
}

Result<std::optional<UserInfo>> ServiceAccountAuthenticator::authenticate_token(
    const std::string& token, const std::vector<std::string>& audiences) {
  // Not three parts: some other kind of token.
  if (std::count(token.begin(), token.end(), '.') != 2) return std::optional<UserInfo>();
  auto verified = net::verify_jwt(token, keys_);
  if (!verified.ok()) return invalid_token(verified.status().message());
  TRY_ASSIGN(Value claims, api::parse_value(verified->claims_json));
  if (text_at(claims, {"iss"}) == kLegacyIssuer) return secret_token(token, claims);
  if (text_at(claims, {"iss"}) != options_.issuer) return std::optional<UserInfo>();

  int64_t now = unix_seconds(options_.clock->now());
  if (now > date(claims, "exp", 0) + kClockLeewaySeconds) return invalid_token("token has expired");
  if (now < date(claims, "nbf", 0) - kClockLeewaySeconds) return invalid_token("token is not valid yet");
  if (!has_audience(claims, audiences.empty() ? options_.audiences : audiences)) {
    return invalid_token("token is not meant for this audience");
  }

  std::string_view ns = text_at(claims, {"kubernetes.io", "namespace"});
  std::string_view name = text_at(claims, {"kubernetes.io", "serviceaccount", "name"});
  std::string_view uid = text_at(claims, {"kubernetes.io", "serviceaccount", "uid"});
  auto account = caches_->get<api::corev1::ServiceAccount>(ns, name);
  if (!account.ok()) return invalid_token("service account not found");
  if ((*account)->metadata.uid != uid) return invalid_token("service account UID does not match");

  UserInfo user = account_user(ns, name, uid);
  if (auto id = text_at(claims, {"jti"}); !id.empty()) {
    user.extra["authentication.kubernetes.io/credential-id"] = {fmt::format("JTI={}", id)};
  }
  if (std::string_view pod_name = text_at(claims, {"kubernetes.io", "pod", "name"}); !pod_name.empty()) {
    std::string_view pod_uid = text_at(claims, {"kubernetes.io", "pod", "uid"});
    auto pod = caches_->get<api::corev1::Pod>(ns, pod_name);
    if (!pod.ok() || (*pod)->metadata.uid != pod_uid) return invalid_token("the pod of the token is gone");
    user.extra["authentication.kubernetes.io/pod-name"] = {std::string(pod_name)};
    user.extra["authentication.kubernetes.io/pod-uid"] = {std::string(pod_uid)};
  }
  if (std::string_view secret_name = text_at(claims, {"kubernetes.io", "secret", "name"}); !secret_name.empty()) {
    auto secret = caches_->get<api::corev1::Secret>(ns, secret_name);
    if (!secret.ok() || (*secret)->metadata.uid != text_at(claims, {"kubernetes.io", "secret", "uid"})) {
      return invalid_token("the secret of the token is gone");
    }
  }
  if (std::string_view node_name = text_at(claims, {"kubernetes.io", "node", "name"}); !node_name.empty()) {
    user.extra["authentication.kubernetes.io/node-name"] = {std::string(node_name)};
    auto node_uid = text_at(claims, {"kubernetes.io", "node", "uid"});
    // A pod's token tells its node for information only; the pod decides how long that token is good.
    if (claims.at_path({"kubernetes.io", "pod"}) == nullptr) {
      auto node = caches_->get<api::corev1::Node>("", node_name);
      if (!node.ok() || (*node)->metadata.uid != node_uid) return invalid_token("the node of the token is gone");
    }
    if (!node_uid.empty()) {
      user.extra["authentication.kubernetes.io/node-uid"] = {std::string(node_uid)};
    }
  }
  return std::optional(std::move(user));
}

Result<std::optional<UserInfo>> ServiceAccountAuthenticator::secret_token(const std::string& token,
                                                                          const Value& claims) {
  const auto claim = [&](std::string_view name) {
    return text_at(claims, {"kubernetes.io/serviceaccount/" + std::string(name)});
  };
  const std::string_view ns = claim("namespace");
  const std::string_view name = claim("service-account.name");
  const auto secret = caches_->get<api::corev1::Secret>(ns, claim("secret.name"));
  if (!secret.ok() || (*secret)->metadata.deletion_timestamp ||
      (*secret)->data.get(api::corev1::kServiceAccountTokenKey) != token) {
    return invalid_token("the secret of the token is gone");
  }
  const auto account = caches_->get<api::corev1::ServiceAccount>(ns, name);
  if (!account.ok()) return invalid_token("service account not found");
  if ((*account)->metadata.uid != claim("service-account.uid")) {
    return invalid_token("service account UID does not match");
  }
  if ((*secret)->metadata.labels.contains(api::kLegacyTokenInvalidSince)) {
    return invalid_token(
        fmt::format("the token in secret {0}/{1} for service account {0}/{2} has been marked invalid. Use tokens from "
                    "the TokenRequest API or manually created secret-based tokens, or remove the '{3}' label from the "
                    "secret to temporarily allow use of this token",
                    ns, (*secret)->metadata.name, name, api::kLegacyTokenInvalidSince));
  }
  const auto& references = (*account)->secrets;
  if (std::ranges::any_of(references, [&](const auto& each) { return each.name == (*secret)->metadata.name; })) {
    Notices::add(
        "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated "
        "secret-based tokens.");
  }
  note_use(**secret);
  return std::optional(account_user(ns, name, (*account)->metadata.uid));
}

void ServiceAccountAuthenticator::note_use(const api::corev1::Secret& secret) const {
  if (!options_.label_secret) return;
  const WallTime now = options_.clock->now();
  const std::string today = api::day_of(now);
  const auto& meta = secret.metadata;
  const std::string last = meta.labels.get(api::kLegacyTokenLastUsed);
  // Another server's clock may be a day ahead.
  if (last == today || last == api::day_of(now + std::chrono::hours(24))) return;
  const Status noted =
      options_.label_secret(meta.namespace_, meta.name, meta.uid, std::string(api::kLegacyTokenLastUsed), today);
  if (!noted.ok()) {
    log::warning("The use of a token could not be noted",
                 {{"secret", meta.namespace_ + "/" + meta.name}, {"error", noted}});
  }
}

Result<std::shared_ptr<TokenIssuer>> service_account_issuer(ServiceAccountOptions options) {
  if (options.audiences.empty()) options.audiences = {options.issuer};
  TRY_ASSIGN(std::string id, net::key_id(options.signing_key_pem));
  return std::shared_ptr<TokenIssuer>(std::make_shared<Issuer>(std::move(options), std::move(id)));
}

}  // namespace trireme::apiserver::authn
