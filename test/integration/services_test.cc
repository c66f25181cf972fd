// Cluster IPs and node ports.

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using test::Answer;
using test::TestApiServer;

constexpr const char* kServices = "/api/v1/namespaces/default/services";

std::string service(std::string_view name, std::string_view spec) {
  return R"({"metadata":{"name":")" + std::string(name) + R"("},"spec":{"ports":[{"port":80}])" +
         (spec.empty() ? "" : ",") + std::string(spec) + "}}";
}
std::string path(std::string_view name) { return std::string(kServices) + "/" + std::string(name); }

TEST(Services, GetAddressesAndKeepThem) {
  TestApiServer server;
  Answer created = server.post(kServices, service("a", R"("selector":{"x":"y"})"));
  ASSERT_EQ(created.status, 201) << created.body;
  std::string ip = created.at({"spec", "clusterIP"});
  EXPECT_TRUE(ip.starts_with("10.96.")) << ip;
  EXPECT_EQ(created.at({"spec", "clusterIPs"}), "[\"" + ip + "\"]");
  // What old clients send back leaves the allocation out.
  Answer replaced = server.put(path("a"), service("a", R"("type":"NodePort")"));
  ASSERT_EQ(replaced.status, 200) << replaced.body;
  EXPECT_EQ(replaced.at({"spec", "clusterIP"}), ip);
  std::string port = replaced.at({"spec", "ports", "0", "nodePort"});
  EXPECT_GE(std::stoi(port), 30000);
  EXPECT_LE(std::stoi(port), 32767);
  Answer back = server.patch(path("a"), R"({"spec":{"type":"ClusterIP"}})");
  EXPECT_EQ(back.at({"spec", "ports", "0", "nodePort"}), "") << back.body;
  // The port is free again.
  Answer taken = server.post(kServices, R"({"metadata":{"name":"b"},"spec":{"type":"NodePort","ports":[{"port":1,
      "nodePort":)" + port + "}]}}");
  EXPECT_EQ(taken.status, 201) << taken.body;
}

TEST(Services, RefuseWhatIsTakenOrOutOfRange) {
  TestApiServer server;
  ASSERT_EQ(server.post(kServices, service("a", R"("clusterIP":"10.96.5.5")")).status, 201);
  Answer taken = server.post(kServices, service("b", R"("clusterIP":"10.96.5.5")"));
  EXPECT_EQ(taken.status, 422);
  EXPECT_NE(taken.at({"message"}).find("provided IP is already allocated"), std::string::npos) << taken.body;
  Answer outside = server.post(kServices, service("b", R"("clusterIP":"192.168.0.1")"));
  EXPECT_EQ(outside.status, 422);
  EXPECT_NE(outside.at({"message"}).find("not in the valid range"), std::string::npos) << outside.body;
  const std::string node_port =
      R"({"metadata":{"name":"n"},"spec":{"type":"NodePort","ports":[{"port":1,"nodePort":8}]}})";
  EXPECT_NE(server.post(kServices, node_port).at({"message"}).find("The range of valid ports is 30000-32767"),
            std::string::npos);
  // After a deletion, and after a restart, the books are right.
  ASSERT_EQ(server.remove(path("a")).status, 200);
  ASSERT_EQ(server.post(kServices, service("c", R"("clusterIP":"10.96.5.5")")).status, 201);
  server.restart();
  EXPECT_EQ(server.post(kServices, service("d", R"("clusterIP":"10.96.5.5")")).status, 422);
}

TEST(Services, WithoutAddresses) {
  TestApiServer server;
  Answer headless = server.post(kServices, service("h", R"("clusterIP":"None")"));
  ASSERT_EQ(headless.status, 201) << headless.body;
  EXPECT_EQ(headless.at({"spec", "clusterIPs"}), R"(["None"])");
  Answer external =
      server.post(kServices, R"({"metadata":{"name":"e"},"spec":{"type":"ExternalName","externalName":"x.org"}})");
  ASSERT_EQ(external.status, 201) << external.body;
  EXPECT_EQ(external.at({"spec", "clusterIP"}), "");
}

TEST(Services, DryRunAndFailuresGiveBackWhatTheyTook) {
  TestApiServer server;
  EXPECT_EQ(server.post(std::string(kServices) + "?dryRun=All", service("a", R"("clusterIP":"10.96.7.7")")).status,
            201);
  ASSERT_EQ(server.post(kServices, service("a", R"("clusterIP":"10.96.7.7")")).status, 201);
  EXPECT_EQ(server.post(kServices, service("a", R"("clusterIP":"10.96.8.8")")).status, 409);
  EXPECT_EQ(server.post(kServices, service("b", R"("clusterIP":"10.96.8.8")")).status, 201);
}

TEST(Services, ConcurrentCreatesNeverShareAnAddress) {
  TestApiServer server(apiserver::Options{.service_cidr = "10.0.0.0/25"});
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          server.post(kServices, service("s" + std::to_string(t) + "-" + std::to_string(i), ""));
        }
      });
    }
  }
  api::Value list = server.get(kServices).json();
  std::set<std::string> ips;
  for (const api::Value& item : list.find("items")->as_array()) {
    ips.insert(item.at_path({"spec", "clusterIP"})->as_string());
  }
  EXPECT_EQ(ips.size(), kThreads * kEach + 1u);
}

}  // namespace
}  // namespace trireme
