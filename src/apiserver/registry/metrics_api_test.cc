// metrics.k8s.io over kubelets that are handlers in this process.

#include "apiserver/registry/metrics_api.h"

#include <gtest/gtest.h>

#include <atomic>

#include "api/value.h"
#include "apiserver/api_server.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::apiserver {
namespace {

constexpr const char* kSummary = R"({"node":{"nodeName":"n1",
    "cpu":{"time":"2025-01-01T00:00:05Z","usageNanoCores":250000000,"usageWindow":"2s"},
    "memory":{"workingSetBytes":2097153}},
    "pods":[{"podRef":{"name":"web","uid":"UID"},"containers":[
      {"name":"main","cpu":{"time":"2025-01-01T00:00:04Z","usageNanoCores":1500000},
       "memory":{"workingSetBytes":1048576}},
      {"name":"log","cpu":{"time":"2025-01-01T00:00:04Z","usageNanoCores":20},"memory":{"workingSetBytes":4096}}]},
     {"podRef":{"name":"new","uid":"other"},"containers":[{"name":"main","memory":{"workingSetBytes":1}}]}]})";

TEST(ParseSummary, TakesWhatWasMeasured) {
  const auto usage = parse_summary(kSummary);
  ASSERT_TRUE(usage.ok()) << usage.status().to_string();
  EXPECT_EQ(usage->window, std::chrono::seconds(2));
  EXPECT_EQ(usage->at.to_string(), "2025-01-01T00:00:05Z");
  ASSERT_TRUE(usage->node);
  EXPECT_EQ(usage->node->cpu_nanocores, 250'000'000);
  ASSERT_EQ(usage->pods.size(), 1u) << "a container without a rate hides its pod";
  const PodUsage& pod = usage->pods.at("UID");
  EXPECT_EQ(pod.window, std::chrono::seconds(10)) << "upstream's kubelet does not say";
  ASSERT_EQ(pod.containers.size(), 2u);
  EXPECT_EQ(pod.containers[0].name, "log");
  EXPECT_FALSE(parse_summary("<html>").ok());
  EXPECT_FALSE(parse_summary("{}").ok());
}

class FakeKubelet final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    ++asked;
    target = exchange->request().target;
    if (broken) return exchange->respond(500, {}, std::string());
    exchange->respond(200, {{"Content-Type", "application/json"}}, summary);
  }
  std::string summary = kSummary;
  std::string target;
  std::atomic<int> asked = 0;
  std::atomic<bool> broken = false;
};

class MetricsApiTest : public testing::Test {
 protected:
  MetricsApiTest() {
    Options options;
    options.clock = clock_;
    options.store = store::memory_store(clock_);
    options.kubelet_transport = [this](const std::string& url) -> Result<std::unique_ptr<net::Transport>> {
      EXPECT_EQ(url, "https://10.0.0.1:10250");
      return net::in_process_transport(kubelet_, {});
    };
    server_ = *ApiServer::create(std::move(options));
    add_node("n1", "True");
    const std::string uid = text(post("/api/v1/namespaces/default/pods",
                                      R"({"metadata":{"name":"web","labels":{"app":"web"}},"spec":{"nodeName":"n1",
                                          "containers":[{"name":"main","image":"i"},{"name":"log","image":"i"}]}})"),
                                 {"metadata", "uid"});
    kubelet_.summary.replace(kubelet_.summary.find("UID"), 3, uid);
  }
  void add_node(const std::string& name, const std::string& ready) {
    post("/api/v1/nodes", R"({"metadata":{"name":")" + name + R"(","labels":{"zone":"a"}}})");
    net::Response answer =
        send("PUT", "/api/v1/nodes/" + name + "/status",
             R"({"metadata":{"name":")" + name +
                 R"(","labels":{"zone":"a"}},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"}],
                 "conditions":[{"type":"Ready","status":")" +
                 ready + R"("}]}})");
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  net::Response send(std::string method, std::string target, std::string body = {}, std::string accept = {}) {
    net::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    if (!accept.empty()) request.headers.set("Accept", accept);
    return *net::in_process_transport(*server_, {})->round_trip(request);
  }
  net::Response get(const std::string& target, const std::string& accept = {}) {
    return send("GET", target, {}, accept);
  }
  net::Response post(const std::string& target, const std::string& body) { return send("POST", target, body); }
  static std::string text(const net::Response& response, std::initializer_list<std::string_view> path) {
    auto value = api::parse_value(response.body);
    const api::Value* found = value.ok() ? value->at_path(path) : nullptr;
    return found != nullptr ? std::string(found->string_or_empty()) : std::string();
  }
  static size_t items(const net::Response& response) {
    auto value = api::parse_value(response.body);
    const api::Value* found = value.ok() ? value->find("items") : nullptr;
    return found != nullptr && found->is_array() ? found->as_array().size() : 999;
  }

  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  FakeKubelet kubelet_;
  std::unique_ptr<ApiServer> server_;
};

constexpr const char* kNodes = "/apis/metrics.k8s.io/v1beta1/nodes";
constexpr const char* kPods = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";

TEST_F(MetricsApiTest, NodesShowWhatTheirKubeletTells) {
  const net::Response nodes = get(kNodes);
  ASSERT_EQ(nodes.status, 200) << nodes.body;
  EXPECT_EQ(text(nodes, {"kind"}), "NodeMetricsList");
  ASSERT_EQ(items(nodes), 1u) << nodes.body;
  EXPECT_EQ(text(nodes, {"items", "0", "metadata", "name"}), "n1");
  EXPECT_EQ(text(nodes, {"items", "0", "metadata", "labels", "zone"}), "a") << nodes.body;
  EXPECT_EQ(text(nodes, {"items", "0", "usage", "cpu"}), "250m");
  EXPECT_EQ(text(nodes, {"items", "0", "usage", "memory"}), "2Mi");
  EXPECT_EQ(text(nodes, {"items", "0", "window"}), "2s");
  EXPECT_EQ(kubelet_.target, "/stats/summary?only_cpu_and_memory=true");
  EXPECT_EQ(text(get(std::string(kNodes) + "/n1"), {"usage", "cpu"}), "250m");
  EXPECT_EQ(get(std::string(kNodes) + "/none").status, 404);
  EXPECT_EQ(items(get(std::string(kNodes) + "?labelSelector=zone%3Db")), 0u);
}

TEST_F(MetricsApiTest, PodsShowTheirContainers) {
  const net::Response pods = get(kPods);
  ASSERT_EQ(items(pods), 1u) << pods.body;
  EXPECT_EQ(text(pods, {"items", "0", "metadata", "labels", "app"}), "web");
  EXPECT_EQ(text(pods, {"items", "0", "containers", "0", "name"}), "log");
  EXPECT_EQ(text(pods, {"items", "0", "containers", "0", "usage", "cpu"}), "20n");
  EXPECT_EQ(text(pods, {"items", "0", "containers", "1", "usage", "cpu"}), "1500u");
  EXPECT_EQ(text(pods, {"items", "0", "containers", "1", "usage", "memory"}), "1Mi");
  EXPECT_EQ(items(get("/apis/metrics.k8s.io/v1beta1/pods")), 1u);
  EXPECT_EQ(items(get(std::string(kPods) + "?labelSelector=app%3Dother")), 0u);
  const net::Response by_name = get(std::string(kPods) + "?fieldSelector=metadata.name%3Dweb");
  EXPECT_EQ(items(by_name), 1u) << by_name.body;
  EXPECT_EQ(text(get(std::string(kPods) + "/web"), {"kind"}), "PodMetrics");
  const net::Response table = get(kPods, "application/json;as=Table;v=v1;g=meta.k8s.io");
  EXPECT_EQ(text(table, {"columnDefinitions", "1", "name"}), "cpu") << table.body;
  EXPECT_EQ(text(table, {"rows", "0", "cells", "2"}), "1028Ki");
}

TEST_F(MetricsApiTest, KubeletsAreAskedWhenSomebodyAsksAndNotTooOften) {
  EXPECT_EQ(kubelet_.asked, 0);
  get(kNodes);
  get(kPods);
  EXPECT_EQ(kubelet_.asked, 1);
  clock_->advance(std::chrono::seconds(6));
  get(kPods);
  EXPECT_EQ(kubelet_.asked, 2);
}

TEST_F(MetricsApiTest, WhoDoesNotAnswerIsLeftOut) {
  kubelet_.broken = true;
  EXPECT_EQ(items(get(kNodes)), 0u);
  const net::Response one = get(std::string(kNodes) + "/n1");
  EXPECT_EQ(one.status, 404);
  EXPECT_EQ(text(one, {"message"}), "nodes.metrics.k8s.io \"n1\" not found");
  kubelet_.broken = false;
  add_node("down", "Unknown");
  clock_->advance(std::chrono::seconds(6));
  EXPECT_EQ(items(get(kNodes)), 1u);
  EXPECT_EQ(kubelet_.asked, 2) << "a node that is not ready is not asked";
}

TEST_F(MetricsApiTest, IsDiscoveredAndReadOnly) {
  EXPECT_NE(get("/apis").body.find("metrics.k8s.io"), std::string::npos);
  EXPECT_NE(get("/apis/metrics.k8s.io/v1beta1").body.find("PodMetrics"), std::string::npos);
  EXPECT_EQ(post(kNodes, "{}").status, 405);
  EXPECT_EQ(get(std::string(kNodes) + "?watch=true").status, 405);
}

}  // namespace
}  // namespace trireme::apiserver
