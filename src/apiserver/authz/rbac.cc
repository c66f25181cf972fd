#include "apiserver/authz/rbac.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "apiserver/authz/rule_words.h"

namespace trireme::apiserver::authz {
namespace {

using api::rbacv1::ClusterRole;
using api::rbacv1::ClusterRoleBinding;
using api::rbacv1::PolicyRule;
using api::rbacv1::Role;
using api::rbacv1::RoleBinding;
using api::rbacv1::RoleRef;
using api::rbacv1::Subject;

bool resource_matches(const PolicyRule& rule, const Attributes& attributes) {
  if (attributes.subresource.empty()) return has_or_all(rule.resources, attributes.resource);
  return has(rule.resources, "*") || has(rule.resources, attributes.resource + "/" + attributes.subresource) ||
         has(rule.resources, "*/" + attributes.subresource);
}

class MastersAuthorizer final : public Authorizer {
 public:
  Decision authorize(const Attributes& attributes) override {
    return attributes.user.in_group(authn::kMastersGroup) ? Decision::allow() : Decision::no_opinion();
  }
  UserRules rules_for(const authn::UserInfo& user, std::string_view) override {
    UserRules rules;
    if (user.in_group(authn::kMastersGroup)) {
      rules.resources.push_back({{"*"}, {"*"}, {"*"}, {}});
      rules.paths.push_back({{"*"}, {"*"}});
    }
    return rules;
  }
};

}  // namespace

bool rule_allows(const PolicyRule& rule, const Attributes& attributes) {
  if (!has_or_all(rule.verbs, attributes.verb)) return false;
  if (!attributes.is_resource) return has_path(rule.non_resource_urls, attributes.path);
  return has_or_all(rule.api_groups, attributes.group) && resource_matches(rule, attributes) &&
         (rule.resource_names.empty() || has(rule.resource_names, attributes.name));
}

Result<std::shared_ptr<const RbacAuthorizer::Index>> RbacAuthorizer::index() {
  std::array<store::Revision, 4> revisions{};
  size_t i = 0;
  for (const api::ResourceInfo* resource : {&api::resource_of<ClusterRoleBinding>(), &api::resource_of<ClusterRole>(),
                                            &api::resource_of<RoleBinding>(), &api::resource_of<Role>()}) {
    TRY_ASSIGN(revisions[i++], caches_->changed_at(*resource));
  }
  std::lock_guard lock(mutex_);
  if (index_ && index_->built_at == revisions) return index_;
  TRY_ASSIGN(index_, build(revisions));
  return index_;
}

Result<std::shared_ptr<const RbacAuthorizer::Index>> RbacAuthorizer::build(std::array<store::Revision, 4> revisions) {
  auto index = std::make_shared<Index>();
  index->built_at = revisions;

  // Rules by role, shared by all bindings to it. The key is "Kind namespace/name".
  std::unordered_map<std::string, std::shared_ptr<const std::vector<PolicyRule>>> rules;
  TRY_ASSIGN(auto cluster_roles, caches_->list<ClusterRole>());
  for (const auto& role : cluster_roles) rules["ClusterRole /" + role->metadata.name] = {role, &role->rules};
  TRY_ASSIGN(auto roles, caches_->list<Role>());
  for (const auto& role : roles) {
    rules["Role " + role->metadata.namespace_ + "/" + role->metadata.name] = {role, &role->rules};
  }

  auto add = [&](std::string_view kind, const api::metav1::ObjectMeta& metadata, const RoleRef& reference,
                 const std::vector<Subject>& subjects) {
    const std::string& ns = metadata.namespace_;
    auto found = rules.find(reference.kind + " " + (reference.kind == "Role" ? ns : "") + "/" + reference.name);
    if (found == rules.end()) return;  // a binding to a role that is not there grants nothing
    Grant grant;
    grant.binding = fmt::format("{} \"{}{}{}\"", kind, metadata.name, ns.empty() ? "" : "/", ns);
    grant.role = fmt::format("{} \"{}\"", reference.kind, reference.name);
    grant.namespace_ = ns;
    grant.rules = found->second;
    for (const Subject& subject : subjects) {
      GrantsBySubject& grants = subject.kind == "Group" ? index->groups : index->users;
      std::string name = subject.name;
      grant.subject = fmt::format("{} \"{}\"", subject.kind, subject.name);
      if (subject.kind == "ServiceAccount") {
        const std::string& account_ns = subject.namespace_.empty() ? ns : subject.namespace_;
        name = fmt::format("system:serviceaccount:{}:{}", account_ns, subject.name);
        grant.subject = fmt::format("ServiceAccount \"{}/{}\"", subject.name, account_ns);
      } else if (subject.kind != "User" && subject.kind != "Group") {
        continue;
      }
      grants[name][ns].push_back(std::make_shared<const Grant>(grant));
    }
  };
  TRY_ASSIGN(auto cluster_bindings, caches_->list<ClusterRoleBinding>());
  for (const auto& binding : cluster_bindings) {
    add("ClusterRoleBinding", binding->metadata, binding->role_ref, binding->subjects);
  }
  TRY_ASSIGN(auto bindings, caches_->list<RoleBinding>());
  for (const auto& binding : bindings) add("RoleBinding", binding->metadata, binding->role_ref, binding->subjects);
  return std::shared_ptr<const Index>(std::move(index));
}

/// Calls `visit` with every grant of the user that holds in `ns`, until it returns true; true when it did.
template <typename Visit>
bool RbacAuthorizer::visit_grants(const Index& index, const authn::UserInfo& user, std::string_view ns, Visit visit) {
  auto visit_subject = [&](const GrantsBySubject& subjects, const std::string& name) {
    auto subject = subjects.find(name);
    if (subject == subjects.end()) return false;
    for (std::string_view scope : {std::string_view(), ns}) {
      auto grants = subject->second.find(std::string(scope));
      if (grants != subject->second.end()) {
        for (const GrantPointer& grant : grants->second) {
          if (visit(*grant)) return true;
        }
      }
      if (ns.empty()) break;
    }
    return false;
  };
  if (visit_subject(index.users, user.name)) return true;
  return std::any_of(user.groups.begin(), user.groups.end(),
                     [&](const std::string& group) { return visit_subject(index.groups, group); });
}

Decision RbacAuthorizer::authorize(const Attributes& attributes) {
  auto current = index();
  if (!current.ok()) return Decision::no_opinion("RBAC: " + current.status().message());
  std::string reason;
  bool allowed = visit_grants(**current, attributes.user, attributes.namespace_, [&](const Grant& grant) {
    for (const PolicyRule& rule : *grant.rules) {
      if (!rule_allows(rule, attributes)) continue;
      reason = fmt::format("RBAC: allowed by {} of {} to {}", grant.binding, grant.role, grant.subject);
      return true;
    }
    return false;
  });
  return allowed ? Decision::allow(std::move(reason)) : Decision::no_opinion();
}

UserRules RbacAuthorizer::rules_for(const authn::UserInfo& user, std::string_view ns) {
  UserRules result;
  auto current = index();
  if (!current.ok()) {
    result.incomplete = true;
    result.evaluation_error = current.status().message();
    return result;
  }
  std::set<std::string_view> seen;  // a user may be bound by name and by several groups
  visit_grants(**current, user, ns, [&](const Grant& grant) {
    if (!seen.insert(grant.binding).second) return false;
    for (const PolicyRule& rule : *grant.rules) {
      if (!rule.resources.empty()) {
        result.resources.push_back({rule.verbs, rule.api_groups, rule.resources, rule.resource_names});
      }
      if (!rule.non_resource_urls.empty() && grant.namespace_.empty()) {
        result.paths.push_back({rule.verbs, rule.non_resource_urls});
      }
    }
    return false;
  });
  return result;
}

std::shared_ptr<Authorizer> masters_authorizer() { return std::make_shared<MastersAuthorizer>(); }

}  // namespace trireme::apiserver::authz
