// Random clusters: what the model's rules let pass must be what the definition lets pass, after every change.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "policy/model.h"
#include "policy/testing/naive.h"
#include "policy/testing/objects.h"
#include "policy/testing/table.h"

namespace trireme::policy {
namespace {

using ::testing::IsEmpty;

constexpr int kWorlds = 12;
constexpr int kSteps = 50;
constexpr int kPods = 7;

class RandomWorld {
 public:
  explicit RandomWorld(uint32_t seed) : random_(seed) {}

  /// One thing happens, to the model and to the world.
  void step(Model& model) {
    ++version_;
    switch (pick(6)) {
      case 0:
        change_namespace(model);
        break;
      case 1:
      case 2:
      case 3:
        change_pod(model);
        break;
      default:
        change_policy(model);
        break;
    }
  }

  World world() const {
    World out;
    for (const auto& [key, ns] : namespaces_) out.namespaces.push_back(ns);
    for (const auto& [key, pod] : pods_) out.pods.push_back(pod);
    for (const auto& [key, policy] : policies_) out.policies.push_back(policy);
    return out;
  }

  void tell_all(Model& model) const {
    for (const auto& [key, policy] : policies_) model.set_policy(policy);
    for (const auto& [key, pod] : pods_) model.set_pod(pod);
    for (const auto& [key, ns] : namespaces_) model.set_namespace(ns);
  }

 private:
  int pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  std::string ns_name() { return std::string(1, static_cast<char>('a' + pick(3))); }
  const char* one_of(std::initializer_list<const char*> words) {
    return *(words.begin() + pick(static_cast<int>(words.size())));
  }
  std::string labels() {
    return fmt::format("app={}{}", one_of({"web", "db", "job"}), one_of({"", ",tier=front", ",tier=back"}));
  }

  void change_namespace(Model& model) {
    const std::string name = ns_name();
    if (pick(4) == 0) {
      namespaces_.erase(name);
      model.remove_namespace(name);
      return;
    }
    namespaces_[name] = make_namespace(name, one_of({"team=red", "team=blue", "x=y"}));
    model.set_namespace(namespaces_[name]);
  }

  void change_pod(Model& model) {
    const int number = pick(kPods);
    // A pod's place is fixed by its number: no two share an address.
    const std::string ns(1, static_cast<char>('a' + number % 3));
    const std::string name = fmt::format("p{}", number);
    const std::string key = ns + "/" + name;
    if (pick(5) == 0) {
      pods_.erase(key);
      model.remove_pod(ns, name);
      return;
    }
    PodSpec spec{.key = key, .labels = labels(), .node = number % 4 == 3 ? "node-2" : "node-1"};
    if (pick(8) != 0) spec.addresses = {fmt::format("10.0.{}.{}", number % 2, number + 1)};
    if (!spec.addresses.empty() && pick(3) != 0) spec.addresses.push_back(fmt::format("fd00::{}", number + 1));
    if (pick(2) == 0) spec.ports.push_back(one_of({"http/TCP/80", "http/TCP/81", "http/UDP/80"}));
    if (pick(2) == 0) spec.ports.push_back("dns/UDP/81");
    spec.phase = pick(10) == 0 ? "Failed" : "Running";
    spec.host_network = pick(12) == 0;
    spec.version = version_;
    spec.uid = pick(6) == 0 ? fmt::format("{}-{}", key, version_) : "";
    pods_[key] = make_pod(spec);
    model.set_pod(pods_[key]);
  }

  std::string selector() {
    switch (pick(5)) {
      case 0:
        return "{}";
      case 1:
        return fmt::format("{{matchExpressions: [{{key: tier, operator: {}}}]}}", one_of({"Exists", "DoesNotExist"}));
      case 2:
        return fmt::format("{{matchExpressions: [{{key: app, operator: {}, values: [web, db]}}]}}",
                           one_of({"In", "NotIn"}));
      default:
        return fmt::format("{{matchLabels: {{app: {}}}}}", one_of({"web", "db", "job"}));
    }
  }

  std::string peer() {
    switch (pick(5)) {
      case 0:
        return fmt::format("{{podSelector: {}}}", selector());
      case 1:
        return fmt::format("{{namespaceSelector: {}}}", ns_selector());
      case 2:
        return fmt::format("{{namespaceSelector: {}, podSelector: {}}}", ns_selector(), selector());
      case 3:
        return fmt::format("{{ipBlock: {{cidr: {}}}}}",
                           one_of({"10.0.0.0/24", "192.0.2.0/24", "0.0.0.0/0", "'fd00::/126'", "'::/0'"}));
      default:
        return one_of({"{ipBlock: {cidr: 10.0.0.0/16, except: [10.0.1.0/24, 10.0.0.3/32]}}",
                       "{ipBlock: {cidr: '::/0', except: ['fd00::2/127']}}",
                       "{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}"});
    }
  }
  std::string ns_selector() {
    return one_of(
        {"{}", "{matchLabels: {team: red}}", "{matchExpressions: [{key: team, operator: NotIn, values: [red]}]}"});
  }
  std::string port() {
    return one_of({"{port: 80}", "{port: 80, endPort: 81}", "{protocol: UDP}", "{port: http}",
                   "{port: 81, protocol: UDP}", "{port: http, protocol: UDP}", "{port: dns, protocol: UDP}",
                   "{protocol: SCTP, port: 80}"});
  }
  template <typename Make>
  std::string some(int most, Make&& make) {
    std::string out;
    for (int i = pick(most + 1); i > 0; --i) out += (out.empty() ? "" : ", ") + make();
    return "[" + out + "]";
  }
  std::string rules(const char* peers) {
    return some(2, [&] {
      return fmt::format("{{{}: {}, ports: {}}}", peers, some(3, [&] { return peer(); }),
                         some(3, [&] { return port(); }));
    });
  }

  void change_policy(Model& model) {
    const std::string ns = ns_name();
    const std::string name = fmt::format("n{}", pick(3));
    const std::string key = ns + "/" + name;
    if (pick(4) == 0) {
      policies_.erase(key);
      model.remove_policy(ns, name);
      return;
    }
    policies_[key] = make_policy(
        key, fmt::format("{{podSelector: {}, ingress: {}, egress: {}, policyTypes: {}}}", selector(), rules("from"),
                         rules("to"), one_of({"[]", "[Ingress]", "[Egress]", "[Ingress, Egress]"})));
    model.set_policy(policies_[key]);
  }

  std::mt19937 random_;
  int version_ = 0;
  std::map<std::string, std::shared_ptr<const api::corev1::Namespace>> namespaces_;
  std::map<std::string, std::shared_ptr<const api::corev1::Pod>> pods_;
  std::map<std::string, std::shared_ptr<const api::networkingv1::NetworkPolicy>> policies_;
};

std::vector<Address> all_addresses(Family family) {
  std::vector<Address> out;
  for (int number = 0; number < kPods; ++number) {
    out.push_back(Address::parse(family == Family::kIpv4 ? fmt::format("10.0.{}.{}", number % 2, number + 1)
                                                         : fmt::format("fd00::{}", number + 1))
                      .value());
  }
  out.push_back(Address::parse(family == Family::kIpv4 ? "192.0.2.7" : "2001:db8::7").value());
  return out;
}

/// The first packet on which the two differ; empty: none.
std::string difference(const Table& table, const World& world) {
  for (Family family : {Family::kIpv4, Family::kIpv6}) {
    for (const Address& from : all_addresses(family)) {
      for (const Address& to : all_addresses(family)) {
        for (uint8_t protocol : {uint8_t{6}, uint8_t{17}, uint8_t{132}, uint8_t{1}}) {
          for (uint16_t port : {uint16_t{80}, uint16_t{81}, uint16_t{82}}) {
            const Packet packet{from, to, protocol, port};
            const bool expected = world.allows(packet, "node-1");
            if (table.allows(packet) != expected) {
              return fmt::format("{} to {} protocol {} port {} must be {}", from.to_string(), to.to_string(), protocol,
                                 port, expected ? "allowed" : "denied");
            }
          }
        }
      }
    }
  }
  return {};
}

TEST(RandomPolicies, AllowWhatTheDefinitionAllows) {
  for (uint32_t seed = 1; seed <= kWorlds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomWorld world(seed);
    Model model("node-1");
    Table table;
    for (int step = 0; step < kSteps; ++step) {
      world.step(model);
      // Several changes in one go as well as one at a time.
      if (step % 3 == 1) continue;
      ASSERT_THAT(table.apply(model.take_changes()), IsEmpty()) << "step " << step;
      if (step % 10 != 0) continue;
      ASSERT_EQ(difference(table, world.world()), "") << "step " << step;
    }
    ASSERT_THAT(table.apply(model.take_changes()), IsEmpty());
    Table restored;
    ASSERT_THAT(restored.apply(model.everything()), IsEmpty());
    EXPECT_TRUE(restored == table) << "what is programmed anew is what changes led to";
    Model fresh("node-1");
    world.tell_all(fresh);
    Table anew;
    ASSERT_THAT(anew.apply(fresh.take_changes()), IsEmpty());
    EXPECT_TRUE(anew == table) << "how it came about does not matter";
    EXPECT_TRUE(model.take_changes().empty());
  }
}

}  // namespace
}  // namespace trireme::policy
