#include "apiserver/authz/node.h"

#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme::apiserver::authz {
namespace {

class NodeAuthorizerTest : public testing::Test {
 protected:
  NodeAuthorizerTest() : authorizer_(std::shared_ptr<Caches>(std::shared_ptr<void>(), &server_.server().caches())) {
    create(R"({"metadata":{"name":"web"},"spec":{"nodeName":"n1","serviceAccountName":"robot",
      "imagePullSecrets":[{"name":"pull"}],
      "initContainers":[{"name":"i","image":"x","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"init","key":"k"}}}]}],
      "containers":[{"name":"c","image":"x","envFrom":[{"configMapRef":{"name":"env"}},{"secretRef":{"name":"from"}}],
                     "env":[{"name":"B","valueFrom":{"configMapKeyRef":{"name":"key","key":"k"}}}]}],
      "volumes":[{"name":"s","secret":{"secretName":"volume"}},{"name":"m","configMap":{"name":"files"}},
                 {"name":"p","projected":{"sources":[{"secret":{"name":"part"}},{"configMap":{"name":"piece"}}]}},
                 {"name":"d","persistentVolumeClaim":{"claimName":"data"}},
                 {"name":"e","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],
                   "resources":{"requests":{"storage":"1Gi"}}}}}}]}})");
    create(R"({"metadata":{"name":"waiting"},"spec":{"containers":[{"name":"c","image":"x"}],
      "volumes":[{"name":"s","secret":{"secretName":"unbound"}}]}})");
  }

  void create(const std::string& pod) {
    auto answer = server_.post("/api/v1/namespaces/default/pods", pod);
    ASSERT_EQ(answer.status, 201) << answer.body;
  }

  Decision ask(const std::string& node, const std::string& verb, const std::string& resource, const std::string& name,
               const std::string& ns = "default", const std::string& group = "") {
    Attributes attributes;
    attributes.user.name = "system:node:" + node;
    attributes.user.groups = {"system:nodes", "system:authenticated"};
    attributes.verb = verb;
    attributes.group = group;
    size_t slash = resource.find('/');
    attributes.resource = resource.substr(0, slash);
    if (slash != std::string::npos) attributes.subresource = resource.substr(slash + 1);
    attributes.name = name;
    attributes.namespace_ = ns;
    attributes.is_resource = true;
    return authorizer_.authorize(attributes);
  }

  test::TestApiServer server_;
  NodeAuthorizer authorizer_;
};

TEST_F(NodeAuthorizerTest, GivesANodeWhatItsPodsUseAndNoMore) {
  for (const char* secret : {"pull", "init", "from", "volume", "part"}) {
    EXPECT_TRUE(ask("n1", "get", "secrets", secret).allowed()) << secret;
    EXPECT_TRUE(ask("n1", "watch", "secrets", secret).allowed()) << secret;
    EXPECT_FALSE(ask("n2", "get", "secrets", secret).allowed()) << secret;
    EXPECT_FALSE(ask("n1", "get", "secrets", secret, "kube-system").allowed()) << secret;
    EXPECT_FALSE(ask("n1", "get", "configmaps", secret).allowed()) << secret;
    EXPECT_FALSE(ask("n1", "update", "secrets", secret).allowed()) << secret;
  }
  for (const char* map : {"env", "key", "files", "piece"}) {
    EXPECT_TRUE(ask("n1", "get", "configmaps", map).allowed()) << map;
    EXPECT_FALSE(ask("n2", "get", "configmaps", map).allowed()) << map;
    EXPECT_FALSE(ask("n1", "get", "secrets", map).allowed()) << map;
  }
  for (const char* claim : {"data", "web-e"}) {
    EXPECT_TRUE(ask("n1", "get", "persistentvolumeclaims", claim).allowed()) << claim;
    EXPECT_FALSE(ask("n2", "get", "persistentvolumeclaims", claim).allowed()) << claim;
  }
  EXPECT_TRUE(ask("n1", "create", "serviceaccounts/token", "robot").allowed());
  EXPECT_FALSE(ask("n2", "create", "serviceaccounts/token", "robot").allowed());
  EXPECT_FALSE(ask("n1", "create", "serviceaccounts/token", "default").allowed());
  EXPECT_FALSE(ask("n1", "get", "secrets", "unbound").allowed()) << "its pod is on no node yet";
  EXPECT_EQ(ask("n2", "get", "secrets", "volume").reason, "no relationship found between node 'n2' and this object");
  EXPECT_EQ(ask("n1", "list", "secrets", "").reason, "can only read resources of this type by name");
}

TEST_F(NodeAuthorizerTest, ForgetsAPodThatIsGone) {
  ASSERT_TRUE(ask("n1", "get", "secrets", "volume").allowed());
  auto answer = server_.remove("/api/v1/namespaces/default/pods/web", R"({"gracePeriodSeconds":0})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_FALSE(ask("n1", "get", "secrets", "volume").allowed());
}

TEST_F(NodeAuthorizerTest, KeepsLeasesAndNodesToTheirOwnName) {
  constexpr const char* kGroup = "coordination.k8s.io";
  EXPECT_TRUE(ask("n1", "update", "leases", "n1", "kube-node-lease", kGroup).allowed());
  EXPECT_TRUE(ask("n1", "create", "leases", "", "kube-node-lease", kGroup).allowed()) << "admission sees the name";
  EXPECT_FALSE(ask("n1", "update", "leases", "n2", "kube-node-lease", kGroup).allowed());
  EXPECT_FALSE(ask("n1", "get", "leases", "n1", "kube-system", kGroup).allowed());
  EXPECT_FALSE(ask("n1", "list", "leases", "", "kube-node-lease", kGroup).allowed());
  EXPECT_TRUE(ask("n1", "delete", "nodes", "n1", "").allowed());
  EXPECT_FALSE(ask("n1", "delete", "nodes", "n2", "").allowed());
  EXPECT_FALSE(ask("n1", "update", "csinodes", "n2", "", "storage.k8s.io").allowed());
}

TEST_F(NodeAuthorizerTest, LetsKubeletsDoTheirWork) {
  EXPECT_TRUE(ask("n1", "watch", "pods", "").allowed());
  EXPECT_TRUE(ask("n1", "patch", "pods/status", "web").allowed());
  EXPECT_TRUE(ask("n1", "delete", "pods", "web").allowed());
  EXPECT_TRUE(ask("n1", "create", "nodes", "", "").allowed());
  EXPECT_TRUE(ask("n1", "patch", "nodes/status", "n1", "").allowed());
  EXPECT_TRUE(ask("n1", "create", "tokenreviews", "", "", "authentication.k8s.io").allowed());
  EXPECT_FALSE(ask("n1", "update", "pods", "web").allowed());
  EXPECT_FALSE(ask("n1", "create", "deployments", "", "default", "apps").allowed());
  EXPECT_FALSE(ask("n1", "create", "pods/exec", "web").allowed());
}

TEST_F(NodeAuthorizerTest, KnowsNodesByNameAndGroup) {
  EXPECT_EQ(node_of_user({.name = "system:node:n1", .uid = "", .groups = {"system:nodes"}, .extra = {}}), "n1");
  EXPECT_EQ(node_of_user({.name = "system:node:n1", .uid = "", .groups = {}, .extra = {}}), "");
  EXPECT_EQ(node_of_user({.name = "n1", .uid = "", .groups = {"system:nodes"}, .extra = {}}), "");
  Attributes attributes;
  attributes.user.name = "system:node:n1";
  attributes.verb = "watch";
  attributes.resource = "pods";
  attributes.is_resource = true;
  EXPECT_EQ(authorizer_.authorize(attributes).verdict, Decision::Verdict::kNoOpinion);
}

}  // namespace
}  // namespace trireme::apiserver::authz
