// Real packets between network namespaces, against what the definition of the policies allows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>

#include "linux/bridge_filter.h"
#include "linux/file.h"
#include "linux/process.h"
#include "policy/kernel_table.h"
#include "policy/model.h"
#include "policy/testing/host.h"
#include "policy/testing/naive.h"
#include "policy/testing/objects.h"
#include "support/net_namespace.h"
#include "support/sctp.h"

namespace trireme::policy {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kPatience{250};
const std::vector<uint16_t> kPorts{80, 81, 53};

/// A node (this thread's namespace) with three pods on its bridge, a machine behind it, and the kernel's rules.
class KernelTableRootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::NetNamespace::why_not()) GTEST_SKIP() << *reason;
    namespace_.emplace();
    ASSERT_TRUE(namespace_->entered());
    if (Status status = linux::enable_bridge_filter(); !status.ok()) GTEST_SKIP() << status.message();
    ASSERT_TRUE(skip_address_checks());
    ip("link set lo up");
    ip("link add br0 type bridge");
    ip("addr add 10.0.0.254/24 dev br0");
    ip("addr add fd00::fe/64 dev br0 nodad");
    ip("link set br0 up");
    ASSERT_TRUE(linux::write_existing("/proc/sys/net/ipv4/ip_forward", "1\n").ok());
    ASSERT_TRUE(linux::write_existing("/proc/sys/net/ipv6/conf/all/forwarding", "1\n").ok());
    int number = 1;
    for (const char* name : {"web", "db", "job"}) {
      Host& host = hosts_[name];
      const std::string link = std::string("v") + name;
      host.connect(link, {fmt::format("10.0.0.{}/24", number), fmt::format("fd00::{}/64", number)},
                   {"10.0.0.254", "fd00::fe"});
      ip("link set " + link + " master br0");
      ++number;
    }
    hosts_["outside"].connect("vout", {"192.0.2.1/24", "2001:db8::1/64"}, {"192.0.2.254", "2001:db8::fe"});
    ip("addr add 192.0.2.254/24 dev vout");
    ip("addr add 2001:db8::fe/64 dev vout nodad");
    for (auto& [name, host] : hosts_) host.serve(kPorts);

    world_.namespaces = {make_namespace("a", "team=red"), make_namespace("b", "team=blue")};
    world_.pods = {
        make_pod({.key = "a/web", .labels = "app=web", .addresses = addresses("web"), .ports = {"http/TCP/80"}}),
        make_pod({.key = "a/db", .labels = "app=db", .addresses = addresses("db"), .ports = {"http/TCP/81"}}),
        make_pod({.key = "b/job", .labels = "app=job", .addresses = addresses("job")})};
    for (const auto& ns : world_.namespaces) model_.set_namespace(ns);
    for (const auto& pod : world_.pods) model_.set_pod(pod);
    auto opened = KernelTable::open([this] { ++lost_; });
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    table_ = std::move(*opened);
    ok(table_->replace(model_.everything()));
  }

  static void ip(const std::string& command) {
    auto out = linux::run_program({"sh", "-c", "ip " + command});
    ASSERT_TRUE(out.ok()) << command << ": " << out.status().to_string();
  }
  static void ok(const Status& status) { ASSERT_TRUE(status.ok()) << status.to_string(); }
  static std::string ruleset() {
    auto out = linux::run_program({"nft", "list", "ruleset"});
    return out.ok() ? *out : out.status().to_string();
  }
  static std::vector<std::string> addresses(const std::string& host) {
    static const std::map<std::string, std::vector<std::string>> kAll{{"web", {"10.0.0.1", "fd00::1"}},
                                                                      {"db", {"10.0.0.2", "fd00::2"}},
                                                                      {"job", {"10.0.0.3", "fd00::3"}},
                                                                      {"outside", {"192.0.2.1", "2001:db8::1"}}};
    return kAll.at(host);
  }

  void policy(const std::string& key, const std::string& spec) {
    auto made = make_policy(key, spec);
    std::erase_if(world_.policies, [&](const auto& other) { return other->metadata.uid == key; });
    world_.policies.push_back(made);
    model_.set_policy(made);
    ok(table_->apply(model_.take_changes()));
  }
  void remove_policy(const std::string& key) {
    std::erase_if(world_.policies, [&](const auto& other) { return other->metadata.uid == key; });
    model_.remove_policy(key.substr(0, 1), key.substr(2));
    ok(table_->apply(model_.take_changes()));
  }

  /// Every host calls every other on every port, by both protocols and families; the answers must be as defined.
  void check_matrix() {
    int denied = 0;
    for (auto& [from, host] : hosts_) {
      std::vector<Host::Target> targets;
      std::vector<Packet> packets;
      for (const auto& [to, other] : hosts_) {
        for (size_t family = 0; family < 2; ++family) {
          for (uint16_t port : kPorts) {
            for (bool udp : {false, true}) {
              targets.push_back({addresses(to)[family], port, udp});
              packets.push_back({Address::parse(addresses(from)[family]).value(),
                                 Address::parse(addresses(to)[family]).value(), static_cast<uint8_t>(udp ? 17 : 6),
                                 port});
            }
          }
        }
      }
      const std::vector<bool> reached = host.reach(targets, kPatience);
      for (size_t i = 0; i < targets.size(); ++i) {
        const bool expected = world_.allows(packets[i], "node-1");
        denied += expected ? 0 : 1;
        EXPECT_EQ(reached[i], expected) << from << " to " << targets[i].address << " "
                                        << (targets[i].udp ? "UDP " : "TCP ") << targets[i].port;
      }
    }
    if (HasFailure()) ADD_FAILURE() << ruleset();
    denied_ = denied;
  }

  std::optional<test::NetNamespace> namespace_;
  std::map<std::string, Host> hosts_;
  World world_;
  Model model_{"node-1"};
  std::atomic<int> lost_ = 0;
  std::unique_ptr<KernelTable> table_;
  int denied_ = 0;
};

TEST_F(KernelTableRootTest, PacketsGoWhereTheDefinitionSays) {
  check_matrix();
  EXPECT_EQ(denied_, 0);
  policy("a/deny", "{podSelector: {}, policyTypes: [Ingress]}");
  check_matrix();
  EXPECT_GT(denied_, 0);
  policy("a/web",
         "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: "
         "blue}}}], ports: [{port: http}, {port: 53, protocol: UDP}]}, {from: [{ipBlock: {cidr: 192.0.2.0/24, "
         "except: [192.0.2.128/25]}}, {ipBlock: {cidr: '2001:db8::/64'}}], ports: [{port: 80, endPort: 81}, "
         "{port: 53}]}]}");
  policy("b/out",
         "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}, namespaceSelector: {}}]}]}");
  check_matrix();
  policy("a/db",
         "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: "
         "{}}]}], egress: [{to: [{podSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: http}, {port: "
         "53, protocol: UDP}, {port: 53}]}]}");
  check_matrix();
  remove_policy("a/deny");
  remove_policy("a/web");
  remove_policy("a/db");
  remove_policy("b/out");
  check_matrix();
  EXPECT_EQ(denied_, 0);
}

TEST_F(KernelTableRootTest, EchoesAndAnswers) {
  policy("a/deny", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}");
  // Answers come back to a pod that nobody may call, and neighbours find each other (both families).
  EXPECT_TRUE(hosts_["web"].ping("10.0.0.2", kPatience));
  EXPECT_TRUE(hosts_["web"].ping("fd00::2", kPatience));
  EXPECT_TRUE(hosts_["web"].ping("2001:db8::1", kPatience));
  EXPECT_FALSE(hosts_["db"].ping("10.0.0.1", kPatience));
  EXPECT_FALSE(hosts_["db"].ping("fd00::1", kPatience));
  EXPECT_FALSE(hosts_["outside"].ping("10.0.0.1", kPatience));
  EXPECT_TRUE(hosts_["web"].ping("10.0.0.1", kPatience)) << "a pod can always reach itself";
}

TEST_F(KernelTableRootTest, TheNodeReachesItsPods) {
  policy("a/deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
  for (const char* address : {"10.0.0.1", "fd00::1"}) {
    auto out = linux::run_program({"timeout", "2", "bash", "-c", fmt::format("</dev/tcp/{}/80", address)});
    EXPECT_TRUE(out.ok()) << address << ": " << out.status().to_string();
  }
}

TEST_F(KernelTableRootTest, SctpIsAllowedByItsPorts) {
  policy("a/db",
         "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: "
         "{matchLabels: {app: web}}}], ports: [{port: 3868, protocol: SCTP}]}]}");
  for (const bool ip6 : {false, true}) {
    std::map<std::string, std::optional<test::SctpEnd>> ends;
    for (const char* name : {"web", "db", "job"}) {
      hosts_[name].run([&] { ends[name].emplace(ip6); });
    }
    const std::string db = addresses("db")[ip6 ? 1 : 0];
    EXPECT_TRUE(ends["job"]->send(db, 40000, 3868));
    EXPECT_TRUE(ends["web"]->send(db, 40000, 3869));
    EXPECT_FALSE(ends["db"]->receive()) << "from another pod, or to another port";
    EXPECT_TRUE(ends["web"]->send(db, 40000, 3868));
    const auto asked = ends["db"]->receive();
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->from, addresses("web")[ip6 ? 1 : 0]);
    // It may not call anybody, but it may answer.
    EXPECT_TRUE(ends["db"]->send(asked->from, 3868, 40000, &*asked));
    const auto answer = ends["web"]->receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->type, test::SctpEnd::kInitAck);
    EXPECT_TRUE(ends["db"]->send(asked->from, 3868, 41000));
    EXPECT_FALSE(ends["web"]->receive());
  }
}

TEST_F(KernelTableRootTest, CountsByPolicy) {
  policy("a/web", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}");
  hosts_["db"].reach({{"10.0.0.1", 80, false}, {"10.0.0.1", 81, true}, {"10.0.0.1", 53, true}}, kPatience);
  auto counts = policy_counts();
  ASSERT_TRUE(counts.ok()) << counts.status().to_string();
  ASSERT_EQ(counts->size(), 1U);
  EXPECT_EQ(counts->front().ns, "a");
  EXPECT_EQ(counts->front().name, "web");
  EXPECT_EQ(counts->front().direction, Direction::kIngress);
  EXPECT_EQ(counts->front().allowed, 1U);
  EXPECT_EQ(counts->front().denied, 2U);
  EXPECT_THAT(ruleset(), HasSubstr("counter a/web/ingress-denied"));
}

TEST_F(KernelTableRootTest, TellsWhenRulesAreLostAndLeavesNothing) {
  policy("a/deny", "{podSelector: {}, policyTypes: [Ingress]}");
  EXPECT_EQ(lost_, 0) << "own changes are no loss";
  ASSERT_TRUE(linux::run_program({"nft", "flush", "ruleset"}).ok());
  for (int i = 0; i < 200 && lost_ == 0; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_GT(lost_, 0);
  EXPECT_FALSE(table_->apply(model_.take_changes()).ok() && ruleset().find("deny") != std::string::npos);
  ok(table_->replace(model_.everything()));
  check_matrix();
  EXPECT_GT(denied_, 0);
  // Once more over what is there: nothing doubles.
  ok(table_->replace(model_.everything()));
  ok(table_->remove());
  ok(table_->remove());
  EXPECT_THAT(ruleset(), Not(HasSubstr("trireme-policy")));
  ok(table_->replace(model_.everything()));
  ok(remove_kernel_table());
  EXPECT_THAT(ruleset(), Not(HasSubstr("trireme-policy")));
  ASSERT_TRUE(policy_counts().ok());
  EXPECT_TRUE(policy_counts()->empty());
}

}  // namespace
}  // namespace trireme::policy
