#include "controllers/podautoscaler/scaling_rules.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

using Behavior = api::autoscalingv2::HorizontalPodAutoscalerBehavior;
using Rules = api::autoscalingv2::HPAScalingRules;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow = api::Time::from_unix(1'700'000'000).wall();
constexpr Duration kWindow = minutes(5);

Rules rules(std::initializer_list<std::tuple<const char*, int, int>> policies, int window, const char* select = "Max") {
  Rules out;
  out.select_policy = select;
  if (window >= 0) out.stabilization_window_seconds = window;
  for (const auto& [type, value, period] : policies) {
    auto& policy = out.policies.emplace_back();
    policy.type = type;
    policy.value = value;
    policy.period_seconds = period;
  }
  return out;
}

Behavior behavior(Rules up, Rules down) {
  Behavior out;
  out.scale_up = std::move(up);
  out.scale_down = std::move(down);
  return out;
}

std::string text(const ScalingDecision& decision) {
  return std::to_string(decision.replicas) + " " + decision.able.reason + " " + decision.limited.reason;
}

TEST(ScalingRulesTest, WithoutBehavior) {
  struct Case {
    ScalingBounds bounds;
    int32_t desired;
    const char* result;
  };
  for (const Case& each : std::vector<Case>{{{1, 100, 5}, 7, "7 ReadyForNewScale DesiredWithinRange"},
                                            {{1, 100, 5}, 40, "10 ReadyForNewScale ScaleUpLimit"},
                                            {{1, 100, 1}, 40, "4 ReadyForNewScale ScaleUpLimit"},
                                            {{1, 8, 5}, 40, "8 ReadyForNewScale TooManyReplicas"},
                                            {{3, 8, 5}, 1, "3 ReadyForNewScale TooFewReplicas"}}) {
    ScalingHistory history;
    EXPECT_EQ(text(apply_scaling_rules(history, nullptr, each.bounds, each.desired, kWindow, kNow)), each.result);
  }
}

TEST(ScalingRulesTest, ScalingDownWaitsForTheWindow) {
  ScalingHistory history;
  const ScalingBounds bounds{1, 100, 10};
  const auto at = [&](Duration after, int32_t desired) {
    return text(apply_scaling_rules(history, nullptr, bounds, desired, kWindow, kNow + after));
  };
  EXPECT_EQ(at(seconds(0), 10), "10 ReadyForNewScale DesiredWithinRange");
  EXPECT_EQ(at(minutes(2), 6), "10 ScaleDownStabilized DesiredWithinRange");
  EXPECT_EQ(at(minutes(5), 4), "10 ScaleDownStabilized DesiredWithinRange");
  EXPECT_EQ(at(minutes(6), 4), "6 ScaleDownStabilized DesiredWithinRange");
  EXPECT_EQ(at(minutes(8), 4), "4 ReadyForNewScale DesiredWithinRange");
  EXPECT_LE(history.recommendations.size(), 4u);
}

TEST(ScalingRulesTest, RatesUp) {
  struct Case {
    Rules up;
    const char* result;
  };
  for (const Case& each :
       std::vector<Case>{{rules({{"Pods", 4, 60}, {"Percent", 100, 60}}, 0), "20 ReadyForNewScale ScaleUpLimit"},
                         {rules({{"Pods", 4, 60}, {"Percent", 100, 60}}, 0, "Min"), "14 ReadyForNewScale ScaleUpLimit"},
                         {rules({{"Percent", 5, 60}}, 0), "11 ReadyForNewScale ScaleUpLimit"},
                         {rules({{"Pods", 4, 60}}, 0, "Disabled"), "10 ReadyForNewScale ScaleUpLimit"},
                         {rules({{"Pods", 400, 60}}, 0), "50 ReadyForNewScale TooManyReplicas"},
                         {rules({{"Pods", 2'000'000'000, 60}, {"Percent", 2'000'000'000, 60}}, 0),
                          "50 ReadyForNewScale TooManyReplicas"}}) {
    ScalingHistory history;
    const Behavior rules_of = behavior(each.up, rules({{"Percent", 100, 15}}, 300));
    EXPECT_EQ(text(apply_scaling_rules(history, &rules_of, {1, 50, 10}, 1000, kWindow, kNow)), each.result);
  }
}

TEST(ScalingRulesTest, RatesDown) {
  struct Case {
    Rules down;
    const char* result;
  };
  for (const Case& each :
       std::vector<Case>{{rules({{"Pods", 2, 60}, {"Percent", 50, 60}}, 0), "5 ReadyForNewScale ScaleDownLimit"},
                         {rules({{"Pods", 2, 60}, {"Percent", 50, 60}}, 0, "Min"), "8 ReadyForNewScale ScaleDownLimit"},
                         {rules({{"Pods", 2, 60}}, 0, "Disabled"), "10 ReadyForNewScale ScaleDownLimit"},
                         {rules({{"Percent", 100, 15}}, 0), "2 ReadyForNewScale TooFewReplicas"}}) {
    ScalingHistory history;
    const Behavior rules_of = behavior(rules({{"Pods", 4, 15}}, 0), each.down);
    EXPECT_EQ(text(apply_scaling_rules(history, &rules_of, {2, 50, 10}, 1, kWindow, kNow)), each.result);
  }
}

TEST(ScalingRulesTest, WhatAPeriodHasSeenCounts) {
  ScalingHistory history;
  const Behavior rules_of = behavior(rules({{"Pods", 4, 60}}, 0), rules({{"Pods", 1, 60}}, 0));
  auto decide = [&](int32_t current, int32_t desired, WallTime now) {
    const auto decision = apply_scaling_rules(history, &rules_of, {1, 100, current}, desired, kWindow, now);
    history.note_step(&rules_of, current, decision.replicas, now);
    return decision.replicas;
  };
  EXPECT_EQ(decide(10, 12, kNow), 12);
  EXPECT_EQ(decide(12, 30, kNow + seconds(15)), 14) << "two of the four of this minute are taken";
  EXPECT_EQ(decide(14, 30, kNow + seconds(30)), 14);
  EXPECT_EQ(decide(14, 30, kNow + seconds(61)), 16) << "the first two are forgotten";
}

TEST(ScalingRulesTest, WindowsOfBothDirections) {
  ScalingHistory history;
  const Behavior rules_of = behavior(rules({{"Percent", 100, 15}}, 60), rules({{"Percent", 100, 15}}, -1));
  auto decide = [&](int32_t current, int32_t desired, Duration after) {
    return text(apply_scaling_rules(history, &rules_of, {1, 100, current}, desired, kWindow, kNow + after));
  };
  EXPECT_EQ(decide(10, 10, seconds(0)), "10 ReadyForNewScale DesiredWithinRange");
  EXPECT_EQ(decide(10, 15, seconds(15)), "10 ScaleUpStabilized DesiredWithinRange");
  EXPECT_EQ(decide(10, 20, seconds(61)), "15 ScaleUpStabilized DesiredWithinRange");
  EXPECT_EQ(decide(15, 2, seconds(90)), "15 ScaleDownStabilized DesiredWithinRange");
  EXPECT_EQ(decide(15, 2, seconds(400)), "2 ReadyForNewScale DesiredWithinRange") << "the default window is over";
}

}  // namespace
}  // namespace trireme::controllers
