#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/rbacv1.h"
#include "apiserver/authz/authz.h"
#include "apiserver/watch/caches.h"

namespace trireme::apiserver::authz {

/// What the role system:node allows.
std::vector<api::rbacv1::PolicyRule> node_rules();

/// The node a user is the kubelet of ("system:node:NAME" in the group system:nodes), or empty.
std::string node_of_user(const authn::UserInfo& user);

/// True when the pod's spec uses the secret / config map / claim `name`.
bool pod_uses_secret(const api::corev1::Pod& pod, std::string_view name);
bool pod_uses_config_map(const api::corev1::Pod& pod, std::string_view name);
bool pod_uses_claim(const api::corev1::Pod& pod, std::string_view name);
/// "a service account", "secrets", "configmaps" or "persistentvolumeclaims" when the pod's spec uses any; else empty.
std::string_view object_used_by(const api::corev1::Pod& pod);

/// What kubelets may do: a fixed list, and of secrets, config maps, claims and tokens only those that a pod bound to
/// the node uses, so that a stolen node gives away no more than its own pods.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
class NodeAuthorizer final : public Authorizer {
 public:
  explicit NodeAuthorizer(std::shared_ptr<Caches> caches);
  Decision authorize(const Attributes& attributes) override;
  UserRules rules_for(const authn::UserInfo& user, std::string_view ns) override;

 private:
  template <typename Uses>
  Decision allow_if_used(const std::string& node, const Attributes& attributes, Uses uses);
  Decision authorize_own(const std::string& own_name, const Attributes& attributes) const;

  std::shared_ptr<Caches> caches_;
  std::vector<api::rbacv1::PolicyRule> rules_;
};

}  // namespace trireme::apiserver::authz
