#include "apiserver/authz/bootstrap_policy.h"

#include <gtest/gtest.h>

#include <set>

#include "apiserver/authz/rbac.h"
#include "integration/support/test_api_server.h"

namespace trireme::apiserver::authz {
namespace {

constexpr const char* kRoles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
constexpr const char* kBindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

TEST(BootstrapPolicy, NamesEachRoleOnceAndBindsOnlyRolesThatExist) {
  std::set<std::string> names;
  for (const auto& role : bootstrap_cluster_roles()) {
    EXPECT_TRUE(names.insert(role.metadata.name).second) << role.metadata.name;
    EXPECT_EQ(role.metadata.labels.at("kubernetes.io/bootstrapping"), "rbac-defaults");
  }
  for (const char* expected :
       {"cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user", "system:public-info-viewer",
        "system:kube-scheduler", "system:kube-controller-manager", "system:node", "system:node-proxier"}) {
    EXPECT_TRUE(names.contains(expected)) << expected;
  }
  for (const auto& binding : bootstrap_cluster_role_bindings()) {
    EXPECT_TRUE(names.contains(binding.role_ref.name)) << binding.metadata.name;
  }
  std::set<std::string> roles;
  for (const auto& role : bootstrap_roles()) roles.insert(role.metadata.namespace_ + "/" + role.metadata.name);
  for (const auto& binding : bootstrap_role_bindings()) {
    if (binding.role_ref.kind != "Role") continue;
    EXPECT_TRUE(roles.contains(binding.metadata.namespace_ + "/" + binding.role_ref.name)) << binding.metadata.name;
  }
}

class ReconcileTest : public testing::Test {
 protected:
  void reconcile() {
    Status status = reconcile_bootstrap_policy(server_.server(), {});
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  std::string version(const std::string& target) { return server_.get(target).at({"metadata", "resourceVersion"}); }

  test::TestApiServer server_;
};

TEST_F(ReconcileTest, WritesOnceAndThenNothing) {
  reconcile();
  EXPECT_EQ(server_.get(kRoles).names().size(), bootstrap_cluster_roles().size());
  EXPECT_EQ(server_.get(kBindings).names().size(), bootstrap_cluster_role_bindings().size());
  std::string before = server_.get(kRoles).at({"metadata", "resourceVersion"});
  reconcile();
  EXPECT_EQ(server_.get(kRoles).at({"metadata", "resourceVersion"}), before);
}

TEST_F(ReconcileTest, BringsBackWhatIsMissingAndKeepsWhatWasAdded) {
  reconcile();
  std::string view = std::string(kRoles) + "/view";
  ASSERT_EQ(
      server_.patch(view, R"({"rules":[{"verbs":["get"],"apiGroups":["example.com"],"resources":["things"]}]})").status,
      200);
  ASSERT_EQ(server_.remove(std::string(kRoles) + "/edit").status, 200);
  ASSERT_EQ(server_.patch(std::string(kBindings) + "/cluster-admin", R"({"subjects":null})").status, 200);
  reconcile();
  api::Value role = server_.get(view).json();
  const api::Value* rules = role.find("rules");
  ASSERT_NE(rules, nullptr);
  EXPECT_GT(rules->as_array().size(), 1U);
  EXPECT_EQ(rules->as_array()[0].at_path({"apiGroups", "0"})->as_string(), "example.com");
  EXPECT_EQ(server_.get(std::string(kRoles) + "/edit").status, 200);
  EXPECT_EQ(server_.get(std::string(kBindings) + "/cluster-admin").at({"subjects", "0", "name"}), "system:masters");
}

TEST_F(ReconcileTest, LeavesAloneWhatSaysSo) {
  reconcile();
  std::string view = std::string(kRoles) + "/view";
  ASSERT_EQ(server_
                .patch(view, R"({"metadata":{"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}},
                                 "rules":[]})")
                .status,
            200);
  std::string before = version(view);
  reconcile();
  EXPECT_EQ(version(view), before);
}

TEST_F(ReconcileTest, StopsWhenAskedTo) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(reconcile_bootstrap_policy(server_.server(), stop.get_token()).ok());
  EXPECT_TRUE(server_.get(kRoles).names().empty());
}

TEST_F(ReconcileTest, GivesTheComponentsWhatTheyNeed) {
  reconcile();
  RbacAuthorizer authorizer(std::shared_ptr<Caches>(std::shared_ptr<void>(), &server_.server().caches()));
  auto allowed = [&](std::string user, std::string verb, std::string group, std::string resource,
                     std::string ns = "default", std::string subresource = "") {
    Attributes attributes;
    attributes.user.name = std::move(user);
    attributes.user.groups = {"system:authenticated"};
    attributes.verb = std::move(verb);
    attributes.group = std::move(group);
    attributes.resource = std::move(resource);
    attributes.subresource = std::move(subresource);
    attributes.namespace_ = std::move(ns);
    attributes.is_resource = true;
    return authorizer.authorize(attributes).allowed();
  };
  EXPECT_TRUE(allowed("system:kube-scheduler", "create", "", "pods", "default", "binding"));
  EXPECT_TRUE(allowed("system:kube-scheduler", "watch", "", "nodes", ""));
  EXPECT_FALSE(allowed("system:kube-scheduler", "get", "", "secrets"));
  EXPECT_TRUE(allowed("system:kube-controller-manager", "create", "apps", "replicasets"));
  // Aggregated roles grow by what others grant; nothing else may.
  EXPECT_TRUE(allowed("system:kube-controller-manager", "escalate", "rbac.authorization.k8s.io", "clusterroles", ""));
  EXPECT_FALSE(allowed("system:kube-controller-manager", "escalate", "rbac.authorization.k8s.io", "roles"));
  EXPECT_FALSE(allowed("system:kube-controller-manager", "bind", "rbac.authorization.k8s.io", "clusterroles", ""));
  EXPECT_TRUE(allowed("anybody", "create", "authorization.k8s.io", "selfsubjectaccessreviews", ""));
  EXPECT_FALSE(allowed("anybody", "list", "", "pods"));
}

}  // namespace
}  // namespace trireme::apiserver::authz
