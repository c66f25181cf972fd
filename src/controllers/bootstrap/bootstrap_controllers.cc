#include "controllers/bootstrap/bootstrap_controllers.h"

#include <algorithm>
#include <map>

#include "controllers/bootstrap/bootstrap_tokens.h"
#include "net/jwt.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;
using api::corev1::Secret;

constexpr std::string_view kMapNamespace = "kube-public";
constexpr std::string_view kMapName = "cluster-info";
constexpr std::string_view kMapKey = "kube-public/cluster-info";
constexpr std::string_view kSignaturePrefix = "jws-kubeconfig-";

/// Both controllers watch bootstrap tokens only, not every secret of the cluster.
client::Scope token_scope() {
  client::Scope scope;
  scope.ns = "kube-system";
  scope.field_selector = "type=" + std::string(kBootstrapTokenType);
  return scope;
}

client::Scope map_scope() {
  client::Scope scope;
  scope.ns = kMapNamespace;
  scope.field_selector = "metadata.name=" + std::string(kMapName);
  return scope;
}

}  // namespace

TokenCleanerController::TokenCleanerController(const ControllerContext& context)
    : Controller(context, "token-cleaner-controller"), secrets_(context.informers->informer<Secret>(token_scope())) {
  secrets_.add_handler([this](const auto&, const auto& after) {
    if (after) enqueue(client::key_of(after->metadata));
  });
}

Result<Outcome> TokenCleanerController::reconcile(const std::string& key) {
  const auto secret = secrets_.get(key);
  if (!secret || secret->metadata.deletion_timestamp) return Outcome::done();
  const auto end = token_expiration(*secret);
  if (!end) return Outcome::done();
  const Duration left = *end - clock().now();
  if (left > Duration::zero()) return Outcome::again_after(left);
  client::DeleteOptions options;
  options.uid = secret->metadata.uid;
  const Status status = client().remove<Secret>(secret->metadata.namespace_, secret->metadata.name, options);
  if (!status.ok() && !status.is(Reason::kNotFound)) return status;
  return Outcome::done();
}

BootstrapSignerController::BootstrapSignerController(const ControllerContext& context)
    : Controller(context, "bootstrap-signer-controller"),
      secrets_(context.informers->informer<Secret>(token_scope())),
      maps_(context.informers->informer<ConfigMap>(map_scope())) {
  secrets_.add_handler([this](const auto&, const auto&) { enqueue(std::string(kMapKey)); });
  maps_.add_handler([this](const auto&, const auto& after) {
    if (after) enqueue(std::string(kMapKey));
  });
}

Result<Outcome> BootstrapSignerController::reconcile(const std::string& key) {
  const auto map = maps_.get(key);
  if (!map || map->metadata.deletion_timestamp) return Outcome::done();
  const std::string kubeconfig = map->data.get("kubeconfig");
  if (kubeconfig.empty()) return Outcome::done();
  const WallTime now = clock().now();
  std::map<std::string, std::string> wanted;
  std::optional<WallTime> next;
  for (const auto& secret : secrets_.list()) {
    const auto token = signing_token(*secret, now);
    if (!token) continue;
    TRY_ASSIGN(std::string signature, net::sign_detached_hs256(kubeconfig, token->secret, token->id));
    wanted.emplace(std::string(kSignaturePrefix) + token->id, std::move(signature));
    if (const auto end = token_expiration(*secret); end && (!next || *end < *next)) next = end;
  }
  ConfigMap signed_map = *map;
  for (const auto& [name, value] : map->data) {
    if (name.starts_with(kSignaturePrefix)) signed_map.data.erase(name);
  }
  for (auto& [name, signature] : wanted) signed_map.data.insert_or_assign(name, std::move(signature));
  if (signed_map.data != map->data) TRY(client().update(signed_map).status());
  return next ? Outcome::again_after(*next - now) : Outcome::done();
}

}  // namespace trireme::controllers
