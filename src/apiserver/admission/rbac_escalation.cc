#include <fmt/format.h>

#include <algorithm>

#include "api/status_convert.h"
#include "api/types/rbacv1.h"
#include "api/validation/equal.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authz/coverage.h"

namespace trireme::apiserver::admission {
namespace {

namespace rbac = api::rbacv1;

/// Whoever writes a role must hold all that it grants, or may `escalate` it; whoever binds one must hold it, or may
/// `bind` it. Without this a right to write roles or bindings would be all rights.
/// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
class RbacEscalation final : public Plugin {
 public:
  RbacEscalation(std::shared_ptr<Caches> caches, std::shared_ptr<authz::Authorizer> authorizer)
      : caches_(std::move(caches)), authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "RBACEscalation"; }

  Status validate(const Attributes& attributes) override {
    if (attributes.object == nullptr || !attributes.subresource.empty()) return {};
    if (attributes.resource->group != rbac::kGroupName) return {};
    const api::Object& object = *attributes.object;
    const api::Object* old = attributes.old_object;
    if (const auto* role = object.as<rbac::Role>()) {
      if (old != nullptr && same(*old, object)) return {};
      return check_role(attributes, "roles", role->metadata.name, role->rules);
    }
    if (const auto* role = object.as<rbac::ClusterRole>()) {
      if (old != nullptr && same(*old, object)) return {};
      std::vector<rbac::PolicyRule> rules = role->rules;
      // What a role gathers from others may come to be anything.
      if (role->aggregation_rule) rules = everything();
      return check_role(attributes, "clusterroles", role->metadata.name, rules);
    }
    if (const auto* binding = object.as<rbac::RoleBinding>()) {
      if (old != nullptr && same(*old, object)) return {};
      return check_binding(attributes, binding->role_ref);
    }
    if (const auto* binding = object.as<rbac::ClusterRoleBinding>()) {
      if (old != nullptr && same(*old, object)) return {};
      return check_binding(attributes, binding->role_ref);
    }
    return {};
  }

 private:
  /// Whether an update changes nothing but metadata.
  static bool same(const api::Object& old, const api::Object& updated) {
    api::Object compared = updated.clone();
    compared.metadata() = old.metadata();
    return api::validation::semantic_equal(old.type(), old.data(), compared.data());
  }
  static std::vector<rbac::PolicyRule> everything() {
    std::vector<rbac::PolicyRule> rules(2);
    rules[0].verbs = rules[0].api_groups = rules[0].resources = {"*"};
    rules[1].verbs = rules[1].non_resource_urls = {"*"};
    return rules;
  }

  bool may(const Attributes& attributes, std::string_view verb, std::string_view resource, const std::string& name) {
    authz::Attributes question;
    question.user = *attributes.user;
    question.verb = verb;
    question.group = rbac::kGroupName;
    question.version = attributes.resource->version;
    question.resource = resource;
    question.namespace_ = attributes.ns;
    question.name = name;
    question.is_resource = true;
    return authorizer_->authorize(question).allowed();
  }

  Status check_role(const Attributes& attributes, std::string_view resource, const std::string& name,
                    const std::vector<rbac::PolicyRule>& rules) {
    if (may(attributes, "escalate", resource, name)) return {};
    return check_rules(attributes, rules);
  }

  Status check_binding(const Attributes& attributes, const rbac::RoleRef& reference) {
    const bool in_cluster = reference.kind == "ClusterRole";
    if (may(attributes, "bind", in_cluster ? "clusterroles" : "roles", reference.name)) return {};
    std::vector<rbac::PolicyRule> rules;
    if (in_cluster) {
      TRY_ASSIGN(const auto role, caches_->get<rbac::ClusterRole>("", reference.name));
      rules = role->rules;
    } else {
      TRY_ASSIGN(const auto role, caches_->get<rbac::Role>(attributes.ns, reference.name));
      rules = role->rules;
    }
    return check_rules(attributes, rules);
  }

  Status check_rules(const Attributes& attributes, const std::vector<rbac::PolicyRule>& rules) {
    const authz::UserRules held = authorizer_->rules_for(*attributes.user, attributes.ns);
    const std::vector<std::string> missing = authz::not_covered(held, rules);
    if (missing.empty()) return {};
    std::string groups;
    for (const std::string& group : attributes.user->groups)
      groups += (groups.empty() ? "" : " ") + api::go_quote(group);
    std::string why =
        fmt::format("user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
                    api::go_quote(attributes.user->name), groups, fmt::join(missing, "\n"));
    if (held.incomplete) why += "; resolution errors: [" + held.evaluation_error + "]";
    return forbidden(attributes, why);
  }

  const std::shared_ptr<Caches> caches_;
  const std::shared_ptr<authz::Authorizer> authorizer_;
};

}  // namespace

std::shared_ptr<Plugin> rbac_escalation_plugin(std::shared_ptr<Caches> caches,
                                               std::shared_ptr<authz::Authorizer> authorizer) {
  return std::make_shared<RbacEscalation>(std::move(caches), std::move(authorizer));
}

}  // namespace trireme::apiserver::admission
