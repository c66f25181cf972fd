#include "apiserver/authz/bootstrap_policy.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "apiserver/authn/authn.h"
#include "apiserver/authz/node.h"
#include "base/text.h"

namespace trireme::apiserver::authz {
namespace {

using api::rbacv1::ClusterRole;
using api::rbacv1::ClusterRoleBinding;
using api::rbacv1::PolicyRule;
using api::rbacv1::Role;
using api::rbacv1::RoleBinding;
using api::rbacv1::Subject;

constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kRead = "get list watch";
constexpr std::string_view kWrite = "create delete deletecollection patch update";

std::vector<std::string> words(std::string_view text) {
  const auto parts = split_list(text, ' ');
  return {parts.begin(), parts.end()};
}

/// `group` "core" stands for the empty name of the core group.
PolicyRule rule(std::string_view verbs, std::string_view groups, std::string_view resources,
                std::string_view names = {}) {
  PolicyRule result;
  result.verbs = words(verbs);
  result.api_groups = words(groups);
  std::replace(result.api_groups.begin(), result.api_groups.end(), std::string("core"), std::string());
  result.resources = words(resources);
  result.resource_names = words(names);
  return result;
}

PolicyRule paths(std::string_view verbs, std::string_view urls) {
  PolicyRule result;
  result.verbs = words(verbs);
  result.non_resource_urls = words(urls);
  return result;
}

/// Recording events, in both groups that have them.
PolicyRule events() { return rule("create patch update", "core events.k8s.io", "events"); }

/// Leader election on one lease.
std::vector<PolicyRule> lease(std::string_view name) {
  return {rule("create", "coordination.k8s.io", "leases"),
          rule("get list watch update patch", "coordination.k8s.io", "leases", name)};
}

void mark(api::metav1::ObjectMeta& metadata) {
  metadata.labels["kubernetes.io/bootstrapping"] = "rbac-defaults";
  metadata.annotations["rbac.authorization.kubernetes.io/autoupdate"] = "true";
}

ClusterRole cluster_role(std::string_view name, std::vector<PolicyRule> rules) {
  ClusterRole role;
  role.metadata.name = name;
  mark(role.metadata);
  role.rules = std::move(rules);
  return role;
}

ClusterRole aggregated_role(std::string_view name, std::vector<PolicyRule> rules,
                            std::initializer_list<std::string_view> selectors, std::string_view aggregated_into = {}) {
  ClusterRole role = cluster_role(name, std::move(rules));
  if (!aggregated_into.empty()) role.metadata.labels[std::string(aggregated_into)] = "true";
  if (selectors.size() > 0) {
    auto& aggregation = role.aggregation_rule.emplace();
    for (std::string_view label : selectors) {
      aggregation.cluster_role_selectors.emplace_back().match_labels[std::string(label)] = "true";
    }
  }
  return role;
}

Subject group_subject(std::string_view name) {
  Subject subject;
  subject.kind = "Group";
  subject.api_group = kRbacGroup;
  subject.name = name;
  return subject;
}

Subject user_subject(std::string_view name) {
  Subject subject = group_subject(name);
  subject.kind = "User";
  return subject;
}

ClusterRoleBinding cluster_binding(std::string_view role, std::vector<Subject> subjects, std::string_view name = {}) {
  ClusterRoleBinding binding;
  binding.metadata.name = name.empty() ? role : name;
  mark(binding.metadata);
  binding.role_ref.api_group = kRbacGroup;
  binding.role_ref.kind = "ClusterRole";
  binding.role_ref.name = role;
  binding.subjects = std::move(subjects);
  return binding;
}

// What a user of a namespace works with, by how it may be used.
constexpr std::string_view kCoreSecretlessReads =
    "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
    "replicationcontrollers/scale serviceaccounts services services/status";
constexpr std::string_view kCoreStatusReads =
    "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
    "resourcequotas/status namespaces";
constexpr std::string_view kApps =
    "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale";
constexpr std::string_view kAppsReads =
    "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
    "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status";

std::vector<PolicyRule> view_rules() {
  return {
      rule(kRead, "core", kCoreSecretlessReads),
      rule(kRead, "core", kCoreStatusReads),
      rule(kRead, "discovery.k8s.io", "endpointslices"),
      rule(kRead, "apps", kAppsReads),
      rule(kRead, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
      rule(kRead, "batch", "cronjobs cronjobs/status jobs jobs/status"),
      rule(kRead, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
      rule(kRead, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
  };
}

std::vector<PolicyRule> edit_rules() {
  return {
      rule(kRead, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
      rule("impersonate", "core", "serviceaccounts"),
      rule(kWrite, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
      rule("create", "core", "pods/eviction"),
      rule(kWrite, "core",
           "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
           "serviceaccounts services services/proxy"),
      rule("create", "core", "serviceaccounts/token"),
      rule(kWrite, "apps", kApps),
      rule(kWrite, "apps", "deployments/rollback"),
      rule(kWrite, "autoscaling", "horizontalpodautoscalers"),
      rule(kWrite, "batch", "cronjobs jobs"),
      rule(kWrite, "policy", "poddisruptionbudgets"),
      rule(kWrite, "networking.k8s.io", "ingresses networkpolicies"),
      rule("create delete deletecollection get list patch update watch", "coordination.k8s.io", "leases"),
  };
}

std::vector<PolicyRule> admin_rules() {
  return {
      rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
      rule("create delete deletecollection get list patch update watch", "rbac.authorization.k8s.io",
           "rolebindings roles"),
  };
}

std::vector<PolicyRule> join(std::initializer_list<std::vector<PolicyRule>> parts) {
  std::vector<PolicyRule> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<PolicyRule> scheduler_rules() {
  return join({
      {events()},
      lease("kube-scheduler"),
      {
          rule(kRead, "core", "nodes"),
          rule("delete get list watch", "core", "pods"),
          rule("create", "core", "bindings pods/binding"),
          rule("patch update", "core", "pods/status"),
          rule(kRead, "core", "replicationcontrollers services namespaces"),
          rule(kRead, "apps", "replicasets statefulsets"),
          rule(kRead, "policy", "poddisruptionbudgets"),
          rule(kRead, "core", "persistentvolumeclaims persistentvolumes"),
          rule("create", "authentication.k8s.io", "tokenreviews"),
          rule("create", "authorization.k8s.io", "subjectaccessreviews"),
          rule(kRead, "storage.k8s.io", "csinodes csidrivers csistoragecapacities storageclasses volumeattachments"),
      },
  });
}

// All controllers run as one user here, so that its role is the union of what upstream gives them one by one: the
// namespace controller and the garbage collector alone must read and delete everything.
std::vector<PolicyRule> controller_manager_rules() {
  return join({
      {events()},
      lease("kube-controller-manager"),
      {
          rule("get list watch delete deletecollection patch update", "*", "*"),
          rule("create", "core",
               "configmaps endpoints persistentvolumeclaims persistentvolumes pods secrets serviceaccounts "
               "serviceaccounts/token"),
          rule("create", "apps", "controllerrevisions replicasets"),
          rule("create", "batch", "jobs"),
          rule("create", "discovery.k8s.io", "endpointslices"),
          rule("create", "storage.k8s.io", "storageclasses volumeattachments"),
          rule("create", "core", "pods/eviction"),
          rule("create", "authentication.k8s.io", "tokenreviews"),
          rule("create", "authorization.k8s.io", "subjectaccessreviews"),
          rule("approve sign", "certificates.k8s.io", "signers"),
          rule("escalate", "rbac.authorization.k8s.io", "clusterroles"),  // aggregated roles
          rule("use", "policy", "podsecuritypolicies"),
          paths("get", "*"),
      },
  });
}

std::vector<PolicyRule> usage_rules() { return {rule(kRead, "metrics.k8s.io", "nodes pods")}; }

}  // namespace

std::vector<ClusterRole> bootstrap_cluster_roles() {
  constexpr std::string_view kToAdmin = "rbac.authorization.k8s.io/aggregate-to-admin";
  constexpr std::string_view kToEdit = "rbac.authorization.k8s.io/aggregate-to-edit";
  constexpr std::string_view kToView = "rbac.authorization.k8s.io/aggregate-to-view";
  ClusterRole aggregate_to_admin = aggregated_role("system:aggregate-to-admin", admin_rules(), {}, kToAdmin);
  ClusterRole aggregate_to_edit = aggregated_role("system:aggregate-to-edit", edit_rules(), {}, kToEdit);
  ClusterRole aggregate_to_view = aggregated_role("system:aggregate-to-view", view_rules(), {}, kToView);
  // What upstream's metrics-server brings along.
  ClusterRole usage_reader = cluster_role("system:aggregated-metrics-reader", usage_rules());
  for (const std::string_view label : {kToAdmin, kToEdit, kToView}) usage_reader.metadata.labels[label] = "true";
  return {
      cluster_role("cluster-admin", {rule("*", "*", "*"), paths("*", "*")}),
      cluster_role("system:discovery",
                   {paths("get",
                          "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version "
                          "/version/")}),
      cluster_role("system:monitoring",
                   {paths("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")}),
      cluster_role("system:basic-user",
                   {rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
                    rule("create", "authentication.k8s.io", "selfsubjectreviews")}),
      cluster_role("system:public-info-viewer", {paths("get", "/healthz /livez /readyz /version /version/")}),
      // The union stands in the roles from the start, so that they hold before any controller runs.
      aggregated_role("admin", join({admin_rules(), edit_rules(), view_rules(), usage_rules()}), {kToAdmin}),
      aggregated_role("edit", join({edit_rules(), view_rules(), usage_rules()}), {kToEdit}, kToAdmin),
      aggregated_role("view", join({view_rules(), usage_rules()}), {kToView}, kToEdit),
      std::move(aggregate_to_admin),
      std::move(aggregate_to_edit),
      std::move(aggregate_to_view),
      std::move(usage_reader),
      cluster_role("system:auth-delegator", {rule("create", "authentication.k8s.io", "tokenreviews"),
                                             rule("create", "authorization.k8s.io", "subjectaccessreviews")}),
      cluster_role("system:kube-aggregator", {rule(kRead, "core", "endpoints services")}),
      cluster_role("system:kube-scheduler", scheduler_rules()),
      cluster_role("system:volume-scheduler",
                   {rule("get list patch update watch", "core", "persistentvolumes persistentvolumeclaims"),
                    rule(kRead, "storage.k8s.io", "storageclasses")}),
      cluster_role("system:kube-controller-manager", controller_manager_rules()),
      cluster_role("system:kube-dns", {rule("list watch", "core", "endpoints services")}),
      cluster_role("system:persistent-volume-provisioner",
                   {rule("create delete get list watch", "core", "persistentvolumes"),
                    rule("get list update watch", "core", "persistentvolumeclaims"),
                    rule(kRead, "storage.k8s.io", "storageclasses"), events()}),
      cluster_role("system:node-problem-detector",
                   {rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), events()}),
      // For clusters without the node authorizer; nobody is bound to it.
      cluster_role("system:node", node_rules()),
      cluster_role("system:node-proxier",
                   {rule("list watch", "core", "services endpoints"), rule("get list watch", "core", "nodes"),
                    rule("list watch", "discovery.k8s.io", "endpointslices"), events()}),
      // What the network of a node (services, DNS, policies, overlay) reads of the cluster.
      cluster_role("system:trireme-node-network", {rule(kRead, "core", "services nodes namespaces pods"),
                                                   rule(kRead, "discovery.k8s.io", "endpointslices"),
                                                   rule(kRead, "networking.k8s.io", "networkpolicies")}),
      // Secrets by their name only: to list them would be to read all.
      cluster_role("system:trireme-ingress",
                   {rule(kRead, "core", "services nodes"), rule(kRead, "discovery.k8s.io", "endpointslices"),
                    rule(kRead, "networking.k8s.io", "ingresses ingressclasses"),
                    rule("create", "networking.k8s.io", "ingressclasses"),
                    rule("update", "networking.k8s.io", "ingresses/status"), rule("get", "core", "secrets"), events()}),
      cluster_role("system:node-bootstrapper",
                   {rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")}),
      cluster_role("system:kubelet-api-admin", {rule(kRead, "core", "nodes"), rule("proxy", "core", "nodes"),
                                                rule("*", "core", "nodes/log nodes/metrics nodes/proxy nodes/stats")}),
      cluster_role("system:certificates.k8s.io:certificatesigningrequests:nodeclient",
                   {rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient")}),
      cluster_role("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
                   {rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient")}),
      cluster_role("system:service-account-issuer-discovery",
                   {paths("get",
                          "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks "
                          "/openid/v1/jwks/")}),
  };
}

std::vector<ClusterRoleBinding> bootstrap_cluster_role_bindings() {
  const Subject masters = group_subject(authn::kMastersGroup);
  const Subject authenticated = group_subject(authn::kAuthenticatedGroup);
  const Subject unauthenticated = group_subject(authn::kUnauthenticatedGroup);
  return {
      cluster_binding("cluster-admin", {masters}),
      cluster_binding("system:monitoring", {group_subject("system:monitoring")}),
      cluster_binding("system:discovery", {authenticated}),
      cluster_binding("system:basic-user", {authenticated}),
      cluster_binding("system:public-info-viewer", {authenticated, unauthenticated}),
      cluster_binding("system:node", {}),
      cluster_binding("system:node-proxier", {user_subject("system:kube-proxy")}),
      cluster_binding("system:trireme-node-network", {group_subject("system:nodes")}),
      cluster_binding("system:trireme-ingress", {user_subject("system:trireme-ingress")}),
      cluster_binding("system:kube-controller-manager", {user_subject("system:kube-controller-manager")}),
      cluster_binding("system:kube-scheduler", {user_subject("system:kube-scheduler")}),
      cluster_binding("system:volume-scheduler", {user_subject("system:kube-scheduler")}),
      cluster_binding("system:service-account-issuer-discovery", {group_subject("system:serviceaccounts")}),
      cluster_binding("system:kubelet-api-admin", {user_subject("kube-apiserver-kubelet-client")},
                      "system:kube-apiserver-kubelet-client"),
  };
}

std::vector<Role> bootstrap_roles() {
  Role role;
  role.metadata.name = "extension-apiserver-authentication-reader";
  role.metadata.namespace_ = "kube-system";
  mark(role.metadata);
  role.rules = {rule("get list watch", "core", "configmaps", "extension-apiserver-authentication")};
  return {std::move(role)};
}

std::vector<RoleBinding> bootstrap_role_bindings() {
  RoleBinding binding;
  binding.metadata.name = "system::extension-apiserver-authentication-reader";
  binding.metadata.namespace_ = "kube-system";
  mark(binding.metadata);
  binding.role_ref.api_group = kRbacGroup;
  binding.role_ref.kind = "Role";
  binding.role_ref.name = "extension-apiserver-authentication-reader";
  binding.subjects = {user_subject("system:kube-controller-manager"), user_subject("system:kube-scheduler")};
  return {std::move(binding)};
}

}  // namespace trireme::apiserver::authz
