// DaemonSets on the real API server, with the garbage collector and a hollow kubelet.

#include "controllers/daemonset/daemon_pods.h"
#include "controllers/daemonset/daemon_set_controller.h"
#include "controllers/support/pods.h"
#include "controllers/testing/hollow_kubelet.h"
#include "controllers/testing/restarts.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers::daemonset {
namespace {

using api::corev1::Event;
using api::corev1::EventList;
using std::chrono::seconds;

DaemonSet agent(const std::string& image = "agent:1") {
  DaemonSet out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "agent";
  out.spec.selector.emplace().match_labels.insert_or_assign("app", "agent");
  out.spec.template_.metadata.labels.insert_or_assign("app", "agent");
  auto& container = out.spec.template_.spec.containers.emplace_back();
  container.name = "main";
  container.image = image;
  return out;
}

HollowKubelet::Options place_by_affinity() {
  HollowKubelet::Options options;
  options.place = [](const api::corev1::Pod& pod) { return node_of(pod); };
  return options;
}

class DaemonSetSuite : public ControllersSuite {
 protected:
  void begin(HollowKubelet::Options options = place_by_affinity()) {
    run("daemonset,garbagecollector");
    kubelet_.emplace(raw(), clock_, std::move(options));
    sets_.emplace(raw());
    pods_.emplace(raw());
  }
  void TearDown() override {
    kubelet_.reset();
    ControllersSuite::TearDown();
  }
  std::shared_ptr<const DaemonSet> now() { return sets_->get("default", "agent"); }
  /// "NODE=IMAGE …" of the pods that are ready, by node.
  std::string ready_pods() {
    std::map<std::string, std::string> by_node;
    for (const auto& pod : pods_->list("default")) {
      if (!is_ready(*pod) || pod->metadata.deletion_timestamp) continue;
      by_node[pod->spec.node_name] += "=" + pod->spec.containers[0].image;
    }
    std::string out;
    for (const auto& [node, images] : by_node) out += node + images + " ";
    return out;
  }
  [[nodiscard]] bool until_ready(const std::string& pods) {
    const bool reached = pods_->until([&] { return ready_pods() == pods; });
    EXPECT_EQ(ready_pods(), pods);
    return reached;
  }
  [[nodiscard]] bool until_complete(int32_t nodes) {
    return sets_->until([&] {
      const auto set = now();
      return set && set->status.observed_generation == set->metadata.generation &&
             set->status.desired_number_scheduled == nodes && set->status.updated_number_scheduled == nodes &&
             set->status.number_available == nodes;
    });
  }
  void edit(const std::function<void(DaemonSet&)>& change_it) { change<DaemonSet>("default", "agent", change_it); }

  std::optional<HollowKubelet> kubelet_;
  std::optional<Watched<DaemonSet>> sets_;
  std::optional<Watched<Pod>> pods_;
};

TEST_F(DaemonSetSuite, EveryEligibleNodeHasOnePod) {
  begin();
  create(node("a"));
  create(node("b"));
  create(agent());
  ASSERT_TRUE(until_ready("a=agent:1 b=agent:1 "));
  create(node("c"));
  ASSERT_TRUE(until_ready("a=agent:1 b=agent:1 c=agent:1 "));
  ASSERT_TRUE(until_complete(3));

  // A node that is no longer eligible loses its pod; one that becomes so gets one.
  edit([](DaemonSet& set) { set.spec.template_.spec.node_selector.insert_or_assign("kind", "edge"); });
  ASSERT_TRUE(until_ready(""));
  change<Node>("", "b", [](Node& each) { each.metadata.labels.insert_or_assign("kind", "edge"); });
  ASSERT_TRUE(until_ready("b=agent:1 "));
  ASSERT_TRUE(until_complete(1));
  change<Node>("", "b", [](Node& each) {
    auto& taint = each.spec.taints.emplace_back();
    taint.key = "broken";
    taint.effect = "NoExecute";
  });
  ASSERT_TRUE(until_ready(""));
  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  ASSERT_TRUE(events.ok());
  EXPECT_TRUE(std::ranges::any_of(events->items, [](const Event& event) {
    return event.reason == "SuccessfulCreate" && event.message.starts_with("Created pod: agent-") &&
           event.source.component == "daemonset-controller";
  }));
}

TEST_F(DaemonSetSuite, ARollingUpdateReplacesAndReturns) {
  begin();
  for (const char* name : {"a", "b"}) create(node(name));
  create(agent());
  ASSERT_TRUE(until_complete(2));
  edit([](DaemonSet& set) { set.spec.template_.spec.containers[0].image = "agent:2"; });
  ASSERT_TRUE(until_ready("a=agent:2 b=agent:2 "));
  ASSERT_TRUE(until_complete(2));
  // With a surge, and back.
  edit([](DaemonSet& set) {
    auto& rolling = set.spec.update_strategy.rolling_update.ensure();
    rolling.max_unavailable = api::IntOrString(0);
    rolling.max_surge = api::IntOrString(1);
    set.spec.template_.spec.containers[0].image = "agent:1";
  });
  ASSERT_TRUE(until_ready("a=agent:1 b=agent:1 "));
  ASSERT_TRUE(until_complete(2));
  const auto revisions = client().list<api::appsv1::ControllerRevision, api::appsv1::ControllerRevisionList>("default");
  ASSERT_TRUE(revisions.ok());
  std::vector<int64_t> numbers;
  for (const auto& each : revisions->items) numbers.push_back(each.revision);
  std::ranges::sort(numbers);
  EXPECT_EQ(numbers, (std::vector<int64_t>{2, 3})) << "the first came back with a new number";
}

TEST_F(DaemonSetSuite, GoingBackLeavesGoodPodsAlone) {
  HollowKubelet::Options options = place_by_affinity();
  options.run = [&](Pod& pod) {
    if (pod.spec.containers[0].image == "agent:bad") return false;
    HollowKubelet::set_ready(pod, clock_->now());
    return true;
  };
  begin(std::move(options));
  for (const char* name : {"a", "b", "c"}) create(node(name));
  create(agent());
  ASSERT_TRUE(until_complete(3));
  std::set<std::string> before;
  for (const auto& pod : pods_->list("default")) before.insert(pod->metadata.uid);
  edit([](DaemonSet& set) { set.spec.template_.spec.containers[0].image = "agent:bad"; });
  // One may be unavailable: the update stands still with the first.
  ASSERT_TRUE(sets_->until(
      [&] { return now()->status.updated_number_scheduled == 1 && now()->status.number_unavailable == 1; }));
  edit([](DaemonSet& set) { set.spec.template_.spec.containers[0].image = "agent:1"; });
  ASSERT_TRUE(until_complete(3));
  const auto kept = std::ranges::count_if(pods_->list("default"),
                                          [&](const auto& pod) { return before.contains(pod->metadata.uid); });
  EXPECT_EQ(kept, 2);
}

TEST_F(DaemonSetSuite, RevisionsMayBeChangedByOthers) {
  using api::appsv1::ControllerRevision;
  using api::appsv1::ControllerRevisionList;
  begin();
  create(node("a"));
  create(agent());
  ASSERT_TRUE(until_complete(1));
  // The status may be seen before the pod is.
  ASSERT_TRUE(pods_->until([&] { return pods_->list("default").size() == 1; }));
  const std::string uid = pods_->list("default")[0]->metadata.uid;
  Watched<ControllerRevision> revisions(raw());
  ASSERT_EQ(revisions.list("default").size(), 1u);
  ControllerRevision copy = *revisions.list("default")[0];
  const std::string first = copy.metadata.name;
  const std::string hash = copy.metadata.labels.get("controller-revision-hash");
  ControllerRevision made;
  made.metadata.namespace_ = "default";
  made.metadata.name = "by-hand";
  made.metadata.labels = copy.metadata.labels;
  made.metadata.owner_references = copy.metadata.owner_references;
  made.data = copy.data;
  made.revision = copy.revision + 1;
  ASSERT_TRUE(until_quiet());
  create(made);
  // Both stay while the set itself does not change: its owner can take either away.
  const Status gone = remove<ControllerRevision>("default", first);
  ASSERT_TRUE(gone.ok()) << gone.to_string();
  ASSERT_TRUE(revisions.until([&] { return !revisions.get("default", first); }));
  // The copy takes its place: nothing is made, no pod goes.
  edit([](DaemonSet& set) { set.metadata.annotations.insert_or_assign("touched", "1"); });
  edit([](DaemonSet& set) { set.spec.template_.spec.containers[0].image = "agent:2"; });
  ASSERT_TRUE(until_ready("a=agent:2 "));
  ASSERT_TRUE(until_complete(1));
  ASSERT_EQ(revisions.list("default").size(), 2u);
  EXPECT_EQ(revisions.get("default", "by-hand")->revision, 2);
  client::ListOptions old;
  old.label_selector = "controller-revision-hash=" + hash;
  ASSERT_TRUE(client().raw().remove_collection(api::resource_of<ControllerRevision>(), "default", {}, old).ok());
  ASSERT_TRUE(revisions.until([&] { return revisions.list("default").size() == 1; }));
  EXPECT_EQ(revisions.list("default")[0]->revision, 3);
  EXPECT_NE(pods_->list("default")[0]->metadata.uid, uid);
}

TEST_F(DaemonSetSuite, EqualRevisionsBecomeOne) {
  using api::appsv1::ControllerRevision;
  begin();
  create(node("a"));
  create(agent());
  ASSERT_TRUE(until_complete(1));
  // The status may be seen before the pod is.
  ASSERT_TRUE(pods_->until([&] { return pods_->list("default").size() == 1; }));
  const std::string uid = pods_->list("default")[0]->metadata.uid;
  Watched<ControllerRevision> revisions(raw());
  const ControllerRevision first = *revisions.list("default")[0];
  ControllerRevision made;
  made.metadata.namespace_ = "default";
  made.metadata.name = "by-hand";
  made.metadata.labels = first.metadata.labels;
  made.metadata.labels.insert_or_assign("controller-revision-hash", "by-hand");
  made.metadata.owner_references = first.metadata.owner_references;
  made.data = first.data;
  made.revision = first.revision + 1;
  ASSERT_TRUE(until_quiet());
  create(made);
  ASSERT_TRUE(revisions.until([&] { return revisions.list("default").size() == 2; }));
  EXPECT_FALSE(
      revisions.until([&] { return !revisions.get("default", first.metadata.name); }, std::chrono::milliseconds(300)))
      << "the set has not changed";
  edit([](DaemonSet& set) { set.metadata.annotations.insert_or_assign("touched", "1"); });
  EXPECT_TRUE(revisions.until([&] { return !revisions.get("default", first.metadata.name); }));
  // The pod is of the template that is wanted: it gets the other hash and runs on.
  EXPECT_TRUE(pods_->until([&] {
    const auto pods = pods_->list("default");
    return pods.size() == 1 && pods[0]->metadata.labels.get("controller-revision-hash") == "by-hand";
  }));
  EXPECT_EQ(pods_->list("default")[0]->metadata.uid, uid);
  EXPECT_TRUE(until_complete(1));
}

TEST_F(DaemonSetSuite, OnDeleteWaitsForAPerson) {
  begin();
  create(node("a"));
  DaemonSet set = agent();
  set.spec.update_strategy.type = "OnDelete";
  create(set);
  ASSERT_TRUE(until_complete(1));
  edit([](DaemonSet& each) { each.spec.template_.spec.containers[0].image = "agent:2"; });
  ASSERT_TRUE(sets_->until([&] { return now()->status.updated_number_scheduled == 0; }));
  EXPECT_EQ(ready_pods(), "a=agent:1 ");
  ASSERT_TRUE(remove<Pod>("default", pods_->list("default")[0]->metadata.name).ok());
  EXPECT_TRUE(until_ready("a=agent:2 "));
}

TEST_F(DaemonSetSuite, FailedPodsAreKilledEverMoreSlowly) {
  begin();
  create(node("a"));
  create(agent());
  ASSERT_TRUE(until_complete(1));
  const auto fail = [&] {
    const std::string name = pods_->list("default")[0]->metadata.name;
    change<Pod>(
        "default", name, [](Pod& pod) { pod.status.phase = "Failed"; }, true);
    return name;
  };
  const std::string first = fail();
  ASSERT_TRUE(pods_->until([&] { return !pods_->get("default", first) && ready_pods() == "a=agent:1 "; }));
  const std::string second = fail();
  ASSERT_TRUE(advance_until(*pods_, std::chrono::milliseconds(300),
                            [&] { return !pods_->get("default", second) && ready_pods() == "a=agent:1 "; }));
  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  EXPECT_TRUE(std::ranges::any_of(events->items, [&](const Event& event) {
    return event.reason == "FailedDaemonPod" &&
           event.message == "Found failed daemon pod default/" + first + " on node a, will try to kill it";
  }));
}

TEST(FailedPodBackoffTest, DoublesAndForgets) {
  FailedPodBackoff backoff;
  EXPECT_EQ(backoff.take("k", seconds(0)), Duration::zero());
  EXPECT_EQ(backoff.take("k", Duration::zero()), seconds(1));
  EXPECT_EQ(backoff.take("k", seconds(1)), Duration::zero());
  EXPECT_EQ(backoff.take("k", seconds(2)), seconds(1));
  EXPECT_EQ(backoff.take("k", seconds(3)), Duration::zero());
  EXPECT_EQ(backoff.take("other", seconds(3)), Duration::zero());
  EXPECT_EQ(backoff.take("k", std::chrono::hours(1)), Duration::zero());
  EXPECT_EQ(backoff.take("k", std::chrono::hours(1)), seconds(1)) << "forgotten meanwhile";
}

TEST(DaemonSetRestarts, ARollingUpdateComesToTheSameEnd) {
  const auto complete = [](client::Client& client, const std::string& image) {
    const auto set = client.get<DaemonSet>("default", "agent");
    return set.ok() && set->spec.template_.spec.containers[0].image == image &&
           set->status.observed_generation == set->metadata.generation && set->status.desired_number_scheduled == 2 &&
           set->status.current_number_scheduled == 2 && set->status.updated_number_scheduled == 2 &&
           set->status.number_available == 2;
  };
  Scenario scenario;
  scenario.controllers = "daemonset,garbagecollector";
  scenario.kubelet = place_by_affinity();
  scenario.acts = {{[](client::Client& client) {
                      for (const char* name : {"a", "b"}) {
                        api::corev1::Node node;
                        node.metadata.name = name;
                        EXPECT_TRUE(client.create(node).ok());
                      }
                      EXPECT_TRUE(client.create(agent()).ok());
                    },
                    [=](client::Client& client) { return complete(client, "agent:1"); }},
                   {[](client::Client& client) {
                      const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
                        TRY_ASSIGN(DaemonSet fresh, client.get<DaemonSet>("default", "agent"));
                        fresh.spec.template_.spec.containers[0].image = "agent:2";
                        return client.update(fresh).status();
                      });
                      EXPECT_TRUE(done.ok()) << done.to_string();
                    },
                    [=](client::Client& client) { return complete(client, "agent:2"); }}};
  survives_restarts(scenario);
}

}  // namespace
}  // namespace trireme::controllers::daemonset
