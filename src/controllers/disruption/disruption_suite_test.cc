// Disruption budgets and evictions, on the real API server.

#include "api/codec.h"
#include "api/conditions.h"
#include "api/types/policyv1.h"
#include "api/value.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using namespace api::corev1;  // NOLINT: the suite speaks of little else
using api::policyv1::Eviction;
using api::policyv1::PodDisruptionBudget;

class DisruptionSuite : public ControllersSuite {
 protected:
  static PodDisruptionBudget budget(const std::string& name, const std::string& spec) {
    auto out = api::decode_json<PodDisruptionBudget>(R"({"metadata":{"namespace":"default","name":")" + name +
                                                     R"("},"spec":{"selector":{"matchLabels":{"app":"redis"}},)" +
                                                     spec + "}}");
    EXPECT_TRUE(out.ok()) << out.status().to_string();
    return *out;
  }
  void running_pod(const std::string& name, bool ready = true) {
    create(pod(name));
    set_running(name, "10.0.0.1", ready);
  }
  Status evict(const std::string& name) {
    Eviction eviction;
    eviction.metadata.namespace_ = "default";
    eviction.metadata.name = name;
    eviction.delete_options.emplace().grace_period_seconds = 0;
    return client().post<Pod>("default", name, "eviction", eviction);
  }
  /// "expected/desired/current/allowed reason"
  static std::string text(const std::shared_ptr<const PodDisruptionBudget>& budget) {
    if (!budget) return "";
    const auto& status = budget->status;
    const auto* condition = api::find_condition(status.conditions, "DisruptionAllowed");
    return std::to_string(status.expected_pods) + "/" + std::to_string(status.desired_healthy) + "/" +
           std::to_string(status.current_healthy) + "/" + std::to_string(status.disruptions_allowed) + " " +
           (condition ? condition->reason : "");
  }
  [[nodiscard]] bool becomes(Watched<PodDisruptionBudget>& budgets, const std::string& name, const std::string& want) {
    const bool reached = advance_until(budgets, std::chrono::milliseconds(20),
                                       [&] { return text(budgets.get("default", name)) == want; });
    EXPECT_EQ(text(budgets.get("default", name)), want);
    return reached;
  }
};

TEST_F(DisruptionSuite, EvictionsWaitForTheBudget) {
  run("disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  running_pod("a");
  running_pod("b");
  create(budget("pdb", R"("minAvailable":2)"));
  ASSERT_TRUE(becomes(budgets, "pdb", "2/2/2/0 InsufficientPods"));
  const Status refused = evict("a");
  EXPECT_EQ(refused.code(), 429);
  EXPECT_EQ(refused.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
  ASSERT_EQ(refused.details().causes.size(), 1u);
  EXPECT_EQ(refused.details().causes[0].type, "DisruptionBudget");
  EXPECT_EQ(refused.details().causes[0].message, "The disruption budget pdb needs 2 healthy pods and has 2 currently");

  change<PodDisruptionBudget>("default", "pdb", [](auto& each) { each.spec.min_available = 1; });
  ASSERT_TRUE(becomes(budgets, "pdb", "2/1/2/1 SufficientPods"));
  EXPECT_EQ(evict("a").to_string(), "OK");
  ASSERT_TRUE(becomes(budgets, "pdb", "1/1/1/0 InsufficientPods"));
  EXPECT_EQ(evict("b").code(), 429);
  EXPECT_TRUE(budgets.until([&] { return budgets.get("default", "pdb")->status.disrupted_pods.empty(); }));
}

TEST_F(DisruptionSuite, AnEvictedPodTellsWhyAndIsRemembered) {
  running_pod("a");
  change<Pod>("default", "a", [](Pod& pod) { pod.metadata.finalizers.emplace_back("example.com/hold"); });
  create(budget("pdb", R"("minAvailable":0)"));
  change<PodDisruptionBudget>(
      "default", "pdb",
      [](auto& each) {
        each.status.observed_generation = each.metadata.generation;
        each.status.disruptions_allowed = 1;
      },
      true);
  ASSERT_EQ(evict("a").to_string(), "OK");
  const auto pod = client().get<Pod>("default", "a");
  ASSERT_TRUE(pod.ok());
  const auto* told = api::find_condition(pod->status.conditions, "DisruptionTarget");
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->status + " " + told->reason + " " + told->message,
            "True EvictionByEvictionAPI Eviction API: evicting");
  const auto spent = client().get<PodDisruptionBudget>("default", "pdb");
  ASSERT_TRUE(spent.ok());
  EXPECT_EQ(spent->status.disruptions_allowed, 0);
  EXPECT_TRUE(spent->status.disrupted_pods.contains("a"));
  EXPECT_EQ(spent->status.conditions[0].reason, "InsufficientPods");
}

TEST_F(DisruptionSuite, UnreadyPodsGoByThePolicy) {
  run("disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  running_pod("ready");
  running_pod("broken", false);
  create(budget("pdb", R"("minAvailable":2)"));
  ASSERT_TRUE(becomes(budgets, "pdb", "2/2/1/0 InsufficientPods"));
  EXPECT_EQ(evict("broken").code(), 429);
  change<PodDisruptionBudget>("default", "pdb",
                              [](auto& each) { each.spec.unhealthy_pod_eviction_policy = "AlwaysAllow"; });
  EXPECT_EQ(evict("ready").code(), 429);
  EXPECT_EQ(evict("broken").to_string(), "OK");
  // With enough healthy ones, broken ones may go anyway.
  running_pod("broken2", false);
  change<PodDisruptionBudget>("default", "pdb", [](auto& each) {
    each.spec.unhealthy_pod_eviction_policy.reset();
    each.spec.min_available = 1;
  });
  ASSERT_TRUE(becomes(budgets, "pdb", "2/1/1/0 InsufficientPods"));
  EXPECT_EQ(evict("broken2").to_string(), "OK");
}

TEST_F(DisruptionSuite, PercentagesAreOfWhatTheControllersWant) {
  run("replicationcontroller,disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  Watched<Pod> pods(raw());
  create(controller(4));
  ASSERT_TRUE(pods.until([&] { return pods.list().size() == 4; }));
  create(budget("pdb", R"("maxUnavailable":"25%")"));
  ASSERT_TRUE(becomes(budgets, "pdb", "4/3/0/0 InsufficientPods"));
  for (const auto& each : pods.list()) set_running(each->metadata.name, "10.0.0.1");
  EXPECT_TRUE(becomes(budgets, "pdb", "4/3/4/1 SufficientPods"));
}

TEST_F(DisruptionSuite, WhatCannotBeScaledAllowsNothing) {
  run("disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  Pod owned = pod("a");
  auto& owner = owned.metadata.owner_references.emplace_back();
  owner.api_version = "batch/v1";
  owner.kind = "Job";
  owner.name = "j";
  owner.uid = "u";
  owner.controller = true;
  create(owned);
  create(budget("pdb", R"("maxUnavailable":1)"));
  ASSERT_TRUE(becomes(budgets, "pdb", "0/0/0/0 SyncFailed"));
  EXPECT_EQ(budgets.get("default", "pdb")->status.conditions[0].message,
            "jobs.batch does not implement the scale subresource");
}

TEST_F(DisruptionSuite, ACustomResourcesScaleCounts) {
  const net::Response defined = send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                                     R"({"metadata":{"name":"fleets.example.com"},"spec":{"group":"example.com",
          "scope":"Namespaced","names":{"plural":"fleets","kind":"Fleet"},"versions":[{"name":"v1","served":true,
          "storage":true,"subresources":{"scale":{"specReplicasPath":".spec.size","statusReplicasPath":".status.size"}},
          "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})");
  ASSERT_EQ(defined.status, 201) << defined.body;
  const net::Response made = send("POST", "/apis/example.com/v1/namespaces/default/fleets",
                                  R"({"apiVersion":"example.com/v1","kind":"Fleet","metadata":{"name":"f"},
                                      "spec":{"size":3}})");
  ASSERT_EQ(made.status, 201) << made.body;
  const auto fleet = api::parse_value(made.body);
  ASSERT_TRUE(fleet.ok());
  Pod owned = pod("a");
  auto& owner = owned.metadata.owner_references.emplace_back();
  owner.api_version = "example.com/v1";
  owner.kind = "Fleet";
  owner.name = "f";
  owner.uid = fleet->at_path({"metadata", "uid"})->as_string();
  owner.controller = true;
  create(owned);
  create(budget("pdb", R"("maxUnavailable":1)"));
  run("disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  const auto expected = [&] {
    const auto found = budgets.get("default", "pdb");
    return found && found->status.expected_pods == 3 && found->status.desired_healthy == 2;
  };
  EXPECT_TRUE(budgets.until(expected));
}

TEST_F(DisruptionSuite, APodThatLivesOnCountsAgain) {
  run("disruption");
  Watched<PodDisruptionBudget> budgets(raw());
  running_pod("a");
  running_pod("b");
  create(budget("pdb", R"("minAvailable":1)"));
  ASSERT_TRUE(becomes(budgets, "pdb", "2/1/2/1 SufficientPods"));
  // As if the API server had died between the charge and the deletion.
  change<PodDisruptionBudget>(
      "default", "pdb",
      [&](auto& each) {
        each.status.disruptions_allowed = 0;
        each.status.disrupted_pods.insert_or_assign("a", api::Time(clock_->now()));
      },
      true);
  ASSERT_TRUE(becomes(budgets, "pdb", "2/1/1/0 InsufficientPods"));
  EXPECT_TRUE(advance_until(budgets, std::chrono::seconds(10),
                            [&] { return text(budgets.get("default", "pdb")) == "2/1/2/1 SufficientPods"; }));
}

TEST_F(DisruptionSuite, AStaleConditionIsTakenBack) {
  run("disruption");
  Watched<Pod> pods(raw());
  running_pod("a");
  change<Pod>(
      "default", "a",
      [&](Pod& pod) {
        PodCondition condition;
        condition.type = "DisruptionTarget";
        condition.status = "True";
        condition.reason = "PreemptionByScheduler";
        api::set_condition(pod.status.conditions, std::move(condition), clock_->now());
      },
      true);
  EXPECT_TRUE(advance_until(pods, std::chrono::seconds(20), [&] {
    const auto pod = pods.get("default", "a");
    const auto* told = pod ? api::find_condition(pod->status.conditions, "DisruptionTarget") : nullptr;
    return told != nullptr && told->status == "False";
  }));
}

}  // namespace
}  // namespace trireme::controllers
