// The server as a cluster runs it: tokens and certificates, node and role authorizers, the default admission plugins.

#include <gtest/gtest.h>

#include "api/value.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/api_server.h"
#include "apiserver/authn/bearer.h"
#include "apiserver/authn/service_account.h"
#include "apiserver/authn/x509.h"
#include "apiserver/authz/bootstrap_policy.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/rbac.h"
#include "base/base64.h"
#include "net/x509.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::apiserver {
namespace {

class DefaultChainTest : public testing::Test {
 protected:
  DefaultChainTest() {
    Options options;
    options.clock = std::make_shared<test::VirtualClock>();
    options.store = store::memory_store(options.clock);
    options.caches = std::make_shared<Caches>(CachesOptions{.store = options.store, .clock = options.clock});
    authn::ServiceAccountOptions tokens;
    static const std::string key = *net::generate_key();
    tokens.signing_key_pem = key;
    tokens.clock = options.clock;
    options.token_issuer = *authn::service_account_issuer(tokens);
    options.authenticator = authn::any_of({std::make_shared<authn::X509Authenticator>(),
                                           *authn::TokenFileAuthenticator::parse("t0ken,jane,u1"),
                                           *authn::ServiceAccountAuthenticator::create(tokens, options.caches)});
    options.authorizer =
        authz::union_of({authz::masters_authorizer(), std::make_shared<authz::NodeAuthorizer>(options.caches),
                         std::make_shared<authz::RbacAuthorizer>(options.caches)});
    options.admission = admission::default_chain(options.caches, options.authorizer);
    server_ = *ApiServer::create(std::move(options));
    EXPECT_TRUE(authz::reconcile_bootstrap_policy(*server_, {}).ok());
  }

  /// Sends as the holder of a certificate for `name`, or with a bearer token when it begins with "Bearer ".
  net::Response send(const std::string& who, std::string method, std::string target, std::string body = {},
                     std::vector<std::string> groups = {}) {
    net::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    net::Peer peer;
    if (who.starts_with("Bearer ")) {
      request.headers.set("Authorization", who);
    } else if (!who.empty()) {
      peer.certificate = net::CertificateSubject{who, std::move(groups)};
    }
    auto response = net::in_process_transport(*server_, std::move(peer))->round_trip(request);
    EXPECT_TRUE(response.ok());
    return response.ok() ? std::move(*response) : net::Response();
  }
  net::Response admin(std::string method, std::string target, std::string body = {}) {
    return send("admin", std::move(method), std::move(target), std::move(body), {"system:masters"});
  }
  net::Response kubelet(std::string method, std::string target, std::string body = {}) {
    return send("system:node:n1", std::move(method), std::move(target), std::move(body), {"system:nodes"});
  }
  static std::string text(const net::Response& response, std::initializer_list<std::string_view> path) {
    auto value = api::parse_value(response.body);
    const api::Value* found = value.ok() ? value->at_path(path) : nullptr;
    return found != nullptr ? std::string(found->string_or_empty()) : std::string();
  }

  std::unique_ptr<ApiServer> server_;
};

constexpr const char* kPods = "/api/v1/namespaces/default/pods";

TEST_F(DefaultChainTest, CallersAreKnownOrRefused) {
  EXPECT_EQ(send("", "GET", "/version").status, 200) << "anybody may ask for the version";
  net::Response anonymous = send("", "GET", kPods);
  EXPECT_EQ(anonymous.status, 403);
  EXPECT_EQ(text(anonymous, {"message"}),
            "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the "
            "namespace \"default\"");
  EXPECT_EQ(send("Bearer stale", "GET", "/version").status, 401) << "a wrong token is worse than none";
  EXPECT_EQ(send("Bearer t0ken", "GET", kPods).status, 403);
  EXPECT_EQ(admin("GET", kPods).status, 200);
}

TEST_F(DefaultChainTest, APodGetsAnAccountWhoseTokenSpeaksForIt) {
  const std::string pod = R"({"metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
  net::Response early = admin("POST", kPods, pod);
  EXPECT_EQ(early.status, 403);
  EXPECT_EQ(text(early, {"message"}),
            "pods \"web\" is forbidden: error looking up service account default/default: serviceaccount \"default\" "
            "not found");
  const std::string accounts = "/api/v1/namespaces/default/serviceaccounts";
  ASSERT_EQ(admin("POST", accounts, R"({"metadata":{"name":"default"}})").status, 201);
  net::Response created = admin("POST", kPods, pod);
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(text(created, {"spec", "containers", "0", "volumeMounts", "0", "mountPath"}),
            "/var/run/secrets/kubernetes.io/serviceaccount");
  EXPECT_EQ(text(created, {"spec", "tolerations", "0", "key"}), "node.kubernetes.io/not-ready");
  EXPECT_EQ(text(created, {"spec", "preemptionPolicy"}), "PreemptLowerPriority");

  net::Response issued = admin("POST", accounts + "/default/token",
                               R"({"spec":{"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"web"}}})");
  ASSERT_EQ(issued.status, 201) << issued.body;
  const std::string bearer = "Bearer " + text(issued, {"status", "token"});
  EXPECT_EQ(text(send(bearer, "GET", kPods), {"message"}),
            "pods is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"pods\" in API "
            "group \"\" in the namespace \"default\"");
  const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
  ASSERT_EQ(admin("POST", rbac,
                  R"({"metadata":{"name":"viewers"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io",
                      "kind":"ClusterRole","name":"view"},"subjects":[{"kind":"ServiceAccount","name":"default",
                      "namespace":"default"}]})")
                .status,
            201);
  EXPECT_EQ(send(bearer, "GET", kPods).status, 200);
  EXPECT_EQ(send(bearer, "GET", "/api/v1/namespaces/default/secrets").status, 403) << "view shows no secrets";
  EXPECT_EQ(send(bearer, "GET", "/api/v1/namespaces/kube-system/pods").status, 403);
}

TEST_F(DefaultChainTest, AKubeletRegistersAndServesItsOwnNode) {
  net::Response registered = kubelet("POST", "/api/v1/nodes", R"({"metadata":{"name":"n1"}})");
  ASSERT_EQ(registered.status, 201) << registered.body;
  EXPECT_EQ(text(registered, {"spec", "taints", "0", "key"}), "node.kubernetes.io/not-ready");
  EXPECT_EQ(kubelet("POST", "/api/v1/nodes", R"({"metadata":{"name":"n2"}})").status, 403);
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
  EXPECT_EQ(kubelet("POST", leases, R"({"metadata":{"name":"n1"},"spec":{"holderIdentity":"n1"}})").status, 201);
  EXPECT_EQ(kubelet("POST", leases, R"({"metadata":{"name":"n2"},"spec":{"holderIdentity":"n2"}})").status, 403);
  EXPECT_EQ(kubelet("GET", "/api/v1/namespaces/default/secrets/any").status, 403);
}

TEST_F(DefaultChainTest, AKubeletGetsTokensForItsOwnPodsOnly) {
  const std::string accounts = "/api/v1/namespaces/default/serviceaccounts";
  ASSERT_EQ(admin("POST", accounts, R"({"metadata":{"name":"default"}})").status, 201);
  auto pod_on = [&](const std::string& name, const std::string& node) {
    net::Response created = admin("POST", kPods,
                                  R"({"metadata":{"name":")" + name + R"("},"spec":{"nodeName":")" + node +
                                      R"(","containers":[{"name":"c","image":"i"}]}})");
    EXPECT_EQ(created.status, 201) << created.body;
    return text(created, {"metadata", "uid"});
  };
  const std::string own = pod_on("own", "n1");
  const std::string other = pod_on("other", "n2");
  auto ask = [&](const std::string& bound) {
    return kubelet("POST", accounts + "/default/token", R"({"spec":{)" + bound + "}}");
  };
  auto bound_to = [](const std::string& name, const std::string& uid) {
    return R"("boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":")" + name + R"(","uid":")" + uid + R"("})";
  };
  EXPECT_EQ(ask(bound_to("own", own)).status, 201);
  EXPECT_EQ(text(ask(""), {"message"}),
            "serviceaccounts \"default\" is forbidden: node \"n1\" requested token not bound to a pod");
  EXPECT_EQ(ask(bound_to("own", "")).status, 403);
  EXPECT_EQ(ask(bound_to("own", other)).status, 403);
  EXPECT_EQ(text(ask(bound_to("other", other)), {"message"}),
            "serviceaccounts \"default\" is forbidden: node \"n1\" requested token bound to a pod scheduled on a "
            "different node");
}

TEST_F(DefaultChainTest, CertificatesAreApprovedAndSignedByThoseWhoMay) {
  const std::string requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  const auto request = [&](const std::string& name, const std::string& organization) {
    net::CertificateSpec spec;
    spec.common_name = "dora";
    spec.organizations = {organization};
    const std::string pem = *net::create_request(*net::generate_key(), spec);
    api::Value body = api::Value::object();
    body["metadata"]["name"] = name;
    body["spec"]["request"] = base64_encode(pem);
    body["spec"]["username"] = "somebody-else";
    body["spec"]["signerName"] = "kubernetes.io/kube-apiserver-client";
    body["spec"]["usages"] = api::Value::array();
    body["spec"]["usages"].push_back("client auth");
    return api::to_json(body);
  };
  net::Response masters = admin("POST", requests, request("mighty", "system:masters"));
  EXPECT_EQ(masters.status, 403);
  EXPECT_NE(
      masters.body.find("use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"),
      std::string::npos)
      << masters.body;
  net::Response created = admin("POST", requests, request("dora", "dev"));
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(text(created, {"spec", "username"}), "admin") << "who asks is not the client's to say";

  // Jane may write approvals, but approve for no signer.
  ASSERT_EQ(admin("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
                  R"({"metadata":{"name":"approver"},"rules":[{"apiGroups":["certificates.k8s.io"],"resources":)"
                  R"(["certificatesigningrequests/approval"],"verbs":["update"]}]})")
                .status,
            201);
  ASSERT_EQ(
      admin("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            R"({"metadata":{"name":"jane"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole",)"
            R"("name":"approver"},"subjects":[{"kind":"User","name":"jane","apiGroup":"rbac.authorization.k8s.io"}]})")
          .status,
      201);
  auto stored = api::parse_value(admin("GET", requests + "/dora").body);
  ASSERT_TRUE(stored.ok());
  api::Value condition = api::Value::object();
  condition["type"] = "Approved";
  condition["status"] = "True";
  condition["reason"] = "Test";
  (*stored)["status"]["conditions"] = api::Value::array();
  (*stored)["status"]["conditions"].push_back(condition);
  net::Response refused = send("jane", "PUT", requests + "/dora/approval", api::to_json(*stored));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("user not permitted to approve requests with signerName"), std::string::npos)
      << refused.body;
  EXPECT_EQ(admin("PUT", requests + "/dora/approval", api::to_json(*stored)).status, 200);
}

TEST_F(DefaultChainTest, NobodyGrantsWhatTheyDoNotHold) {
  const std::string group = "/apis/rbac.authorization.k8s.io/v1/";
  const auto as_ann = [&](const std::string& method, const std::string& target, const std::string& body) {
    return send("ann", method, target, body, {"team"});
  };
  // Ann may read pods in default, and write roles and bindings there.
  ASSERT_EQ(admin("POST", group + "namespaces/default/roles",
                  R"({"metadata":{"name":"ann"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]},
                     {"verbs":["*"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings"],
                      "resourceNames":[]}]})")
                .status,
            201);
  ASSERT_EQ(
      admin("POST", group + "namespaces/default/rolebindings",
            R"({"metadata":{"name":"ann"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"ann"},
                     "subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"team"}]})")
          .status,
      201);
  // `*` on roles holds escalate and bind as well; without them only what she has can be given.
  ASSERT_EQ(admin("PATCH", group + "namespaces/default/roles/ann", "").status, 415);
  ASSERT_EQ(admin("PUT", group + "namespaces/default/roles/ann",
                  R"({"metadata":{"name":"ann"},"rules":[{"verbs":["get","list"],"apiGroups":[""],"resources":["pods"]},
                     {"verbs":["create","get","update"],"apiGroups":["rbac.authorization.k8s.io"],
                      "resources":["roles","rolebindings"]}]})")
                .status,
            200);
  const std::string roles = group + "namespaces/default/roles";
  EXPECT_EQ(as_ann("POST", roles,
                   R"({"metadata":{"name":"fits"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"],
                      "resourceNames":["a"]}]})")
                .status,
            201);
  const net::Response refused =
      as_ann("POST", roles, R"({"metadata":{"name":"more"},"rules":[{"verbs":["get","delete"],"apiGroups":[""],
                                "resources":["pods","secrets"]}]})");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(text(refused, {"message"}),
            "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"ann\" (groups=[\"team\" "
            "\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"
            "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n"
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"delete\", \"get\"]}");
  EXPECT_EQ(as_ann("POST", roles,
                   R"({"metadata":{"name":"all"},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]})")
                .status,
            403);
  // An update that grants nothing new is nobody's escalation.
  EXPECT_EQ(as_ann("PUT", roles + "/fits",
                   R"({"metadata":{"name":"fits","labels":{"x":"y"}},"rules":[{"verbs":["get"],"apiGroups":[""],
                      "resources":["pods"],"resourceNames":["a"]}]})")
                .status,
            200);
  const auto bind = [&](const std::string& name, const std::string& kind, const std::string& role) {
    return as_ann("POST", group + "namespaces/default/rolebindings",
                  R"({"metadata":{"name":")" + name +
                      R"("},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":")" + kind + R"(","name":")" +
                      role + R"("},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"bob"}]})")
        .status;
  };
  EXPECT_EQ(bind("reads", "Role", "fits"), 201);
  EXPECT_EQ(bind("rules", "ClusterRole", "cluster-admin"), 403);
  EXPECT_EQ(bind("none", "Role", "missing"), 404);
  // Whoever may bind a role need not hold it.
  ASSERT_EQ(admin("POST", group + "clusterroles",
                  R"({"metadata":{"name":"binder"},"rules":[{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],
                     "resources":["clusterroles"],"resourceNames":["view"]}]})")
                .status,
            201);
  ASSERT_EQ(
      admin("POST", group + "clusterrolebindings",
            R"({"metadata":{"name":"binder"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole",
                     "name":"binder"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"ann"}]})")
          .status,
      201);
  EXPECT_EQ(bind("views", "ClusterRole", "view"), 201);
  EXPECT_EQ(bind("edits", "ClusterRole", "edit"), 403);
}

}  // namespace
}  // namespace trireme::apiserver
