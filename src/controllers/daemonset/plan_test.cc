#include "controllers/daemonset/plan.h"

#include <gtest/gtest.h>

namespace trireme::controllers::daemonset {
namespace {

const WallTime kNow = WallTime(std::chrono::seconds(1'700'000'000));

DaemonSet make_set(std::optional<int> unavailable, std::optional<int> surge = {}) {
  DaemonSet set;
  set.metadata.name = "agent";
  set.spec.update_strategy.type = api::appsv1::kRollingUpdateDaemonSetStrategyType;
  auto& rolling = set.spec.update_strategy.rolling_update.emplace();
  if (unavailable) rolling.max_unavailable = api::IntOrString(*unavailable);
  if (surge) rolling.max_surge = api::IntOrString(*surge);
  return set;
}

/// Letters: n(ot ready) r(eady) t(erminating) f(ailed); capital: of the new template. Later letters are younger.
Place place(std::string node, std::string_view pods, bool run = true, bool stay = true) {
  Place out{std::move(node), {run, stay}, {}};
  int age = 100;
  for (const char state : pods) {
    Pod pod;
    pod.metadata.name = out.node + "/" + state;
    pod.metadata.uid = pod.metadata.name;
    pod.metadata.creation_timestamp = api::Time(kNow - std::chrono::seconds(age--));
    const bool fresh = state >= 'A' && state <= 'Z';
    pod.metadata.labels.insert_or_assign("controller-revision-hash", fresh ? "new" : "old");
    pod.status.phase = (state | 0x20) == 'f' ? "Failed" : "Running";
    if ((state | 0x20) == 'r') {
      auto& ready = pod.status.conditions.emplace_back();
      ready.type = "Ready";
      ready.status = "True";
      ready.last_transition_time = api::Time(kNow - std::chrono::seconds(5));
    }
    if ((state | 0x20) == 't') pod.metadata.deletion_timestamp = api::Time(kNow);
    out.pods.push_back(std::make_shared<const Pod>(std::move(pod)));
  }
  return out;
}

std::string text(const Plan& plan) {
  std::string out;
  for (const std::string& node : plan.create) out += "+" + node + " ";
  for (const PodPointer& pod : plan.remove) out += "-" + pod->metadata.name + " ";
  for (const PodPointer& pod : plan.failed) out += "!" + pod->metadata.name + " ";
  return out;
}

TEST(DaemonSetPlacesTest, OnePodWhereItBelongs) {
  const DaemonSet set = make_set(1);
  struct Case {
    Place place;
    const char* plan;
  };
  const Case cases[] = {
      {place("a", ""), "+a "},
      {place("a", "t"), ""},
      {place("a", "r"), ""},
      {place("a", "rn"), "-a/n "},
      {place("a", "f"), "!a/f "},
      {place("a", "r", false, true), ""},
      {place("a", "", false, true), ""},
      {place("a", "rt", false, false), "-a/r "},
  };
  for (const Case& each : cases) EXPECT_EQ(text(plan_places(set, {each.place}, "new", kNow)), each.plan);
}

TEST(DaemonSetPlacesTest, WithASurgeTwoMayStandBesideEachOther) {
  const DaemonSet set = make_set(0, 1);
  EXPECT_EQ(text(plan_places(set, {place("a", "rN")}, "new", kNow)), "");
  EXPECT_EQ(text(plan_places(set, {place("a", "rR")}, "new", kNow)), "-a/r ");
  EXPECT_EQ(text(plan_places(set, {place("a", "nN")}, "new", kNow)), "-a/n ") << "the old one is of no use";
  EXPECT_EQ(text(plan_places(set, {place("a", "rnN")}, "new", kNow)), "-a/n ");
}

TEST(DaemonSetUpdateTest, OldPodsGoAsFarAsTheLimitAllows) {
  struct Case {
    const char* pods[3];
    int limit;
    const char* plan;
  };
  const Case cases[] = {
      {{"r", "r", "r"}, 1, "-a/r "},      {{"r", "r", "r"}, 2, "-a/r -b/r "}, {{"R", "r", "r"}, 1, "-b/r "},
      {{"N", "r", "r"}, 1, ""},           {{"N", "r", "n"}, 1, "-c/n "},      {{"R", "R", "R"}, 1, ""},
      {{"t", "r", "r"}, 1, ""},           {{"t", "r", "r"}, 2, "-b/r "},      {{"n", "r", "r"}, 1, "-a/n "},
      {{"n", "r", "r"}, 2, "-a/n -b/r "},
  };
  for (const Case& each : cases) {
    const std::vector<Place> places{place("a", each.pods[0]), place("b", each.pods[1]), place("c", each.pods[2])};
    EXPECT_EQ(text(plan_update(make_set(each.limit), places, "new", kNow)), each.plan)
        << each.pods[0] << each.pods[1] << each.pods[2] << each.limit;
  }
}

TEST(DaemonSetUpdateTest, WithASurgeNewPodsComeFirst) {
  const DaemonSet set = make_set(0, 1);
  const auto plan = [&](const char* a, const char* b) {
    return text(plan_update(set, {place("a", a), place("b", b)}, "new", kNow));
  };
  EXPECT_EQ(plan("r", "r"), "+a ");
  EXPECT_EQ(plan("rN", "r"), "");
  EXPECT_EQ(plan("rR", "r"), "+b -a/r ");
  EXPECT_EQ(plan("n", "r"), "+a +b ") << "what is of no use is replaced beyond the limit";
}

TEST(DaemonSetUpdateTest, OnDeleteLeavesOldPodsAlone) {
  DaemonSet set = make_set(1);
  set.spec.update_strategy.type = api::appsv1::kOnDeleteDaemonSetStrategyType;
  EXPECT_EQ(text(plan_update(set, {place("a", "r")}, "new", kNow)), "");
}

TEST(DaemonSetStatusTest, CountsNodes) {
  DaemonSet set = make_set(1);
  set.spec.min_ready_seconds = 8;
  const Counts counts = count_status(
      set,
      {place("a", "R"), place("b", "n"), place("c", ""), place("d", "r", false, true), place("e", "", false, false)},
      "new", kNow);
  EXPECT_EQ(counts.status.desired_number_scheduled, 3);
  EXPECT_EQ(counts.status.current_number_scheduled, 2);
  EXPECT_EQ(counts.status.number_misscheduled, 1);
  EXPECT_EQ(counts.status.number_ready, 1);
  EXPECT_EQ(counts.status.number_available, 0);
  EXPECT_EQ(counts.status.number_unavailable, 3);
  EXPECT_EQ(counts.status.updated_number_scheduled, 1);
  EXPECT_EQ(counts.look_again, std::chrono::seconds(3));
}

TEST(DaemonPodsTest, EligibilityFollowsLabelsAndTaints) {
  DaemonSet set = make_set(1);
  set.spec.template_.spec.node_selector.insert_or_assign("kind", "edge");
  const auto spec = daemon_spec(set);
  Node node;
  node.metadata.name = "n";
  EXPECT_FALSE(eligibility(spec, node).stay);
  node.metadata.labels.insert_or_assign("kind", "edge");
  EXPECT_TRUE(eligibility(spec, node).run);
  const auto tainted = [&](std::string key, std::string_view effect) {
    Node out = node;
    auto& taint = out.spec.taints.emplace_back();
    taint.key = std::move(key);
    taint.effect = effect;
    return out;
  };
  EXPECT_TRUE(eligibility(spec, tainted("node.kubernetes.io/not-ready", "NoExecute")).run)
      << "tolerated by all daemons";
  EXPECT_TRUE(eligibility(spec, tainted("node.kubernetes.io/unschedulable", "NoSchedule")).run);
  EXPECT_TRUE(eligibility(spec, tainted("x", "PreferNoSchedule")).run);
  EXPECT_FALSE(eligibility(spec, tainted("x", "NoSchedule")).run);
  EXPECT_TRUE(eligibility(spec, tainted("x", "NoSchedule")).stay);
  EXPECT_FALSE(eligibility(spec, tainted("x", "NoExecute")).stay);
  EXPECT_TRUE(may_differ(node, tainted("x", "NoExecute")));
  Node beating = node;
  beating.status.conditions.emplace_back().type = "Ready";
  EXPECT_FALSE(may_differ(node, beating));
}

TEST(DaemonPodsTest, APodSaysWhereItBelongs) {
  DaemonSet set = make_set(1);
  set.metadata.annotations.insert_or_assign("deprecated.daemonset.template.generation", "3");
  const Pod pod = make_pod(set, daemon_spec(set), "n1", "hash");
  EXPECT_EQ(node_of(pod), "n1");
  EXPECT_EQ(pod.metadata.labels.get("pod-template-generation"), "3");
  EXPECT_TRUE(is_current(set, pod, "hash"));
  EXPECT_TRUE(is_current(set, pod, "other")) << "by its generation";
  EXPECT_FALSE(is_current({}, pod, "other"));
}

TEST(DaemonPodsTest, TheNodeReplacesTheTemplatesOwnTerms) {
  DaemonSet set = make_set(1);
  auto& affinity = set.spec.template_.spec.affinity.ensure().node_affinity.ensure();
  auto& expression = affinity.required_during_scheduling_ignored_during_execution.ensure()
                         .node_selector_terms.emplace_back()
                         .match_expressions.emplace_back();
  expression.key = "disk";
  expression.operator_ = "Exists";
  affinity.preferred_during_scheduling_ignored_during_execution.emplace_back().weight = 5;
  const Pod pod = make_pod(set, daemon_spec(set), "n1", "hash");
  const auto& made = *pod.spec.affinity->node_affinity;
  const auto& terms = made.required_during_scheduling_ignored_during_execution->node_selector_terms;
  ASSERT_EQ(terms.size(), 1u);
  EXPECT_TRUE(terms[0].match_expressions.empty());
  EXPECT_EQ(terms[0].match_fields.at(0).values, std::vector<std::string>{"n1"});
  EXPECT_EQ(made.preferred_during_scheduling_ignored_during_execution.size(), 1u);
}

TEST(DaemonPodsTest, AnotherTolerationOfTheSameTaintStays) {
  DaemonSet set = make_set(1);
  auto& own = set.spec.template_.spec.tolerations;
  own.emplace_back().key = "node.kubernetes.io/not-ready";
  own[0].effect = "NoExecute";
  own[0].operator_ = "Exists";
  own[0].toleration_seconds = 30;
  const size_t replaced = daemon_spec(set).tolerations.size();
  EXPECT_FALSE(daemon_spec(set).tolerations[0].toleration_seconds) << "for ever";
  own[0].operator_ = "Equal";
  own[0].value = "x";
  EXPECT_EQ(daemon_spec(set).tolerations.size(), replaced + 1);
}

}  // namespace
}  // namespace trireme::controllers::daemonset
