// The arithmetic, annotations and conditions of Deployments.

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "api/conditions.h"
#include "controllers/deployment/progress.h"
#include "controllers/deployment/revisions.h"
#include "controllers/deployment/rollout.h"
#include "controllers/deployment/testing.h"

namespace trireme::controllers::deployment {
namespace {

using std::chrono::seconds;

const WallTime kNow{seconds(1'700'000'000)};

struct SetTraits {
  std::string name;
  int32_t replicas = 0;
  int32_t available = 0;
  int32_t desired = 0;  ///< This and the other annotations, 0: none.
  int32_t max = 0;
  int age = 100;  ///< Seconds.
  std::string image = "web:0";
  int64_t revision = 0;
};

ReplicaSet set_of(const SetTraits& traits) {
  ReplicaSet out;
  out.metadata.name = traits.name;
  out.metadata.uid = traits.name;
  out.metadata.creation_timestamp = api::Time(kNow - seconds(traits.age));
  out.spec.replicas = traits.replicas;
  out.spec.template_ = web(1, traits.image).spec.template_;
  out.spec.template_.metadata.labels.insert_or_assign("pod-template-hash", traits.name);
  out.status.replicas = traits.replicas;
  out.status.ready_replicas = traits.available;
  out.status.available_replicas = traits.available;
  const auto note = [&](std::string_view name, int64_t value) {
    if (value != 0) out.metadata.annotations.insert_or_assign(name, std::to_string(value));
  };
  note(kDesiredReplicas, traits.desired);
  note(kMaxReplicas, traits.max);
  note(kRevision, traits.revision);
  return out;
}
SetPointer set(const SetTraits& traits) { return std::make_shared<const ReplicaSet>(set_of(traits)); }

std::string text(const std::vector<Resize>& plan) {
  std::string out;
  for (const Resize& each : plan) out += each.set->metadata.name + "=" + std::to_string(each.replicas) + " ";
  return out;
}

TEST(FencepostsTest, RoundUpAndDown) {
  struct Case {
    int32_t replicas;
    api::IntOrString surge;
    api::IntOrString unavailable;
    int32_t max_surge;
    int32_t max_unavailable;
  };
  const Case cases[] = {
      {10, "25%", "25%", 3, 2}, {1, "25%", "25%", 1, 0}, {4, "25%", "25%", 1, 1},  {3, 1, 0, 1, 0},
      {3, 0, 1, 0, 1},          {3, 0, 5, 0, 3},         {3, 0, "10%", 0, 1},      {0, "25%", "25%", 0, 0},
      {2, "0%", "25%", 0, 1},   {10, "100%", 0, 10, 0},  {10, 20, "100%", 20, 10},
  };
  for (const Case& each : cases) {
    Deployment deployment = web(each.replicas);
    set_rolling(deployment, each.surge, each.unavailable);
    const Fenceposts posts = fenceposts(deployment);
    EXPECT_EQ(posts.max_surge, each.max_surge) << each.replicas << " " << each.surge.to_string();
    EXPECT_EQ(posts.max_unavailable, each.max_unavailable) << each.replicas << " " << each.unavailable.to_string();
    set_recreate(deployment);
    EXPECT_EQ(fenceposts(deployment).max_surge, 0);
    EXPECT_EQ(fenceposts(deployment).max_unavailable, 0);
  }
}

TEST(CurrentSizeTest, GrowsIntoTheSurge) {
  struct Case {
    int32_t wanted;
    int32_t surge;
    int32_t total;
    int32_t current;
    int32_t expected;
  };
  const Case cases[] = {
      {10, 0, 0, 0, 10},                                          // nothing is there yet
      {10, 2, 10, 0, 2},                                          // the surge
      {10, 0, 10, 0, 0},                                          // no room
      {10, 0, 10, 5, 5},                                          // no room
      {10, 2, 10, 5, 7}, {10, 5, 8, 5, 10}, {10, 20, 10, 0, 10},  // never more than asked for
      {1, 1, 5, 3, 1},                                            // too many already
  };
  for (const Case& each : cases) {
    Deployment deployment = web(each.wanted);
    set_rolling(deployment, each.surge, 1);
    EXPECT_EQ(current_size(deployment, each.total, each.current), each.expected)
        << each.wanted << " " << each.surge << " " << each.total << " " << each.current;
    set_recreate(deployment);
    EXPECT_EQ(current_size(deployment, each.total, each.current), each.wanted);
  }
}

TEST(ShrinkOldTest, KeepsEnoughAvailable) {
  struct Case {
    const char* why;
    int32_t wanted;
    int32_t surge;
    int32_t unavailable;
    SetTraits current;
    std::vector<SetTraits> old;
    std::string expected;
  };
  const Case cases[] = {
      {"one may go at once", 3, 0, 1, {.name = "n"}, {{.name = "a", .replicas = 3, .available = 3}}, "a=2 "},
      {"none may, until the surge is there",
       3,
       1,
       0,
       {.name = "n", .replicas = 1},
       {{.name = "a", .replicas = 3, .available = 3}},
       ""},
      {"the surge is there",
       3,
       1,
       0,
       {.name = "n", .replicas = 1, .available = 1},
       {{.name = "a", .replicas = 3, .available = 3}},
       "a=2 "},
      {"what is broken goes first, within what may be missing",
       10,
       2,
       2,
       {.name = "n", .replicas = 2},
       {{.name = "a", .replicas = 10, .available = 6}},
       "a=8 "},
      {"a crashing rollout takes no more old ones",
       10,
       3,
       2,
       {.name = "n", .replicas = 5},
       {{.name = "a", .replicas = 8, .available = 7}},
       ""},
      {"rolling back removes the crashing ones",
       10,
       3,
       2,
       {.name = "n", .replicas = 8, .available = 7},
       {{.name = "a", .replicas = 5, .available = 0}},
       "a=1 "},
      {"the oldest first",
       3,
       0,
       2,
       {.name = "n"},
       {{.name = "b", .replicas = 2, .available = 2, .age = 10},
        {.name = "a", .replicas = 1, .available = 1, .age = 20}},
       "a=0 b=1 "},
      {"a status that lags counts pods that are going",
       3,
       1,
       0,
       {.name = "n", .replicas = 2, .available = 2},
       {{.name = "a", .replicas = 2, .available = 3}},
       "a=1 "},
      {"nothing is left to go", 3, 1, 0, {.name = "n", .replicas = 3, .available = 3}, {{.name = "a"}}, ""},
      {"all new ones serve",
       3,
       1,
       0,
       {.name = "n", .replicas = 3, .available = 3},
       {{.name = "a", .replicas = 1, .available = 1}},
       "a=0 "},
  };
  for (const Case& each : cases) {
    Deployment deployment = web(each.wanted);
    set_rolling(deployment, each.surge, each.unavailable);
    Sets sets;
    sets.current = set(each.current);
    for (const auto& old : each.old) sets.old.push_back(set(old));
    EXPECT_EQ(text(shrink_old(deployment, sets)), each.expected) << each.why;
  }
}

TEST(SpreadScalingTest, SharesByTheSizes) {
  struct Case {
    const char* why;
    int32_t wanted;
    int32_t surge;
    std::vector<SetTraits> sets;  ///< The first is the current one.
    std::string expected;
  };
  const Case cases[] = {
      {"the only one takes all", 12, 2, {{.name = "n", .replicas = 10}, {.name = "a"}}, "n=12 "},
      {"none has pods: the current one", 5, 0, {{.name = "n"}, {.name = "a"}}, "n=5 "},
      // 13 could be, 8 + 5 are: at 30 replicas 33 can be.
      {"up by parts",
       30,
       3,
       {{.name = "n", .replicas = 5, .desired = 10, .max = 13}, {.name = "a", .replicas = 8, .desired = 10, .max = 13}},
       "a=20 n=13 "},
      {"down by parts",
       5,
       0,
       {{.name = "n", .replicas = 5, .desired = 10, .max = 10},
        {.name = "a", .replicas = 5, .desired = 10, .max = 10, .age = 200}},
       "a=2 n=3 "},
      {"equals: the newer grows more",
       15,
       0,
       {{.name = "n", .replicas = 5, .desired = 10, .max = 10, .age = 5},
        {.name = "a", .replicas = 5, .desired = 10, .max = 10, .age = 20}},
       "n=8 a=7 "},
      {"to none",
       0,
       3,
       {{.name = "n", .replicas = 5, .desired = 10, .max = 13}, {.name = "a", .replicas = 8, .desired = 10, .max = 13}},
       "a=0 n=0 "},
      {"as many as before",
       10,
       3,
       {{.name = "n", .replicas = 5, .desired = 10, .max = 13}, {.name = "a", .replicas = 8, .desired = 10, .max = 13}},
       "a=8 n=5 "},
      {"the current one has all: the rest is left over",
       5,
       0,
       {{.name = "n", .replicas = 5, .available = 5, .desired = 5, .max = 5}, {.name = "a", .replicas = 2}},
       "a=0 "},
  };
  for (const Case& each : cases) {
    Deployment deployment = web(each.wanted);
    set_rolling(deployment, each.surge, 1);
    Sets sets;
    sets.current = set(each.sets[0]);
    for (size_t i = 1; i < each.sets.size(); ++i) sets.old.push_back(set(each.sets[i]));
    EXPECT_EQ(text(spread_scaling(deployment, sets)), each.expected) << each.why;
  }
}

TEST(SpreadScalingTest, WithoutAnnotationsTheSizeIsTheGuess) {
  Deployment deployment = web(20);
  set_rolling(deployment, 0, 1);
  deployment.status.replicas = 10;
  Sets sets;
  sets.current = set({.name = "n", .replicas = 4, .age = 1});
  sets.old = {set({.name = "a", .replicas = 6})};
  EXPECT_EQ(text(spread_scaling(deployment, sets)), "a=12 n=8 ");
  // Nothing to guess from: all goes to the largest.
  deployment.status.replicas = 0;
  EXPECT_EQ(text(spread_scaling(deployment, sets)), "a=16 n=4 ");
}

TEST(WasScaledTest, ComparesWhatActiveSetsWereWrittenFor) {
  Sets sets;
  sets.current = set({.name = "n", .replicas = 3, .desired = 3});
  sets.old = {set({.name = "a", .replicas = 0, .desired = 9})};
  EXPECT_FALSE(was_scaled(web(3), sets));
  EXPECT_TRUE(was_scaled(web(4), sets));
  sets.current = set({.name = "n", .replicas = 3});
  EXPECT_FALSE(was_scaled(web(4), sets));
}

TEST(SortOutTest, TheOldestEqualTemplateIsCurrent) {
  const Sets sets = sort_out(web(1, "web:2"), {set({.name = "c", .age = 10, .image = "web:2"}),
                                               set({.name = "a", .age = 30, .image = "web:1"}),
                                               set({.name = "b", .age = 20, .image = "web:2"})});
  ASSERT_TRUE(sets.current);
  EXPECT_EQ(sets.current->metadata.name, "b");
  ASSERT_EQ(sets.old.size(), 2u);
  EXPECT_EQ(sets.old[0]->metadata.name, "a");
  EXPECT_EQ(sets.all().size(), 3u);
}

TEST(BeyondHistoryTest, LowRevisionsWithoutPodsGo) {
  Deployment deployment = web(1);
  Sets sets;
  sets.old = {set({.name = "r3", .revision = 3}), set({.name = "r1", .replicas = 1, .revision = 1}),
              set({.name = "r2", .revision = 2}), set({.name = "r10", .revision = 10})};
  const auto names = [&](std::optional<int32_t> limit) {
    deployment.spec.revision_history_limit = limit;
    std::string out;
    for (const auto& each : beyond_history(deployment, sets)) out += each->metadata.name + " ";
    return out;
  };
  EXPECT_EQ(names(std::nullopt), "");
  EXPECT_EQ(names(std::numeric_limits<int32_t>::max()), "");
  EXPECT_EQ(names(4), "");
  // The first to go still has a pod.
  EXPECT_EQ(names(3), "");
  EXPECT_EQ(names(2), "r2 ");
  EXPECT_EQ(names(0), "r2 r3 r10 ");
  auto unseen = set_of({.name = "r2", .revision = 2});
  unseen.metadata.generation = 5;
  sets.old[2] = std::make_shared<const ReplicaSet>(unseen);
  EXPECT_EQ(names(2), "");
}

TEST(RevisionsTest, AreReadAndCompared) {
  auto odd = set_of({.name = "x"});
  odd.metadata.annotations.insert_or_assign(kRevision, "x");
  EXPECT_EQ(revision_of(odd.metadata), std::nullopt);
  EXPECT_EQ(revision_of(set_of({.name = "y"}).metadata), 0);
  const std::vector<SetPointer> sets{set({.name = "a", .revision = 9}), set({.name = "b", .revision = 10}),
                                     std::make_shared<const ReplicaSet>(odd)};
  EXPECT_EQ(highest_revision(sets), 10);
  EXPECT_EQ(last_revision(sets), 9);
  EXPECT_EQ(last_revision({sets[1]}), 0);
}

TEST(AnnotateCurrentTest, CopiesRevisesAndRemembers) {
  Deployment deployment = web(3);
  deployment.metadata.annotations = {{"kubernetes.io/change-cause", "edit"},
                                     {"kubectl.kubernetes.io/last-applied-configuration", "{}"},
                                     {std::string(kRevision), "4"}};
  ReplicaSet set = set_of({.name = "n"});
  EXPECT_TRUE(annotate_current(deployment, set, 9));
  EXPECT_EQ(set.metadata.annotations.get("kubernetes.io/change-cause"), "edit");
  EXPECT_FALSE(set.metadata.annotations.contains("kubectl.kubernetes.io/last-applied-configuration"));
  EXPECT_EQ(set.metadata.annotations.get(kRevision), "9");
  EXPECT_FALSE(set.metadata.annotations.contains(kRevisionHistory));
  EXPECT_FALSE(annotate_current(deployment, set, 9));
  // Numbers, not texts, are compared.
  EXPECT_TRUE(annotate_current(deployment, set, 10));
  EXPECT_FALSE(annotate_current(deployment, set, 3));
  EXPECT_TRUE(annotate_current(deployment, set, 12));
  EXPECT_EQ(set.metadata.annotations.get(kRevision), "12");
  EXPECT_EQ(set.metadata.annotations.get(kRevisionHistory), "9,10");
  for (int64_t revision = 1000; revision < 1600; ++revision) annotate_current(deployment, set, revision);
  const std::string history = set.metadata.annotations.get(kRevisionHistory);
  EXPECT_LE(history.size(), 2000u);
  EXPECT_TRUE(history.ends_with(",1597,1598")) << history;
}

TEST(MakeSetTest, IsNamedAndLabelledByItsTemplate) {
  Deployment deployment = web(3);
  deployment.metadata.uid = "u";
  deployment.spec.min_ready_seconds = 7;
  const ReplicaSet set = make_set(deployment, 2, 1);
  const std::string hash = set.metadata.labels.get("pod-template-hash");
  EXPECT_FALSE(hash.empty());
  EXPECT_EQ(set.metadata.name, "web-" + hash);
  EXPECT_EQ(set.metadata.labels.get("app"), "web");
  EXPECT_EQ(set.spec.template_.metadata.labels, set.metadata.labels);
  EXPECT_EQ(set.spec.selector->match_labels, set.metadata.labels);
  EXPECT_EQ(set.spec.replicas, 1);
  EXPECT_EQ(set.spec.min_ready_seconds, 7);
  ASSERT_EQ(set.metadata.owner_references.size(), 1u);
  EXPECT_EQ(set.metadata.owner_references[0].kind, "Deployment");
  EXPECT_EQ(set.metadata.owner_references[0].api_version, "apps/v1");
  EXPECT_EQ(set.metadata.annotations.get(kRevision), "2");
  EXPECT_EQ(set.metadata.annotations.get(kDesiredReplicas), "3");
  EXPECT_EQ(set.metadata.annotations.get(kMaxReplicas), "4");
  deployment.status.collision_count = 1;
  EXPECT_NE(make_set(deployment, 2, 1).metadata.name, set.metadata.name);
}

TEST(RollBackTest, TakesTemplateAndReasons) {
  Deployment deployment = web(3, "web:2");
  deployment.metadata.annotations = {{"kubernetes.io/change-cause", "second"}, {std::string(kRevision), "2"}};
  ReplicaSet set = set_of({.name = "old", .image = "web:1", .revision = 1});
  set.metadata.annotations.insert_or_assign("kubernetes.io/change-cause", "first");
  roll_back_to(deployment, set);
  EXPECT_EQ(deployment.spec.template_.spec.containers[0].image, "web:1");
  EXPECT_FALSE(deployment.spec.template_.metadata.labels.contains("pod-template-hash"));
  EXPECT_EQ(deployment.metadata.annotations.get("kubernetes.io/change-cause"), "first");
  EXPECT_EQ(deployment.metadata.annotations.get(kRevision), "2");
}

/// "Type=Status/Reason …"
std::string text(const DeploymentStatus& status) {
  std::string out;
  for (const auto& each : status.conditions) out += each.type + "=" + each.status + "/" + each.reason + " ";
  return out;
}

TEST(RolloutStatusTest, CountsAndJudges) {
  Deployment deployment = web(4);
  deployment.spec.progress_deadline_seconds = 60;
  deployment.metadata.generation = 3;
  Sets sets;
  sets.current = set({.name = "n", .replicas = 2, .available = 1});
  sets.old = {set({.name = "a", .replicas = 3, .available = 3})};
  DeploymentStatus status = rollout_status(deployment, sets, kNow);
  EXPECT_EQ(status.observed_generation, 3);
  EXPECT_EQ(status.replicas, 5);
  EXPECT_EQ(status.updated_replicas, 2);
  EXPECT_EQ(status.ready_replicas, 4);
  EXPECT_EQ(status.available_replicas, 4);
  EXPECT_EQ(status.unavailable_replicas, 1);
  EXPECT_EQ(text(status), "Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated ");
  EXPECT_EQ(status.conditions[1].message, "ReplicaSet \"n\" is progressing.");
  EXPECT_EQ(deadline_due(deployment, status, kNow + seconds(20)), Duration(seconds(41)));

  // Nothing moves: the deadline passes.
  deployment.status = status;
  EXPECT_EQ(text(rollout_status(deployment, sets, kNow + seconds(60))), text(status));
  status = rollout_status(deployment, sets, kNow + seconds(61));
  EXPECT_EQ(text(status), "Available=True/MinimumReplicasAvailable Progressing=False/ProgressDeadlineExceeded ");
  EXPECT_EQ(status.conditions[1].message, "ReplicaSet \"n\" has timed out progressing.");
  EXPECT_EQ(deadline_due(deployment, status, kNow), std::nullopt);

  // It moves again, and comes to its end.
  deployment.status = status;
  sets.old = {set({.name = "a"})};
  sets.current = set({.name = "n", .replicas = 4, .available = 3});
  status = rollout_status(deployment, sets, kNow + seconds(99));
  EXPECT_EQ(text(status), "Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated ");
  EXPECT_EQ(api::find_condition(status.conditions, "Progressing")->last_transition_time, api::Time(kNow + seconds(99)));
  deployment.status = status;
  sets.current = set({.name = "n", .replicas = 4, .available = 4});
  status = rollout_status(deployment, sets, kNow + seconds(120));
  EXPECT_EQ(text(status), "Available=True/MinimumReplicasAvailable Progressing=True/NewReplicaSetAvailable ");
  EXPECT_EQ(api::find_condition(status.conditions, "Progressing")->message,
            "ReplicaSet \"n\" has successfully progressed.");
  EXPECT_EQ(api::find_condition(status.conditions, "Progressing")->last_transition_time, api::Time(kNow + seconds(99)));
  EXPECT_EQ(api::find_condition(status.conditions, "Progressing")->last_update_time, api::Time(kNow + seconds(120)));
  EXPECT_EQ(deadline_due(deployment, status, kNow), std::nullopt);

  // A pod is lost afterwards: not available, but no rollout either.
  deployment.status = status;
  sets.current = set({.name = "n", .replicas = 4, .available = 1});
  status = rollout_status(deployment, sets, kNow + seconds(9999));
  EXPECT_EQ(text(status), "Progressing=True/NewReplicaSetAvailable Available=False/MinimumReplicasUnavailable ");
}

TEST(RolloutStatusTest, FailuresOfSetsShowAndGo) {
  Deployment deployment = web(1);
  ReplicaSet failing = set_of({.name = "n", .replicas = 1});
  auto& failure = failing.status.conditions.emplace_back();
  failure.type = "ReplicaFailure";
  failure.status = "True";
  failure.reason = "FailedCreate";
  failure.message = "no";
  Sets sets;
  sets.current = std::make_shared<const ReplicaSet>(failing);
  deployment.status = rollout_status(deployment, sets, kNow);
  EXPECT_EQ(text(deployment.status), "Available=False/MinimumReplicasUnavailable ReplicaFailure=True/FailedCreate ");
  sets.current = set({.name = "n", .replicas = 1});
  EXPECT_EQ(text(rollout_status(deployment, sets, kNow)), "Available=False/MinimumReplicasUnavailable ");
}

TEST(RolloutStatusTest, WithoutADeadlineNothingIsSaidOfProgress) {
  Deployment deployment = web(1);
  deployment.spec.progress_deadline_seconds = std::numeric_limits<int32_t>::max();
  deployment.status.conditions = {condition("Progressing", "True", kReplicaSetUpdated, "", kNow)};
  Sets sets;
  sets.current = set({.name = "n", .replicas = 1});
  const DeploymentStatus status = rollout_status(deployment, sets, kNow);
  EXPECT_FALSE(api::find_condition(status.conditions, "Progressing"));
  EXPECT_EQ(deadline_due(deployment, deployment.status, kNow), std::nullopt);
}

}  // namespace
}  // namespace trireme::controllers::deployment
