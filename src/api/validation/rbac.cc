// Roles and bindings.

#include "api/codec.h"
#include "api/types/rbacv1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/rules.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kRoleKinds[] = {"Role", "ClusterRole"};
constexpr std::string_view kClusterRoleKinds[] = {"ClusterRole"};

void check_rules(const std::vector<rbacv1::PolicyRule>& rules, bool namespaced, ErrorList& errors) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto& rule = rules[i];
    const Path at = Path("rules").index(i);
    if (rule.verbs.empty()) errors.required(at.child("verbs"), "verbs must contain at least one value");
    if (!rule.non_resource_urls.empty()) {
      const Path urls = at.child("nonResourceURLs");
      if (namespaced) {
        errors.invalid(urls, rule.non_resource_urls, "namespaced rules cannot apply to non-resource URLs");
      }
      if (!rule.api_groups.empty() || !rule.resources.empty() || !rule.resource_names.empty()) {
        errors.invalid(urls, rule.non_resource_urls,
                       "rules cannot apply to both regular resources and non-resource URLs");
      }
      continue;
    }
    if (rule.api_groups.empty()) {
      errors.required(at.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if (rule.resources.empty()) {
      errors.required(at.child("resources"), "resource rules must supply at least one resource");
    }
  }
}

void role_create(const rbacv1::Role& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kPathSegment, Path("metadata"), errors);
  check_rules(object.rules, true, errors);
}

void role_update(const rbacv1::Role& updated, const rbacv1::Role& old, ErrorList& errors) {
  role_create(updated, errors);
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
}

void cluster_role_create(const rbacv1::ClusterRole& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kPathSegment, Path("metadata"), errors);
  check_rules(object.rules, false, errors);
  if (!object.aggregation_rule) return;
  const Path at("aggregationRule.clusterRoleSelectors");
  const auto& selectors = object.aggregation_rule->cluster_role_selectors;
  if (selectors.empty()) errors.required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil");
  for (size_t i = 0; i < selectors.size(); ++i) check_selector(selectors[i], at.index(i), errors);
}

void cluster_role_update(const rbacv1::ClusterRole& updated, const rbacv1::ClusterRole& old, ErrorList& errors) {
  cluster_role_create(updated, errors);
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
}

void check_subject(const rbacv1::Subject& subject, bool namespaced, const Path& at, ErrorList& errors) {
  if (subject.name.empty()) errors.required(at.child("name"));
  if (subject.kind == rbacv1::kServiceAccountKind) {
    if (!subject.name.empty()) check_name(NameRule::kSubdomain, subject.name, at.child("name"), errors);
    if (!subject.api_group.empty()) errors.not_supported(at.child("apiGroup"), subject.api_group, {""});
    if (!namespaced && subject.namespace_.empty()) errors.required(at.child("namespace"));
  } else if (subject.kind == rbacv1::kUserKind || subject.kind == rbacv1::kGroupKind) {
    if (subject.api_group != kGroup) errors.not_supported(at.child("apiGroup"), subject.api_group, {kGroup});
  } else {
    errors.not_supported(at.child("kind"), subject.kind, {"ServiceAccount", "User", "Group"});
  }
}

/// A RoleBinding or a ClusterRoleBinding.
template <typename Binding>
void check_binding_parts(const Binding& object, bool namespaced, ErrorList& errors) {
  check_object_meta(object.metadata, namespaced, NameRule::kPathSegment, Path("metadata"), errors);
  const Path role("roleRef");
  if (object.role_ref.api_group != kGroup) {
    errors.not_supported(role.child("apiGroup"), object.role_ref.api_group, {kGroup});
  }
  const std::string& kind = object.role_ref.kind;
  if (namespaced ? kind != "Role" && kind != "ClusterRole" : kind != "ClusterRole") {
    errors.not_supported(role.child("kind"), kind, namespaced ? Supported(kRoleKinds) : Supported(kClusterRoleKinds));
  }
  if (object.role_ref.name.empty()) {
    errors.required(role.child("name"));
  } else {
    check_name(NameRule::kPathSegment, object.role_ref.name, role.child("name"), errors);
  }
  for (size_t i = 0; i < object.subjects.size(); ++i) {
    check_subject(object.subjects[i], namespaced, Path("subjects").index(i), errors);
  }
}

template <typename Binding>
void check_binding_update(const Binding& updated, const Binding& old, bool namespaced, ErrorList& errors) {
  check_binding_parts(updated, namespaced, errors);
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (!semantic_equal(updated.role_ref, old.role_ref)) {
    const auto& role = updated.role_ref;
    errors.invalid(Path("roleRef"),
                   BadValue::raw("rbac.RoleRef{APIGroup:" + go_quote(role.api_group) + ", Kind:" + go_quote(role.kind) +
                                 ", Name:" + go_quote(role.name) + "}"),
                   "cannot change roleRef");
  }
}

void role_binding_create(const rbacv1::RoleBinding& object, ErrorList& errors) {
  check_binding_parts(object, true, errors);
}

void role_binding_update(const rbacv1::RoleBinding& updated, const rbacv1::RoleBinding& old, ErrorList& errors) {
  check_binding_update(updated, old, true, errors);
}

void cluster_role_binding_create(const rbacv1::ClusterRoleBinding& object, ErrorList& errors) {
  check_binding_parts(object, false, errors);
}

void cluster_role_binding_update(const rbacv1::ClusterRoleBinding& updated, const rbacv1::ClusterRoleBinding& old,
                                 ErrorList& errors) {
  check_binding_update(updated, old, false, errors);
}

}  // namespace

std::span<const KindRules> rbac_rules() {
  static const KindRules kRules[] = {
      kind_rules<rbacv1::Role, role_create, role_update>(),
      kind_rules<rbacv1::ClusterRole, cluster_role_create, cluster_role_update>(),
      kind_rules<rbacv1::RoleBinding, role_binding_create, role_binding_update>(),
      kind_rules<rbacv1::ClusterRoleBinding, cluster_role_binding_create, cluster_role_binding_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
