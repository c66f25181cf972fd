// pods/log: the kubelet's stream, passed on.

#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using test::Answer;
using test::TestApiServer;

constexpr const char* kPods = "/api/v1/namespaces/default/pods";

/// A kubelet that says what it was asked for, in two pieces.
class Kubelet : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    exchange->start(200, {});
    exchange->write(share("log of "));
    exchange->write(share(exchange->request().target));
    exchange->finish();
  }
};

TEST(PodLog, ComesFromThePodsNode) {
  Kubelet kubelet;
  std::string reached;
  apiserver::Options options;
  options.kubelet_transport = [&](const std::string& url) -> Result<std::unique_ptr<net::Transport>> {
    reached = url;
    return net::in_process_transport(kubelet, {});
  };
  TestApiServer server(options);
  ASSERT_EQ(server
                .post("/api/v1/nodes", R"({"metadata":{"name":"n1"},"status":{
      "addresses":[{"type":"InternalIP","address":"192.0.2.7"}],
      "daemonEndpoints":{"kubeletEndpoint":{"Port":10777}}}})")
                .status,
            201);
  ASSERT_EQ(server.post(kPods, test::pod("p", "", R"("nodeName":"n1")")).status, 201);
  ASSERT_EQ(server.post(kPods, test::pod("unscheduled")).status, 201);
  const std::string log = std::string(kPods) + "/p/log";
  Answer answer = server.get(log + "?tailLines=5&container=main");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body, "log of /containerLogs/default/p/main?tailLines=5");
  EXPECT_EQ(answer.headers.get("Content-Type"), "text/plain");
  EXPECT_EQ(reached, "https://192.0.2.7:10777");
  EXPECT_EQ(server.get(log + "?container=other").at({"message"}), "container other is not valid for pod p");
  EXPECT_EQ(server.get(log + "?tailLines=-1").status, 422);
  EXPECT_EQ(server.get(std::string(kPods) + "/unscheduled/log").body, "");
  EXPECT_EQ(server.get(std::string(kPods) + "/none/log").status, 404);
}

TEST(PodLog, WithoutAWayToKubeletsIsRefused) {
  TestApiServer server;
  ASSERT_EQ(server.post(kPods, test::pod("p")).status, 201);
  EXPECT_EQ(server.get(std::string(kPods) + "/p/log").status, 501);
  EXPECT_EQ(server.post(std::string(kPods) + "/p/exec", "").status, 501);
}

}  // namespace
}  // namespace trireme
