#include "controllers/disruption/budget_plan.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

const WallTime kNow = api::Time::from_unix(1'700'000'000).wall();

api::Time ago(int seconds) { return api::Time(kNow - std::chrono::seconds(seconds)); }

PodPointer pod(const std::string& name, bool ready = true, bool deleted = false) {
  api::corev1::Pod out;
  out.metadata.name = name;
  if (deleted) out.metadata.deletion_timestamp = ago(1);
  auto& condition = out.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = ready ? "True" : "False";
  return std::make_shared<const api::corev1::Pod>(std::move(out));
}

TEST(BudgetPlanTest, ExpectedPods) {
  struct Case {
    std::optional<api::IntOrString> min_available;
    std::optional<api::IntOrString> max_unavailable;
    int32_t scale;
    int32_t expected;
    int32_t healthy;
  };
  for (const Case& each : std::vector<Case>{{2, {}, 10, 3, 2},
                                            {"50%", {}, 5, 5, 3},
                                            {"100%", {}, 4, 4, 4},
                                            {{}, 1, 5, 5, 4},
                                            {{}, 9, 5, 5, 0},
                                            {{}, "30%", 10, 10, 7},
                                            {{}, "1%", 10, 10, 9},
                                            {{}, {}, 10, 0, 0}}) {
    api::policyv1::PodDisruptionBudgetSpec spec;
    spec.min_available = each.min_available;
    spec.max_unavailable = each.max_unavailable;
    const auto got = expected_pods(spec, 3, [&]() -> Result<int32_t> { return each.scale; });
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->expected, each.expected);
    EXPECT_EQ(got->healthy, each.healthy);
  }
}

TEST(BudgetPlanTest, WhatCannotBeCountedIsAFailure) {
  api::policyv1::PodDisruptionBudgetSpec spec;
  spec.max_unavailable = 1;
  EXPECT_FALSE(expected_pods(spec, 3, []() -> Result<int32_t> { return Status::not_found("none"); }).ok());
  spec.max_unavailable = "few";
  EXPECT_FALSE(expected_pods(spec, 3, []() -> Result<int32_t> { return 3; }).ok());
}

TEST(BudgetPlanTest, EvictedPodsAreRememberedForTwoMinutes) {
  const std::vector<PodPointer> pods{pod("fresh"), pod("older"),         pod("overdue"), pod("going", true, true),
                                     pod("other"), pod("unready", false)};
  const api::Map<api::Time> known{
      {"fresh", ago(5)}, {"older", ago(60)}, {"overdue", ago(121)}, {"going", ago(5)}, {"gone", ago(5)}};
  const Disrupted got = disrupted_pods(known, pods, kNow);
  EXPECT_EQ(got.pods, (api::Map<api::Time>{{"fresh", ago(5)}, {"older", ago(60)}}));
  ASSERT_EQ(got.overdue.size(), 1u);
  EXPECT_EQ(got.overdue[0]->metadata.name, "overdue");
  EXPECT_EQ(got.next, std::chrono::seconds(61));
  EXPECT_EQ(count_healthy(pods, got), 2) << "overdue and other";
  EXPECT_EQ(disrupted_pods({}, pods, kNow).next, Duration::zero());
}

TEST(BudgetPlanTest, AllowedDisruptions) {
  EXPECT_EQ(allowed_disruptions({.expected = 3, .healthy = 2}, 3), 1);
  EXPECT_EQ(allowed_disruptions({.expected = 3, .healthy = 2}, 1), 0);
  EXPECT_EQ(allowed_disruptions({.expected = 0, .healthy = 0}, 3), 0);
}

TEST(BudgetPlanTest, StaleDisruptions) {
  api::corev1::Pod told = *pod("p");
  auto& condition = told.status.conditions.emplace_back();
  condition.type = "DisruptionTarget";
  condition.status = "True";
  condition.last_transition_time = ago(30);
  Duration due{};
  EXPECT_TRUE(has_stale_disruption(told, kNow, due));
  EXPECT_EQ(due, std::chrono::seconds(90));
  api::corev1::Pod by_kubelet = told;
  by_kubelet.status.conditions.back().reason = "TerminationByKubelet";
  EXPECT_FALSE(has_stale_disruption(by_kubelet, kNow, due));
  api::corev1::Pod finished = told;
  finished.status.phase = "Failed";
  EXPECT_FALSE(has_stale_disruption(finished, kNow, due));
  told.metadata.deletion_timestamp = ago(1);
  EXPECT_FALSE(has_stale_disruption(told, kNow, due));
  EXPECT_FALSE(has_stale_disruption(*pod("p"), kNow, due));
}

}  // namespace
}  // namespace trireme::controllers
