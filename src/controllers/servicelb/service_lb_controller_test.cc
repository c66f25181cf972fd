#include "controllers/servicelb/service_lb_controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::corev1::Node;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Service balancer(const std::string& name, int32_t port) {
  Service service;
  service.metadata.namespace_ = "default";
  service.metadata.name = name;
  service.spec.type = "LoadBalancer";
  service.spec.ports.emplace_back();
  service.spec.ports[0].port = port;
  service.spec.ports[0].protocol = "TCP";
  return service;
}

std::shared_ptr<Node> ready_node(const std::string& name, const std::string& internal,
                                 const std::string& external = "") {
  auto node = std::make_shared<Node>();
  node->metadata.name = name;
  node->status.conditions.emplace_back();
  node->status.conditions[0].type = "Ready";
  node->status.conditions[0].status = "True";
  const auto add = [&](const char* type, const std::string& address) {
    node->status.addresses.emplace_back();
    node->status.addresses.back().type = type;
    node->status.addresses.back().address = address;
  };
  add("InternalIP", internal);
  if (!external.empty()) add("ExternalIP", external);
  return node;
}

TEST(BalancerAddressesTest, NodesThatAreReadyWithTheirExternalAddressesFirst) {
  Service service = balancer("web", 80);
  auto a = ready_node("a", "192.0.2.1");
  auto b = ready_node("b", "192.0.2.2");
  EXPECT_THAT(node_addresses(service, {a, b}, {}), ElementsAre("192.0.2.1", "192.0.2.2"));
  b->status.conditions[0].status = "False";
  EXPECT_THAT(node_addresses(service, {a, b}, {}), ElementsAre("192.0.2.1"));
  auto c = ready_node("c", "192.0.2.3", "203.0.113.3");
  EXPECT_THAT(node_addresses(service, {a, c}, {}), ElementsAre("203.0.113.3"));
  c->metadata.labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
  EXPECT_THAT(node_addresses(service, {a, c}, {}), ElementsAre("192.0.2.1"));
  auto six = ready_node("six", "2001:db8::1");
  service.spec.ip_families = {"IPv6", "IPv4"};
  EXPECT_THAT(node_addresses(service, {a, six}, {}), ElementsAre("2001:db8::1", "192.0.2.1"));
}

TEST(BalancerAddressesTest, WithPolicyLocalOnlyNodesWithEndpoints) {
  Service service = balancer("web", 80);
  service.spec.external_traffic_policy = "Local";
  auto slice = std::make_shared<EndpointSlice>();
  slice->endpoints.emplace_back();
  slice->endpoints[0].node_name = "b";
  auto a = ready_node("a", "192.0.2.1");
  auto b = ready_node("b", "192.0.2.2");
  EXPECT_THAT(node_addresses(service, {a, b}, {slice}), ElementsAre("192.0.2.2"));
  slice->endpoints[0].conditions.ready = false;
  EXPECT_THAT(node_addresses(service, {a, b}, {slice}), IsEmpty());
}

TEST(BalancerAddressesTest, ClassesOfOthersAreLeftAlone) {
  Service service = balancer("web", 80);
  EXPECT_TRUE(wants_balancer(service));
  service.spec.load_balancer_class = std::string(kNodeBalancerClass);
  EXPECT_TRUE(wants_balancer(service));
  service.spec.load_balancer_class = std::string("example.com/other");
  EXPECT_FALSE(wants_balancer(service));
  service.spec.load_balancer_class.reset();
  service.spec.type = "NodePort";
  EXPECT_FALSE(wants_balancer(service));
}

TEST(BalancerAddressesTest, RangesGiveTheFirstFreeAddressAndKeepIt) {
  auto ranges = parse_ranges({"198.51.100.0/30", "198.51.100.9-198.51.100.9"});
  ASSERT_TRUE(ranges.ok());
  Service service = balancer("web", 80);
  const auto given = [&](const std::map<std::string, std::string>& taken) {
    auto out = range_addresses(service, "default/web", *ranges, taken);
    return out.ok() ? (*out)[0] : out.status().message();
  };
  EXPECT_EQ(given({}), "198.51.100.1");
  EXPECT_EQ(given({{"198.51.100.1", "default/other"}}), "198.51.100.2");
  EXPECT_EQ(given({{"198.51.100.1", "default/web"}}), "198.51.100.1");
  EXPECT_EQ(given({{"198.51.100.1", "x"}, {"198.51.100.2", "y"}}), "198.51.100.9");
  EXPECT_EQ(given({{"198.51.100.1", "x"}, {"198.51.100.2", "y"}, {"198.51.100.9", "z"}}),
            "no address of the load balancers' range is left");
  service.status.load_balancer.ingress.emplace_back();
  service.status.load_balancer.ingress[0].ip = "198.51.100.2";
  EXPECT_EQ(given({}), "198.51.100.2");
  service.spec.load_balancer_ip = "198.51.100.9";
  EXPECT_EQ(given({}), "198.51.100.9");
  EXPECT_EQ(given({{"198.51.100.9", "default/other"}}), "the address 198.51.100.9 belongs to service default/other");
  service.spec.load_balancer_ip = "203.0.113.1";
  EXPECT_EQ(given({}), "the address 203.0.113.1 is not in the load balancers' range");
  for (const char* wrong :
       {"198.51.100.0", "198.51.100.9-198.51.100.1", "10.0.0.0/33", "a-b", "198.51.100.1-fd00::1"}) {
    EXPECT_FALSE(parse_ranges({wrong}).ok()) << wrong;
  }
}

TEST(BalancerAddressesTest, FlagsAreChecked) {
  EXPECT_TRUE(check_load_balancer_flags().ok());
  load_balancer_announcement() = "bgp";
  EXPECT_EQ(check_load_balancer_flags().message(), "--load-balancer-announce: \"bgp\" is neither layer2 nor none");
  load_balancer_announcement() = "layer2";
  load_balancer_ip_ranges() = {"192.0.2.300"};
  EXPECT_FALSE(check_load_balancer_flags().ok());
  load_balancer_ip_ranges() = {};
}

TEST_F(ControllersSuite, WhereTheNetworkSeesToTheRangeNobodyAnswers) {
  load_balancer_ip_ranges() = {"198.51.100.4-198.51.100.5"};
  load_balancer_announcement() = "none";
  run("service-lb-controller");
  load_balancer_ip_ranges() = {};
  load_balancer_announcement() = "layer2";
  Watched<Service> services(raw());
  // One that was announced before the flag was given.
  Service service = balancer("web", 80);
  create(service);
  service.status.conditions.emplace_back();
  service.status.conditions[0].type = api::kLayer2Condition;
  service.status.conditions[0].status = "True";
  service.status.conditions[0].reason = "AddressOfRange";
  service.status.conditions[0].last_transition_time = api::Time::from_unix(1);
  ASSERT_TRUE(client().update_status(service).ok());
  create(*ready_node("a", "192.0.2.1"));
  EXPECT_TRUE(services.until([&] {
    const auto now = services.get("default", "web");
    return now && !now->status.load_balancer.ingress.empty() && !api::is_announced(*now);
  }));
}

TEST_F(ControllersSuite, AddressesOfARangeAreMarkedForOneNodeToAnswerFor) {
  const auto with_range = [](std::vector<std::string> ranges) { load_balancer_ip_ranges() = std::move(ranges); };
  with_range({"198.51.100.4-198.51.100.5"});
  run("service-lb-controller");
  with_range({});
  Watched<Service> services(raw());
  create(*ready_node("a", "192.0.2.1"));
  create(balancer("web", 80));
  EXPECT_TRUE(services.until([&] {
    const auto service = services.get("default", "web");
    return service && api::is_announced(*service) && service->status.load_balancer.ingress.size() == 1 &&
           service->status.load_balancer.ingress[0].ip == "198.51.100.4";
  }));
  // None is left for a third.
  create(balancer("second", 80));
  EXPECT_TRUE(services.until([&] {
    const auto service = services.get("default", "second");
    return service && api::is_announced(*service);
  }));
  create(balancer("third", 80));
  ASSERT_TRUE(client().remove<Service>("default", "web").ok());
  EXPECT_TRUE(services.until([&] {
    const auto service = services.get("default", "third");
    return service && api::is_announced(*service) && service->status.load_balancer.ingress[0].ip == "198.51.100.4";
  }));
}

TEST_F(ControllersSuite, LoadBalancersGetTheNodesAddressesOnePortOneService) {
  run("service-lb-controller");
  Watched<Service> services(raw());
  auto node = ready_node("a", "192.0.2.1");
  create(*node);
  const auto address = [&](const char* name) {
    const auto service = services.get("default", name);
    if (!service || service->status.load_balancer.ingress.empty()) return std::string();
    return service->status.load_balancer.ingress[0].ip;
  };
  create(balancer("web", 80));
  EXPECT_TRUE(services.until([&] { return address("web") == "192.0.2.1"; }));
  create(balancer("late", 80));
  create(balancer("other", 81));
  EXPECT_TRUE(services.until([&] { return address("other") == "192.0.2.1"; }));
  EXPECT_EQ(address("late"), "");
  // The port becomes free.
  ASSERT_TRUE(client().remove<Service>("default", "web").ok());
  EXPECT_TRUE(services.until([&] { return address("late") == "192.0.2.1"; }));
}

}  // namespace
}  // namespace trireme::controllers
