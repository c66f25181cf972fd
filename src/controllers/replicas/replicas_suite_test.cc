// What upstream's conformance tests ask of ReplicationController and ReplicaSet, on the real API server.

#include <fmt/format.h>

#include "api/types/appsv1.h"
#include "api/types/autoscalingv1.h"
#include "controllers/testing/hollow_kubelet.h"
#include "controllers/testing/restarts.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::appsv1::ReplicaSet;
using api::appsv1::ReplicaSetList;
using api::autoscalingv1::Scale;
using api::corev1::Pod;
using api::corev1::ReplicationController;
using client::PatchType;

/// "redis" with the label app=redis.
template <typename T>
T make(int32_t replicas) {
  T out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "redis";
  out.metadata.labels.insert_or_assign("app", "redis");
  out.spec.replicas = replicas;
  api::corev1::PodTemplateSpec pod_template;
  pod_template.metadata.labels.insert_or_assign("app", "redis");
  auto& container = pod_template.spec.containers.emplace_back();
  container.name = "main";
  container.image = "redis";
  if constexpr (std::is_same_v<T, ReplicaSet>) {
    out.spec.selector.emplace().match_labels.insert_or_assign("app", "redis");
    out.spec.template_ = pod_template;
  } else {
    out.spec.selector.insert_or_assign("app", "redis");
    out.spec.template_ = pod_template;
  }
  return out;
}

template <typename T>
class ReplicasSuite : public ControllersSuite {
 protected:
  void begin() {
    run("replicationcontroller,replicaset,garbagecollector");
    kubelet_.emplace(raw(), clock_, HollowKubelet::Options());
    owners_.emplace(raw());
    pods_.emplace(raw());
  }
  void TearDown() override {
    kubelet_.reset();
    ControllersSuite::TearDown();
  }
  std::shared_ptr<const T> now() { return owners_->get("default", "redis"); }
  [[nodiscard]] bool until_available(int32_t count) {
    return owners_->until([&] {
      const auto owner = now();
      return owner && owner->status.observed_generation >= owner->metadata.generation &&
             owner->status.replicas == count && owner->status.ready_replicas == count &&
             owner->status.available_replicas == count && owner->status.fully_labeled_replicas == count;
    });
  }
  std::optional<HollowKubelet> kubelet_;
  std::optional<Watched<T>> owners_;
  std::optional<Watched<Pod>> pods_;
};

using Kinds = ::testing::Types<ReplicationController, ReplicaSet>;
TYPED_TEST_SUITE(ReplicasSuite, Kinds);

TYPED_TEST(ReplicasSuite, ReplaceAndPatchDriveTheNumber) {
  this->begin();
  this->create(make<TypeParam>(1));
  ASSERT_TRUE(this->until_available(1));
  this->template change<TypeParam>("default", "redis", [](auto& each) {
    each.spec.replicas = 2;
    each.metadata.labels.insert_or_assign("test", "replaced");
  });
  ASSERT_TRUE(this->until_available(2));
  ASSERT_TRUE(this->client()
                  .template patch<TypeParam>("default", "redis", PatchType::kStrategicMerge,
                                             R"({"metadata":{"labels":{"test":"patched"}},"spec":{"replicas":3}})")
                  .ok());
  ASSERT_TRUE(this->until_available(3));
  EXPECT_EQ(this->now()->metadata.labels.get("test"), "patched");
}

TYPED_TEST(ReplicasSuite, TheScaleSubresourceWorks) {
  this->begin();
  this->create(make<TypeParam>(1));
  ASSERT_TRUE(this->until_available(1));
  const auto& resource = api::resource_of<TypeParam>();
  client::RawClient& raw = this->client().raw();
  auto body = raw.get_path(fmt::format("{}/namespaces/default/{}/redis/scale",
                                       resource.group.empty() ? "/api/v1" : "/apis/apps/v1", resource.resource));
  ASSERT_TRUE(body.ok()) << body.status().to_string();
  auto scale = api::decode_json<Scale>(*body);
  ASSERT_TRUE(scale.ok());
  EXPECT_EQ(scale->spec.replicas, 1);
  EXPECT_EQ(scale->status.replicas, 1);
  EXPECT_EQ(scale->status.selector, "app=redis");
  scale->metadata.resource_version.clear();
  scale->spec.replicas = 2;
  ASSERT_TRUE(raw.update(resource, "default", "redis", api::encode_proto(*scale), "scale").ok());
  ASSERT_TRUE(this->until_available(2));
  ASSERT_TRUE(raw.patch(resource, "default", "redis", PatchType::kMerge, R"({"spec":{"replicas":4}})", "scale").ok());
  ASSERT_TRUE(this->until_available(4));
}

TYPED_TEST(ReplicasSuite, AdoptsWhatMatchesAndReleasesWhatDoesNot) {
  this->create(this->pod("redis-adopted"));
  this->begin();
  this->create(make<TypeParam>(1));
  const auto owner_of = [&] {
    const auto pod = this->pods_->get("default", "redis-adopted");
    return pod && !pod->metadata.owner_references.empty() ? pod->metadata.owner_references[0].uid : std::string();
  };
  ASSERT_TRUE(this->until_available(1));
  ASSERT_TRUE(this->pods_->until([&] { return owner_of() == this->now()->metadata.uid; }));
  EXPECT_EQ(this->pods_->list("default").size(), 1u);
  this->template change<Pod>("default", "redis-adopted",
                             [](Pod& each) { each.metadata.labels.insert_or_assign("app", "not-matching"); });
  EXPECT_TRUE(this->pods_->until([&] { return owner_of().empty() && this->pods_->list("default").size() == 2; }));
}

TYPED_TEST(ReplicasSuite, TheStatusSubresourceTakesWhatTheControllerThenCorrects) {
  this->begin();
  this->create(make<TypeParam>(1));
  ASSERT_TRUE(this->until_available(1));
  const auto patched = this->client().template patch<TypeParam>(
      "default", "redis", PatchType::kMerge,
      R"({"status":{"replicas":5,"conditions":[{"type":"StatusPatched","status":"True"}]},"spec":{"replicas":9}})",
      "status");
  ASSERT_TRUE(patched.ok()) << patched.status().to_string();
  EXPECT_EQ(patched->status.conditions.size(), 1u);
  EXPECT_EQ(patched->spec.replicas, 1);
  ASSERT_TRUE(this->owners_->until([&] {
    return this->now()->metadata.resource_version != patched->metadata.resource_version &&
           this->now()->status.replicas == 1 && !this->now()->status.conditions.empty();
  }));
  EXPECT_EQ(this->now()->status.conditions[0].type, "StatusPatched");
}

TYPED_TEST(ReplicasSuite, ACollectionIsDeletedByItsLabels) {
  this->begin();
  for (const char* name : {"a", "b", "other"}) {
    TypeParam each = make<TypeParam>(1);
    each.metadata.name = name;
    const std::string app = std::string(name) == "other" ? "other" : "redis";
    each.metadata.labels.insert_or_assign("app", app);
    this->create(each);
  }
  ASSERT_TRUE(this->pods_->until([&] { return this->pods_->list("default").size() == 3; }));
  client::ListOptions selection;
  selection.label_selector = "app=redis";
  client::DeleteOptions options;
  options.propagation_policy = "Background";
  ASSERT_TRUE(
      this->client().raw().remove_collection(api::resource_of<TypeParam>(), "default", options, selection).ok());
  EXPECT_TRUE(this->owners_->until([&] { return this->owners_->list("default").size() == 1; }));
  // A pod that changes while it is collected is collected a little later.
  EXPECT_TRUE(this->advance_until(*this->pods_, std::chrono::milliseconds(100),
                                  [&] { return this->pods_->list("default").size() == 1; }));
}

TEST_F(ControllersSuite, ReplicaSetsOfOneOwnerCountTogetherOnANode) {
  // Two sets of one Deployment (nobody works on it here). The second has a pod on each node; the first one's crowd the
  // first node, so that there is where the second loses one.
  api::appsv1::Deployment deployment;
  deployment.metadata.namespace_ = "default";
  deployment.metadata.name = "owner";
  deployment.spec.selector.emplace().match_labels.insert_or_assign("app", "redis");
  deployment.spec.template_ = make<ReplicaSet>(1).spec.template_;
  const std::string uid = create(deployment).metadata.uid;
  const auto set = [&](const std::string& name, int32_t replicas) {
    ReplicaSet out = make<ReplicaSet>(replicas);
    out.metadata.name = name;
    auto& owner = out.metadata.owner_references.emplace_back();
    owner.api_version = "apps/v1";
    owner.kind = "Deployment";
    owner.name = "owner";
    owner.uid = uid;
    owner.controller = true;
    out.spec.selector->match_labels.insert_or_assign("set", name);
    out.spec.template_.metadata.labels.insert_or_assign("set", name);
    return out;
  };
  std::atomic<int> second{0};
  HollowKubelet::Options options;
  options.place = [&](const Pod& pod) {
    if (pod.metadata.labels.get("set") == "one") return "crowded";
    return second++ == 0 ? "lonely" : "crowded";
  };
  run("replicaset");
  HollowKubelet kubelet(raw(), clock_, options);
  Watched<Pod> pods(raw());
  create(set("one", 2));
  create(set("two", 2));
  const auto on = [&](const std::string& node) {
    return std::ranges::count_if(pods.list("default"), [&](const auto& each) {
      return each->metadata.labels.get("set") == "two" && each->spec.node_name == node &&
             each->status.phase == "Running";
    });
  };
  ASSERT_TRUE(pods.until([&] { return on("lonely") == 1 && on("crowded") == 1 && pods.list("default").size() == 4; }));
  Watched<ReplicaSet> sets(raw());
  ASSERT_TRUE(sets.until([&] { return sets.get("default", "two")->status.ready_replicas == 2; }));
  change<ReplicaSet>("default", "two", [](ReplicaSet& each) { each.spec.replicas = 1; });
  ASSERT_TRUE(pods.until([&] { return on("lonely") + on("crowded") == 1; }));
  EXPECT_EQ(on("lonely"), 1);
}

template <typename T>
void survives_scaling() {
  const auto settled = [](int32_t count) {
    return [=](client::Client& client) {
      const auto now = client.get<T>("default", "redis");
      return now.ok() && now->status.observed_generation >= now->metadata.generation && now->spec.replicas == count &&
             now->status.available_replicas == count && now->status.replicas == count;
    };
  };
  const auto scale = [](int32_t count) {
    return [=](client::Client& client) {
      EXPECT_TRUE(
          client.patch<T>("default", "redis", PatchType::kMerge, fmt::format(R"({{"spec":{{"replicas":{}}}}})", count))
              .ok());
    };
  };
  survives_restarts({.controllers = "replicationcontroller,replicaset",
                     .acts = {{[](client::Client& client) { EXPECT_TRUE(client.create(make<T>(4)).ok()); }, settled(4)},
                              {scale(1), settled(1)},
                              {scale(2), settled(2)}}});
}

TEST(ReplicasRestarts, AReplicationControllerComesToTheSameEnd) { survives_scaling<ReplicationController>(); }
TEST(ReplicasRestarts, AReplicaSetComesToTheSameEnd) { survives_scaling<ReplicaSet>(); }

}  // namespace
}  // namespace trireme::controllers
