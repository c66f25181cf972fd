#include "proxy/announce_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/load_balancer.h"
#include "proxy/testing/objects.h"

namespace trireme::proxy {
namespace {

using testing::make_service;
using testing::make_slice;
using testing::set_load_balancer;

std::shared_ptr<api::corev1::Node> node(const std::string& name, const char* ready = "True") {
  auto out = std::make_shared<api::corev1::Node>();
  out->metadata.name = name;
  out->status.conditions.emplace_back();
  out->status.conditions[0].type = "Ready";
  out->status.conditions[0].status = ready;
  out->status.addresses.emplace_back();
  out->status.addresses[0].type = "InternalIP";
  out->status.addresses[0].address = "192.0.2.200";
  return out;
}

std::shared_ptr<testing::Service> balancer(int number) {
  auto service = make_service("web" + std::to_string(number), {"10.96.0.10"});
  set_load_balancer(*service, "192.0.2." + std::to_string(number), 30080);
  service->status.conditions.emplace_back();
  service->status.conditions[0].type = api::kLayer2Condition;
  service->status.conditions[0].status = "True";
  return service;
}

class AnnouncePlanTest : public ::testing::Test {
 protected:
  AnnouncePlanTest() {
    for (int i = 1; i <= 100; ++i) services_.push_back(balancer(i));
  }
  std::set<IpAddress> ours(const std::string& self) const {
    return plan_announcements(
               services_, nodes_, [this](const std::string&) { return slices_; }, self)
        .ours;
  }
  std::vector<ServicePointer> services_;
  std::vector<NodePointer> nodes_ = {node("a"), node("b"), node("c")};
  std::vector<SlicePointer> slices_;
};

TEST_F(AnnouncePlanTest, EachAddressIsOneNodesAndNodesShareThem) {
  std::set<IpAddress> all;
  size_t sum = 0;
  for (const char* self : {"a", "b", "c"}) {
    const auto mine = ours(self);
    EXPECT_GT(mine.size(), 15U) << self;
    sum += mine.size();
    all.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(sum, 100U);
  EXPECT_EQ(all.size(), 100U);
}

TEST_F(AnnouncePlanTest, OnlyTheAddressesOfANodeThatGoesMove) {
  const auto a = ours("a");
  const auto b = ours("b");
  nodes_[2] = node("c", "Unknown");
  EXPECT_THAT(ours("a"), ::testing::IsSupersetOf(a));
  EXPECT_THAT(ours("b"), ::testing::IsSupersetOf(b));
  EXPECT_EQ(ours("a").size() + ours("b").size(), 100U);
  EXPECT_TRUE(ours("c").empty());
}

TEST_F(AnnouncePlanTest, NodesThatAreExcludedOrGoAwayAreNotAsked) {
  auto excluded = node("a");
  excluded->metadata.labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
  nodes_ = {excluded, node("b")};
  EXPECT_TRUE(ours("a").empty());
  EXPECT_EQ(ours("b").size(), 100U);
  nodes_ = {};
  EXPECT_TRUE(ours("b").empty());
}

TEST_F(AnnouncePlanTest, NodesWithoutAnAddressOfTheFamilyAreNotAsked) {
  auto both = node("c");
  both->status.addresses.push_back(both->status.addresses[0]);
  both->status.addresses[1].address = "2001:db8::1";
  nodes_[2] = both;
  auto six = balancer(1);
  six->status.load_balancer.ingress[0].ip = "2001:db8::100";
  services_ = {six};
  EXPECT_EQ(ours("c").size(), 1U);
  EXPECT_TRUE(ours("a").empty() && ours("b").empty());
}

TEST_F(AnnouncePlanTest, WithThePolicyLocalOnlyNodesWithReadyEndpoints) {
  auto local = balancer(1);
  local->spec.external_traffic_policy = "Local";
  services_ = {local};
  EXPECT_TRUE(ours("a").empty() && ours("b").empty() && ours("c").empty());
  slices_ = {make_slice(
      "web1", {{.address = "10.244.1.2", .node = "b"}, {.address = "10.244.2.2", .node = "c", .ready = false}})};
  EXPECT_EQ(ours("b").size(), 1U);
  EXPECT_TRUE(ours("a").empty() && ours("c").empty());
}

TEST_F(AnnouncePlanTest, OthersAddressesAreLeftAlone) {
  auto cloud = balancer(1);
  cloud->status.conditions.clear();
  auto proxied = balancer(2);
  proxied->status.load_balancer.ingress[0].ip_mode = "Proxy";
  auto no_balancer = balancer(3);
  no_balancer->spec.type = "ClusterIP";
  services_ = {cloud, proxied, no_balancer};
  EXPECT_EQ(plan_announcements(
                services_, nodes_, [](const std::string&) { return std::vector<SlicePointer>(); }, "a"),
            AnnouncePlan());
}

}  // namespace
}  // namespace trireme::proxy
