#include "apiserver/authz/rbac.h"

#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme::apiserver::authz {
namespace {

using api::rbacv1::PolicyRule;
using Strings = std::vector<std::string>;

Attributes resource(std::string verb, std::string group, std::string what, std::string subresource = "",
                    std::string name = "", std::string ns = "") {
  Attributes attributes;
  attributes.verb = std::move(verb);
  attributes.group = std::move(group);
  attributes.resource = std::move(what);
  attributes.subresource = std::move(subresource);
  attributes.name = std::move(name);
  attributes.namespace_ = std::move(ns);
  attributes.is_resource = true;
  return attributes;
}

Attributes path(std::string verb, std::string text) {
  Attributes attributes;
  attributes.verb = std::move(verb);
  attributes.path = std::move(text);
  return attributes;
}

PolicyRule rule(Strings verbs, Strings groups, Strings resources, Strings names = {}) {
  PolicyRule result;
  result.verbs = std::move(verbs);
  result.api_groups = std::move(groups);
  result.resources = std::move(resources);
  result.resource_names = std::move(names);
  return result;
}

PolicyRule paths(Strings verbs, Strings urls) {
  PolicyRule result;
  result.verbs = std::move(verbs);
  result.non_resource_urls = std::move(urls);
  return result;
}

TEST(RbacRules, Match) {
  struct Case {
    const char* about;
    PolicyRule rule;
    Attributes request;
    bool allowed;
  };
  const std::vector<Case> cases = {
      {"exact", rule({"get"}, {""}, {"pods"}), resource("get", "", "pods"), true},
      {"other verb", rule({"get"}, {""}, {"pods"}), resource("list", "", "pods"), false},
      {"other resource", rule({"get"}, {""}, {"pods"}), resource("get", "", "secrets"), false},
      {"other group", rule({"get"}, {""}, {"events"}), resource("get", "events.k8s.io", "events"), false},
      {"any verb", rule({"*"}, {""}, {"pods"}), resource("impersonate", "", "pods"), true},
      {"any group", rule({"get"}, {"*"}, {"events"}), resource("get", "events.k8s.io", "events"), true},
      {"any resource", rule({"get"}, {""}, {"*"}), resource("get", "", "secrets"), true},
      {"any resource has its subresources", rule({"get"}, {""}, {"*"}), resource("get", "", "pods", "log"), true},
      {"a subresource is not the resource", rule({"get"}, {""}, {"pods/log"}), resource("get", "", "pods"), false},
      {"nor the other way", rule({"get"}, {""}, {"pods"}), resource("get", "", "pods", "log"), false},
      {"subresource", rule({"get"}, {""}, {"pods/log"}), resource("get", "", "pods", "log"), true},
      {"every resource's subresource", rule({"get"}, {"apps"}, {"*/scale"}),
       resource("get", "apps", "deployments", "scale"), true},
      {"but not another one", rule({"get"}, {"apps"}, {"*/scale"}), resource("get", "apps", "deployments", "status"),
       false},
      {"nor one that ends alike", rule({"get"}, {"apps"}, {"*/scale"}),
       resource("get", "apps", "deployments", "upscale"), false},
      {"nor the resource", rule({"get"}, {"apps"}, {"*/scale"}), resource("get", "apps", "deployments"), false},
      {"pods/* is no pattern", rule({"get"}, {""}, {"pods/*"}), resource("get", "", "pods", "log"), false},
      {"named", rule({"get"}, {""}, {"secrets"}, {"a", "b"}), resource("get", "", "secrets", "", "b"), true},
      {"other name", rule({"get"}, {""}, {"secrets"}, {"a"}), resource("get", "", "secrets", "", "b"), false},
      {"a list has no name", rule({"list"}, {""}, {"secrets"}, {"a"}), resource("list", "", "secrets"), false},
      {"names hold no wildcard", rule({"get"}, {""}, {"secrets"}, {"*"}), resource("get", "", "secrets", "", "b"),
       false},
      {"path", paths({"get"}, {"/healthz"}), path("get", "/healthz"), true},
      {"below it", paths({"get"}, {"/healthz"}), path("get", "/healthz/ping"), false},
      {"prefix", paths({"get"}, {"/healthz/*"}), path("get", "/healthz/ping"), true},
      {"prefix without its slash", paths({"get"}, {"/healthz/*"}), path("get", "/healthz"), false},
      {"prefix in a word", paths({"get"}, {"/log*"}), path("get", "/logs/kubelet"), true},
      {"every path", paths({"get"}, {"*"}), path("get", "/metrics"), true},
      {"path verb", paths({"get"}, {"/healthz"}), path("post", "/healthz"), false},
      {"a star in the middle is none", paths({"get"}, {"/a*/b"}), path("get", "/ac/b"), false},
      {"paths allow no resources", paths({"*"}, {"*"}), resource("get", "", "pods"), false},
      {"resources allow no paths", rule({"*"}, {"*"}, {"*"}), path("get", "/healthz"), false},
  };
  for (const Case& each : cases) EXPECT_EQ(rule_allows(each.rule, each.request), each.allowed) << each.about;
}

TEST(Forbidden, SaysItInUpstreamsWords) {
  Attributes attributes = resource("list", "apps", "deployments", "", "", "web");
  attributes.user.name = "jane";
  EXPECT_EQ(forbidden_message(attributes),
            "User \"jane\" cannot list resource \"deployments\" in API group \"apps\" in the namespace \"web\"");
  EXPECT_EQ(
      forbidden(attributes, "").message(),
      "deployments.apps is forbidden: User \"jane\" cannot list resource \"deployments\" in API group \"apps\" in "
      "the namespace \"web\"");
  attributes = resource("get", "", "pods", "log", "redis", "");
  attributes.user.name = "jane";
  EXPECT_EQ(forbidden(attributes, "RBAC: nothing").message(),
            "pods \"redis\" is forbidden: User \"jane\" cannot get resource \"pods/log\" in API group \"\" at the "
            "cluster scope: RBAC: nothing");
  attributes = path("get", "/metrics");
  attributes.user.name = "system:anonymous";
  Status status = forbidden(attributes, "");
  EXPECT_EQ(status.message(), "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"");
  EXPECT_EQ(status.code(), 403);
}

constexpr const char* kRbac = "/apis/rbac.authorization.k8s.io/v1";

class RbacTest : public testing::Test {
 protected:
  RbacTest() : authorizer_(std::shared_ptr<Caches>(std::shared_ptr<void>(), &server_.server().caches())) {
    create("/clusterroles", R"({"metadata":{"name":"reader"},"rules":[
      {"verbs":["get"],"apiGroups":[""],"resources":["pods"]},{"verbs":["get"],"nonResourceURLs":["/metrics"]}]})");
    create("/namespaces/default/roles", R"({"metadata":{"name":"writer"},"rules":[
      {"verbs":["create"],"apiGroups":[""],"resources":["pods"]}]})");
  }

  void create(const std::string& where, const std::string& body) {
    auto answer = server_.post(kRbac + where, body);
    ASSERT_EQ(answer.status, 201) << answer.body;
  }
  static std::string binding(const std::string& name, const std::string& role_kind, const std::string& role,
                             const std::string& subject) {
    return R"({"metadata":{"name":")" + name + R"("},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":")" +
           role_kind + R"(","name":")" + role + R"("},"subjects":[)" + subject + "]}";
  }
  static std::string user(const std::string& name, const std::string& kind = "User") {
    return R"({"apiGroup":"rbac.authorization.k8s.io","kind":")" + kind + R"(","name":")" + name + R"("})";
  }
  Decision ask(const std::string& name, Attributes attributes, Strings groups = {}) {
    attributes.user.name = name;
    attributes.user.groups = std::move(groups);
    return authorizer_.authorize(attributes);
  }

  test::TestApiServer server_;
  RbacAuthorizer authorizer_;
};

TEST_F(RbacTest, AClusterBindingHoldsEverywhereAndARoleBindingInItsNamespace) {
  create("/clusterrolebindings", binding("all", "ClusterRole", "reader", user("ann")));
  create("/namespaces/default/rolebindings", binding("here", "ClusterRole", "reader", user("bob")));
  EXPECT_TRUE(ask("ann", resource("get", "", "pods", "", "x", "default")).allowed());
  EXPECT_TRUE(ask("ann", resource("get", "", "pods", "", "x", "kube-system")).allowed());
  EXPECT_TRUE(ask("ann", path("get", "/metrics")).allowed());
  EXPECT_TRUE(ask("bob", resource("get", "", "pods", "", "x", "default")).allowed());
  EXPECT_FALSE(ask("bob", resource("get", "", "pods", "", "x", "kube-system")).allowed());
  EXPECT_FALSE(ask("bob", resource("get", "", "pods")).allowed()) << "all namespaces";
  EXPECT_FALSE(ask("bob", path("get", "/metrics")).allowed()) << "a role binding grants no paths";
  Decision refused = ask("eve", resource("get", "", "pods", "", "x", "default"));
  EXPECT_EQ(refused.verdict, Decision::Verdict::kNoOpinion) << "another authorizer may still allow it";

  EXPECT_EQ(ask("ann", path("get", "/metrics")).reason,
            "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"reader\" to User \"ann\"");
  EXPECT_EQ(ask("bob", resource("get", "", "pods", "", "x", "default")).reason,
            "RBAC: allowed by RoleBinding \"here/default\" of ClusterRole \"reader\" to User \"bob\"");
}

TEST_F(RbacTest, ServiceAccountsAreSubjectsByNamespaceAndName) {
  create("/namespaces/default/rolebindings",
         binding("ci", "Role", "writer", R"({"kind":"ServiceAccount","name":"builder","namespace":"ci"})"));
  auto request = resource("create", "", "pods", "", "", "default");
  Decision allowed = ask("system:serviceaccount:ci:builder", request);
  EXPECT_EQ(allowed.reason,
            "RBAC: allowed by RoleBinding \"ci/default\" of Role \"writer\" to ServiceAccount \"builder/ci\"");
  EXPECT_FALSE(ask("system:serviceaccount:default:builder", request).allowed());
  EXPECT_FALSE(ask("builder", request).allowed());
}

TEST_F(RbacTest, GroupsAndKindsOfSubjectsDoNotMix) {
  create("/clusterrolebindings", binding("team", "ClusterRole", "reader", user("team", "Group")));
  auto request = resource("get", "", "pods", "", "", "default");
  EXPECT_TRUE(ask("ann", request, {"other", "team"}).allowed());
  EXPECT_FALSE(ask("team", request).allowed());
}

TEST_F(RbacTest, ChangesOfRolesAndBindingsHoldAtOnce) {
  auto request = resource("get", "", "pods", "", "", "default");
  EXPECT_FALSE(ask("ann", request).allowed());
  create("/clusterrolebindings", binding("late", "ClusterRole", "absent", user("ann")));
  EXPECT_FALSE(ask("ann", request).allowed()) << "the role is not there";
  create("/clusterroles",
         R"({"metadata":{"name":"absent"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  EXPECT_TRUE(ask("ann", request).allowed());
  ASSERT_EQ(
      server_.put(std::string(kRbac) + "/clusterroles/absent", R"({"metadata":{"name":"absent"},"rules":[]})").status,
      200);
  EXPECT_FALSE(ask("ann", request).allowed());
  create("/clusterrolebindings", binding("again", "ClusterRole", "reader", user("ann")));
  EXPECT_TRUE(ask("ann", request).allowed());
  ASSERT_EQ(server_.remove(std::string(kRbac) + "/clusterrolebindings/again").status, 200);
  EXPECT_FALSE(ask("ann", request).allowed());
}

TEST_F(RbacTest, ARoleOfAnotherNamespaceIsNotMeant) {
  create("/namespaces/kube-system/rolebindings", binding("stray", "Role", "writer", user("ann")));
  EXPECT_FALSE(ask("ann", resource("create", "", "pods", "", "", "kube-system")).allowed());
  EXPECT_FALSE(ask("ann", resource("create", "", "pods", "", "", "default")).allowed());
}

TEST_F(RbacTest, ListsEachBindingOnceInTheUsersRules) {
  create("/clusterrolebindings", binding("all", "ClusterRole", "reader", user("ann") + "," + user("team", "Group")));
  create("/namespaces/default/rolebindings", binding("here", "Role", "writer", user("ann")));
  authn::UserInfo ann{.name = "ann", .uid = "", .groups = {"team"}, .extra = {}};
  UserRules rules = authorizer_.rules_for(ann, "default");
  EXPECT_EQ(rules.resources.size(), 2U);
  ASSERT_EQ(rules.paths.size(), 1U);
  EXPECT_EQ(rules.paths[0].paths, Strings{"/metrics"});
  EXPECT_FALSE(rules.incomplete);
  EXPECT_EQ(authorizer_.rules_for(ann, "kube-system").resources.size(), 1U);
}

TEST(Masters, MayDoEverything) {
  Attributes attributes = resource("delete", "", "nodes");
  attributes.user.groups = {"system:masters"};
  EXPECT_TRUE(masters_authorizer()->authorize(attributes).allowed());
  attributes.user.groups = {"system:master"};
  EXPECT_EQ(masters_authorizer()->authorize(attributes).verdict, Decision::Verdict::kNoOpinion);
  attributes.user = {.name = "system:masters", .uid = "", .groups = {}, .extra = {}};
  EXPECT_FALSE(masters_authorizer()->authorize(attributes).allowed());
}

class Fixed final : public Authorizer {
 public:
  explicit Fixed(Decision decision) : decision_(std::move(decision)) {}
  Decision authorize(const Attributes&) override { return decision_; }
  UserRules rules_for(const authn::UserInfo&, std::string_view) override { return {}; }

 private:
  Decision decision_;
};

TEST(UnionOf, TakesTheFirstOpinionAndElseJoinsTheReasons) {
  auto fixed = [](Decision decision) { return std::make_shared<Fixed>(std::move(decision)); };
  Decision decision =
      union_of({fixed(Decision::no_opinion("a")), fixed(Decision::no_opinion()), fixed(Decision::no_opinion("b"))})
          ->authorize({});
  EXPECT_EQ(decision.verdict, Decision::Verdict::kNoOpinion);
  EXPECT_EQ(decision.reason, "a, b");
  EXPECT_EQ(union_of({fixed(Decision::deny("no")), fixed(Decision::allow())})->authorize({}).verdict,
            Decision::Verdict::kDeny);
  EXPECT_TRUE(union_of({fixed(Decision::no_opinion("a")), fixed(Decision::allow())})->authorize({}).allowed());
}

}  // namespace
}  // namespace trireme::apiserver::authz
