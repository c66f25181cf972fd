// Deployments on the real API server, with replica sets, the garbage collector and a hollow kubelet.

#include <map>
#include <set>

#include "api/conditions.h"
#include "api/types/autoscalingv1.h"
#include "controllers/deployment/progress.h"
#include "controllers/deployment/revisions.h"
#include "controllers/deployment/testing.h"
#include "controllers/support/recent_writes.h"
#include "controllers/testing/hollow_kubelet.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers::deployment {
namespace {

using api::appsv1::ReplicaSetList;
using api::autoscalingv1::Scale;
using std::chrono::seconds;

class DeploymentSuite : public ControllersSuite {
 protected:
  using Event = api::corev1::Event;

  void begin(HollowKubelet::Options options = {}) {
    run("deployment,replicaset,garbagecollector");
    kubelet_.emplace(raw(), clock_, std::move(options));
    deployments_.emplace(raw());
    sets_.emplace(raw());
    pods_.emplace(raw());
  }
  void TearDown() override {
    kubelet_.reset();
    ControllersSuite::TearDown();
  }

  static client::DeleteOptions by(const char* policy) {
    client::DeleteOptions options;
    options.propagation_policy = policy;
    return options;
  }
  std::shared_ptr<const Deployment> now() { return deployments_->get("default", "web"); }
  bool is_as_new_as(const Deployment& written) {
    return version_number(now()->metadata.resource_version) >= version_number(written.metadata.resource_version);
  }
  std::string reason() {
    const auto deployment = now();
    const auto* known = deployment ? api::find_condition(deployment->status.conditions, "Progressing") : nullptr;
    return known ? known->reason : "";
  }
  bool rolled_out(const std::string& image) {
    const auto deployment = now();
    return deployment && deployment->spec.template_.spec.containers[0].image == image &&
           is_complete(*deployment, deployment->status) && reason() == kNewReplicaSetAvailable;
  }
  [[nodiscard]] bool until_rolled_out(const std::string& image) {
    return deployments_->until([&] { return rolled_out(image); });
  }
  void edit(const std::function<void(Deployment&)>& change_it) { change<Deployment>("default", "web", change_it); }
  void set_image(const std::string& image) {
    edit([&](Deployment& each) { each.spec.template_.spec.containers[0].image = image; });
  }
  std::shared_ptr<const ReplicaSet> set_with(const std::string& image) {
    for (const auto& set : sets_->list("default")) {
      if (set->spec.template_.spec.containers[0].image == image) return set;
    }
    return nullptr;
  }
  /// "image=wanted/available …" by image.
  std::string sizes() {
    std::map<std::string, std::string> out;
    for (const auto& set : sets_->list("default")) {
      out[set->spec.template_.spec.containers[0].image] =
          std::to_string(replicas_of(*set)) + "/" + std::to_string(set->status.available_replicas);
    }
    std::string text;
    for (const auto& [image, size] : out) text += image + "=" + size + " ";
    return text;
  }
  [[nodiscard]] bool until_sizes(const std::string& expected) {
    const bool reached = sets_->until([&] { return sizes() == expected; });
    if (!reached) ADD_FAILURE() << sizes();
    return reached;
  }
  /// The messages of events about the Deployment, with this reason, in the order of their making.
  std::vector<std::string> events(const std::string& reason) {
    events_->flush();
    std::vector<std::string> out;
    const auto listed = client().list<Event, api::corev1::EventList>("default");
    EXPECT_TRUE(listed.ok());
    for (const auto& each : listed->items) {
      if (each.involved_object.kind == "Deployment" && each.reason == reason) out.push_back(each.message);
    }
    return out;
  }

  std::optional<HollowKubelet> kubelet_;
  std::optional<Watched<Deployment>> deployments_;
  std::optional<Watched<ReplicaSet>> sets_;
  std::optional<Watched<Pod>> pods_;
};

TEST_F(DeploymentSuite, RollsOutStepByStep) {
  begin();
  create(web(3));
  ASSERT_TRUE(until_rolled_out("web:1"));
  const auto first = set_with("web:1");
  ASSERT_TRUE(first);
  const std::string hash = first->metadata.labels.get("pod-template-hash");
  EXPECT_EQ(first->metadata.name, "web-" + hash);
  EXPECT_EQ(first->metadata.annotations.get(kRevision), "1");
  EXPECT_EQ(now()->metadata.annotations.get(kRevision), "1");
  for (const auto& each : pods_->list("default")) EXPECT_EQ(each->metadata.labels.get("pod-template-hash"), hash);
  EXPECT_EQ(events("ScalingReplicaSet"),
            std::vector<std::string>{"Scaled up replica set " + first->metadata.name + " from 0 to 3"});

  // At no time are fewer than three available, or more than four asked for (25 % of 3: one more, none less).
  std::mutex mutex;
  int least = 99;
  int most = 0;
  client::InformerFactory factory(raw(), real_clock());
  factory.informer<Deployment>().add_handler([&](const auto&, const auto& after) {
    const std::lock_guard lock(mutex);
    if (after) least = std::min(least, after->status.available_replicas);
  });
  auto& watched = factory.informer<ReplicaSet>();
  watched.add_handler([&](const auto&, const auto&) {
    const std::lock_guard lock(mutex);
    most = std::max(most, wanted_replicas(watched.list("default")));
  });
  factory.start();
  ASSERT_TRUE(factory.wait_synced());
  set_image("web:2");
  ASSERT_TRUE(until_rolled_out("web:2"));
  factory.stop();
  EXPECT_EQ(least, 3);
  EXPECT_EQ(most, 4);
  EXPECT_TRUE(until_sizes("web:1=0/0 web:2=3/3 "));
  EXPECT_EQ(now()->metadata.annotations.get(kRevision), "2");
  EXPECT_EQ(now()->status.unavailable_replicas, 0);
  const std::string a = first->metadata.name;
  const std::string b = set_with("web:2")->metadata.name;
  // Steps that become possible together are taken together: only the ends are certain.
  std::string told;
  for (const std::string& each : events("ScalingReplicaSet")) told += each + "\n";
  for (const std::string& each :
       {"Scaled up replica set " + b + " from 0 to 1\n", "Scaled down replica set " + a + " from 3 to "}) {
    EXPECT_NE(told.find(each), std::string::npos) << each << told;
  }
  EXPECT_NE(told.find(" to 0\n"), std::string::npos) << told;

  // Back: the old set is used again, under a new revision.
  set_image("web:1");
  ASSERT_TRUE(until_rolled_out("web:1"));
  EXPECT_EQ(sets_->list("default").size(), 2u);
  EXPECT_EQ(set_with("web:1")->metadata.annotations.get(kRevision), "3");
  EXPECT_EQ(set_with("web:1")->metadata.annotations.get(kRevisionHistory), "1");
}

TEST_F(DeploymentSuite, RecreatesOnlyWhenTheOldAreGone) {
  std::atomic<bool> may_end = false;
  HollowKubelet::Options options;
  options.end = [&](const Pod&) { return may_end.load(); };
  begin(options);
  Deployment deployment = web(2);
  set_recreate(deployment);
  create(deployment);
  ASSERT_TRUE(until_rolled_out("web:1"));
  set_image("web:2");
  // The old ones are terminating, and counted no longer: still nothing new comes.
  ASSERT_TRUE(deployments_->until(
      [&] { return now()->status.replicas == 0 && now()->status.observed_generation == now()->metadata.generation; }));
  ASSERT_TRUE(pods_->until([&] {
    const auto all = pods_->list("default");
    return all.size() == 2 &&
           std::ranges::all_of(all, [](const auto& each) { return each->metadata.deletion_timestamp.has_value(); });
  }));
  EXPECT_FALSE(set_with("web:2"));
  may_end = true;
  kubelet_->look_again();
  ASSERT_TRUE(until_rolled_out("web:2"));
  EXPECT_EQ(pods_->list("default").size(), 2u);
}

TEST_F(DeploymentSuite, AdoptsASetWithItsTemplateAndReleasesStrays) {
  begin();
  ReplicaSet set;
  set.metadata.namespace_ = "default";
  set.metadata.name = "older";
  set.metadata.labels.insert_or_assign("app", "web");
  set.metadata.annotations.insert_or_assign(kRevision, "3546343826724305832");
  set.spec.replicas = 1;
  set.spec.selector.emplace().match_labels.insert_or_assign("app", "web");
  set.spec.template_ = web(1, "web:0").spec.template_;
  create(set);
  ASSERT_TRUE(pods_->until([&] { return pods_->list("default").size() == 1; }));
  create(web(1));
  ASSERT_TRUE(until_rolled_out("web:1"));
  EXPECT_EQ(now()->metadata.annotations.get(kRevision), "3546343826724305833");
  const auto adopted = sets_->get("default", "older");
  ASSERT_EQ(adopted->metadata.owner_references.size(), 1u);
  EXPECT_EQ(adopted->metadata.owner_references[0].uid, now()->metadata.uid);
  EXPECT_EQ(replicas_of(*adopted), 0);

  change<ReplicaSet>("default", "older", [](ReplicaSet& each) { each.metadata.labels.insert_or_assign("app", "x"); });
  EXPECT_TRUE(sets_->until([&] { return sets_->get("default", "older")->metadata.owner_references.empty(); }));

  // One with the very template becomes the current one.
  EXPECT_EQ(remove<Deployment>("default", "web", by("Orphan")).to_string(), "OK");
  ASSERT_TRUE(deployments_->until([&] { return !now(); }));
  const std::string name = set_with("web:1")->metadata.name;
  create(web(1));
  ASSERT_TRUE(until_rolled_out("web:1"));
  EXPECT_EQ(set_with("web:1")->metadata.name, name);
  EXPECT_EQ(set_with("web:1")->metadata.owner_references[0].uid, now()->metadata.uid);
}

TEST_F(DeploymentSuite, AHashThatIsTakenIsAvoided) {
  // Somebody else's set has the name that the template (with its defaults) gives.
  ReplicaSet squatter = make_set(create(web(1)), 1, 0);
  ASSERT_EQ(remove<Deployment>("default", "web").to_string(), "OK");
  squatter.metadata.owner_references.clear();
  squatter.metadata.labels = {{"app", "other"}};
  squatter.spec.selector->match_labels = {{"app", "other"}};
  squatter.spec.template_.metadata.labels = {{"app", "other"}};
  create(squatter);
  begin();
  create(web(1));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  ASSERT_TRUE(advance_until(*deployments_, seconds(1), [&] { return rolled_out("web:1"); }));
  EXPECT_EQ(now()->status.collision_count, 1);
  EXPECT_TRUE(sets_->until([&] { return sets_->list("default").size() == 2; }));
}

TEST_F(DeploymentSuite, ForgetsOldSets) {
  begin();
  Deployment deployment = web(1);
  deployment.spec.revision_history_limit = 0;
  create(deployment);
  ASSERT_TRUE(until_rolled_out("web:1"));
  for (const char* image : {"web:2", "web:3"}) {
    set_image(image);
    ASSERT_TRUE(until_rolled_out(image));
    EXPECT_TRUE(sets_->until([&] { return sets_->list("default").size() == 1; }));
  }
}

TEST_F(DeploymentSuite, ANewTemplateOvertakesARollout) {
  HollowKubelet::Options options;
  // The second version never becomes ready.
  options.run = [this](Pod& pod) {
    if (pod.spec.containers[0].image == "web:2") return false;
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  begin(options);
  create(web(3));
  ASSERT_TRUE(until_rolled_out("web:1"));
  set_image("web:2");
  ASSERT_TRUE(until_sizes("web:1=3/3 web:2=1/0 "));
  set_image("web:3");
  ASSERT_TRUE(until_rolled_out("web:3"));
  EXPECT_TRUE(until_sizes("web:1=0/0 web:2=0/0 web:3=3/3 "));
}

TEST_F(DeploymentSuite, ScalingInTheMiddleIsShared) {
  HollowKubelet::Options options;
  options.run = [this](Pod& pod) {
    if (pod.spec.containers[0].image == "web:2") return false;
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  begin(options);
  Deployment deployment = web(10);
  set_rolling(deployment, 3, 2);
  create(deployment);
  ASSERT_TRUE(until_rolled_out("web:1"));
  set_image("web:2");
  ASSERT_TRUE(until_sizes("web:1=8/8 web:2=5/0 "));
  edit([](Deployment& each) { each.spec.replicas = 30; });
  ASSERT_TRUE(until_sizes("web:1=20/20 web:2=13/0 "));
  EXPECT_EQ(set_with("web:2")->metadata.annotations.get(kDesiredReplicas), "30");
  EXPECT_EQ(set_with("web:2")->metadata.annotations.get(kMaxReplicas), "33");
}

TEST_F(DeploymentSuite, PausedItScalesButDoesNotRoll) {
  begin();
  create(web(2));
  ASSERT_TRUE(until_rolled_out("web:1"));
  edit([](Deployment& each) {
    each.spec.paused = true;
    each.spec.template_.spec.containers[0].image = "web:2";
  });
  ASSERT_TRUE(deployments_->until([&] { return reason() == kDeploymentPaused; }));
  EXPECT_EQ(api::find_condition(now()->status.conditions, "Progressing")->status, "Unknown");
  EXPECT_EQ(api::find_condition(now()->status.conditions, "Progressing")->message, "Deployment is paused");
  edit([](Deployment& each) { each.spec.replicas = 4; });
  ASSERT_TRUE(until_sizes("web:1=4/4 "));
  ASSERT_TRUE(deployments_->until([&] { return now()->status.observed_generation == now()->metadata.generation; }));
  EXPECT_EQ(now()->status.updated_replicas, 0);
  edit([](Deployment& each) { each.spec.paused = false; });
  ASSERT_TRUE(until_rolled_out("web:2"));
  EXPECT_TRUE(until_sizes("web:1=0/0 web:2=4/4 "));
}

TEST_F(DeploymentSuite, LackOfProgressIsTold) {
  std::atomic<bool> works = false;
  HollowKubelet::Options options;
  options.run = [&](Pod& pod) {
    if (works) HollowKubelet::set_ready(pod, clock_->now());
    return works.load();
  };
  begin(options);
  Deployment deployment = web(1);
  deployment.spec.progress_deadline_seconds = 30;
  create(deployment);
  ASSERT_TRUE(deployments_->until([&] { return now() && now()->status.replicas == 1; }));
  EXPECT_EQ(reason(), kReplicaSetUpdated);
  EXPECT_EQ(api::find_condition(now()->status.conditions, "Available")->status, "False");
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(29));
  EXPECT_EQ(reason(), kReplicaSetUpdated);
  clock_->advance(seconds(3));
  ASSERT_TRUE(deployments_->until([&] { return reason() == kProgressDeadlineExceeded; }));
  EXPECT_EQ(api::find_condition(now()->status.conditions, "Progressing")->message,
            "ReplicaSet \"" + set_with("web:1")->metadata.name + "\" has timed out progressing.");
  works = true;
  kubelet_->look_again();
  ASSERT_TRUE(until_rolled_out("web:1"));
}

TEST_F(DeploymentSuite, PodsMustStayReadyForAWhile) {
  begin();
  Deployment deployment = web(2);
  deployment.spec.min_ready_seconds = 20;
  create(deployment);
  ASSERT_TRUE(deployments_->until([&] { return now() && now()->status.ready_replicas == 2; }));
  EXPECT_EQ(now()->status.available_replicas, 0);
  EXPECT_EQ(now()->status.unavailable_replicas, 2);
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(21));
  ASSERT_TRUE(until_rolled_out("web:1"));
}

TEST_F(DeploymentSuite, RefusedPodsShowInTheConditions) {
  gate_->closed = true;
  begin();
  create(web(1));
  const auto failure = [&] {
    const auto* known = now() ? api::find_condition(now()->status.conditions, "ReplicaFailure") : nullptr;
    return known ? known->reason : "";
  };
  ASSERT_TRUE(deployments_->until([&] { return failure() == "FailedCreate"; }));
  gate_->closed = false;
  ASSERT_TRUE(advance_until(*deployments_, seconds(1), [&] { return rolled_out("web:1"); }));
  EXPECT_EQ(failure(), "");
}

TEST_F(DeploymentSuite, RollsBackOnRequest) {
  begin();
  create(web(1));
  ASSERT_TRUE(until_rolled_out("web:1"));
  edit([](Deployment& each) { each.metadata.annotations.insert_or_assign("kubernetes.io/change-cause", "second"); });
  set_image("web:2");
  ASSERT_TRUE(until_rolled_out("web:2"));
  const auto ask = [&](const std::string& revision) {
    edit([&](Deployment& each) {
      each.metadata.annotations.insert_or_assign(api::appsv1::kDeprecatedRollbackTo, revision);
    });
    const auto written = client().get<Deployment>("default", "web");
    ASSERT_TRUE(written.ok());
    ASSERT_TRUE(deployments_->until([&] {
      return is_as_new_as(*written) && !now()->metadata.annotations.contains(api::appsv1::kDeprecatedRollbackTo);
    }));
  };
  ask("7");
  EXPECT_EQ(events("DeploymentRollbackRevisionNotFound"),
            std::vector<std::string>{"Unable to find the revision to rollback to."});
  ask("2");
  EXPECT_EQ(events("DeploymentRollbackTemplateUnchanged").size(), 1u);
  ask("0");
  ASSERT_TRUE(until_rolled_out("web:1"));
  EXPECT_EQ(events("DeploymentRollback"), std::vector<std::string>{"Rolled back deployment \"web\" to revision 1"});
}

TEST_F(DeploymentSuite, ScalesThroughItsSubresource) {
  begin();
  create(web(1));
  ASSERT_TRUE(until_rolled_out("web:1"));
  const auto& resource = api::resource_of<Deployment>();
  Scale scale;
  scale.metadata.namespace_ = "default";
  scale.metadata.name = "web";
  scale.spec.replicas = 2;
  ASSERT_TRUE(client().raw().update(resource, "default", "web", api::encode_proto(scale), "scale").ok());
  ASSERT_TRUE(until_sizes("web:1=2/2 "));
  ASSERT_TRUE(client()
                  .raw()
                  .patch(resource, "default", "web", client::PatchType::kMerge, R"({"spec":{"replicas":4}})", "scale")
                  .ok());
  ASSERT_TRUE(until_sizes("web:1=4/4 "));
}

TEST_F(DeploymentSuite, WhatAUserWritesIntoTheStatusIsOverwritten) {
  begin();
  create(web(1));
  ASSERT_TRUE(until_rolled_out("web:1"));
  const auto patched = client().patch<Deployment>(
      "default", "web", client::PatchType::kMerge,
      R"({"status":{"replicas":7,"conditions":[{"type":"Mine","status":"True"}]}})", "status");
  ASSERT_TRUE(patched.ok()) << patched.status().to_string();
  EXPECT_EQ(patched->status.replicas, 7);
  // Counts are the controller's; a condition that it does not know stays.
  ASSERT_TRUE(deployments_->until([&] { return is_as_new_as(*patched) && now()->status.replicas == 1; }));
  EXPECT_TRUE(api::find_condition(now()->status.conditions, "Mine"));
}

TEST_F(DeploymentSuite, TheWholeLifeOfADeployment) {
  begin();
  Deployment deployment = web(1);
  deployment.metadata.labels.insert_or_assign("test-deployment-static", "true");
  create(deployment);
  ASSERT_TRUE(until_rolled_out("web:1"));
  const auto patched = client().patch<Deployment>(
      "default", "web", client::PatchType::kStrategicMerge,
      R"({"metadata":{"labels":{"test-deployment":"patched"}},"spec":{"replicas":2,"template":{"spec":{
          "terminationGracePeriodSeconds":0,"containers":[{"name":"main","image":"web:2"}]}}}})");
  ASSERT_TRUE(patched.ok()) << patched.status().to_string();
  ASSERT_TRUE(until_rolled_out("web:2"));
  EXPECT_EQ(now()->status.replicas, 2);

  client::ListOptions selection;
  selection.label_selector = "test-deployment-static=true";
  const auto listed = client().list<Deployment, api::appsv1::DeploymentList>("", selection);
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->items.size(), 1u);
  EXPECT_EQ(listed->items[0].metadata.labels.get("test-deployment"), "patched");

  change<Deployment>(
      "default", "web",
      [](Deployment& each) {
        auto& mine = each.status.conditions.emplace_back();
        mine.type = "StatusUpdate";
        mine.status = "True";
        mine.reason = "E2E";
        each.spec.replicas = 9;  // not this way
      },
      /*status=*/true);
  ASSERT_TRUE(
      deployments_->until([&] { return api::find_condition(now()->status.conditions, "StatusUpdate") != nullptr; }));
  EXPECT_EQ(replicas_of(*now()), 2);
  edit([](Deployment& each) { each.spec.replicas = 3; });
  ASSERT_TRUE(deployments_->until([&] { return now()->status.available_replicas == 3; }));
  EXPECT_TRUE(api::find_condition(now()->status.conditions, "StatusUpdate"));

  ASSERT_TRUE(
      client().raw().remove_collection(api::resource_of<Deployment>(), "default", by("Background"), selection).ok());
  ASSERT_TRUE(deployments_->until([&] { return !now(); }));
  EXPECT_TRUE(advance_until(*pods_, seconds(1), [&] { return pods_->list("default").empty(); }));
}

TEST_F(DeploymentSuite, DeletionTakesOrLeavesTheSets) {
  begin();
  for (const char* policy : {"Background", "Foreground"}) {
    create(web(2));
    ASSERT_TRUE(until_rolled_out("web:1"));
    ASSERT_EQ(remove<Deployment>("default", "web", by(policy)).to_string(), "OK");
    EXPECT_TRUE(advance_until(*pods_, seconds(1), [&] { return pods_->list("default").empty(); })) << policy;
    EXPECT_TRUE(sets_->until([&] { return sets_->list("default").empty(); })) << policy;
    EXPECT_TRUE(deployments_->until([&] { return !now(); })) << policy;
  }
  create(web(2));
  ASSERT_TRUE(until_rolled_out("web:1"));
  ASSERT_EQ(remove<Deployment>("default", "web", by("Orphan")).to_string(), "OK");
  ASSERT_TRUE(deployments_->until([&] { return !now(); }));
  ASSERT_TRUE(sets_->until([&] { return set_with("web:1")->metadata.owner_references.empty(); }));
  EXPECT_EQ(pods_->list("default").size(), 2u);
}

}  // namespace
}  // namespace trireme::controllers::deployment
