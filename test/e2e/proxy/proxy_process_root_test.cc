// The whole proxy on the real API server, with real connections between namespaces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "apiserver/api_server.h"
#include "client/client.h"
#include "client/informer_factory.h"
#include "linux/process.h"
#include "net/transport.h"
#include "proxy/proxy.h"
#include "proxy/testing/objects.h"
#include "store/memory_store.h"
#include "support/wires.h"

namespace trireme::proxy {
namespace {

using test::Answerer;
using test::nft_list;
using test::Peer;
using test::Wires;
using ::testing::HasSubstr;
using testing::make_service;
using testing::make_slice;
using testing::TestEndpoint;

class ProxyProcessRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    wires_.emplace();
    pod_a_ = &wires_->add_pod(2);
    pod_b_ = &wires_->add_pod(3);
    a_.emplace(*pod_a_, "a", 8080);
    b_.emplace(*pod_b_, "b", 8080);
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    raw_ = std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               "test");
    client_.emplace(raw_);
    api::corev1::Node node;
    node.metadata.name = "here";
    ASSERT_TRUE(client_->create(node).ok());
    start();
  }
  void TearDown() override {
    proxy_.reset();
    informers_.reset();
    if (server_) server_->begin_shutdown();
  }
  void start() {
    informers_ = std::make_shared<client::InformerFactory>(raw_, real_clock());
    ProxyOptions options;
    options.node_name = "here";
    options.rules.cluster_cidrs = {*parse_prefix("10.244.0.0/16")};
    options.healthz = HostPort{"0.0.0.0", 0};
    auto proxy = Proxy::start(std::move(options), {*informers_, real_clock(), nullptr, nullptr});
    ASSERT_TRUE(proxy.ok()) << proxy.status().to_string();
    proxy_ = std::move(*proxy);
    ASSERT_TRUE(proxy_->wait_applied(std::chrono::seconds(20)));
  }
  /// The server gives the cluster address.
  std::string create(const std::string& name, const std::vector<TestEndpoint>& endpoints,
                     const std::function<void(testing::Service&)>& change = {}) {
    auto service = make_service(name, {});
    if (change) change(*service);
    auto created = client_->create_in("default", *service);
    EXPECT_TRUE(created.ok()) << created.status().to_string();
    auto slice = make_slice(name, endpoints);
    auto made = client_->create_in("default", *slice);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return created.ok() ? created->spec.cluster_ip : std::string();
  }
  /// Until the answer is as wanted, for ten seconds at most.
  [[nodiscard]] bool until(const std::function<bool()>& holds) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  std::optional<Wires> wires_;
  Peer* pod_a_ = nullptr;
  Peer* pod_b_ = nullptr;
  std::optional<Answerer> a_;
  std::optional<Answerer> b_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::shared_ptr<client::RawClient> raw_;
  std::optional<client::Client> client_;
  std::shared_ptr<client::InformerFactory> informers_;
  std::unique_ptr<Proxy> proxy_;
};

TEST_F(ProxyProcessRootTest, ServicesComeAndGoAndARestartLeavesNoGap) {
  const std::string address = create("web", {{.address = "10.244.1.2", .node = "here"}});
  ASSERT_TRUE(until([&] { return wires_->connect(pod_b_, address, 80) == "a 10.244.1.3"; }));
  proxy_.reset();
  EXPECT_EQ(wires_->connect(pod_b_, address, 80), "a 10.244.1.3") << "the rules stand without the proxy";
  auto slice = client_->get<testing::EndpointSlice>("default", "web-1");
  ASSERT_TRUE(slice.ok());
  slice->endpoints[0].addresses = {"10.244.1.3"};
  ASSERT_TRUE(client_->update(*slice).ok());
  start();
  EXPECT_EQ(wires_->connect(pod_a_, address, 80), "b 10.244.1.2");
  ASSERT_TRUE(client_->remove<testing::Service>("default", "web").ok());
  EXPECT_TRUE(until([&] { return nft_list().find(address) == std::string::npos; }));
  EXPECT_THAT(proxy_->metrics(), HasSubstr("kubeproxy_sync_proxy_rules_duration_seconds_count"));
}

TEST_F(ProxyProcessRootTest, WhatOthersFlushComesBack) {
  const std::string address = create("web", {{.address = "10.244.1.2", .node = "here"}});
  const auto served = [&] { return wires_->connect(pod_b_, address, 80) == "a 10.244.1.3"; };
  ASSERT_TRUE(until(served));
  const auto restores = [&] {
    const std::string text = proxy_->metrics();
    return text.substr(text.rfind("trireme_proxy_restores_total"), 40);
  };
  // A harm that falls into the repair of the last one is repaired with it, and not counted.
  const auto settled = [&] {
    std::string before;
    do {
      before = restores();
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    } while (restores() != before);
    return before;
  };
  for (const std::vector<std::string>& harm :
       std::vector<std::vector<std::string>>{{"nft", "flush", "ruleset"},
                                             {"nft", "flush", "table", "ip", "trireme-proxy"},
                                             {"nft", "flush", "set", "ip", "trireme-proxy", "cluster-ips"},
                                             {"nft", "flush", "map", "ip", "trireme-proxy", "endpoints"},
                                             {"nft", "flush", "chain", "ip", "trireme-proxy", "services"},
                                             {"nft", "delete", "table", "ip", "trireme-proxy"}}) {
    const std::string before = settled();
    ASSERT_TRUE(linux::run_program(harm).ok()) << harm[1] << " " << harm[2];
    EXPECT_TRUE(until([&] { return restores() != before; })) << harm[1] << " " << harm[2];
    EXPECT_TRUE(until(served)) << harm[1] << " " << harm[2];
  }
  // What happens in others' tables is none of its business.
  const std::string before = settled();
  ASSERT_TRUE(linux::run_program({"nft", "add", "table", "ip", "other"}).ok());
  ASSERT_TRUE(linux::run_program({"nft", "delete", "table", "ip", "other"}).ok());
  EXPECT_EQ(settled(), before);
}

TEST_F(ProxyProcessRootTest, HealthCheckNodePortsAndHealthz) {
  create("web", {{.address = "10.244.1.2", .node = "here"}}, [](testing::Service& service) {
    service.spec.type = "LoadBalancer";
    service.spec.external_traffic_policy = "Local";
    service.spec.health_check_node_port = 32123;
  });
  const auto get = [&](int port, const char* path) {
    auto out = linux::run_program({"curl", "-s", "--max-time", "3", "-o", "-", "-w", " %{http_code}",
                                   "http://192.0.2.1:" + std::to_string(port) + path});
    return out.ok() ? *out : out.status().message();
  };
  EXPECT_TRUE(until([&] { return get(32123, "/").ends_with(" 200"); }));
  EXPECT_THAT(get(32123, "/"), HasSubstr("\"localEndpoints\": 1"));
  EXPECT_THAT(get(32123, "/"), HasSubstr("\"name\": \"web\""));
  auto slice = client_->get<testing::EndpointSlice>("default", "web-1");
  ASSERT_TRUE(slice.ok());
  slice->endpoints[0].node_name = "other";
  ASSERT_TRUE(client_->update(*slice).ok());
  EXPECT_TRUE(until([&] { return get(32123, "/").ends_with(" 503"); }));
  EXPECT_THAT(get(proxy_->healthz_port(), "/healthz"),
              ::testing::AllOf(HasSubstr("\"nodeEligible\": true}"), HasSubstr(" 200")));
  EXPECT_THAT(get(proxy_->healthz_port(), "/livez"), HasSubstr(" 200"));
  auto node = client_->get<api::corev1::Node>("", "here");
  ASSERT_TRUE(node.ok());
  node->spec.taints.emplace_back();
  node->spec.taints.back().key = "ToBeDeletedByClusterAutoscaler";
  node->spec.taints.back().effect = "NoSchedule";
  ASSERT_TRUE(client_->update(*node).ok());
  EXPECT_TRUE(until([&] { return get(proxy_->healthz_port(), "/healthz").ends_with(" 503"); }));
  EXPECT_THAT(get(proxy_->healthz_port(), "/livez"), HasSubstr(" 200"));
  ASSERT_TRUE(client_->remove<testing::Service>("default", "web").ok());
  EXPECT_TRUE(
      until([&] { return get(32123, "/").ends_with("000") || get(32123, "/").find("curl") != std::string::npos; }));
}

}  // namespace
}  // namespace trireme::proxy
