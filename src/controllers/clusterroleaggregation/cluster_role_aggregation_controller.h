#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/rbacv1.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// The rules of `role` by its aggregation rule: those of all roles that one of its selectors picks, in the order of
/// their names, each rule once. A selector that cannot be read picks nothing.
std::vector<api::rbacv1::PolicyRule> aggregated_rules(
    const api::rbacv1::ClusterRole& role, const std::vector<std::shared_ptr<const api::rbacv1::ClusterRole>>& all);

/// Fills in the rules of cluster roles that aggregate others (admin, edit, view, and users' own).
/// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
class ClusterRoleAggregationController final : public Controller {
 public:
  explicit ClusterRoleAggregationController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  client::Informer<api::rbacv1::ClusterRole>& roles_;
};

}  // namespace trireme::controllers
