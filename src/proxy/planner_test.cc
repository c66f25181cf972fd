#include "proxy/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/testing/objects.h"

namespace trireme::proxy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::make_service;
using testing::make_slice;
using ::testing::SizeIs;
using testing::TestEndpoint;

class PlannerTest : public ::testing::Test {
 protected:
  Change update(std::vector<std::string> keys) {
    return planner_.update(keys, [this](const std::string& key) { return world_[key]; });
  }
  void put(const std::string& name, const std::string& address, const std::vector<TestEndpoint>& endpoints) {
    world_["default/" + name] = {make_service(name, {address}), {make_slice(name, endpoints)}};
  }
  size_t elements() {
    size_t count = 0;
    planner_.for_each([&](const Entry&) { ++count; });
    EXPECT_EQ(count, planner_.entries());
    return count;
  }
  std::map<std::string, ServiceView> world_;
  Planner planner_{Options{}, false};
};

TEST_F(PlannerTest, AChangeIsAsLargeAsWhatChanged) {
  put("a", "10.96.0.1", {{"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.3"}});
  put("b", "10.96.0.2", {{"10.0.0.4"}});
  Change change = update({"default/a", "default/b"});
  EXPECT_THAT(change.added, SizeIs(8));
  EXPECT_THAT(change.removed, IsEmpty());
  EXPECT_EQ(change.chains.size(), 2U);
  EXPECT_FALSE(update({"default/a"}).changes_table());

  // One endpoint gives way to another: one element out, one in.
  put("a", "10.96.0.1", {{"10.0.0.1"}, {"10.0.0.9"}, {"10.0.0.3"}});
  change = update({"default/a"});
  EXPECT_THAT(change.added, SizeIs(1));
  EXPECT_THAT(change.removed, SizeIs(1));
  EXPECT_TRUE(change.chains.empty());
  EXPECT_THAT(change.gone_chains, IsEmpty());

  // One less: its element, and another verdict.
  put("a", "10.96.0.1", {{"10.0.0.1"}, {"10.0.0.9"}});
  change = update({"default/a"});
  EXPECT_THAT(change.removed, SizeIs(2));
  EXPECT_THAT(change.added, SizeIs(1));
  EXPECT_THAT(change.gone_chains, ElementsAre("pick-3"));
  EXPECT_EQ(change.chains.count("pick-2"), 1U);
  EXPECT_EQ(elements(), 7U);

  world_.erase("default/a");
  change = update({"default/a"});
  EXPECT_THAT(change.removed, SizeIs(4));
  EXPECT_THAT(planner_.services(), ElementsAre("default/b"));
  EXPECT_EQ(planner_.chains().size(), 1U);
}

TEST_F(PlannerTest, AChainThatGoesOutOfUseAndComesIntoUseStays) {
  put("a", "10.96.0.1", {{"10.0.0.1"}});
  put("b", "10.96.0.2", {{"10.0.0.4"}, {"10.0.0.5"}});
  update({"default/a", "default/b"});
  put("a", "10.96.0.1", {{"10.0.0.1"}, {"10.0.0.2"}});
  put("b", "10.96.0.2", {{"10.0.0.4"}});
  Change change = update({"default/a", "default/b"});
  EXPECT_THAT(change.gone_chains, IsEmpty());
  EXPECT_EQ(planner_.chains().size(), 2U);
}

TEST_F(PlannerTest, WhatTwoServicesShareStaysWhileOneHasIt) {
  planner_.set_node({.name = "here"});
  put("a", "10.96.0.1", {{.address = "10.0.0.1", .node = "here"}});
  put("b", "10.96.0.2", {{.address = "10.0.0.1", .node = "here"}});
  update({"default/a", "default/b"});
  EXPECT_EQ(elements(), 7U);
  world_.erase("default/a");
  Change change = update({"default/a"});
  for (const Entry& entry : change.removed) EXPECT_NE(entry.set, SetId::kHairpin);
  world_.erase("default/b");
  change = update({"default/b"});
  EXPECT_THAT(change.removed, Contains(::testing::Field(&Entry::set, SetId::kHairpin)));
  EXPECT_EQ(elements(), 0U);
}

TEST_F(PlannerTest, AFrontThatTwoWantIsTheFirstOnesUntilItGivesItUp) {
  const auto with_external_ip = [&](const std::string& name, const std::string& address, const char* target) {
    put(name, address, {{target}});
    auto service = std::make_shared<testing::Service>(*world_["default/" + name].service);
    service->spec.external_ips = {"198.51.100.7"};
    world_["default/" + name].service = service;
  };
  with_external_ip("b", "10.96.0.2", "10.0.0.2");
  update({"default/b"});
  with_external_ip("a", "10.96.0.1", "10.0.0.1");
  Change change = update({"default/a"});
  const std::string front = nft::Key().address(*parse_address("198.51.100.7")).proto(6).port(80);
  for (const Entry& entry : change.added) EXPECT_NE(entry.key, front);
  world_.erase("default/b");
  change = update({"default/b"});
  EXPECT_THAT(change.added, Contains(::testing::Field(&Entry::key, front)));
  // The cluster address of a service that is gone may be another's in the same breath.
  world_.erase("default/a");
  put("c", "10.96.0.1", {{"10.0.0.3"}});
  change = update({"default/a", "default/c"});
  EXPECT_THAT(change.added,
              Contains(::testing::Field(&Entry::key,
                                        nft::Key().address(*parse_address("10.96.0.1")).proto(6).port(80).bytes())));
  EXPECT_EQ(elements(), 3U);
}

TEST_F(PlannerTest, StaleFlowsAreThoseOfPortsThatChanged) {
  const auto dns = [&](const std::vector<TestEndpoint>& endpoints) {
    world_["default/dns"] = {make_service("dns", {"10.96.0.10"}, 53, "UDP"), {make_slice("dns", endpoints, 53, "UDP")}};
  };
  dns({{"10.0.0.1"}});
  EXPECT_THAT(update({"default/dns"}).stale, SizeIs(1));
  EXPECT_THAT(update({"default/dns"}).stale, IsEmpty());
  dns({{"10.0.0.2"}});
  Change change = update({"default/dns"});
  ASSERT_THAT(change.stale, SizeIs(1));
  EXPECT_EQ(change.stale[0].targets, (std::vector<Target>{{*parse_address("10.0.0.2"), 53}}));
  world_.erase("default/dns");
  change = update({"default/dns"});
  ASSERT_THAT(change.stale, SizeIs(1));
  EXPECT_THAT(change.stale[0].targets, IsEmpty());
}

}  // namespace
}  // namespace trireme::proxy
