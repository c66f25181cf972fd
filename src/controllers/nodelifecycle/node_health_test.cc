#include "controllers/nodelifecycle/node_health.h"

#include <gtest/gtest.h>

#include "controllers/nodelifecycle/taint_eviction_controller.h"

namespace trireme::controllers {
namespace {

using api::corev1::Node;
using api::corev1::Pod;
using api::corev1::Taint;
using std::chrono::seconds;

const WallTime kNow{seconds(1'700'000'000)};

Node node(std::string_view ready, std::string_view other = {}, std::string_view other_status = "True") {
  Node out;
  out.metadata.name = "n1";
  if (!ready.empty()) {
    auto& condition = out.status.conditions.emplace_back();
    condition.type = "Ready";
    condition.status = ready;
  }
  if (!other.empty()) {
    auto& condition = out.status.conditions.emplace_back();
    condition.type = other;
    condition.status = other_status;
  }
  return out;
}

std::string text(const std::vector<Taint>& taints) {
  std::string out;
  for (const Taint& taint : taints) {
    out += taint.key.substr(taint.key.find('/') + 1) + ":" + taint.effect + " ";
  }
  return out;
}

TEST(WantedTaintsTest, FollowConditions) {
  struct Case {
    Node node;
    bool execute;
    std::string expected;
  };
  Node cordoned = node("True");
  cordoned.spec.unschedulable = true;
  const Case cases[] = {
      {node("True"), true, ""},
      {node(""), true, ""},
      {node("False"), true, "not-ready:NoSchedule not-ready:NoExecute "},
      {node("False"), false, "not-ready:NoSchedule "},
      {node("Unknown"), true, "unreachable:NoSchedule unreachable:NoExecute "},
      {node("True", "MemoryPressure"), true, "memory-pressure:NoSchedule "},
      {node("True", "DiskPressure"), true, "disk-pressure:NoSchedule "},
      {node("True", "PIDPressure"), true, "pid-pressure:NoSchedule "},
      {node("True", "PIDPressure", "Unknown"), true, ""},
      {node("True", "NetworkUnavailable"), true, "network-unavailable:NoSchedule "},
      {cordoned, true, "unschedulable:NoSchedule "},
  };
  for (const Case& each : cases) EXPECT_EQ(text(wanted_taints(each.node, each.execute)), each.expected);
}

TEST(ApplyTaintsTest, LeavesOthersAndTimesOfThoseThatStay) {
  std::vector<Taint> taints(3);
  taints[0].key = "dedicated";
  taints[0].effect = "NoExecute";
  taints[1].key = "node.kubernetes.io/not-ready";
  taints[1].effect = "NoExecute";
  taints[1].time_added = api::Time(kNow - seconds(100));
  taints[2].key = "node.kubernetes.io/memory-pressure";
  taints[2].effect = "NoSchedule";
  EXPECT_TRUE(apply_taints(taints, wanted_taints(node("False"), true), kNow));
  EXPECT_EQ(text(taints), "dedicated:NoExecute not-ready:NoExecute not-ready:NoSchedule ");
  EXPECT_EQ(taints[1].time_added, api::Time(kNow - seconds(100)));
  EXPECT_EQ(taints[2].time_added, api::Time(kNow));
  EXPECT_FALSE(apply_taints(taints, wanted_taints(node("False"), true), kNow + seconds(5)));
  EXPECT_TRUE(apply_taints(taints, wanted_taints(node("True"), true), kNow));
  EXPECT_EQ(text(taints), "dedicated:NoExecute ");
}

TEST(MarkUnknownTest, SetsFourConditionsOnce) {
  Node silent = node("True", "DiskPressure", "False");
  EXPECT_TRUE(mark_unknown(silent, kNow));
  ASSERT_EQ(silent.status.conditions.size(), 4u);
  EXPECT_EQ(silent.status.conditions[0].reason, "NodeStatusUnknown");
  EXPECT_EQ(silent.status.conditions[2].reason, "NodeStatusNeverUpdated");
  for (const auto& condition : silent.status.conditions) EXPECT_EQ(condition.status, "Unknown");
  EXPECT_EQ(ready_status(silent), "Unknown");
  EXPECT_FALSE(mark_unknown(silent, kNow + seconds(60)));
  EXPECT_EQ(silent.status.conditions[0].last_transition_time, api::Time(kNow));
}

TEST(EvictionRateTest, DependsOnWhatIsLeft) {
  const EvictionRates rates;
  using Zones = std::map<std::string, ZoneHealth>;
  struct Case {
    const char* why;
    Zones zones;
    double expected;
  };
  const Case cases[] = {
      {"a single node: this side may be cut off", Zones{{"a", {0, 1}}}, 0},
      {"one of two", Zones{{"a", {1, 1}}}, 0.1},
      {"all of one zone, others fine", Zones{{"a", {0, 9}}, {"b", {3, 0}}}, 0.1},
      {"all zones", Zones{{"a", {0, 9}}, {"b", {0, 3}}}, 0},
      {"most of a small zone", Zones{{"a", {4, 6}}}, 0},
      {"most of a large zone", Zones{{"a", {40, 60}}}, 0.01},
      {"less than the threshold", Zones{{"a", {5, 5}}}, 0.1},
  };
  for (const Case& each : cases) EXPECT_DOUBLE_EQ(eviction_rate(each.zones, "a", rates), each.expected) << each.why;
}

Taint taint(std::string key, std::string value = {}, std::string effect = "NoExecute") {
  Taint out;
  out.key = std::move(key);
  out.value = std::move(value);
  out.effect = std::move(effect);
  return out;
}

TEST(ToleratedForTest, TheShortestTolerationCounts) {
  Pod pod;
  const auto tolerate = [&](const std::string& key, std::optional<int64_t> limit) {
    auto& toleration = pod.spec.tolerations.emplace_back();
    toleration.key = key;
    toleration.operator_ = "Exists";
    toleration.toleration_seconds = limit;
  };
  EXPECT_EQ(tolerated_for(pod, {}), std::nullopt);
  EXPECT_EQ(tolerated_for(pod, {taint("a")}), Duration::zero());
  tolerate("a", std::nullopt);
  EXPECT_EQ(tolerated_for(pod, {taint("a")}), std::nullopt);
  tolerate("b", 300);
  tolerate("c", 60);
  tolerate("d", -1);
  EXPECT_EQ(tolerated_for(pod, {taint("a"), taint("b")}), Duration(seconds(300)));
  EXPECT_EQ(tolerated_for(pod, {taint("b"), taint("c")}), Duration(seconds(60)));
  EXPECT_EQ(tolerated_for(pod, {taint("d")}), Duration::zero());
  EXPECT_EQ(tolerated_for(pod, {taint("b"), taint("e")}), Duration::zero());
  EXPECT_EQ(tolerated_for(pod, {taint("e", "", "NoSchedule")}), std::nullopt);
}

}  // namespace
}  // namespace trireme::controllers
