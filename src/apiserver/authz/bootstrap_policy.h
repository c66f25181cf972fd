#pragma once

#include <stop_token>
#include <vector>

#include "api/types/rbacv1.h"
#include "base/result.h"

namespace trireme::apiserver {
class ApiServer;
}

namespace trireme::apiserver::authz {

/// The roles and bindings every cluster starts with.
/// Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
std::vector<api::rbacv1::ClusterRole> bootstrap_cluster_roles();
std::vector<api::rbacv1::ClusterRoleBinding> bootstrap_cluster_role_bindings();
std::vector<api::rbacv1::Role> bootstrap_roles();
std::vector<api::rbacv1::RoleBinding> bootstrap_role_bindings();

/// Creates what is missing and adds what a newer release brought to existing roles, except where the annotation
/// rbac.authorization.kubernetes.io/autoupdate is "false". Nothing is ever taken away.
Status reconcile_bootstrap_policy(ApiServer& server, std::stop_token stop);

}  // namespace trireme::apiserver::authz
