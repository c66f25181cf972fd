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

// Two families

constexpr const char* kFourFirst = "10.0.0.0/16,fd00:96::/112";

TEST(DualStackServices, GetAddressesAsTheirPolicyWants) {
  TestApiServer server(apiserver::Options{.service_cidr = kFourFirst});
  const Answer single = server.post(kServices, service("single", ""));
  ASSERT_EQ(single.status, 201) << single.body;
  EXPECT_EQ(single.at({"spec", "ipFamilies"}), R"(["IPv4"])");
  EXPECT_EQ(single.at({"spec", "ipFamilyPolicy"}), "SingleStack");
  EXPECT_TRUE(single.at({"spec", "clusterIP"}).starts_with("10.0."));

  const Answer six = server.post(kServices, service("six", R"("ipFamilies":["IPv6"])"));
  ASSERT_EQ(six.status, 201) << six.body;
  EXPECT_TRUE(six.at({"spec", "clusterIP"}).starts_with("fd00:96::")) << six.body;

  const Answer both = server.post(kServices, service("both", R"("ipFamilyPolicy":"RequireDualStack")"));
  ASSERT_EQ(both.status, 201) << both.body;
  EXPECT_EQ(both.at({"spec", "ipFamilies"}), R"(["IPv4","IPv6"])");
  EXPECT_TRUE(both.at({"spec", "clusterIPs", "0"}).starts_with("10.0.")) << both.body;
  EXPECT_EQ(both.at({"spec", "clusterIPs", "0"}), both.at({"spec", "clusterIP"}));
  EXPECT_TRUE(both.at({"spec", "clusterIPs", "1"}).starts_with("fd00:96::")) << both.body;

  const Answer kubernetes = server.get(path("kubernetes"));
  EXPECT_EQ(kubernetes.at({"spec", "clusterIPs"}), R"(["10.0.0.1"])");
  EXPECT_EQ(kubernetes.at({"spec", "ipFamilyPolicy"}), "SingleStack");
}

TEST(DualStackServices, EitherFamilyMayBeFirst) {
  TestApiServer server(apiserver::Options{.service_cidr = "fd00:96::/112,10.0.0.0/16"});
  EXPECT_EQ(server.get(path("kubernetes")).at({"spec", "clusterIP"}), "fd00:96::1");
  const Answer both = server.post(kServices, service("both", R"("ipFamilyPolicy":"PreferDualStack")"));
  EXPECT_EQ(both.at({"spec", "ipFamilies"}), R"(["IPv6","IPv4"])") << both.body;
}

TEST(DualStackServices, TheSecondAddressComesAndGoes) {
  TestApiServer server(apiserver::Options{.service_cidr = kFourFirst});
  const Answer made = server.post(kServices, service("a", ""));
  const std::string ip = made.at({"spec", "clusterIP"});
  const Answer up = server.patch(path("a"), R"({"spec":{"ipFamilyPolicy":"PreferDualStack"}})");
  ASSERT_EQ(up.status, 200) << up.body;
  EXPECT_EQ(up.at({"spec", "clusterIP"}), ip);
  const std::string second = up.at({"spec", "clusterIPs", "1"});
  EXPECT_TRUE(second.starts_with("fd00:96::")) << up.body;
  const std::string asking = R"("ipFamilies":["IPv6"],"clusterIP":")" + second + "\"";
  EXPECT_EQ(server.post(kServices, service("b", asking)).status, 422) << "it is taken";

  const Answer unclear = server.patch(path("a"), R"({"spec":{"clusterIPs":[")" + ip + R"("]}})");
  EXPECT_EQ(unclear.status, 422);
  EXPECT_NE(unclear.at({"message"}).find("must be 'SingleStack' to release the secondary cluster IP"),
            std::string::npos)
      << unclear.body;
  const Answer swapped = server.patch(path("a"), R"({"spec":{"ipFamilies":["IPv6","IPv4"],"clusterIPs":[")" + second +
                                                     R"(",")" + ip + R"("],"clusterIP":")" + second + R"("}})");
  EXPECT_EQ(swapped.status, 422) << swapped.body;

  const Answer down = server.patch(path("a"), R"({"spec":{"ipFamilyPolicy":"SingleStack"}})");
  ASSERT_EQ(down.status, 200) << down.body;
  EXPECT_EQ(down.at({"spec", "clusterIPs"}), "[\"" + ip + "\"]");
  EXPECT_EQ(down.at({"spec", "ipFamilies"}), R"(["IPv4"])");
  EXPECT_EQ(server.post(kServices, service("b", asking)).status, 201) << "it is free again";

  // A service that becomes a name gives both back.
  ASSERT_EQ(server.patch(path("a"), R"({"spec":{"ipFamilyPolicy":"RequireDualStack"}})").status, 200);
  const std::string third = server.get(path("a")).at({"spec", "clusterIPs", "1"});
  const Answer name = server.patch(
      path("a"), R"({"spec":{"type":"ExternalName","externalName":"x.org","clusterIP":"","clusterIPs":null}})");
  ASSERT_EQ(name.status, 200) << name.body;
  EXPECT_EQ(name.at({"spec", "ipFamilies"}), "");
  EXPECT_EQ(server.post(kServices, service("c", R"("ipFamilies":["IPv6"],"clusterIP":")" + third + "\"")).status, 201);
  EXPECT_EQ(server.post(kServices, service("d", R"("clusterIP":")" + ip + "\"")).status, 201);
}

TEST(DualStackServices, OneFamilyIsNotTwo) {
  TestApiServer server;
  const Answer required = server.post(kServices, service("a", R"("ipFamilyPolicy":"RequireDualStack")"));
  EXPECT_EQ(required.status, 422);
  EXPECT_NE(required.at({"message"}).find("this cluster is not configured for dual-stack services"), std::string::npos)
      << required.body;
  EXPECT_EQ(server.post(kServices, service("a", R"("ipFamilies":["IPv6"])")).status, 422);
  const Answer preferred = server.post(kServices, service("a", R"("ipFamilyPolicy":"PreferDualStack")"));
  EXPECT_EQ(preferred.at({"spec", "ipFamilies"}), R"(["IPv4"])") << preferred.body;
  const Answer headless = server.post(kServices, service("h", R"("clusterIP":"None")"));
  EXPECT_EQ(headless.at({"spec", "ipFamilies"}), R"(["IPv4","IPv6"])") << headless.body;
}

TEST(LoadBalancers, GetAHealthCheckPortWhereTrafficStaysLocal) {
  TestApiServer server;
  const Answer made = server.post(kServices, service("a", R"("type":"LoadBalancer","externalTrafficPolicy":"Local")"));
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string port = made.at({"spec", "healthCheckNodePort"});
  EXPECT_GE(std::stoi(port), 30000);
  const std::string node_port = R"("type":"NodePort","ports":[{"port":80,"nodePort":)" + port + "}]";
  const auto taker = [&](const char* name) {
    return server.post(kServices, R"({"metadata":{"name":")" + std::string(name) + R"("},"spec":{)" + node_port + "}}");
  };
  EXPECT_EQ(taker("b").status, 422) << "it is taken";
  // It stays, though it is left out, and cannot be changed.
  const Answer replaced =
      server.put(path("a"), service("a", R"("type":"LoadBalancer","externalTrafficPolicy":"Local")"));
  EXPECT_EQ(replaced.at({"spec", "healthCheckNodePort"}), port) << replaced.body;
  EXPECT_EQ(server.patch(path("a"), R"({"spec":{"healthCheckNodePort":30001}})").status, 422);
  const Answer cluster = server.patch(path("a"), R"({"spec":{"externalTrafficPolicy":"Cluster"}})");
  ASSERT_EQ(cluster.status, 200) << cluster.body;
  EXPECT_EQ(cluster.at({"spec", "healthCheckNodePort"}), "");
  EXPECT_EQ(taker("b").status, 201) << "it is free again";
  const Answer asked = server.post(
      kServices, service("c", R"("type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":32100)"));
  EXPECT_EQ(asked.at({"spec", "healthCheckNodePort"}), "32100") << asked.body;
}

TEST(LoadBalancers, DoWithoutNodePortsIfTheyWant) {
  TestApiServer server;
  const Answer made =
      server.post(kServices, service("a", R"("type":"LoadBalancer","allocateLoadBalancerNodePorts":false)"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.at({"spec", "ports", "0", "nodePort"}), "");
  const Answer asked = server.post(kServices, R"({"metadata":{"name":"b"},"spec":{"type":"LoadBalancer",
      "allocateLoadBalancerNodePorts":false,"ports":[{"port":80,"nodePort":30080}]}})");
  EXPECT_EQ(asked.at({"spec", "ports", "0", "nodePort"}), "30080") << asked.body;
  const Answer now = server.patch(path("a"), R"({"spec":{"allocateLoadBalancerNodePorts":true}})");
  EXPECT_GE(std::stoi("0" + now.at({"spec", "ports", "0", "nodePort"})), 30000) << now.body;
}

TEST(NodePorts, OfOneNumberAreOneForAllProtocols) {
  TestApiServer server;
  const Answer dns = server.post(kServices, R"({"metadata":{"name":"dns"},"spec":{"type":"NodePort","ports":[
      {"name":"udp","port":53,"protocol":"UDP"},{"name":"tcp","port":53},{"name":"metrics","port":9153}]}})");
  ASSERT_EQ(dns.status, 201) << dns.body;
  EXPECT_EQ(dns.at({"spec", "ports", "0", "nodePort"}), dns.at({"spec", "ports", "1", "nodePort"}));
  EXPECT_NE(dns.at({"spec", "ports", "0", "nodePort"}), dns.at({"spec", "ports", "2", "nodePort"}));
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
