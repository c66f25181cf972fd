#include "controllers/replicas/replica_manager.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

using api::corev1::Pod;
using std::chrono::seconds;

const WallTime kNow{seconds(1'700'000'000)};

struct Traits {
  std::string name;
  std::string node = "n1";
  std::string phase = "Running";
  bool ready = true;
  int ready_for = 1000;
  int age = 10'000;
  int restarts = 0;
  std::string cost = {};
};

PodPointer pod(const Traits& traits) {
  Pod out;
  out.metadata.name = traits.name;
  out.metadata.uid = traits.name;
  out.metadata.namespace_ = "default";
  out.metadata.creation_timestamp = api::Time(kNow - seconds(traits.age));
  out.metadata.labels.insert_or_assign("app", "redis");
  if (!traits.cost.empty()) {
    out.metadata.annotations.insert_or_assign("controller.kubernetes.io/pod-deletion-cost", traits.cost);
  }
  out.spec.node_name = traits.node;
  out.status.phase = traits.phase;
  auto& condition = out.status.conditions.emplace_back();
  condition.type = "Ready";
  condition.status = traits.ready ? "True" : "False";
  condition.last_transition_time = api::Time(kNow - seconds(traits.ready_for));
  out.status.container_statuses.emplace_back().restart_count = traits.restarts;
  return std::make_shared<const Pod>(std::move(out));
}

TEST(ChooseForDeletionTest, ThePoorerPodGoesFirst) {
  struct Case {
    const char* why;
    Traits first;
    Traits second;
  };
  const Case cases[] = {
      {"unassigned",
       {.name = "z", .node = "", .phase = "Pending", .ready = false},
       {.name = "a", .phase = "Pending", .ready = false}},
      {"pending before running", {.name = "z", .phase = "Pending", .ready = false}, {.name = "a", .ready = false}},
      {"unknown before running", {.name = "z", .phase = "Unknown", .ready = false}, {.name = "a", .ready = false}},
      {"not ready", {.name = "z", .ready = false}, {.name = "a"}},
      {"cheap", {.name = "z", .cost = "-5"}, {.name = "a"}},
      {"a cost that is no number is none", {.name = "a", .cost = "-5x"}, {.name = "b", .cost = "0"}},
      {"ready for a shorter time", {.name = "z", .ready_for = 5}, {.name = "a", .ready_for = 5000}},
      {"restarted", {.name = "z", .restarts = 3}, {.name = "a"}},
      {"young", {.name = "z", .age = 50}, {.name = "a", .age = 50'000}},
      {"about as old: by UID", {.name = "a", .age = 51}, {.name = "z", .age = 50}},
  };
  for (const Case& each : cases) {
    const std::vector<PodPointer> pods{pod(each.second), pod(each.first)};
    const auto chosen = choose_for_deletion(pods, pods, 1, kNow);
    ASSERT_EQ(chosen.size(), 1u);
    EXPECT_EQ(chosen[0]->metadata.name, each.first.name) << each.why;
  }
}

TEST(ChooseForDeletionTest, CrowdedNodesLosePodsFirst) {
  const std::vector<PodPointer> pods{pod({.name = "a", .node = "lonely"}), pod({.name = "y", .node = "full"}),
                                     pod({.name = "z", .node = "full"})};
  const auto chosen = choose_for_deletion(pods, pods, 2, kNow);
  EXPECT_EQ(chosen[0]->metadata.name, "y");
  EXPECT_EQ(chosen[1]->metadata.name, "z");
}

TEST(ChooseForDeletionTest, RelatedPodsOfOtherSetsCrowdANodeToo) {
  const std::vector<PodPointer> mine{pod({.name = "a", .node = "n1"}), pod({.name = "b", .node = "n2"})};
  std::vector<PodPointer> related = mine;
  related.push_back(pod({.name = "sister", .node = "n2"}));
  EXPECT_EQ(choose_for_deletion(mine, related, 1, kNow)[0]->metadata.name, "b");
}

TEST(PodFromTemplateTest, TakesTheTemplateAndNamesTheOwner) {
  api::corev1::PodTemplateSpec pod_template;
  pod_template.metadata.labels.insert_or_assign("app", "redis");
  pod_template.metadata.annotations.insert_or_assign("note", "x");
  pod_template.spec.containers.emplace_back().name = "main";
  ReplicaOwner owner;
  owner.reference.api_version = "v1";
  owner.reference.kind = "ReplicationController";
  owner.reference.namespace_ = "default";
  owner.reference.name = "redis";
  owner.reference.uid = "u";
  owner.pod_template = &pod_template;
  const Pod made = pod_from_template(owner);
  EXPECT_EQ(made.metadata.generate_name, "redis-");
  EXPECT_EQ(made.metadata.namespace_, "default");
  EXPECT_EQ(made.metadata.labels, pod_template.metadata.labels);
  EXPECT_EQ(made.metadata.annotations, pod_template.metadata.annotations);
  ASSERT_EQ(made.spec.containers.size(), 1u);
  ASSERT_EQ(made.metadata.owner_references.size(), 1u);
  EXPECT_EQ(made.metadata.owner_references[0].uid, "u");
  EXPECT_EQ(made.metadata.owner_references[0].controller, true);
  EXPECT_EQ(made.metadata.owner_references[0].block_owner_deletion, true);
}

TEST(CountReplicasTest, AvailabilityNeedsTime) {
  ReplicaOwner owner;
  owner.min_ready_seconds = 10;
  api::corev1::PodTemplateSpec pod_template;
  pod_template.metadata.labels.insert_or_assign("app", "redis");
  owner.pod_template = &pod_template;
  Pod unlabelled = *pod({.name = "d"});
  unlabelled.metadata.labels.clear();
  const std::vector<PodPointer> pods{pod({.name = "a", .ready_for = 3}), pod({.name = "b", .ready_for = 8}),
                                     pod({.name = "c", .ready = false}), std::make_shared<const Pod>(unlabelled)};
  const ReplicaCounts counts = count_replicas(owner, pods, kNow);
  EXPECT_EQ(counts.replicas, 4);
  EXPECT_EQ(counts.fully_labeled, 3);
  EXPECT_EQ(counts.ready, 3);
  EXPECT_EQ(counts.available, 1);
  EXPECT_EQ(counts.next_available, Duration(seconds(2)));
}

TEST(RecentWritesTest, CountOnlyWhileTheCacheIsOlder) {
  RecentWrites recent;
  Pod made = *pod({.name = "new"});
  made.metadata.resource_version = "50";
  recent.created("o", made);
  recent.deleted("o", "old");
  const std::vector<PodPointer> cache{pod({.name = "old"}), pod({.name = "other"})};
  auto now = recent.apply("o", cache, 49);
  ASSERT_EQ(now.size(), 2u);
  EXPECT_EQ(now[0]->metadata.name, "other");
  EXPECT_EQ(now[1]->metadata.name, "new");
  EXPECT_EQ(recent.apply("x", cache, 49).size(), 2u);
  // At version 50 the cache has it, or knows that it is gone again.
  now = recent.apply("o", cache, 50);
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now[0]->metadata.name, "other");
  // Once the deleted pod has left the cache nothing is remembered.
  EXPECT_EQ(recent.apply("o", {cache[1]}, 51).size(), 1u);
  EXPECT_EQ(recent.apply("o", cache, 52).size(), 2u);
}

}  // namespace
}  // namespace trireme::controllers
