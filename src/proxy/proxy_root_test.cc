// Real connections between namespaces, through the rules that the kernel got.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "linux/process.h"
#include "proxy/applier.h"
#include "proxy/layer2.h"
#include "proxy/service_route.h"
#include "proxy/testing/objects.h"
#include "support/sctp.h"
#include "support/wires.h"

namespace trireme::proxy {
namespace {

using test::Answerer;
using test::nft_list;
using test::Peer;
using test::UdpClient;
using test::Wires;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::make_service;
using testing::make_slice;
using ::testing::Not;
using testing::set_load_balancer;
using testing::TestEndpoint;

class ProxyRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    wires_.emplace();
    pod_a_ = &wires_->add_pod(2);
    pod_b_ = &wires_->add_pod(3);
    remote_ = &wires_->add_remote_pod(2);
    a_.emplace(*pod_a_, "a", 8080);
    b_.emplace(*pod_b_, "b", 8080);
    r_.emplace(*remote_, "r", 8080);
    auto applier = nft_applier();
    ASSERT_TRUE(applier.ok()) << applier.status().to_string();
    applier_ = std::move(*applier);
    options_.cluster_cidrs = {*parse_prefix("10.244.0.0/16"), *parse_prefix("fd00:244::/32")};
    options_.service_cidrs = {*parse_prefix("10.96.0.0/16")};
    begin();
  }
  void begin() {
    planners_.clear();
    for (bool ip6 : {false, true}) {
      planners_.emplace_back(options_, ip6);
      planners_.back().set_node({.name = "here", .addresses = {*parse_address("192.0.2.1")}});
      ASSERT_TRUE(applier_->replace(planners_.back()).ok());
    }
  }
  static std::vector<TestEndpoint> all() {
    return {{.address = "10.244.1.2", .node = "here"},
            {.address = "10.244.1.3", .node = "here"},
            {.address = "10.244.2.2"}};
  }
  void put(std::shared_ptr<testing::Service> service, std::vector<SlicePointer> slices) {
    std::string key = "default/" + service->metadata.name;
    world_[key] = {std::move(service), std::move(slices)};
    update(key);
  }
  void update(const std::string& key) {
    for (Planner& planner : planners_) {
      Change change = planner.update({key}, [this](const std::string& one) { return world_[one]; });
      Status status = applier_->apply(planner.ip6(), change);
      ASSERT_TRUE(status.ok()) << status.to_string();
      auto gone = applier_->forget(planner.ip6(), change.stale);
      ASSERT_TRUE(gone.ok()) << gone.status().to_string();
    }
  }
  std::string from_client(const std::string& address, int port) {
    return wires_->connect(&wires_->client(), address, port);
  }
  std::set<std::string> many(const Peer* from, const std::string& address, int port, int times = 30) {
    std::set<std::string> out;
    for (int i = 0; i < times; ++i) out.insert(wires_->connect(from, address, port));
    return out;
  }

  std::optional<Wires> wires_;
  Peer* pod_a_ = nullptr;
  Peer* pod_b_ = nullptr;
  Peer* remote_ = nullptr;
  std::optional<Answerer> a_;
  std::optional<Answerer> b_;
  std::optional<Answerer> r_;
  std::unique_ptr<Applier> applier_;
  Options options_;
  std::vector<Planner> planners_;
  std::map<std::string, ServiceView> world_;
};

TEST_F(ProxyRootTest, AClusterIpIsSpreadOverItsEndpoints) {
  put(make_service("web", {"10.96.0.10"}), {make_slice("web", all())});
  // A pod keeps its address; one that reaches itself sees the node's.
  EXPECT_EQ(many(pod_b_, "10.96.0.10", 80), (std::set<std::string>{"a 10.244.1.3", "b 10.244.1.1", "r 10.244.1.3"}));
  // From outside the cluster it is masqueraded.
  EXPECT_EQ(many(&wires_->client(), "10.96.0.10", 80),
            (std::set<std::string>{"a 10.244.1.1", "b 10.244.1.1", "r 10.244.2.1"}));
  // Another port of the address, and an address that no service has.
  EXPECT_EQ(wires_->connect(pod_a_, "10.96.0.10", 81), "refused");
  EXPECT_EQ(wires_->connect(pod_a_, "10.96.0.11", 80), "timeout");
  std::string text = nft_list();
  for (const char* expected :
       {"dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints",
        "10.96.0.10 . tcp . 80 : goto pick-3", "10.96.0.10 . tcp . 80 . 2 : 10.244.2.2 . 8080",
        "ip daddr . meta l4proto . th dport vmap @services",
        "fib daddr type local ip daddr != 127.0.0.0/8 jump nodeports",
        "ct original ip daddr . meta l4proto . ct original proto-dst @masquerade masquerade fully-random",
        "ip daddr @cluster-ips goto reject"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

TEST_F(ProxyRootTest, AServiceWithoutEndpointsRefuses) {
  put(make_service("web", {"10.96.0.10"}), {});
  put(make_service("dns", {"10.96.0.11"}, 53, "UDP"), {});
  for (const Peer* from : {pod_a_, &wires_->client()}) {
    EXPECT_EQ(wires_->connect(from, "10.96.0.10", 80), "refused");
    UdpClient udp(*from);
    EXPECT_EQ(udp.ask("10.96.0.11", 53), "refused");
  }
}

TEST_F(ProxyRootTest, NodePortsAnswerOnAllAddressesOfTheNode) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.type = "NodePort";
  service->spec.ports[0].node_port = 30080;
  service->spec.external_traffic_policy = "Cluster";
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("192.0.2.1", 30080), "r 10.244.2.1");
  EXPECT_EQ(wires_->connect(pod_a_, "10.244.1.1", 30080), "r 10.244.2.1");
  EXPECT_EQ(wires_->connect(nullptr, "192.0.2.1", 30080), "r 10.244.2.1");
  put(service, {});
  EXPECT_EQ(from_client("192.0.2.1", 30080), "refused");

  options_.nodeport_primary = true;
  begin();
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("192.0.2.1", 30080), "r 10.244.2.1");
  EXPECT_EQ(wires_->connect(pod_a_, "10.244.1.1", 30080), "refused");
}

TEST_F(ProxyRootTest, ExternalTrafficThatStaysLocalKeepsItsSource) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.external_traffic_policy = "Local";
  put(service, {make_slice("web", {{.address = "10.244.1.2", .node = "here"}, {.address = "10.244.2.2"}})});
  EXPECT_EQ(many(&wires_->client(), "203.0.113.9", 80, 12), (std::set<std::string>{"a 192.0.2.2"}));
  EXPECT_EQ(many(&wires_->client(), "192.0.2.1", 30080, 12), (std::set<std::string>{"a 192.0.2.2"}));
  // Pods may be served anywhere.
  EXPECT_EQ(many(pod_b_, "203.0.113.9", 80), (std::set<std::string>{"a 10.244.1.3", "r 10.244.1.3"}));

  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("203.0.113.9", 80), "timeout");
  EXPECT_EQ(from_client("192.0.2.1", 30080), "timeout");
  EXPECT_EQ(wires_->connect(pod_b_, "203.0.113.9", 80), "r 10.244.1.3");
  EXPECT_EQ(from_client("10.96.0.10", 80), "r 10.244.2.1");
}

TEST_F(ProxyRootTest, ExternalIpsAndBalancersOfPolicyCluster) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.external_ips = {"203.0.113.77"};
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("203.0.113.9", 80), "r 10.244.2.1");
  EXPECT_EQ(from_client("203.0.113.77", 80), "r 10.244.2.1");
}

TEST_F(ProxyRootTest, InternalTrafficThatStaysLocal) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.internal_traffic_policy = "Local";
  put(service, {make_slice("web", {{.address = "10.244.1.2", .node = "here"}, {.address = "10.244.2.2"}})});
  EXPECT_EQ(many(pod_b_, "10.96.0.10", 80, 12), (std::set<std::string>{"a 10.244.1.3"}));
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(wires_->connect(pod_b_, "10.96.0.10", 80), "timeout");
}

TEST_F(ProxyRootTest, SourceRangesKeepOthersOut) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.load_balancer_source_ranges = {"192.0.2.3/32", "10.244.1.3/32"};
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("203.0.113.9", 80), "timeout");
  EXPECT_EQ(wires_->connect(pod_a_, "203.0.113.9", 80), "timeout");
  EXPECT_EQ(wires_->connect(pod_b_, "203.0.113.9", 80), "r 10.244.2.1");
  // Cluster address and node port are not restricted.
  EXPECT_EQ(wires_->connect(pod_a_, "10.96.0.10", 80), "r 10.244.1.2");
  EXPECT_EQ(from_client("192.0.2.1", 30080), "r 10.244.2.1");
  service->spec.load_balancer_source_ranges = {"192.0.2.0/28"};
  put(service, {make_slice("web", {{.address = "10.244.2.2"}})});
  EXPECT_EQ(from_client("203.0.113.9", 80), "r 10.244.2.1");
  EXPECT_EQ(wires_->connect(pod_b_, "203.0.113.9", 80), "timeout");
}

TEST_F(ProxyRootTest, AffinityKeepsAClientWithItsEndpointUntilItGoes) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.session_affinity = "ClientIP";
  service->spec.type = "NodePort";
  service->spec.ports[0].node_port = 30080;
  service->spec.external_traffic_policy = "Cluster";
  put(service, {make_slice("web", all())});
  std::set<std::string> first = many(&wires_->client(), "10.96.0.10", 80);
  ASSERT_EQ(first.size(), 1U);
  // Also through another of the service's addresses, and after the rules were taken over.
  EXPECT_EQ(many(&wires_->client(), "192.0.2.1", 30080, 10), first);
  EXPECT_THAT(nft_list(), HasSubstr("192.0.2.2 . 10.96.0.10 . 80 . 10.244."));
  for (const Planner& planner : planners_) ASSERT_TRUE(applier_->replace(planner).ok());
  EXPECT_EQ(many(&wires_->client(), "10.96.0.10", 80, 10), first);
  // Its endpoint goes: another one, and that for good.
  std::vector<TestEndpoint> rest;
  for (const TestEndpoint& endpoint : all()) {
    bool gone = (first.begin()->starts_with("a") && endpoint.address == "10.244.1.2") ||
                (first.begin()->starts_with("b") && endpoint.address == "10.244.1.3") ||
                (first.begin()->starts_with("r") && endpoint.address == "10.244.2.2");
    if (!gone) rest.push_back(endpoint);
  }
  put(service, {make_slice("web", rest)});
  std::set<std::string> second = many(&wires_->client(), "10.96.0.10", 80);
  EXPECT_EQ(second.size(), 1U);
  EXPECT_NE(second, first);
}

TEST_F(ProxyRootTest, AffinityOverTcpSaysNothingOfUdp) {
  // With eight services and three endpoints, all pairs alike would be chance of one in 6,561.
  int different = 0;
  UdpClient udp(*pod_b_);
  for (int i = 0; i < 8; ++i) {
    const std::string name = "web" + std::to_string(i);
    const std::string address = "10.96.0.2" + std::to_string(i);
    auto service = make_service(name, {address});
    service->spec.session_affinity = "ClientIP";
    service->spec.ports.push_back(service->spec.ports[0]);
    service->spec.ports[1].name = "u";
    service->spec.ports[1].protocol = "UDP";
    auto slice = make_slice(name, all());
    slice->ports.push_back(slice->ports[0]);
    slice->ports[1].name = "u";
    slice->ports[1].protocol = "UDP";
    put(service, {slice});
    const std::string first = wires_->connect(pod_b_, address, 80);
    const std::string second = udp.ask(address, 80);
    EXPECT_THAT(second, HasSubstr("10.244.1."));
    if (first != second) ++different;
    EXPECT_EQ(wires_->connect(pod_b_, address, 80), first);
    EXPECT_EQ(udp.ask(address, 80), second);
  }
  EXPECT_GT(different, 0);
}

TEST_F(ProxyRootTest, AffinityEndsAfterItsTimeout) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.session_affinity = "ClientIP";
  service->spec.session_affinity_config.emplace();
  service->spec.session_affinity_config->client_ip.emplace();
  service->spec.session_affinity_config->client_ip->timeout_seconds = 1;
  put(service, {make_slice("web", all())});
  EXPECT_EQ(many(pod_b_, "10.96.0.10", 80, 5).size(), 1U);
  EXPECT_THAT(nft_list(), HasSubstr("timeout 1s"));
  std::set<std::string> seen;
  // One of three each time: twelve equal ones would be chance of one in 177,147.
  for (int i = 0; i < 12 && seen.size() < 2; ++i) {
    seen.insert(wires_->connect(pod_b_, "10.96.0.10", 80));
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  }
  EXPECT_GE(seen.size(), 2U);
}

TEST_F(ProxyRootTest, UdpFlowsFollowTheirEndpoints) {
  auto service = make_service("dns", {"10.96.0.10"}, 53, "UDP");
  const auto slice = [](const char* address) {
    return make_slice("dns", {{.address = address, .node = "here"}}, 8080, "UDP");
  };
  put(service, {});
  UdpClient udp(*pod_b_);
  EXPECT_EQ(udp.ask("10.96.0.10", 53), "refused");
  put(service, {slice("10.244.1.2")});
  EXPECT_EQ(udp.ask("10.96.0.10", 53), "a 10.244.1.3");
  // The same socket, whose flow the kernel remembers, goes to the new endpoint at once.
  put(service, {make_slice("dns", {{.address = "10.244.2.2"}}, 8080, "UDP")});
  EXPECT_EQ(udp.ask("10.96.0.10", 53), "r 10.244.1.3");

  // A flow whose endpoint stays is not touched when another comes and goes.
  put(service,
      {make_slice("dns", {{.address = "10.244.2.2"}, {.address = "10.244.1.2", .node = "here"}}, 8080, "UDP")});
  EXPECT_EQ(udp.ask("10.96.0.10", 53), "r 10.244.1.3");
  put(service, {make_slice("dns", {{.address = "10.244.2.2"}}, 8080, "UDP")});
  EXPECT_EQ(udp.ask("10.96.0.10", 53), "r 10.244.1.3");
}

TEST_F(ProxyRootTest, Ip6LikeIp4) {
  auto service = make_service("web", {"10.96.0.10", "fd00:96::10"});
  service->spec.type = "NodePort";
  service->spec.ports[0].node_port = 30080;
  service->spec.external_traffic_policy = "Cluster";
  put(service, {make_slice("web", {{.address = "fd00:244:1::2", .node = "here"}, {.address = "fd00:244:2::2"}}, 8080,
                           "TCP", "six")});
  EXPECT_EQ(many(pod_b_, "fd00:96::10", 80), (std::set<std::string>{"a fd00:244:1::3", "r fd00:244:1::3"}));
  EXPECT_EQ(many(&wires_->client(), "2001:db8:2::1", 30080),
            (std::set<std::string>{"a fd00:244:1::1", "r fd00:244:2::1"}));
  EXPECT_EQ(wires_->connect(pod_b_, "10.96.0.10", 80), "refused");
  EXPECT_EQ(wires_->connect(pod_b_, "fd00:96::10", 81), "refused");
  service->spec.session_affinity = "ClientIP";
  put(service, {make_slice("web", {{.address = "fd00:244:1::2", .node = "here"}, {.address = "fd00:244:2::2"}}, 8080,
                           "TCP", "six")});
  EXPECT_EQ(many(pod_b_, "fd00:96::10", 80).size(), 1U);
  EXPECT_THAT(nft_list(), HasSubstr("fd00:244:1::3 . fd00:96::10 . 80 . fd00:244:"));
}

TEST_F(ProxyRootTest, SctpIsTranslatedBothWays) {
  for (const bool ip6 : {false, true}) {
    const std::string front = ip6 ? "fd00:96::10" : "10.96.0.10";
    const std::string pods = ip6 ? "fd00:244:" : "10.244.";
    const std::string local = pods + (ip6 ? "1::2" : "1.2");
    const std::string remote = pods + (ip6 ? "2::2" : "2.2");
    std::optional<test::SctpEnd> client, first, second;
    pod_b_->in([&] { client.emplace(ip6); });
    pod_a_->in([&] { first.emplace(ip6); });
    remote_->in([&] { second.emplace(ip6); });
    auto service = make_service("diameter", {front}, 3868, "SCTP");
    put(service, {make_slice("diameter", {{.address = local, .node = "here"}}, 8080, "SCTP")});
    ASSERT_TRUE(client->send(front, 40000, 3868));
    auto asked = first->receive();
    ASSERT_TRUE(asked) << front;
    EXPECT_EQ(asked->from, pods + (ip6 ? "1::3" : "1.3"));
    EXPECT_EQ(asked->destination_port, 8080);
    EXPECT_EQ(asked->type, test::SctpEnd::kInit);
    ASSERT_TRUE(first->send(asked->from, 8080, asked->source_port, &*asked));
    auto answer = client->receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->from, front);
    EXPECT_EQ(answer->source_port, 3868);
    EXPECT_EQ(answer->type, test::SctpEnd::kInitAck);

    // Its endpoint goes: the next association from the same port reaches the new one.
    put(service, {make_slice("diameter", {{.address = remote}}, 8080, "SCTP")});
    ASSERT_TRUE(client->send(front, 40000, 3868));
    asked = second->receive();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->destination_port, 8080);
    EXPECT_FALSE(first->receive());
    // Another port of the address is nobody's.
    ASSERT_TRUE(client->send(front, 40001, 3869));
    EXPECT_FALSE(second->receive());
  }
}

TEST_F(ProxyRootTest, TheNodesOwnProcessesNeedNoOtherRoute) {
  put(make_service("web", {"10.96.0.10", "fd00:96::10"}),
      {make_slice("web", {{.address = "10.244.1.2", .node = "here"}}),
       make_slice("web", {{.address = "fd00:244:1::2", .node = "here"}}, 8080, "TCP", "six")});
  const std::vector<Prefix> ranges = {*parse_prefix("10.96.0.0/16"), *parse_prefix("fd00:96::/112")};
  EXPECT_EQ(wires_->connect(nullptr, "fd00:96::10", 80), "Network is unreachable");
  for (int times = 0; times < 2; ++times) ASSERT_TRUE(add_service_routes(ranges).ok());
  EXPECT_EQ(wires_->connect(nullptr, "10.96.0.10", 80), "a 10.244.1.1");
  EXPECT_THAT(wires_->connect(nullptr, "fd00:96::10", 80), HasSubstr("a fd00:244:1::1"));
  ASSERT_TRUE(remove_service_routes().ok());
  EXPECT_FALSE(linux::run_program({"ip", "link", "show", "trireme-svc"}).ok());
  EXPECT_THAT(linux::run_program({"ip", "route", "show", "proto", "117"}).value_or("?"), "");
  ASSERT_TRUE(remove_service_routes().ok());
}

TEST_F(ProxyRootTest, AddressesOfBalancersAreAnsweredForOnTheLink) {
  auto service = make_service("lb", {"10.96.0.12", "fd00:96::12"});
  set_load_balancer(*service, "192.0.2.100", 30080);
  set_load_balancer(*service, "2001:db8:2::100", 30080);
  put(service, {make_slice("lb", {{.address = "10.244.1.2", .node = "here"}}),
                make_slice("lb", {{.address = "fd00:244:1::2", .node = "here"}}, 8080, "TCP", "six")});
  const std::set<IpAddress> all = {*IpAddress::parse("192.0.2.100"), *IpAddress::parse("2001:db8:2::100")};
  auto layer2 = Layer2::open();
  ASSERT_TRUE(layer2.ok());
  std::vector<IpAddress> fresh;
  // Another node's turn: reached from here, and nobody else is answered.
  ASSERT_TRUE(layer2->apply(all, {}, fresh).ok());
  EXPECT_TRUE(fresh.empty());
  EXPECT_EQ(wires_->connect(nullptr, "192.0.2.100", 80), "a 10.244.1.1");
  EXPECT_EQ(wires_->connect(nullptr, "2001:db8:2::100", 80), "a fd00:244:1::1");
  EXPECT_THAT(from_client("192.0.2.100", 80), Not(HasSubstr("a 10")));

  ASSERT_TRUE(layer2->apply(all, all, fresh).ok());
  EXPECT_THAT(fresh, ::testing::UnorderedElementsAreArray(all));
  EXPECT_TRUE(layer2->tell(fresh).ok());
  EXPECT_EQ(from_client("192.0.2.100", 80), "a 10.244.1.1");
  EXPECT_EQ(from_client("2001:db8:2::100", 80), "a fd00:244:1::1");
  EXPECT_EQ(from_client("192.0.2.100", 81), "timeout");
  fresh.clear();
  ASSERT_TRUE(layer2->apply(all, all, fresh).ok());
  EXPECT_TRUE(fresh.empty());

  ASSERT_TRUE(layer2->apply({}, {}, fresh).ok());
  EXPECT_EQ(linux::run_program({"ip", "neigh", "show", "proxy"}).value_or("?"), "");
  EXPECT_EQ(linux::run_program({"ip", "-6", "route", "show", "proto", "117"}).value_or("?"), "");
  // What an earlier run has left goes without its memory.
  ASSERT_TRUE(layer2->apply(all, all, fresh).ok());
  ASSERT_TRUE(remove_layer2().ok());
  EXPECT_EQ(linux::run_program({"ip", "neigh", "show", "proxy"}).value_or("?"), "");
  ASSERT_TRUE(remove_service_routes().ok());
}

TEST_F(ProxyRootTest, PodsAreToldFromOthersAsTheOptionsSay) {
  using Local = Options::Local;
  const auto seen = [&](const Peer& from) {
    put(make_service("web", {"10.96.0.10"}), {make_slice("web", {{.address = "10.244.1.2", .node = "here"}})});
    return wires_->connect(&from, "10.96.0.10", 80);
  };
  options_.cluster_cidrs.clear();
  begin();
  EXPECT_EQ(seen(wires_->client()), "a 192.0.2.2");  // nobody is masqueraded
  options_.local = Local::kNodeRanges;
  begin();
  for (Planner& planner : planners_) {
    planner.set_node({.name = "here", .pod_ranges = {*parse_prefix("10.244.1.0/24")}});
    ASSERT_TRUE(applier_->replace(planner).ok());
  }
  EXPECT_EQ(seen(*pod_b_), "a 10.244.1.3");
  EXPECT_EQ(seen(*remote_), "a 10.244.1.1");
  EXPECT_EQ(seen(wires_->client()), "a 10.244.1.1");
  options_.local = Local::kInterface;
  options_.local_interface = "br1";
  begin();
  EXPECT_EQ(seen(*pod_b_), "a 10.244.1.3");
  EXPECT_EQ(seen(wires_->client()), "a 10.244.1.1");
  options_.local = Local::kInterfacePrefix;
  options_.local_interface = "br";
  begin();
  EXPECT_EQ(seen(*pod_b_), "a 10.244.1.3");
  EXPECT_EQ(seen(wires_->client()), "a 10.244.1.1");
}

TEST_F(ProxyRootTest, ATableIsTakenOverAsItStands) {
  put(make_service("web", {"10.96.0.10"}), {make_slice("web", all())});
  put(make_service("old", {"10.96.0.11"}), {make_slice("old", all())});
  auto service = make_service("lb", {"10.96.0.12"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.load_balancer_source_ranges = {"192.0.2.0/24"};
  put(service, {make_slice("lb", all())});
  const std::string before = nft_list();
  auto next = nft_applier();
  ASSERT_TRUE(next.ok());
  applier_ = std::move(*next);
  for (const Planner& planner : planners_) ASSERT_TRUE(applier_->replace(planner).ok());
  // (Elements and chains may stand in another order.)
  EXPECT_EQ(nft_list().size(), before.size());
  EXPECT_THAT(from_client("203.0.113.9", 80), AnyOf("a 10.244.1.1", "b 10.244.1.1", "r 10.244.2.1"));

  // A service that ended while nobody looked goes, one that changed changes.
  Planner later(options_, false);
  later.set_node({.name = "here", .addresses = {*parse_address("192.0.2.1")}});
  world_.erase("default/old");
  world_["default/web"].slices = {make_slice("web", {{.address = "10.244.2.2"}})};
  later.update({"default/web", "default/lb", "default/old"}, [this](const std::string& key) { return world_[key]; });
  ASSERT_TRUE(applier_->replace(later).ok());
  EXPECT_THAT(nft_list(), Not(HasSubstr("10.96.0.11")));
  EXPECT_EQ(many(pod_b_, "10.96.0.10", 80, 12), (std::set<std::string>{"r 10.244.1.3"}));
  // Somebody else's table of the name is replaced.
  ASSERT_TRUE(linux::run_program({"nft", "delete", "table", "ip", "trireme-proxy"}).ok());
  ASSERT_TRUE(linux::run_program({"nft", "add", "table", "ip", "trireme-proxy"}).ok());
  EXPECT_TRUE(applier_->disturbed());
  ASSERT_TRUE(applier_->replace(later).ok());
  EXPECT_EQ(wires_->connect(pod_b_, "10.96.0.10", 80), "r 10.244.1.3");
  ASSERT_TRUE(remove_tables().ok());
  EXPECT_EQ(nft_list(), "");
}

}  // namespace
}  // namespace trireme::proxy
