#include "controllers/podautoscaler/replica_calculator.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

using api::corev1::Pod;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow = api::Time::from_unix(1'700'000'000).wall();

/// A pod that requests a cpu in two containers, has been running for an hour, and is ready for nearly as long.
Pod running(const std::string& name) {
  Pod pod;
  pod.metadata.name = name;
  for (const char* container : {"a", "b"}) {
    auto& each = pod.spec.containers.emplace_back();
    each.name = container;
    each.resources.requests.emplace("cpu", Quantity::of_milli(500));
  }
  pod.status.phase = "Running";
  pod.status.start_time = api::Time(kNow - minutes(60));
  auto& ready = pod.status.conditions.emplace_back();
  ready.type = "Ready";
  ready.status = "True";
  ready.last_transition_time = api::Time(kNow - minutes(59));
  return pod;
}

void set_ready(Pod& pod, bool ready, Duration ago) {
  pod.status.conditions[0].status = ready ? "True" : "False";
  pod.status.conditions[0].last_transition_time = api::Time(kNow - ago);
}

std::vector<PodPointer> pods(int count, const std::function<void(Pod&, int)>& change = {}) {
  std::vector<PodPointer> out;
  for (int i = 0; i < count; ++i) {
    Pod pod = running("p" + std::to_string(i));
    if (change) change(pod, i);
    out.push_back(std::make_shared<const Pod>(std::move(pod)));
  }
  return out;
}

/// p0, p1, … in thousandths; negative: not measured.
PodMetricMap metrics(const std::vector<int64_t>& values) {
  PodMetricMap out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0) out["p" + std::to_string(i)] = {values[i], kNow - seconds(5), seconds(30)};
  }
  return out;
}

TEST(ReplicaCalculatorTest, Utilization) {
  struct Case {
    const char* what;
    int32_t current;
    int32_t target;
    std::vector<int64_t> values;
    int32_t replicas;
    int32_t utilization;
    std::function<void(Pod&, int)> change = {};
  };
  const auto pending_last = [](Pod& pod, int i) {
    if (i == 2) pod.status.phase = "Pending";
  };
  const auto unready_last = [](Pod& pod, int i) {
    // Never ready since it started an hour ago.
    if (i == 2) set_ready(pod, false, minutes(60) - seconds(10));
  };
  const auto broken_last = [](Pod& pod, int i) {
    if (i == 2) set_ready(pod, false, minutes(10));
  };
  const auto failed_last = [](Pod& pod, int i) {
    if (i == 2) pod.status.phase = "Failed";
  };
  const auto leaving_last = [](Pod& pod, int i) {
    if (i == 2) pod.metadata.deletion_timestamp = api::Time(kNow);
  };
  const std::vector<Case> cases{
      {"as wanted", 3, 50, {500, 500, 500}, 3, 50},
      {"within the tolerance", 3, 50, {540, 540, 540}, 3, 54},
      {"twice as much", 3, 50, {1000, 1000, 1000}, 6, 100},
      {"rounded up", 3, 30, {300, 500, 700}, 5, 50},
      {"less", 5, 50, {100, 300, 500, 250, 250}, 3, 28},
      {"growing, one pending counts as idle", 3, 50, {1000, 1000, -1}, 4, 100, pending_last},
      {"growing, not with one pending that evens it out", 3, 50, {600, 900, -1}, 3, 75, pending_last},
      {"growing, one never ready counts as idle", 3, 50, {1000, 1000, 3000}, 4, 100, unready_last},
      {"a pod that broke later counts", 3, 50, {1000, 1000, 1000}, 6, 100, broken_last},
      {"failed pods do not exist", 3, 50, {1000, 1000, 1000}, 4, 100, failed_last},
      {"deleted pods do not exist", 3, 50, {1000, 1000, 1000}, 4, 100, leaving_last},
      {"shrinking, the missing one counts full", 3, 50, {100, 100, -1}, 3, 10},
      {"shrinking, the missing one dampens", 4, 80, {100, 100, 100, -1}, 2, 10},
      {"growing, the missing one counts as idle", 3, 50, {1000, 1000, -1}, 4, 100},
      {"turning round is no change", 3, 60, {700, 700, -1}, 3, 70},
  };
  for (const Case& each : cases) {
    const auto all = pods(static_cast<int>(each.values.size()), each.change);
    const ReplicaQuestion question{each.current, all, kNow, {}};
    const auto got = utilization_replicas(question, metrics(each.values), each.target, "cpu", {});
    ASSERT_TRUE(got.ok()) << each.what << ": " << got.status().to_string();
    EXPECT_EQ(got->replicas, each.replicas) << each.what;
    EXPECT_EQ(got->utilization, each.utilization) << each.what;
  }
}

TEST(ReplicaCalculatorTest, WarmingUp) {
  struct Case {
    const char* what;
    std::string resource;
    bool counts;
    std::function<void(Pod&)> change;
  };
  for (const Case& each :
       std::vector<Case>{{"young and ready, measured since", "cpu", true,
                          [](Pod& pod) {
                            pod.status.start_time = api::Time(kNow - minutes(2));
                            set_ready(pod, true, minutes(1));
                          }},
                         {"young, measured partly before it was ready", "cpu", false,
                          [](Pod& pod) {
                            pod.status.start_time = api::Time(kNow - minutes(2));
                            set_ready(pod, true, seconds(20));
                          }},
                         {"young and unready", "cpu", false,
                          [](Pod& pod) {
                            pod.status.start_time = api::Time(kNow - minutes(2));
                            set_ready(pod, false, minutes(2));
                          }},
                         {"no matter for memory", "memory", true, [](Pod& pod) { set_ready(pod, false, minutes(60)); }},
                         {"no condition yet", "cpu", false, [](Pod& pod) { pod.status.conditions.clear(); }},
                         {"no start yet", "cpu", false, [](Pod& pod) { pod.status.start_time.reset(); }}}) {
    const auto all = pods(1, [&](Pod& pod, int) { each.change(pod); });
    const ReplicaQuestion question{1, all, kNow, {}};
    EXPECT_EQ(group_pods(question, metrics({100}), each.resource).ready, each.counts ? 1 : 0) << each.what;
  }
}

TEST(ReplicaCalculatorTest, OneContainerOnly) {
  const auto all = pods(2);
  const auto got = utilization_replicas({2, all, kNow, {}}, metrics({500, 500}), 50, "cpu", "b");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->utilization, 100);
  EXPECT_EQ(got->replicas, 4);
}

TEST(ReplicaCalculatorTest, WhatCannotBeReckoned) {
  const auto all = pods(2);
  const ReplicaQuestion question{2, all, kNow, {}};
  EXPECT_EQ(utilization_replicas({2, {}, kNow, {}}, metrics({1}), 50, "cpu", {}).status().message(),
            "no pods returned by selector while calculating replica count");
  EXPECT_EQ(utilization_replicas(question, {}, 50, "cpu", {}).status().message(),
            "did not receive metrics for targeted pods (pods might be unready)");
  EXPECT_EQ(utilization_replicas(question, metrics({1, 1}), 50, "memory", {}).status().message(),
            "missing request for memory in container a of Pod p0");
  PodMetricMap strangers;
  strangers["other"] = {1};
  EXPECT_EQ(utilization_replicas(question, strangers, 50, "cpu", {}).status().message(),
            "no metrics returned matched known pods");
}

TEST(ReplicaCalculatorTest, Averages) {
  struct Case {
    int32_t current;
    int64_t target;
    std::vector<int64_t> values;
    int32_t replicas;
    int64_t average;
  };
  for (const Case& each : std::vector<Case>{{3, 15'000, {20'000, 10'000, 30'000}, 4, 20'000},
                                            {3, 20'000, {20'000, 21'000, 19'000}, 3, 20'000},
                                            {3, 20'000, {5'000, 5'000, 5'000}, 1, 5'000},
                                            {3, 20'000, {5'000, 5'000, -1}, 2, 5'000},
                                            {3, 10'000, {30'000, 30'000, -1}, 6, 30'000}}) {
    const auto all = pods(static_cast<int>(each.values.size()));
    const auto got = average_replicas({each.current, all, kNow, {}}, metrics(each.values), each.target, {});
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->replicas, each.replicas) << each.values[0];
    EXPECT_EQ(got->average, each.average);
  }
}

TEST(ReplicaCalculatorTest, ValuesAndShares) {
  const auto all = pods(3, [](Pod& pod, int i) {
    if (i == 2) set_ready(pod, false, minutes(10));
  });
  EXPECT_EQ(value_replicas({3, all, kNow, {}}, 20'000, 10'000)->replicas, 4) << "only ready pods share the load";
  EXPECT_EQ(value_replicas({3, all, kNow, {}}, 10'500, 10'000)->replicas, 3);
  EXPECT_EQ(value_replicas({0, {}, kNow, {}}, 25'000, 10'000)->replicas, 3);
  EXPECT_FALSE(value_replicas({3, {}, kNow, {}}, 20'000, 10'000).ok());
  EXPECT_EQ(shared_replicas(3, 60'000, 10'000, 0.1).replicas, 6);
  EXPECT_EQ(shared_replicas(3, 31'000, 10'000, 0.1).replicas, 3);
  EXPECT_EQ(shared_replicas(3, 31'000, 10'000, 0.1).average, 10'334);
  EXPECT_EQ(shared_replicas(0, 31'000, 10'000, 0.1).replicas, 4);
  EXPECT_EQ(shared_replicas(0, 0, 10'000, 0.1).replicas, 0);
}

}  // namespace
}  // namespace trireme::controllers
