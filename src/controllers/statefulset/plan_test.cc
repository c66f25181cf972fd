#include "controllers/statefulset/plan.h"

#include <gtest/gtest.h>

namespace trireme::controllers::statefulset {
namespace {

const WallTime kNow = WallTime(std::chrono::seconds(1'700'000'000));

StatefulSet make_set(int32_t replicas, bool parallel = false) {
  StatefulSet set;
  set.metadata.name = "web";
  set.metadata.namespace_ = "default";
  set.metadata.uid = "set-uid";
  set.spec.replicas = replicas;
  set.spec.pod_management_policy =
      parallel ? api::appsv1::kParallelPodManagement : api::appsv1::kOrderedReadyPodManagement;
  set.spec.update_strategy.type = api::appsv1::kRollingUpdateStatefulSetStrategyType;
  set.spec.update_strategy.rolling_update.emplace().partition = 0;
  return set;
}

/// "web-0" in a state: n(ot ready) r(eady) t(erminating) f(ailed) s(ucceeded); a capital letter means the new revision.
PodPointer make_pod_in(const StatefulSet& set, int32_t ordinal, char state) {
  const bool fresh = state >= 'A' && state <= 'Z';
  Pod pod = make_pod(set, set.spec.template_, fresh ? "new" : "old", ordinal);
  pod.metadata.uid = pod.metadata.name;
  switch (state | 0x20) {
    case 'n':
      pod.status.phase = "Pending";
      break;
    case 'f':
      pod.status.phase = "Failed";
      break;
    case 's':
      pod.status.phase = "Succeeded";
      break;
    default: {
      pod.status.phase = "Running";
      auto& ready = pod.status.conditions.emplace_back();
      ready.type = "Ready";
      ready.status = "True";
      ready.last_transition_time = api::Time(kNow - std::chrono::seconds(5));
    }
  }
  if ((state | 0x20) == 't') pod.metadata.deletion_timestamp = api::Time(kNow);
  return std::make_shared<const Pod>(std::move(pod));
}

/// One letter per ordinal from 0; '-' for none.
std::vector<PodPointer> pods_of(const StatefulSet& set, std::string_view states) {
  std::vector<PodPointer> pods;
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i] != '-') pods.push_back(make_pod_in(set, static_cast<int32_t>(i), states[i]));
  }
  return pods;
}

/// "+1" create, "!1" recreate, "-1" delete, "~1" replace.
std::string steps_of(const Plan& plan) {
  std::string out;
  for (const Step& step : plan.steps) {
    if (step.kind == Step::Kind::kTend) continue;
    const char sign = step.kind == Step::Kind::kCreate     ? '+'
                      : step.kind == Step::Kind::kRecreate ? '!'
                      : step.kind == Step::Kind::kDelete   ? '-'
                                                           : '~';
    out += sign + std::to_string(step.ordinal);
  }
  return out;
}

TEST(StatefulSetPlanTest, OneStepAtATimeWhenOrdered) {
  struct Case {
    const char* pods;
    int32_t replicas;
    const char* steps;
  };
  const Case cases[] = {
      {"", 3, "+0"},    {"N", 3, ""},     {"R", 3, "+1"},   {"RN", 3, ""},  {"RR", 3, "+2"},   {"RRR", 3, ""},
      {"RRR", 1, "-2"}, {"RNR", 1, "-2"}, {"RRN", 1, "-2"}, {"RNN", 1, ""}, {"RRT", 1, ""},    {"R-R", 3, "+1"},
      {"F", 1, "!0"},   {"S", 1, "!0"},   {"RFR", 3, "!1"}, {"TRR", 3, ""}, {"NRR", 2, ""},    {"RRR", 0, "-2"},
      {"rrr", 3, "~2"}, {"rrR", 3, "~1"}, {"rrN", 3, ""},   {"rrn", 3, ""}, {"RRRR", 3, "-3"}, {"rRR", 3, "~0"},
  };
  for (const Case& each : cases) {
    const StatefulSet set = make_set(each.replicas);
    EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, each.pods)), "new", kNow)), each.steps)
        << each.pods << " of " << each.replicas;
  }
}

TEST(StatefulSetPlanTest, AllAtOnceWhenParallel) {
  struct Case {
    const char* pods;
    int32_t replicas;
    const char* steps;
  };
  const Case cases[] = {
      {"", 3, "+0+1+2"}, {"N-R", 3, "+1"}, {"RRRR", 2, "-3-2"}, {"RNTF", 1, "-3-1"}, {"rrr", 3, "~2"}, {"rnr", 3, "~2"},
  };
  for (const Case& each : cases) {
    const StatefulSet set = make_set(each.replicas, /*parallel=*/true);
    EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, each.pods)), "new", kNow)), each.steps)
        << each.pods << " of " << each.replicas;
  }
}

TEST(StatefulSetPlanTest, PartitionAndMaxUnavailableBoundTheUpdate) {
  StatefulSet set = make_set(4);
  set.spec.update_strategy.rolling_update->partition = 2;
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrrR")), "new", kNow)), "~2");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrRR")), "new", kNow)), "");
  EXPECT_TRUE(starts_from_current(set, 1));
  EXPECT_FALSE(starts_from_current(set, 2));

  set = make_set(4, /*parallel=*/true);
  set.spec.update_strategy.rolling_update->max_unavailable = api::IntOrString(2);
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrrr")), "new", kNow)), "~3~2");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrrN")), "new", kNow)), "~2");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrNN")), "new", kNow)), "");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "nrnr")), "new", kNow)), "~2~0")
      << "what is of no use goes, but nothing else";
  set.spec.update_strategy.rolling_update->max_unavailable = api::IntOrString("70%");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrrr")), "new", kNow)), "~3~2") << "2.8 pods are 2";
  set.spec.update_strategy.rolling_update->max_unavailable = api::IntOrString("1%");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rrrr")), "new", kNow)), "~3") << "never none";

  set = make_set(2);
  set.spec.update_strategy.type = api::appsv1::kOnDeleteStatefulSetStrategyType;
  set.spec.update_strategy.rolling_update.reset();
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "rr")), "new", kNow)), "");
  EXPECT_FALSE(starts_from_current(set, 0)) << "what is made anew is new";
}

TEST(StatefulSetPlanTest, OrdinalsMayBeginElsewhere) {
  StatefulSet set = make_set(2);
  set.spec.ordinals.emplace().start = 5;
  EXPECT_EQ(steps_of(plan(set, sort_out(set, {}), "new", kNow)), "+5");
  EXPECT_EQ(steps_of(plan(set, sort_out(set, pods_of(set, "R----RR")), "new", kNow)), "-0");
}

TEST(StatefulSetPlanTest, ReadyIsNotYetAvailable) {
  StatefulSet set = make_set(2);
  set.spec.min_ready_seconds = 8;
  const Plan next = plan(set, sort_out(set, pods_of(set, "R")), "new", kNow);
  EXPECT_EQ(steps_of(next), "");
  EXPECT_EQ(next.look_again, std::chrono::seconds(3));
}

TEST(StatefulSetStatusTest, TheRolloutIsCompleteWhenEveryPodIsNewAndReady) {
  const StatefulSet set = make_set(3);
  auto status = count_status(set, sort_out(set, pods_of(set, "rRN")), "old", "new", kNow);
  EXPECT_EQ(status.replicas, 3);
  EXPECT_EQ(status.ready_replicas, 2);
  EXPECT_EQ(status.current_replicas, 1);
  EXPECT_EQ(status.updated_replicas, 2);
  EXPECT_EQ(status.current_revision, "old");
  status = count_status(set, sort_out(set, pods_of(set, "RRR")), "old", "new", kNow);
  EXPECT_EQ(status.current_revision, "new");
  EXPECT_EQ(status.current_replicas, 3);
  status = count_status(set, sort_out(set, pods_of(set, "RRRT")), "old", "new", kNow);
  EXPECT_EQ(status.current_revision, "old") << "one too many is still there";
}

TEST(StatefulSetIdentityTest, NamesAndClaims) {
  StatefulSet set = make_set(2);
  EXPECT_EQ(ordinal_of(set, "web-7"), 7);
  for (const char* other : {"web-07", "web-", "web-x", "web", "web-1-2", "other-1", "web--1"}) {
    EXPECT_FALSE(ordinal_of(set, other)) << other;
  }
  set.spec.volume_claim_templates.emplace_back().metadata.name = "data";
  set.spec.selector.emplace().match_labels.insert_or_assign("app", "web");
  set.spec.template_.spec.volumes.emplace_back().name = "data";
  set.spec.template_.spec.volumes.emplace_back().name = "other";
  const Pod pod = make_pod(set, set.spec.template_, "rev", 1);
  EXPECT_EQ(pod.metadata.labels.get("statefulset.kubernetes.io/pod-name"), "web-1");
  EXPECT_EQ(pod.metadata.labels.get("apps.kubernetes.io/pod-index"), "1");
  EXPECT_EQ(pod.metadata.labels.get("controller-revision-hash"), "rev");
  EXPECT_EQ(pod.spec.hostname, "web-1");
  ASSERT_EQ(pod.spec.volumes.size(), 2u);
  EXPECT_EQ(pod.spec.volumes[0].volume_source.persistent_volume_claim->claim_name, "data-web-1");
  const auto claims = make_claims(set, 1);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].metadata.labels.get("app"), "web");
  EXPECT_TRUE(is_claim_of(set, "data-web-5"));
  EXPECT_FALSE(is_claim_of(set, "data-website-5"));
}

TEST(StatefulSetRetentionTest, ASuccessorTakesOver) {
  StatefulSet set = make_set(1);
  auto& policy = set.spec.persistent_volume_claim_retention_policy.emplace();
  policy.when_deleted = "Delete";
  policy.when_scaled = "Retain";
  PersistentVolumeClaim claim;
  auto& owner = claim.metadata.owner_references.emplace_back();
  owner.api_version = "apps/v1";
  owner.kind = "StatefulSet";
  owner.name = "web";
  owner.uid = "an earlier set's";
  owner.controller = true;
  EXPECT_TRUE(apply_retention(set, nullptr, 0, claim));
  ASSERT_EQ(claim.metadata.owner_references.size(), 1u);
  EXPECT_EQ(claim.metadata.owner_references[0].uid, "set-uid");
  claim.metadata.owner_references[0].kind = "Database";
  EXPECT_FALSE(apply_retention(set, nullptr, 0, claim)) << "somebody else's";
}

TEST(StatefulSetRetentionTest, ClaimsBelongToTheSetOrToAPodThatWasScaledAway) {
  struct Case {
    const char* deleted;
    const char* scaled;
    int32_t ordinal;
    const char* owner;
  };
  const Case cases[] = {
      {"Retain", "Retain", 0, ""},        {"Retain", "Retain", 5, ""},    {"Delete", "Retain", 0, "set-uid"},
      {"Delete", "Retain", 5, "set-uid"}, {"Retain", "Delete", 0, ""},    {"Retain", "Delete", 5, "pod"},
      {"Delete", "Delete", 0, "set-uid"}, {"Delete", "Delete", 5, "pod"},
  };
  for (const Case& each : cases) {
    StatefulSet set = make_set(2);
    auto& policy = set.spec.persistent_volume_claim_retention_policy.emplace();
    policy.when_deleted = each.deleted;
    policy.when_scaled = each.scaled;
    Pod pod;
    pod.metadata.uid = "pod";
    PersistentVolumeClaim claim;
    const bool changed = apply_retention(set, &pod, each.ordinal, claim);
    const auto& owners = claim.metadata.owner_references;
    EXPECT_EQ(owners.empty() ? "" : owners[0].uid, each.owner) << each.deleted << each.scaled << each.ordinal;
    EXPECT_EQ(changed, *each.owner != 0);
    EXPECT_FALSE(apply_retention(set, &pod, each.ordinal, claim)) << "already so";
    PersistentVolumeClaim foreign;
    auto& other = foreign.metadata.owner_references.emplace_back();
    other.uid = "somebody";
    other.controller = true;
    EXPECT_FALSE(apply_retention(set, &pod, each.ordinal, foreign)) << "somebody else's";
  }
}

}  // namespace
}  // namespace trireme::controllers::statefulset
