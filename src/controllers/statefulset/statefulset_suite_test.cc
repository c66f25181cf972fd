// StatefulSets on the real API server, with the garbage collector and a hollow kubelet.

#include "api/types/autoscalingv1.h"
#include "controllers/history/revisions.h"
#include "controllers/statefulset/identity.h"
#include "controllers/support/pods.h"
#include "controllers/testing/hollow_kubelet.h"
#include "controllers/testing/restarts.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers::statefulset {
namespace {

using api::appsv1::ControllerRevision;
using api::appsv1::ControllerRevisionList;
using api::corev1::Event;
using api::corev1::EventList;

StatefulSet web(int32_t replicas, const std::string& image = "web:1") {
  StatefulSet out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "web";
  out.spec.replicas = replicas;
  out.spec.service_name = "web";
  out.spec.selector.emplace().match_labels.insert_or_assign("app", "web");
  out.spec.template_.metadata.labels.insert_or_assign("app", "web");
  auto& container = out.spec.template_.spec.containers.emplace_back();
  container.name = "main";
  container.image = image;
  return out;
}

void add_claim(StatefulSet& set) {
  auto& claim = set.spec.volume_claim_templates.emplace_back();
  claim.metadata.name = "data";
  claim.spec.access_modes = {"ReadWriteOnce"};
  claim.spec.resources.requests.insert_or_assign("storage", Quantity::parse("1Gi").value());
}

class StatefulSetSuite : public ControllersSuite {
 protected:
  void begin(HollowKubelet::Options options = {}) {
    run("statefulset,garbagecollector");
    kubelet_.emplace(raw(), clock_, std::move(options));
    sets_.emplace(raw());
    pods_.emplace(raw());
    claims_.emplace(raw());
  }
  void TearDown() override {
    kubelet_.reset();
    ControllersSuite::TearDown();
  }
  std::shared_ptr<const StatefulSet> now() { return sets_->get("default", "web"); }
  /// "web-0=IMAGE web-1=IMAGE" of the pods that are ready.
  std::string ready_pods() {
    std::string out;
    for (const auto& pod : pods_->list("default")) {
      if (!is_ready(*pod) || pod->metadata.deletion_timestamp) continue;
      out += pod->metadata.name + "=" + pod->spec.containers[0].image + " ";
    }
    return out;
  }
  std::string claims() {
    std::string out;
    for (const auto& claim : claims_->list("default")) out += claim->metadata.name + " ";
    return out;
  }
  [[nodiscard]] bool until_ready(const std::string& pods) {
    const bool reached = pods_->until([&] { return ready_pods() == pods; });
    EXPECT_EQ(ready_pods(), pods);
    return reached;
  }
  [[nodiscard]] bool until_complete(int32_t replicas) {
    return sets_->until([&] {
      const auto set = now();
      return set && set->status.observed_generation == set->metadata.generation &&
             set->status.updated_replicas == replicas && set->status.ready_replicas == replicas &&
             set->status.current_revision == set->status.update_revision && set->status.replicas == replicas;
    });
  }
  void edit(const std::function<void(StatefulSet&)>& change_it) { change<StatefulSet>("default", "web", change_it); }

  std::optional<HollowKubelet> kubelet_;
  std::optional<Watched<StatefulSet>> sets_;
  std::optional<Watched<Pod>> pods_;
  std::optional<Watched<api::corev1::PersistentVolumeClaim>> claims_;
};

TEST_F(StatefulSetSuite, PodsComeInOrderAndGoInReverse) {
  std::mutex mutex;
  std::vector<std::string> started;
  std::vector<std::string> ended;
  HollowKubelet::Options options;
  options.run = [&](Pod& pod) {
    const std::lock_guard lock(mutex);
    started.push_back(pod.metadata.name);
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  options.end = [&](const Pod& pod) {
    const std::lock_guard lock(mutex);
    ended.push_back(pod.metadata.name);
    return true;
  };
  begin(std::move(options));
  create(web(3));
  ASSERT_TRUE(until_ready("web-0=web:1 web-1=web:1 web-2=web:1 "));
  ASSERT_TRUE(until_complete(3));
  EXPECT_EQ(now()->status.available_replicas, 3);
  {
    const std::lock_guard lock(mutex);
    started.erase(std::unique(started.begin(), started.end()), started.end());
    EXPECT_EQ(started, (std::vector<std::string>{"web-0", "web-1", "web-2"}));
  }
  edit([](StatefulSet& set) { set.spec.replicas = 1; });
  ASSERT_TRUE(until_ready("web-0=web:1 "));
  ASSERT_TRUE(until_complete(1));
  const std::lock_guard lock(mutex);
  ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
  EXPECT_EQ(ended, (std::vector<std::string>{"web-2", "web-1"}));
  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  ASSERT_TRUE(events.ok());
  EXPECT_TRUE(std::ranges::any_of(events->items, [](const Event& event) {
    return event.reason == "SuccessfulCreate" && event.message == "create Pod web-0 in StatefulSet web successful";
  }));
  EXPECT_TRUE(std::ranges::any_of(events->items, [](const Event& event) {
    return event.reason == "SuccessfulDelete" && event.message == "delete Pod web-2 in StatefulSet web successful";
  }));
}

TEST_F(StatefulSetSuite, AnUnreadyPodHoldsUpTheRest) {
  std::atomic<bool> healthy = false;
  HollowKubelet::Options options;
  options.run = [&](Pod& pod) {
    if (pod.metadata.name == "web-1" && !healthy) return false;
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  begin(std::move(options));
  create(web(3));
  ASSERT_TRUE(pods_->until([&] { return pods_->get("default", "web-1") && ready_pods() == "web-0=web:1 "; }));
  ASSERT_TRUE(sets_->until([&] { return now()->status.replicas == 2 && now()->status.ready_replicas == 1; }));
  EXPECT_FALSE(pods_->get("default", "web-2"));
  healthy = true;
  kubelet_->look_again();
  EXPECT_TRUE(until_ready("web-0=web:1 web-1=web:1 web-2=web:1 "));
}

TEST_F(StatefulSetSuite, ARollingUpdateGoesFromTheLastToTheFirstAndBack) {
  begin();
  create(web(3));
  ASSERT_TRUE(until_complete(3));
  const std::string first = now()->status.current_revision;
  edit([](StatefulSet& set) { set.spec.update_strategy.rolling_update->partition = 2; });
  edit([](StatefulSet& set) { set.spec.template_.spec.containers[0].image = "web:2"; });
  ASSERT_TRUE(until_ready("web-0=web:1 web-1=web:1 web-2=web:2 "));
  ASSERT_TRUE(sets_->until([&] { return now()->status.updated_replicas == 1 && now()->status.current_replicas == 2; }));
  EXPECT_EQ(now()->status.current_revision, first);
  // A pod below the partition that is lost comes back as it was.
  ASSERT_TRUE(remove<Pod>("default", "web-0").ok());
  ASSERT_TRUE(pods_->until([&] {
    const auto pod = pods_->get("default", "web-0");
    return pod && is_ready(*pod) && !pod->metadata.deletion_timestamp;
  }));
  ASSERT_TRUE(until_ready("web-0=web:1 web-1=web:1 web-2=web:2 "));
  edit([](StatefulSet& set) { set.spec.update_strategy.rolling_update->partition = 0; });
  ASSERT_TRUE(until_ready("web-0=web:2 web-1=web:2 web-2=web:2 "));
  ASSERT_TRUE(until_complete(3));
  EXPECT_NE(now()->status.current_revision, first);
  EXPECT_EQ(pods_->get("default", "web-1")->metadata.labels.get("controller-revision-hash"),
            now()->status.current_revision);

  // Back: the old revision is the newest again.
  edit([](StatefulSet& set) { set.spec.template_.spec.containers[0].image = "web:1"; });
  ASSERT_TRUE(until_ready("web-0=web:1 web-1=web:1 web-2=web:1 "));
  ASSERT_TRUE(until_complete(3));
  EXPECT_EQ(now()->status.current_revision, first);
  const auto revisions = client().list<ControllerRevision, ControllerRevisionList>("default");
  ASSERT_TRUE(revisions.ok());
  ASSERT_EQ(revisions->items.size(), 2u);
  for (const auto& each : revisions->items) EXPECT_EQ(each.revision, each.metadata.name == first ? 3 : 2);
}

TEST_F(StatefulSetSuite, FailedPodsAreMadeAnewUnderTheirName) {
  begin();
  create(web(1));
  ASSERT_TRUE(until_ready("web-0=web:1 "));
  const std::string uid = pods_->get("default", "web-0")->metadata.uid;
  change<Pod>(
      "default", "web-0", [](Pod& pod) { pod.status.phase = "Failed"; }, true);
  ASSERT_TRUE(pods_->until([&] {
    const auto pod = pods_->get("default", "web-0");
    return pod && pod->metadata.uid != uid && is_ready(*pod);
  }));
  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  // Upstream tells of it no longer (since 1.31), beyond what deletion and creation tell anyway.
  EXPECT_TRUE(
      std::ranges::none_of(events->items, [](const Event& event) { return event.reason.starts_with("Recreating"); }));
}

TEST_F(StatefulSetSuite, ClaimsOutliveTheirPodsUnlessThePolicySaysOtherwise) {
  begin();
  StatefulSet set = web(2);
  add_claim(set);
  create(set);
  ASSERT_TRUE(until_complete(2));
  EXPECT_TRUE(claims_->until([&] { return claims() == "data-web-0 data-web-1 "; }));
  EXPECT_EQ(pods_->get("default", "web-1")->spec.volumes[0].volume_source.persistent_volume_claim->claim_name,
            "data-web-1");
  const std::string uid = claims_->get("default", "data-web-1")->metadata.uid;
  edit([](StatefulSet& each) { each.spec.replicas = 1; });
  ASSERT_TRUE(until_complete(1));
  edit([](StatefulSet& each) { each.spec.replicas = 2; });
  ASSERT_TRUE(until_complete(2));
  EXPECT_EQ(claims_->get("default", "data-web-1")->metadata.uid, uid) << "the same claim";

  edit([](StatefulSet& each) {
    auto& policy = each.spec.persistent_volume_claim_retention_policy.ensure();
    policy.when_scaled = "Delete";
    policy.when_deleted = "Retain";
  });
  edit([](StatefulSet& each) { each.spec.replicas = 1; });
  ASSERT_TRUE(claims_->until([&] { return claims() == "data-web-0 "; })) << claims();

  edit([](StatefulSet& each) { each.spec.persistent_volume_claim_retention_policy->when_deleted = "Delete"; });
  ASSERT_TRUE(claims_->until([&] {
    const auto claim = claims_->get("default", "data-web-0");
    return claim && claim->metadata.owner_references.size() == 1;
  }));
  ASSERT_TRUE(remove<StatefulSet>("default", "web").ok());
  EXPECT_TRUE(claims_->until([&] { return claims().empty(); }));
  EXPECT_TRUE(pods_->until([&] { return pods_->list("default").empty(); }));
}

TEST_F(StatefulSetSuite, AdoptsAndReleasesByLabelsAndName) {
  begin();
  Pod orphan = pod("web-0");
  orphan.metadata.labels = {{"app", "web"}};
  create(orphan);
  Pod stranger = pod("other");
  stranger.metadata.labels = {{"app", "web"}};
  create(stranger);
  create(web(2));
  ASSERT_TRUE(pods_->until([&] {
    const auto adopted = pods_->get("default", "web-0");
    return adopted && adopted->metadata.owner_references.size() == 1 && pods_->get("default", "web-1");
  }));
  EXPECT_TRUE(pods_->get("default", "other")->metadata.owner_references.empty()) << "its name is none of the set's";
  EXPECT_EQ(pods_->get("default", "web-0")->metadata.labels.get("statefulset.kubernetes.io/pod-name"), "web-0");
}

TEST_F(StatefulSetSuite, ParallelPodsNeedNotWaitForEachOther) {
  std::atomic<bool> healthy = false;
  HollowKubelet::Options options;
  options.run = [&](Pod& pod) {
    if (!healthy) return false;
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  begin(std::move(options));
  StatefulSet set = web(3);
  set.spec.pod_management_policy = api::appsv1::kParallelPodManagement;
  set.spec.update_strategy.type = "RollingUpdate";
  set.spec.update_strategy.rolling_update.emplace().max_unavailable = api::IntOrString(2);
  create(set);
  ASSERT_TRUE(pods_->until([&] { return pods_->list("default").size() == 3; })) << "none of them is ready";
  edit([](StatefulSet& each) { each.spec.replicas = 1; });
  ASSERT_TRUE(pods_->until([&] { return pods_->list("default").size() == 1; }));
  EXPECT_TRUE(pods_->get("default", "web-0"));
  // What never became ready is replaced by what does.
  edit([](StatefulSet& each) {
    each.spec.replicas = 4;
    each.spec.template_.spec.containers[0].image = "web:2";
  });
  ASSERT_TRUE(pods_->until([&] {
    const auto pod = pods_->get("default", "web-0");
    return pod && pod->spec.containers[0].image == "web:2" && pods_->list("default").size() == 4;
  }));
  healthy = true;
  kubelet_->look_again();
  ASSERT_TRUE(until_ready("web-0=web:2 web-1=web:2 web-2=web:2 web-3=web:2 "));
  ASSERT_TRUE(until_complete(4));
}

TEST_F(StatefulSetSuite, HasAScaleAndKeepsForeignConditions) {
  begin();
  create(web(1));
  ASSERT_TRUE(until_complete(1));
  const auto scaled = client().raw().patch(api::resource_of<StatefulSet>(), "default", "web", client::PatchType::kMerge,
                                           R"({"spec":{"replicas":2}})", "scale");
  ASSERT_TRUE(scaled.ok()) << scaled.status().to_string();
  ASSERT_TRUE(until_complete(2));
  change<StatefulSet>(
      "default", "web",
      [](StatefulSet& set) {
        auto& condition = set.status.conditions.emplace_back();
        condition.type = "StatusUpdate";
        condition.status = "True";
      },
      true);
  edit([](StatefulSet& set) { set.spec.replicas = 1; });
  ASSERT_TRUE(until_complete(1));
  ASSERT_EQ(now()->status.conditions.size(), 1u);
  EXPECT_EQ(now()->status.conditions[0].type, "StatusUpdate");
  EXPECT_EQ(now()->status.collision_count, 0);
}

TEST_F(StatefulSetSuite, DeletedInTheForegroundItLeavesNothing) {
  begin();
  create(web(2));
  ASSERT_TRUE(until_complete(2));
  client::DeleteOptions options;
  options.propagation_policy = "Foreground";
  ASSERT_TRUE(remove<StatefulSet>("default", "web", options).ok());
  ASSERT_TRUE(sets_->until([&] { return !now(); }));
  const auto pods = client().list<Pod, api::corev1::PodList>("default");
  ASSERT_TRUE(pods.ok());
  EXPECT_TRUE(pods->items.empty());
  const auto revisions = client().list<ControllerRevision, ControllerRevisionList>("default");
  ASSERT_TRUE(revisions.ok());
  EXPECT_TRUE(revisions->items.empty());
}

StatefulSet with_claims() {
  StatefulSet set = web(2);
  add_claim(set);
  return set;
}

TEST(StatefulSetRestarts, ARollingUpdateComesToTheSameEnd) {
  const auto complete = [](client::Client& client, const std::string& image, int32_t replicas) {
    const auto set = client.get<StatefulSet>("default", "web");
    return set.ok() && set->spec.template_.spec.containers[0].image == image &&
           set->status.observed_generation == set->metadata.generation && set->status.updated_replicas == replicas &&
           set->status.ready_replicas == replicas && set->status.replicas == replicas &&
           set->status.available_replicas == replicas && set->status.current_revision == set->status.update_revision;
  };
  const auto edit = [](client::Client& client, const std::function<void(StatefulSet&)>& change) {
    const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
      TRY_ASSIGN(StatefulSet fresh, client.get<StatefulSet>("default", "web"));
      change(fresh);
      return client.update(fresh).status();
    });
    EXPECT_TRUE(done.ok()) << done.to_string();
  };
  survives_restarts(
      {.controllers = "statefulset,garbagecollector",
       .acts = {{[](client::Client& client) { EXPECT_TRUE(client.create(with_claims()).ok()); },
                 [=](client::Client& client) { return complete(client, "web:1", 2); }},
                {[=](client::Client& client) {
                   edit(client, [](StatefulSet& set) { set.spec.template_.spec.containers[0].image = "web:2"; });
                 },
                 [=](client::Client& client) { return complete(client, "web:2", 2); }},
                {[=](client::Client& client) { edit(client, [](StatefulSet& set) { set.spec.replicas = 1; }); },
                 [=](client::Client& client) { return complete(client, "web:2", 1); }}}});
}

}  // namespace
}  // namespace trireme::controllers::statefulset
