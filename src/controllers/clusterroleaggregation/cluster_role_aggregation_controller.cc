#include "controllers/clusterroleaggregation/cluster_role_aggregation_controller.h"

#include <algorithm>
#include <set>

#include "api/codec.h"
#include "api/selectors.h"

namespace trireme::controllers {

using api::rbacv1::ClusterRole;
using api::rbacv1::PolicyRule;
using RolePointer = std::shared_ptr<const ClusterRole>;

namespace {

bool same_rules(const std::vector<PolicyRule>& a, const std::vector<PolicyRule>& b) {
  return std::ranges::equal(
      a, b, [](const PolicyRule& x, const PolicyRule& y) { return api::encode_json(x) == api::encode_json(y); });
}

}  // namespace

std::vector<PolicyRule> aggregated_rules(const ClusterRole& role, const std::vector<RolePointer>& all) {
  std::vector<PolicyRule> out;
  std::set<std::string> seen;
  if (!role.aggregation_rule) return out;
  for (const auto& each : role.aggregation_rule->cluster_role_selectors) {
    const auto selector = api::LabelSelector::from(each);
    if (!selector.ok()) continue;
    for (const RolePointer& other : all) {
      if (other->metadata.name == role.metadata.name || !selector->matches(other->metadata.labels)) continue;
      for (const PolicyRule& rule : other->rules) {
        if (seen.insert(api::encode_json(rule)).second) out.push_back(rule);
      }
    }
  }
  return out;
}

ClusterRoleAggregationController::ClusterRoleAggregationController(const ControllerContext& context)
    : Controller(context, "clusterrole-aggregation-controller"), roles_(context.informers->informer<ClusterRole>()) {
  // Any change may concern any role that aggregates.
  roles_.add_handler([this](const RolePointer&, const RolePointer&) {
    for (const RolePointer& role : roles_.list()) {
      if (role->aggregation_rule) enqueue(role->metadata.name);
    }
  });
}

Result<Outcome> ClusterRoleAggregationController::reconcile(const std::string& key) {
  const RolePointer role = roles_.get("", key);
  if (!role || !role->aggregation_rule) return Outcome::done();
  std::vector<PolicyRule> rules = aggregated_rules(*role, roles_.list());
  if (same_rules(role->rules, rules)) return Outcome::done();
  ClusterRole changed = *role;
  changed.rules = std::move(rules);
  const Status written = client().update(changed).status();
  if (!written.ok() && !written.is(Reason::kNotFound)) return written;
  return Outcome::done();
}

}  // namespace trireme::controllers
