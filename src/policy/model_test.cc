#include "policy/model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "policy/slim_pod.h"
#include "policy/testing/naive.h"
#include "policy/testing/objects.h"
#include "policy/testing/table.h"

namespace trireme::policy {
namespace {

using ::testing::IsEmpty;

/// A model and the table that its changes made.
class ModelTest : public ::testing::Test {
 protected:
  void policy(const std::string& key, const std::string& spec) { model_.set_policy(make_policy(key, spec)); }

  void apply() { EXPECT_THAT(table_.apply(model_.take_changes()), IsEmpty()); }

  /// "10.0.0.1 10.0.0.2 TCP 80", with all changes applied.
  bool allows(const std::string& text) {
    apply();
    std::istringstream words(text);
    std::string source;
    std::string destination;
    std::string protocol;
    Packet packet;
    words >> source >> destination >> protocol >> packet.port;
    packet.source = Address::parse(source).value();
    packet.destination = Address::parse(destination).value();
    packet.protocol = protocol == "ICMP" ? uint8_t{IPPROTO_ICMP} : protocol_number(protocol);
    return table_.allows(packet);
  }

  Model model_{"node-1"};
  Table table_;
};

// The pods of the table tests: web (a front end), db and job on this node, far on another.

struct Expectation {
  const char* packet;
  bool allowed;
};

struct PolicyCase {
  const char* name;
  std::vector<std::pair<const char*, const char*>> policies;
  std::vector<Expectation> packets;
};

class PolicyTable : public ModelTest {
 protected:
  PolicyTable() {
    model_.set_namespace(make_namespace("a", "team=red"));
    model_.set_namespace(make_namespace("b", "team=blue"));
    model_.set_pod(make_pod({.key = "a/web",
                             .labels = "app=web",
                             .addresses = {"10.0.0.1", "fd00::1"},
                             .ports = {"http/TCP/80", "dns/UDP/53"}}));
    model_.set_pod(
        make_pod({.key = "a/db", .labels = "app=db", .addresses = {"10.0.0.2", "fd00::2"}, .ports = {"sql/TCP/5432"}}));
    model_.set_pod(make_pod(
        {.key = "b/web", .labels = "app=web", .addresses = {"10.0.0.3", "fd00::3"}, .ports = {"http/TCP/8080"}}));
    model_.set_pod(make_pod({.key = "b/far",
                             .labels = "app=far",
                             .node = "node-2",
                             .addresses = {"10.0.1.1", "fd00:1::1"},
                             .ports = {"http/TCP/81"}}));
  }
};

const std::vector<PolicyCase>& cases() {
  static const std::vector<PolicyCase> kCases = {
      {"none", {}, {{"10.0.0.1 10.0.0.2 TCP 1", true}, {"192.0.2.1 10.0.0.1 UDP 9", true}}},
      {"default deny ingress",
       {{"a/deny", "{podSelector: {}, policyTypes: [Ingress]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", false},
        {"fd00::2 fd00::1 TCP 80", false},
        {"192.0.2.1 10.0.0.1 TCP 80", false},
        {"10.0.0.1 10.0.0.3 TCP 80", true},
        {"10.0.0.1 10.0.0.2 ICMP 0", false},
        {"10.0.0.1 192.0.2.1 TCP 80", true},
        {"10.0.0.1 10.0.0.1 TCP 80", true}}},
      {"default deny egress",
       {{"a/deny", "{podSelector: {}, policyTypes: [Egress]}"}},
       {{"10.0.0.1 192.0.2.1 TCP 80", false},
        {"10.0.0.1 10.0.0.2 UDP 80", false},
        {"fd00::1 fd00:1::1 UDP 80", false},
        {"10.0.0.3 10.0.0.1 TCP 80", true},
        {"10.0.0.1 10.0.0.1 TCP 80", true}}},
      {"types follow from the rules: ingress always",
       {{"a/deny", "{podSelector: {matchLabels: {app: web}}}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", false}, {"10.0.0.1 10.0.0.2 TCP 80", true}}},
      {"types follow from the rules: egress where there are some",
       {{"a/p", "{podSelector: {matchLabels: {app: web}}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", false}, {"10.0.0.1 10.0.0.2 TCP 80", false}, {"10.0.0.1 192.0.2.1 TCP 80", true}}},
      {"allow all wins over deny",
       {{"a/deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}"},
        {"a/in", "{podSelector: {}, ingress: [{}], policyTypes: [Ingress]}"},
        {"a/out", "{podSelector: {}, egress: [{}], policyTypes: [Egress]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", true}, {"10.0.0.1 192.0.2.1 ICMP 0", true}, {"fd00::3 fd00::1 SCTP 9", true}}},
      {"pods of the own namespace",
       {{"a/p", "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"}},
       {{"10.0.0.1 10.0.0.2 TCP 5432", true},
        {"fd00::1 fd00::2 TCP 5432", true},
        {"10.0.0.3 10.0.0.2 TCP 5432", false},
        {"10.0.1.1 10.0.0.2 TCP 5432", false}}},
      {"namespaces by label",
       {{"a/p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}"}},
       {{"10.0.0.1 10.0.0.2 TCP 5432", false},
        {"10.0.0.3 10.0.0.2 TCP 5432", true},
        {"10.0.1.1 10.0.0.2 TCP 5432", true}}},
      {"every namespace",
       {{"a/p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"}},
       {{"10.0.0.1 10.0.0.2 TCP 5432", true}, {"10.0.1.1 10.0.0.2 TCP 1", true}, {"192.0.2.1 10.0.0.2 TCP 1", false}}},
      {"both selectors in one peer",
       {{"a/p",
         "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: "
         "{matchLabels: {app: web}}}]}]}"}},
       {{"10.0.0.1 10.0.0.2 TCP 5432", false},
        {"10.0.0.3 10.0.0.2 TCP 5432", true},
        {"10.0.1.1 10.0.0.2 TCP 5432", false}}},
      {"two selectors in two peers",
       {{"a/p",
         "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: "
         "{matchLabels: {app: web}}}]}]}"}},
       {{"10.0.0.1 10.0.0.2 TCP 5432", true}, {"10.0.1.1 10.0.0.2 TCP 1", true}, {"10.0.0.2 10.0.0.1 TCP 1", false}}},
      {"blocks with holes",
       {{"a/p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]}]}"}},
       {{"192.0.2.1 10.0.0.1 TCP 1", true},
        {"192.0.2.129 10.0.0.1 TCP 1", false},
        {"10.0.0.2 10.0.0.1 TCP 1", false},
        {"2001:db8::1 fd00::1 TCP 1", false}}},
      {"another block fills the hole",
       {{"a/p",
         "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}, {ipBlock: "
         "{cidr: 192.0.2.129/32}}, {ipBlock: {cidr: '2001:db8::/32'}}]}]}"}},
       {{"192.0.2.129 10.0.0.1 TCP 1", true},
        {"192.0.2.130 10.0.0.1 TCP 1", false},
        {"2001:db8::1 fd00::1 TCP 1", true}}},
      {"the block of everything is of one family",
       {{"a/p", "{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}], policyTypes: [Egress]}"}},
       {{"10.0.0.1 192.0.2.1 TCP 1", true}, {"fd00::1 2001:db8::1 TCP 1", false}}},
      {"a block without anything left",
       {{"a/p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 1", false}, {"192.0.2.1 10.0.0.1 TCP 1", false}}},
      {"ports and protocols",
       {{"a/p", "{podSelector: {}, ingress: [{ports: [{port: 80}, {protocol: UDP, port: 53}, {protocol: SCTP}]}]}"}},
       {{"10.0.0.3 10.0.0.1 TCP 80", true},
        {"10.0.0.3 10.0.0.1 TCP 53", false},
        {"10.0.0.3 10.0.0.1 UDP 53", true},
        {"10.0.0.3 10.0.0.1 UDP 80", false},
        {"10.0.0.3 10.0.0.1 SCTP 7", true},
        {"10.0.0.3 10.0.0.1 ICMP 0", false},
        {"fd00::3 fd00::1 UDP 53", true}}},
      {"port ranges",
       {{"a/p", "{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}"}},
       {{"10.0.0.3 10.0.0.1 TCP 7999", false},
        {"10.0.0.3 10.0.0.1 TCP 8000", true},
        {"10.0.0.3 10.0.0.1 TCP 8080", true},
        {"10.0.0.3 10.0.0.1 TCP 8081", false},
        {"10.0.0.3 10.0.0.1 UDP 8000", false}}},
      {"named ports are the called pod's",
       {{"a/p", "{podSelector: {}, ingress: [{ports: [{port: http}, {port: dns, protocol: UDP}]}]}"},
        {"b/p", "{podSelector: {}, ingress: [{ports: [{port: http}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", true},
        {"10.0.0.2 10.0.0.1 UDP 53", true},
        {"10.0.0.2 10.0.0.1 TCP 53", false},
        {"10.0.0.2 10.0.0.1 TCP 8080", false},
        {"10.0.0.2 10.0.0.3 TCP 8080", true},
        {"10.0.0.2 10.0.0.3 TCP 80", false},
        {"10.0.0.1 10.0.0.2 TCP 80", false},
        {"fd00::1 fd00::3 TCP 8080", true}}},
      {"named ports of the pods that may be called",
       {{"a/p",
         "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}], to: [{namespaceSelector: "
         "{matchLabels: {team: blue}}}]}]}"}},
       {{"10.0.0.1 10.0.1.1 TCP 81", true},
        {"10.0.0.1 10.0.1.1 TCP 80", false},
        {"10.0.0.1 10.0.0.3 TCP 8080", true},
        {"10.0.0.2 10.0.0.1 TCP 80", false},
        {"fd00::1 fd00:1::1 TCP 81", true}}},
      {"many peers and many ports",
       {{"a/p",
         "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 443}, {port: http}], from: [{podSelector: "
         "{matchLabels: {app: db}}}, {ipBlock: {cidr: 192.0.2.0/24}}]}, {ports: [{port: 22}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 443", true},
        {"10.0.0.2 10.0.0.1 TCP 444", false},
        {"192.0.2.9 10.0.0.1 TCP 80", true},
        {"10.0.0.3 10.0.0.1 TCP 80", false},
        {"10.0.0.3 10.0.0.1 TCP 22", true},
        {"fd00::2 fd00::1 TCP 80", true}}},
      {"rules do not mix",
       {{"a/p",
         "{podSelector: {}, ingress: [{ports: [{port: 80}], from: [{podSelector: {matchLabels: {app: db}}}]}, {ports: "
         "[{port: 81}], from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", true},
        {"10.0.0.2 10.0.0.1 TCP 81", false},
        {"10.0.0.3 10.0.0.1 TCP 81", true},
        {"10.0.0.3 10.0.0.1 TCP 80", false}}},
      {"both ends must agree",
       {{"a/out",
         "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: "
         "blue}}}]}]}"},
        {"b/in", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"}},
       {{"10.0.0.1 10.0.0.3 TCP 80", true},
        {"10.0.0.1 10.0.0.3 TCP 81", false},
        {"10.0.0.1 10.0.1.1 TCP 81", true},
        {"10.0.0.1 10.0.0.2 TCP 80", false},
        {"192.0.2.1 10.0.0.3 TCP 80", true}}},
      {"other nodes' pods are other nodes' business",
       {{"b/deny", "{podSelector: {matchLabels: {app: far}}, policyTypes: [Ingress, Egress]}"}},
       {{"10.0.0.1 10.0.1.1 TCP 80", true}, {"10.0.1.1 10.0.0.1 TCP 80", true}}},
      {"expressions",
       {{"a/p",
         "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}, ingress: [{from: "
         "[{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}]}]}"}},
       {{"10.0.0.2 10.0.0.1 TCP 80", true}, {"10.0.0.3 10.0.0.1 TCP 80", false}, {"10.0.0.3 10.0.0.2 TCP 80", true}}},
  };
  return kCases;
}

TEST_F(PolicyTable, Cases) {
  for (const PolicyCase& c : cases()) {
    SCOPED_TRACE(c.name);
    for (const auto& [key, spec] : c.policies) policy(key, spec);
    for (const Expectation& e : c.packets) EXPECT_EQ(allows(e.packet), e.allowed) << e.packet;
    for (const auto& [key, spec] : c.policies) {
      const std::string text = key;
      model_.remove_policy(text.substr(0, 1), text.substr(2));
    }
    apply();
    EXPECT_TRUE(table_.idle());
    EXPECT_FALSE(model_.has_policies());
  }
}

TEST_F(ModelTest, NothingIsMadeForNothing) {
  model_.set_namespace(make_namespace("a"));
  model_.set_pod(make_pod({.key = "a/web", .addresses = {"10.0.0.1"}}));
  const Changes changes = model_.take_changes();
  EXPECT_TRUE(changes.chains.empty());
  EXPECT_EQ(changes.sets.size(), 6U);
  for (const auto& set : changes.sets) EXPECT_TRUE(set.added.empty());
  EXPECT_TRUE(model_.take_changes().empty());
}

TEST_F(ModelTest, PodsComeChangeAndGo) {
  policy("a/p",
         "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}");
  model_.set_namespace(make_namespace("a"));
  model_.set_pod(make_pod({.key = "a/db", .labels = "app=db", .addresses = {"10.0.0.1"}}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.2"}}));
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=other", .addresses = {"10.0.0.2"}, .version = 2}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  // A late word about an earlier state changes nothing.
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.2"}, .version = 1}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.3"}, .version = 3}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  EXPECT_TRUE(allows("10.0.0.3 10.0.0.1 TCP 1"));
  model_.set_pod(
      make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.3"}, .phase = "Succeeded", .version = 4}));
  EXPECT_FALSE(allows("10.0.0.3 10.0.0.1 TCP 1"));
  model_.remove_pod("a", "db");
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
}

TEST_F(ModelTest, PodsOnTheHostsNetworkAreNotSelected) {
  policy("a/p", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}], policyTypes: [Ingress, Egress]}");
  model_.set_namespace(make_namespace("a"));
  model_.set_pod(make_pod({.key = "a/host", .addresses = {"192.0.2.1"}, .host_network = true}));
  model_.set_pod(make_pod({.key = "a/web", .addresses = {"10.0.0.1"}}));
  EXPECT_TRUE(allows("192.0.2.1 198.51.100.1 TCP 1"));
  EXPECT_TRUE(allows("198.51.100.1 192.0.2.1 TCP 1"));
  EXPECT_FALSE(allows("192.0.2.1 10.0.0.1 TCP 1"));
}

TEST_F(ModelTest, AnAddressBelongsToWhoCameToItLast) {
  policy("a/p",
         "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}");
  model_.set_namespace(make_namespace("a"));
  model_.set_pod(make_pod({.key = "a/db", .labels = "app=db", .addresses = {"10.0.0.1"}}));
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.2"}}));
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_pod(make_pod({.key = "a/new", .labels = "app=new", .addresses = {"10.0.0.2"}}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  // What the one before says of itself later does not give it the address back.
  model_.set_pod(make_pod({.key = "a/web", .labels = "app=web,x=y", .addresses = {"10.0.0.2"}, .version = 2}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.remove_pod("a", "new");
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
}

TEST_F(ModelTest, TheAgentKnowsAddressesFirst) {
  policy("a/deny", "{podSelector: {}}");
  model_.set_sandbox("a/web", {Address::parse("10.0.0.1").value()});
  model_.set_pod(make_pod({.key = "a/web"}));
  EXPECT_FALSE(allows("10.0.0.9 10.0.0.1 TCP 1"));
  // A new sandbox, of which the status does not tell yet.
  model_.set_sandbox("a/web", {Address::parse("10.0.0.2").value()});
  model_.set_pod(make_pod({.key = "a/web", .addresses = {"10.0.0.1"}, .version = 2}));
  EXPECT_TRUE(allows("10.0.0.9 10.0.0.1 TCP 1"));
  EXPECT_FALSE(allows("10.0.0.9 10.0.0.2 TCP 1"));
  model_.set_sandbox("a/web", {});
  EXPECT_FALSE(allows("10.0.0.9 10.0.0.1 TCP 1"));
  EXPECT_TRUE(allows("10.0.0.9 10.0.0.2 TCP 1"));
}

TEST_F(ModelTest, NamespacesComeChangeAndGo) {
  policy("a/p",
         "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, "
         "values: [blue]}]}}]}]}");
  model_.set_pod(make_pod({.key = "a/db", .addresses = {"10.0.0.1"}}));
  model_.set_pod(make_pod({.key = "b/web", .addresses = {"10.0.0.2"}}));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1")) << "nothing is known of b's labels";
  model_.set_namespace(make_namespace("b", "team=red"));
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_namespace(make_namespace("b", "team=blue"));
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.set_namespace(make_namespace("b", "team=green"));
  EXPECT_TRUE(allows("10.0.0.2 10.0.0.1 TCP 1"));
  model_.remove_namespace("b");
  EXPECT_FALSE(allows("10.0.0.2 10.0.0.1 TCP 1"));
}

TEST_F(ModelTest, EveryPolicyCounts) {
  policy("a/one", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}");
  policy("a/two", "{podSelector: {}, ingress: [{ports: [{port: 81}]}]}");
  model_.set_pod(make_pod({.key = "a/web", .addresses = {"10.0.0.1"}}));
  EXPECT_TRUE(allows("10.0.0.9 10.0.0.1 TCP 80"));
  EXPECT_TRUE(allows("10.0.0.9 10.0.0.1 TCP 81"));
  EXPECT_FALSE(allows("10.0.0.9 10.0.0.1 TCP 82"));
  EXPECT_FALSE(allows("10.0.0.9 10.0.0.1 TCP 83"));
  EXPECT_THAT(
      table_.counts(),
      ::testing::ElementsAre(::testing::Pair("a/one/ingress-allowed", 1), ::testing::Pair("a/one/ingress-denied", 2),
                             ::testing::Pair("a/two/ingress-allowed", 1), ::testing::Pair("a/two/ingress-denied", 2)));
}

TEST_F(ModelTest, PodsOfTheSamePoliciesShareAChain) {
  policy("a/deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
  for (int i = 1; i <= 50; ++i) {
    model_.set_pod(make_pod({.key = fmt::format("a/p{}", i), .addresses = {fmt::format("10.0.0.{}", i)}}));
  }
  EXPECT_EQ(model_.take_changes().chains.size(), 4U);
  // One more pod is elements and nothing else.
  model_.set_pod(make_pod({.key = "a/more", .addresses = {"10.0.0.99"}}));
  const Changes changes = model_.take_changes();
  EXPECT_TRUE(changes.chains.empty());
  size_t elements = 0;
  for (const auto& set : changes.sets) elements += set.added.size() + set.removed.size();
  EXPECT_EQ(elements, 3U);
}

TEST_F(ModelTest, EqualPeersShareTheirSets) {
  const std::string from = "from: [{podSelector: {matchLabels: {app: web}}, namespaceSelector: {}}]";
  policy("a/one", "{podSelector: {}, ingress: [{" + from + "}]}");
  policy("b/two", "{podSelector: {}, ingress: [{" + from + ", ports: [{port: 80}]}]}");
  size_t sets = 0;
  for (const auto& set : model_.take_changes().sets) sets += set.set.kind == SetKind::kAddresses ? 1 : 0;
  EXPECT_EQ(sets, 2U) << "one for each family";
}

TEST_F(ModelTest, AChangedPolicyLeavesPodsWhereTheyAre) {
  policy("a/p", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}");
  model_.set_pod(make_pod({.key = "a/web", .addresses = {"10.0.0.1"}}));
  apply();
  policy("a/p", "{podSelector: {}, ingress: [{ports: [{port: 81}]}]}");
  const Changes changes = model_.take_changes();
  EXPECT_TRUE(changes.sets.empty());
  ASSERT_EQ(changes.chains.size(), 1U);
  EXPECT_EQ(changes.chains[0].chain.name, "a/p/ingress");
  EXPECT_FALSE(changes.chains[0].is_new);
  EXPECT_TRUE(changes.gone_chains.empty());
  policy("a/p", "{podSelector: {}, ingress: [{ports: [{port: 81}]}]}");
  EXPECT_TRUE(model_.take_changes().empty()) << "the same again is no change";
}

TEST_F(ModelTest, ASlimPodIsAsGoodAsAWholeOne) {
  policy("a/p", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}, {port: side}]}]}");
  api::corev1::Pod whole =
      *make_pod({.key = "a/web", .labels = "app=web", .addresses = {"10.0.0.1", "fd00::1"}, .ports = {"http/TCP/80"}});
  auto& side = whole.spec.init_containers.emplace_back();
  side.name = "side";
  side.image = "busybox";
  side.restart_policy = "Always";
  auto& port = side.ports.emplace_back();
  port.name = "side";
  port.protocol = "TCP";
  port.container_port = 81;
  whole.metadata.annotations["note"] = "long";
  api::corev1::Pod slim = whole;
  slim_pod(slim);
  EXPECT_TRUE(slim.metadata.annotations.empty());
  EXPECT_TRUE(slim.spec.init_containers.at(0).image.empty());
  model_.set_pod(std::make_shared<const api::corev1::Pod>(whole));
  EXPECT_TRUE(allows("10.0.0.9 10.0.0.1 TCP 81"));
  EXPECT_FALSE(allows("fd00::9 fd00::1 TCP 82"));
  model_.set_pod(std::make_shared<const api::corev1::Pod>(slim));
  EXPECT_TRUE(model_.take_changes().empty());
  // The other way round the elements are those of the whole one, too.
  Model other("node-1");
  other.set_policy(
      make_policy("a/p", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}, {port: side}]}]}"));
  other.set_pod(std::make_shared<const api::corev1::Pod>(slim));
  Table table;
  EXPECT_THAT(table.apply(other.take_changes()), IsEmpty());
  EXPECT_TRUE(table == table_);
}

TEST_F(ModelTest, LongNamesFitTheKernel) {
  const std::string ns(63, 'n');
  const std::string name(253, 'p');
  policy(ns + "/" + name,
         "{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 81}], from: [{ipBlock: {cidr: 10.0.0.0/8}}, "
         "{podSelector: {}}]}], policyTypes: [Ingress, Egress]}");
  model_.set_pod(make_pod({.key = ns + "/web", .addresses = {"10.0.0.1"}}));
  const Changes changes = model_.take_changes();
  EXPECT_THAT(table_.apply(changes), IsEmpty()) << "all names differ";
  for (const auto& chain : changes.chains) EXPECT_LE(chain.chain.name.size(), 255U);
  for (const auto& counter : changes.new_counters) EXPECT_LE(counter.size(), 255U);
  EXPECT_EQ(changes.new_counters.size(), 4U);
}

TEST(CounterNames, CanBeRead) {
  const CounterName name = parse_counter_name(counter_name("shop", "allow.web", Direction::kEgress, false));
  EXPECT_EQ(name.ns, "shop");
  EXPECT_EQ(name.policy, "allow.web");
  EXPECT_EQ(name.direction, Direction::kEgress);
  EXPECT_FALSE(name.allowed);
  EXPECT_TRUE(parse_counter_name(counter_name("a", std::string(253, 'p'), Direction::kIngress, true)).allowed);
  EXPECT_EQ(parse_counter_name("something").policy, "");
}

}  // namespace
}  // namespace trireme::policy
