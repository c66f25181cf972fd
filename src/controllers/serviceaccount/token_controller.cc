#include "controllers/serviceaccount/token_controller.h"

#include "api/value.h"
#include "net/jwt.h"

namespace trireme::controllers {

using api::corev1::Secret;
using api::corev1::ServiceAccount;

namespace {

constexpr std::string_view kByAccount = "serviceaccount";
// The issuer of tokens before KEP-1205; they are told by it.
constexpr std::string_view kLegacyIssuer = "kubernetes/serviceaccount";

std::string account_key(const Secret& secret) {
  return secret.metadata.namespace_ + "/" + secret.metadata.annotations.get(api::corev1::kServiceAccountNameKey);
}

}  // namespace

client::Scope token_secrets() {
  client::Scope scope;
  scope.field_selector = "type=" + std::string(api::corev1::kSecretTypeServiceAccountToken);
  return scope;
}

ServiceAccountTokenController::ServiceAccountTokenController(const ControllerContext& context)
    : Controller(context, "serviceaccount-token-controller", context.options.concurrent_serviceaccount_token_syncs),
      secrets_(context.informers->informer<Secret>(token_secrets())),
      accounts_(context.informers->informer<ServiceAccount>()) {
  secrets_.add_index(std::string(kByAccount),
                     [](const Secret& secret) { return std::vector<std::string>{account_key(secret)}; });
  secrets_.add_handler([this](const auto&, const auto& after) {
    if (after) enqueue(client::key_of(after->metadata));
  });
  accounts_.add_handler([this](const auto& before, const auto& after) {
    if (before && after && before->metadata.uid == after->metadata.uid) return;
    for (const auto& secret : secrets_.by_index(kByAccount, client::key_of((after ? after : before)->metadata))) {
      enqueue(client::key_of(secret->metadata));
    }
  });
}

Result<std::string> ServiceAccountTokenController::sign(const Secret& secret, const ServiceAccount& account) const {
  const std::string& ns = secret.metadata.namespace_;
  api::Value claims = api::Value::object();
  claims["iss"] = kLegacyIssuer;
  claims["kubernetes.io/serviceaccount/namespace"] = ns;
  claims["kubernetes.io/serviceaccount/secret.name"] = secret.metadata.name;
  claims["kubernetes.io/serviceaccount/service-account.name"] = account.metadata.name;
  claims["kubernetes.io/serviceaccount/service-account.uid"] = account.metadata.uid;
  claims["sub"] = "system:serviceaccount:" + ns + ":" + account.metadata.name;
  const std::string& key = context().options.service_account_key_pem;
  TRY_ASSIGN(const std::string id, net::key_id(key));
  return net::sign_jwt(api::to_json(claims), key, id);
}

Result<Outcome> ServiceAccountTokenController::reconcile(const std::string& key) {
  const auto secret = secrets_.get(key);
  if (!secret || secret->metadata.deletion_timestamp) return Outcome::done();
  const auto& annotations = secret->metadata.annotations;
  const std::string name = annotations.get(api::corev1::kServiceAccountNameKey);
  if (name.empty()) return Outcome::done();
  const std::string uid = annotations.get(api::corev1::kServiceAccountUIDKey);
  auto account = accounts_.get(secret->metadata.namespace_, name);
  if (!account || (!uid.empty() && account->metadata.uid != uid)) {
    // The cache may only be behind: nothing brings a deleted secret back.
    auto fresh = client().get<ServiceAccount>(secret->metadata.namespace_, name);
    if (!fresh.ok() && !fresh.status().is(Reason::kNotFound)) return fresh.status();
    if (!fresh.ok() || (!uid.empty() && fresh->metadata.uid != uid)) {
      client::DeleteOptions options;
      options.uid = secret->metadata.uid;
      const Status gone = client().remove<Secret>(secret->metadata.namespace_, secret->metadata.name, options);
      if (!gone.ok() && !gone.is(Reason::kNotFound)) return gone;
      return Outcome::done();
    }
    account = std::make_shared<const ServiceAccount>(std::move(*fresh));
  }
  if (context().options.service_account_key_pem.empty()) return Outcome::done();
  Secret filled = *secret;
  filled.metadata.annotations.insert_or_assign(api::corev1::kServiceAccountUIDKey, account->metadata.uid);
  const std::string& ca = context().options.root_ca_pem;
  if (!ca.empty()) filled.data.insert_or_assign(api::corev1::kServiceAccountRootCAKey, ca);
  filled.data.insert_or_assign(api::corev1::kServiceAccountNamespaceKey, secret->metadata.namespace_);
  if (filled.data.get(api::corev1::kServiceAccountTokenKey).empty()) {
    TRY_ASSIGN(std::string token, sign(*secret, *account));
    filled.data.insert_or_assign(api::corev1::kServiceAccountTokenKey, std::move(token));
  }
  if (filled.data == secret->data && filled.metadata.annotations == annotations) return Outcome::done();
  const auto updated = client().update(filled);
  if (!updated.ok() && !updated.status().is(Reason::kNotFound)) return updated.status();
  return Outcome::done();
}

}  // namespace trireme::controllers
