// What surrounds the resources: authentication, authorization, impersonation, reviews, discovery, health and metrics.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using apiserver::authn::UserInfo;
using apiserver::authz::Attributes;
using apiserver::authz::Decision;
using test::Answer;
using test::TestApiServer;
using ::testing::Contains;
using ::testing::HasSubstr;

/// Allows masters everything, and everybody to get and list pods in the namespace "open".
class TestAuthorizer : public apiserver::authz::Authorizer {
 public:
  Decision authorize(const Attributes& attributes) override {
    if (attributes.user.in_group("system:masters")) return Decision::allow("master");
    bool reads = attributes.verb == "get" || attributes.verb == "list";
    if (attributes.is_resource && reads && attributes.namespace_ == "open") return Decision::allow();
    if (!attributes.is_resource && attributes.path == "/version") return Decision::allow();
    return Decision::no_opinion();
  }
  apiserver::authz::UserRules rules_for(const UserInfo&, std::string_view) override {
    apiserver::authz::UserRules rules;
    rules.resources.push_back({.verbs = {"get", "list"}, .groups = {""}, .resources = {"pods"}, .names = {}});
    return rules;
  }
};

apiserver::Options guarded() { return {.authorizer = std::make_shared<TestAuthorizer>()}; }

Answer as(TestApiServer& server, std::string user, net::Request request) {
  auto response = server.transport(std::move(user), {})->round_trip(request);
  if (!response.ok()) return {0, {}, response.status().to_string()};
  return {response->status, response->headers, response->body};
}

net::Request get(std::string target) {
  net::Request request;
  request.target = std::move(target);
  return request;
}

TEST(Authorization, RefusesInUpstreamsWords) {
  TestApiServer server(guarded());
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/api/v1/namespaces/y/pods",
       R"(pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "y")"},
      {"/api/v1/namespaces/y/pods/p",
       R"(pods "p" is forbidden: User "x" cannot get resource "pods" in API group "" in the namespace "y")"},
      {"/api/v1/nodes",
       R"(nodes is forbidden: User "x" cannot list resource "nodes" in API group "" at the cluster scope)"},
      {"/apis/apps/v1/namespaces/y/deployments/d/scale",
       R"(deployments.apps "d" is forbidden: User "x" cannot get resource "deployments/scale" in API group "apps" in the namespace "y")"},
      {"/api/v1/pods?watch=1",
       R"(pods is forbidden: User "x" cannot watch resource "pods" in API group "" at the cluster scope)"},
      {"/metrics", R"(forbidden: User "x" cannot get path "/metrics")"},
  };
  for (const auto& [target, message] : cases) {
    Answer answer = as(server, "x", get(target));
    EXPECT_EQ(answer.status, 403) << target;
    EXPECT_EQ(answer.at({"reason"}), "Forbidden");
    EXPECT_EQ(answer.at({"message"}), message);
  }
  EXPECT_EQ(as(server, "x", get("/api/v1/namespaces/open/pods")).status, 200);
  EXPECT_EQ(as(server, "", get("/version")).status, 200);
  EXPECT_THAT(as(server, "", get("/api")).at({"message"}), HasSubstr("User \"system:anonymous\""));
}

TEST(Authentication, WithoutAnonymousUsersCredentialsAreNeeded) {
  apiserver::Options options;
  options.anonymous = false;
  TestApiServer server(options);
  Answer answer = as(server, "", get("/version"));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.at({"message"}), "Unauthorized");
  EXPECT_EQ(answer.at({"reason"}), "Unauthorized");
}

TEST(Impersonation, NeedsPermissionAndTakesEffect) {
  TestApiServer server(guarded());
  net::Request request;
  request.method = "POST";
  request.target = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  request.body = "{}";
  request.headers.add("Impersonate-User", "jane");
  request.headers.add("Impersonate-Group", "system:masters");
  request.headers.add("Impersonate-Extra-Reason", "test");
  Answer answer = server.send(request);
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.at({"status", "userInfo", "username"}), "jane");
  EXPECT_EQ(answer.at({"status", "userInfo", "groups"}), R"(["system:masters","system:authenticated"])");
  EXPECT_EQ(answer.at({"status", "userInfo", "extra", "reason"}), R"(["test"])");
  Answer refused = as(server, "x", request);
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.at({"message"}), HasSubstr(R"(User "x" cannot impersonate resource)"));
}

TEST(Reviews, AnswerWithTheAuthorizersDecision) {
  TestApiServer server(guarded());
  const std::string target = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  Answer no = server.post(
      target, R"({"spec":{"user":"x","resourceAttributes":{"verb":"get","resource":"pods","namespace":"y"}}})");
  ASSERT_EQ(no.status, 201) << no.body;
  EXPECT_EQ(no.at({"status", "allowed"}), "false");
  Answer yes = server.post(
      target, R"({"spec":{"user":"x","resourceAttributes":{"verb":"get","resource":"pods","namespace":"open"}}})");
  EXPECT_EQ(yes.at({"status", "allowed"}), "true");
  Answer self = server.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                            R"({"spec":{"nonResourceAttributes":{"verb":"get","path":"/x"}}})");
  EXPECT_EQ(self.at({"status", "reason"}), "master") << self.body;
  Answer rules = server.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", R"({"spec":{"namespace":"y"}})");
  EXPECT_EQ(rules.at({"status", "resourceRules", "0", "resources"}), R"(["pods"])") << rules.body;
  EXPECT_EQ(server.post(target, R"({"spec":{"user":"x"}})").status, 400);
  EXPECT_EQ(server.get(target).status, 405);
}

TEST(Discovery, PlainAndAggregated) {
  TestApiServer server;
  EXPECT_EQ(server.get("/api").at({"versions"}), R"(["v1"])");
  Answer groups = server.get("/apis");
  EXPECT_EQ(groups.at({"kind"}), "APIGroupList");
  Answer core = server.get("/api/v1");
  EXPECT_EQ(core.at({"groupVersion"}), "v1");
  EXPECT_THAT(core.body, HasSubstr(R"("name":"pods/log")"));
  EXPECT_EQ(server.get("/apis/apps/v1").at({"kind"}), "APIResourceList");
  EXPECT_EQ(server.get("/apis/apps").at({"preferredVersion", "groupVersion"}), "apps/v1");
  EXPECT_EQ(server.get("/apis/none").status, 404);
  Answer aggregated = server.get("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  EXPECT_EQ(aggregated.at({"kind"}), "APIGroupDiscoveryList");
  EXPECT_EQ(aggregated.headers.get("Content-Type"),
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  net::Request again = get("/apis");
  again.headers.add("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  again.headers.add("If-None-Match", std::string(aggregated.headers.get("ETag")));
  EXPECT_EQ(server.send(again).status, 304);
  Answer root = server.get("/");
  EXPECT_THAT(root.body, HasSubstr("\"/apis/apps/v1\""));
}

TEST(Documents, VersionOpenApiAndMetrics) {
  TestApiServer server;
  Answer version = server.get("/version");
  EXPECT_EQ(version.at({"major"}), "1");
  EXPECT_EQ(version.at({"minor"}), "32");
  EXPECT_THAT(version.at({"gitVersion"}), HasSubstr("v1.32."));
  Answer v2 = server.get("/openapi/v2");
  EXPECT_EQ(v2.status, 200);
  EXPECT_EQ(v2.at({"swagger"}), "2.0");
  Answer index = server.get("/openapi/v3");
  EXPECT_THAT(index.body, HasSubstr("apis/apps/v1"));
  Answer v3 = server.get("/openapi/v3/apis/apps/v1");
  EXPECT_EQ(v3.status, 200);
  EXPECT_EQ(server.get("/openapi/v3/apis/none/v1").status, 404);
  server.get("/api/v1/pods");
  Answer metrics = server.get("/metrics");
  EXPECT_THAT(metrics.body,
              HasSubstr("apiserver_request_total{code=\"200\",group=\"\",resource=\"pods\",scope=\"cluster\","
                        "subresource=\"\",verb=\"LIST\",version=\"v1\"} 1"));
  EXPECT_THAT(metrics.body, HasSubstr("process_resident_memory_bytes"));
}

TEST(Health, ChecksAndShutdown) {
  TestApiServer server;
  for (const char* path : {"/healthz", "/livez", "/readyz", "/readyz/ping", "/livez/etcd"}) {
    Answer answer = server.get(path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.body, "ok") << path;
  }
  EXPECT_EQ(server.get("/readyz?verbose").body, "[+]ping ok\n[+]etcd ok\n[+]shutdown ok\nreadyz check passed\n");
  EXPECT_EQ(server.get("/readyz/none").status, 404);
  server.server().begin_shutdown();
  EXPECT_EQ(server.get("/readyz").status, 500);
  EXPECT_EQ(server.get("/readyz?exclude=shutdown").status, 200);
  EXPECT_EQ(server.get("/livez").status, 200);
}

TEST(Paths, MethodsAndUnknowns) {
  TestApiServer server;
  EXPECT_EQ(server.get("/nothing").status, 404);
  EXPECT_EQ(server.post("/version", "{}").status, 405);
  net::Request options;
  options.method = "OPTIONS";
  options.target = "/api/v1/pods";
  EXPECT_EQ(server.send(options).status, 405);
}

/// Answers with the user's name and what an inner call sees.
class EchoHandler : public apiserver::PathHandler {
 public:
  explicit EchoHandler(apiserver::ApiServer& server) : server_(server) {}
  void handle(apiserver::Call call) override {
    net::Response inner = server_.call(get("/api/v1/namespaces/y/pods"), call.user);
    call.exchange->respond(200, {}, call.user.name + " " + std::to_string(inner.status));
  }

 private:
  apiserver::ApiServer& server_;
};

TEST(Paths, RegisteredHandlersCallThePipeline) {
  TestApiServer server(guarded());
  server.server().add_path("/echo", std::make_shared<EchoHandler>(server.server()), false);
  server.server().add_path("/guarded", std::make_shared<EchoHandler>(server.server()), true);
  EXPECT_EQ(server.get("/echo/deep").body, "system:admin 200");
  EXPECT_EQ(as(server, "x", get("/echo")).body, "x 403");
  EXPECT_EQ(as(server, "x", get("/guarded")).status, 403);
}

}  // namespace
}  // namespace trireme
