#include "proxy/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/testing/objects.h"

namespace trireme::proxy {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::make_service;
using testing::make_slice;
using ::testing::Not;
using testing::set_load_balancer;
using testing::TestEndpoint;

const NodeView kNode{.name = "here", .zone = "z1", .addresses = {*parse_address("192.0.2.1")}};

std::vector<std::string> lines(const ServiceView& view, bool ip6 = false, const NodeView& node = kNode) {
  Options options;
  options.cluster_cidrs = {*parse_prefix("10.244.0.0/16")};
  return describe(compile(view, node, options, ip6, [](const std::string&) { return true; }, {}), ip6);
}

const std::vector<TestEndpoint> kTwo = {{.address = "10.244.1.2", .node = "here"}, {.address = "10.244.2.2"}};

TEST(RulesTest, AClusterIpIsOneVerdictAndItsEndpointsNumbered) {
  ServiceView view{make_service("web", {"10.96.0.10"}), {make_slice("web", kTwo)}};
  EXPECT_THAT(lines(view), ElementsAre("services 10.96.0.10 . tcp . 80 : goto pick-2",
                                       "endpoints 10.96.0.10 . tcp . 80 . 0 : 10.244.1.2 . 8080",
                                       "endpoints 10.96.0.10 . tcp . 80 . 1 : 10.244.2.2 . 8080",
                                       "cluster-ips 10.96.0.10", "hairpin 10.244.1.2 . 10.244.1.2"));
}

TEST(RulesTest, WithoutEndpointsItRefuses) {
  ServiceView view{make_service("web", {"10.96.0.10"}), {}};
  EXPECT_THAT(lines(view), ElementsAre("no-endpoints 10.96.0.10 . tcp . 80 : goto reject", "cluster-ips 10.96.0.10"));
  // One that is neither ready nor serving is none.
  view.slices = {make_slice("web", {{.address = "10.244.1.2", .ready = false, .serving = false}})};
  EXPECT_THAT(lines(view), Contains("no-endpoints 10.96.0.10 . tcp . 80 : goto reject"));
}

TEST(RulesTest, HeadlessExternalNameAndOthersProxiesGetNothing) {
  EXPECT_THAT(lines({make_service("h", {"None"}), {make_slice("h", kTwo)}}), IsEmpty());
  auto name = make_service("n", {});
  name->spec.type = "ExternalName";
  EXPECT_THAT(lines({name, {}}), IsEmpty());
  auto other = make_service("o", {"10.96.0.10"});
  other->metadata.labels["service.kubernetes.io/service-proxy-name"] = "mine";
  EXPECT_THAT(lines({other, {make_slice("o", kTwo)}}), IsEmpty());
  EXPECT_THAT(lines({nullptr, {make_slice("o", kTwo)}}), IsEmpty());
}

TEST(RulesTest, PortsAreToldApartByNameAndProtocol) {
  auto service = make_service("dns", {"10.96.0.10"}, 53, "UDP");
  service->spec.ports.push_back(service->spec.ports[0]);
  service->spec.ports[1].protocol = "TCP";
  service->spec.ports[1].name = "t";
  auto slice = make_slice("dns", {{.address = "10.244.1.2"}}, 1053, "UDP");
  slice->ports.push_back(slice->ports[0]);
  slice->ports[1].protocol = "TCP";
  slice->ports[1].name = "t";
  slice->ports[1].port = 2053;
  EXPECT_THAT(lines({service, {slice}}), AllOf(Contains("endpoints 10.96.0.10 . udp . 53 . 0 : 10.244.1.2 . 1053"),
                                               Contains("endpoints 10.96.0.10 . tcp . 53 . 0 : 10.244.1.2 . 2053")));
}

TEST(RulesTest, EachFamilyHasItsOwnAddresses) {
  ServiceView view{make_service("web", {"10.96.0.10", "fd00:96::10"}),
                   {make_slice("web", kTwo), make_slice("web", {{.address = "fd00:244::2"}}, 8080, "TCP", "six")}};
  EXPECT_THAT(lines(view, true),
              ElementsAre("services fd00:96::10 . tcp . 80 : goto pick-1",
                          "endpoints fd00:96::10 . tcp . 80 . 0 : fd00:244::2 . 8080", "cluster-ips fd00:96::10"));
  EXPECT_THAT(lines(view), Contains("services 10.96.0.10 . tcp . 80 : goto pick-2"));
}

TEST(RulesTest, NodePortsExternalIpsAndLoadBalancersAreMasqueraded) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.external_ips = {"198.51.100.7"};
  EXPECT_THAT(
      lines({service, {make_slice("web", {{.address = "10.244.2.2"}})}}),
      ElementsAre("services 10.96.0.10 . tcp . 80 : goto pick-1", "services 198.51.100.7 . tcp . 80 : goto pick-1",
                  "services 203.0.113.9 . tcp . 80 : goto pick-1", "nodeports tcp . 30080 : goto nodeport-pick-1",
                  "endpoints 10.96.0.10 . tcp . 80 . 0 : 10.244.2.2 . 8080",
                  "endpoints 198.51.100.7 . tcp . 80 . 0 : 10.244.2.2 . 8080",
                  "endpoints 203.0.113.9 . tcp . 80 . 0 : 10.244.2.2 . 8080",
                  "nodeport-endpoints tcp . 30080 . 0 : 10.244.2.2 . 8080", "cluster-ips 10.96.0.10",
                  "masquerade 198.51.100.7 . tcp . 80", "masquerade 203.0.113.9 . tcp . 80",
                  "masquerade-nodeports tcp . 30080"));
}

TEST(RulesTest, ALoadBalancerThatIsAProxyIsLeftToItself) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080, "Proxy");
  EXPECT_THAT(lines({service, {make_slice("web", kTwo)}}), Not(Contains(HasSubstr("203.0.113.9"))));
}

TEST(RulesTest, ExternalTrafficThatStaysLocalKeepsItsSource) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.external_traffic_policy = "Local";
  EXPECT_THAT(lines({service, {make_slice("web", kTwo)}}),
              AllOf(Contains("services 203.0.113.9 . tcp . 80 : goto pick-1"),
                    Contains("services-internal 203.0.113.9 . tcp . 80 : goto pick-2-internal"),
                    Contains("endpoints 203.0.113.9 . tcp . 80 . 0 : 10.244.1.2 . 8080"),
                    Contains("endpoints 203.0.113.9 . tcp . 80 . 65536 : 10.244.1.2 . 8080"),
                    Contains("endpoints 203.0.113.9 . tcp . 80 . 65537 : 10.244.2.2 . 8080"),
                    Contains("nodeports-internal tcp . 30080 : goto nodeport-pick-2-internal"),
                    Contains("masquerade-from-node 203.0.113.9 . tcp . 80"),
                    Contains("masquerade-nodeports-from-node tcp . 30080"),
                    Not(Contains(HasSubstr("masquerade-nodeports tcp"))),
                    Contains("services 10.96.0.10 . tcp . 80 : goto pick-2")));
  // Nobody here: dropped, so that balancers turn elsewhere; from inside the cluster it is served.
  EXPECT_THAT(lines({service, {make_slice("web", {{.address = "10.244.2.2"}})}}),
              AllOf(Contains("no-endpoints 203.0.113.9 . tcp . 80 : drop"),
                    Contains("no-endpoint-nodeports tcp . 30080 : drop"),
                    Contains("services-internal 203.0.113.9 . tcp . 80 : goto pick-1-internal")));
  // Nobody anywhere: refused.
  EXPECT_THAT(lines({service, {}}), Contains("no-endpoints 203.0.113.9 . tcp . 80 : goto reject"));
}

TEST(RulesTest, InternalTrafficThatStaysLocal) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.internal_traffic_policy = "Local";
  EXPECT_THAT(lines({service, {make_slice("web", kTwo)}}),
              AllOf(Contains("services 10.96.0.10 . tcp . 80 : goto pick-1"),
                    Contains("endpoints 10.96.0.10 . tcp . 80 . 0 : 10.244.1.2 . 8080")));
  EXPECT_THAT(lines({service, {make_slice("web", {{.address = "10.244.2.2"}})}}),
              Contains("no-endpoints 10.96.0.10 . tcp . 80 : drop"));
  EXPECT_THAT(lines({service, {}}), Contains("no-endpoints 10.96.0.10 . tcp . 80 : goto reject"));
}

TEST(RulesTest, AffinityHasAChainOfItsOwn) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.session_affinity = "ClientIP";
  service->spec.session_affinity_config.emplace();
  service->spec.session_affinity_config->client_ip.emplace();
  service->spec.session_affinity_config->client_ip->timeout_seconds = 7;
  set_load_balancer(*service, "203.0.113.9", 30080);
  ServiceView view{service, {make_slice("web", kTwo)}};
  ServiceRules rules = compile(view, kNode, {}, false, [](const std::string&) { return true; }, {});
  ASSERT_EQ(rules.chains.size(), 1U);
  const auto& [name, chain] = *rules.chains.begin();
  ASSERT_EQ(chain.size(), 4U);
  EXPECT_THAT(chain[0].text(),
              AllOf(HasSubstr("lookup reg 8 set affinity"), HasSubstr("timeout 7000ms"), HasSubstr("nat dnat ip")));
  EXPECT_THAT(chain[2].text(), HasSubstr("random mod 2"));
  EXPECT_THAT(chain[3].text(), Not(HasSubstr("numgen")));
  for (const char* front :
       {"services 10.96.0.10 . tcp . 80", "services 203.0.113.9 . tcp . 80", "nodeports tcp . 30080"}) {
    EXPECT_THAT(describe(rules, false), Contains(std::string(front) + " : goto " + name));
  }
  EXPECT_THAT(describe(rules, false), Not(Contains(HasSubstr("endpoints"))));
}

TEST(RulesTest, SourceRangesRestrictTheBalancersAddressOnly) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.load_balancer_source_ranges = {" 198.51.100.0/24", "198.51.100.128/25", "fd00::/8", "192.0.2.0/24 "};
  EXPECT_THAT(lines({service, {make_slice("web", kTwo)}}),
              AllOf(Contains("firewalled 203.0.113.9 . tcp . 80"), Not(Contains(HasSubstr("firewalled 10.96.0.10"))),
                    Contains("source-ranges 203.0.113.9 . tcp . 80 . 198.51.100.0 - 203.0.113.9 . tcp . 80 . "
                             "198.51.100.255"),
                    Not(Contains(HasSubstr("198.51.100.128"))),
                    // The node's own address is in a range: so is what it sends from the balancer's address.
                    Contains("source-ranges 203.0.113.9 . tcp . 80 . 203.0.113.9 - 203.0.113.9 . tcp . 80 . "
                             "203.0.113.9")));
  // Ranges of the other family only: nobody of this one may.
  service->spec.load_balancer_source_ranges = {"fd00::/8"};
  EXPECT_THAT(lines({service, {make_slice("web", kTwo)}}),
              AllOf(Contains("firewalled 203.0.113.9 . tcp . 80"), Not(Contains(HasSubstr("source-ranges")))));
}

TEST(RulesTest, AFrontThatAnotherServiceHasIsLeftOut) {
  auto service = make_service("web", {"10.96.0.10"});
  service->spec.external_ips = {"198.51.100.7"};
  ServiceRules rules =
      compile({service, {make_slice("web", kTwo)}}, kNode, {}, false,
              [](const std::string& front) {
                return front == nft::Key().address(*parse_address("10.96.0.10")).proto(6).port(80).bytes();
              },
              {});
  EXPECT_THAT(describe(rules, false), Not(Contains(HasSubstr("198.51.100.7"))));
  EXPECT_THAT(fronts_of(*service, false), ::testing::SizeIs(2));
}

TEST(RulesTest, DatagramPortsRememberWhereFlowsMayGo) {
  auto service = make_service("dns", {"10.96.0.10"}, 53, "UDP");
  ServiceRules rules = compile({service, {make_slice("dns", kTwo, 53, "UDP")}}, kNode, {}, false,
                               [](const std::string&) { return true; }, {});
  ASSERT_EQ(rules.datagrams.size(), 1U);
  EXPECT_EQ(rules.datagrams[0].protocol, 17);
  EXPECT_EQ(rules.datagrams[0].targets.size(), 2U);
  ASSERT_EQ(rules.datagrams[0].fronts.size(), 1U);
}

TEST(RulesTest, HealthChecksCountReadyEndpointsHere) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  ServiceView view{service, {make_slice("web", kTwo)}};
  EXPECT_EQ(health_check_of(view, kNode).port, 0);
  service->spec.external_traffic_policy = "Local";
  service->spec.health_check_node_port = 32000;
  EXPECT_EQ(health_check_of(view, kNode), (HealthCheck{32000, 1}));
  view.slices = {make_slice("web", {{.address = "10.244.1.2", .node = "here", .ready = false, .terminating = true}})};
  EXPECT_EQ(health_check_of(view, kNode), (HealthCheck{32000, 0}));
}

TEST(RulesTest, EntriesSurvivePacking) {
  auto service = make_service("web", {"10.96.0.10"});
  set_load_balancer(*service, "203.0.113.9", 30080);
  service->spec.load_balancer_source_ranges = {"198.51.100.0/24"};
  ServiceRules rules =
      compile({service, {make_slice("web", kTwo)}}, kNode, {}, false, [](const std::string&) { return true; }, {});
  std::vector<Entry> out;
  for_each_entry(pack(rules.entries), [&](const Entry& entry) { out.push_back(entry); });
  EXPECT_EQ(out, rules.entries);
  for (const Entry& entry : out) EXPECT_EQ(entry_of(entry.set, element_of(entry)), entry);
}

TEST(EndpointsTest, ReadyBeforeTerminating) {
  const auto addresses = [](const std::vector<TestEndpoint>& endpoints, const std::string& zone = "") {
    ServiceView view{make_service("s", {"10.96.0.1"}), {make_slice("s", endpoints)}};
    ChosenEndpoints chosen = choose(endpoints_of(view, view.service->spec.ports[0], false, kNode), true, true, zone);
    std::string out;
    for (const Target& target : chosen.cluster) out += address_text(target.address) + " ";
    out += "| ";
    for (const Target& target : chosen.local) out += address_text(target.address) + " ";
    return out + (chosen.any ? "any" : "none");
  };
  const TestEndpoint ready_here{.address = "10.0.0.1", .node = "here"};
  const TestEndpoint ready{.address = "10.0.0.2"};
  const TestEndpoint ending_here{.address = "10.0.0.3", .node = "here", .ready = false, .terminating = true};
  const TestEndpoint ending{.address = "10.0.0.4", .ready = false, .terminating = true};
  const TestEndpoint gone{.address = "10.0.0.5", .node = "here", .ready = false, .serving = false, .terminating = true};
  const TestEndpoint starting{.address = "10.0.0.6", .node = "here", .ready = false, .serving = false};
  EXPECT_EQ(addresses({ready_here, ready, ending_here}), "10.0.0.1 10.0.0.2 | 10.0.0.1 any");
  EXPECT_EQ(addresses({ready, ending_here}), "10.0.0.2 | 10.0.0.3 any");
  EXPECT_EQ(addresses({ending, ending_here, gone}), "10.0.0.3 10.0.0.4 | 10.0.0.3 any");
  EXPECT_EQ(addresses({ending}), "10.0.0.4 | any");
  EXPECT_EQ(addresses({gone, starting}), "| none");
  EXPECT_EQ(addresses({}), "| none");
}

TEST(EndpointsTest, HintsCountWhenAllHaveThemAndOneIsForThisZone) {
  const auto addresses = [](const std::vector<TestEndpoint>& endpoints, const std::string& zone) {
    ServiceView view{make_service("s", {"10.96.0.1"}), {make_slice("s", endpoints)}};
    ChosenEndpoints chosen = choose(endpoints_of(view, view.service->spec.ports[0], false, kNode), true, false, zone);
    std::string out;
    for (const Target& target : chosen.cluster) out += address_text(target.address) + " ";
    return out;
  };
  const TestEndpoint z1{.address = "10.0.0.1", .zone_hint = "z1"};
  const TestEndpoint z2{.address = "10.0.0.2", .zone_hint = "z2"};
  const TestEndpoint unhinted{.address = "10.0.0.3"};
  const TestEndpoint ending{.address = "10.0.0.4", .ready = false, .terminating = true};
  EXPECT_EQ(addresses({z1, z2}, "z1"), "10.0.0.1 ");
  EXPECT_EQ(addresses({z1, z2, ending}, "z2"), "10.0.0.2 ");
  EXPECT_EQ(addresses({z1, z2}, "z3"), "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(addresses({z1, z2}, ""), "10.0.0.1 10.0.0.2 ");
  EXPECT_EQ(addresses({z1, z2, unhinted}, "z1"), "10.0.0.1 10.0.0.2 10.0.0.3 ");
}

TEST(EndpointsTest, AnAddressInTwoSlicesCountsOnce) {
  ServiceView view{make_service("s", {"10.96.0.1"}),
                   {make_slice("s", {{.address = "10.0.0.1", .ready = false}}, 8080, "TCP", "one"),
                    make_slice("s", {{.address = "10.0.0.1"}}, 8080, "TCP", "two")}};
  auto endpoints = endpoints_of(view, view.service->spec.ports[0], false, kNode);
  ASSERT_EQ(endpoints.size(), 1U);
  EXPECT_TRUE(endpoints[0].ready);
}

TEST(EndpointsTest, ArrangingChangesAsFewPlacesAsCanBe) {
  const auto targets = [](const std::string& names) {
    std::vector<Target> out;
    for (char name : names) out.push_back({std::string(4, name), 1});
    return out;
  };
  const auto arranged = [&](const std::string& before, const std::string& wanted) {
    std::string out;
    for (const Target& target : arrange(targets(before), targets(wanted))) out += target.address[0];
    return out;
  };
  EXPECT_EQ(arranged("", "abc"), "abc");
  EXPECT_EQ(arranged("abc", "abc"), "abc");
  EXPECT_EQ(arranged("bcd", "abcd"), "bcda");
  EXPECT_EQ(arranged("abcd", "acd"), "adc");
  EXPECT_EQ(arranged("abcd", "bcde"), "ebcd");
  EXPECT_EQ(arranged("abcd", "d"), "d");
  EXPECT_EQ(arranged("abcd", ""), "");
}

TEST(AddressTest, PrefixesAreMaskedAndNestedOnesLeftOut) {
  auto prefix = parse_prefix("10.1.2.3/20");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(address_text(prefix->address), "10.1.0.0");
  EXPECT_EQ(address_text(prefix->last()), "10.1.15.255");
  EXPECT_TRUE(prefix->contains(*parse_address("10.1.8.1")));
  EXPECT_FALSE(prefix->contains(*parse_address("10.1.16.1")));
  for (const char* wrong : {"10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/", "fd00::/129", "10.0.0.0/8 "}) {
    EXPECT_FALSE(parse_prefix(wrong)) << wrong;
  }
  EXPECT_EQ(outermost({*parse_prefix("10.1.0.0/16"), *parse_prefix("10.0.0.0/8"), *parse_prefix("11.0.0.0/8")}).size(),
            2U);
  EXPECT_EQ(outermost({*parse_prefix("0.0.0.0/0"), *parse_prefix("10.0.0.0/8")}).size(), 1U);
}

TEST(RulesTest, NodePortAddressesAreMergedWhereTheyTouch) {
  Options options;
  options.nodeport_addresses = {*parse_prefix("10.0.0.0/25"), *parse_prefix("10.0.0.128/25"),
                                *parse_prefix("192.0.2.1/32"), *parse_prefix("fd00::/64")};
  auto entries = static_entries(options, kNode, false);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(address_text(entries[0].key), "10.0.0.0");
  EXPECT_EQ(address_text(entries[0].key_end), "10.0.0.255");
  EXPECT_EQ(static_entries(options, kNode, true).size(), 1U);
  options = {.nodeport_primary = true};
  entries = static_entries(options, kNode, false);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(address_text(entries[0].key), "192.0.2.1");
}

}  // namespace
}  // namespace trireme::proxy
