// Inter-pod affinity and topology spreading: what depends on the pods of other nodes.

#include <gmock/gmock.h>

#include "scheduler/plugins/plugins.h"
#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::make_info;
using testing::make_node;

const std::string kWebInZone = "{topologyKey: zone, labelSelector: {matchLabels: {app: web}}}";

std::string affinity(const std::string& kind, const std::string& terms) {
  return "{affinity: {" + kind + ": {requiredDuringSchedulingIgnoredDuringExecution: [" + terms + "]}}}";
}

/// Zones a (a1, a2) and b (b1), and a node without a zone.
class TopologyTest : public ::testing::Test {
 protected:
  TopologyTest() {
    for (const std::string zone : {"a", "b"}) {
      cluster_.cache.set_node(make_node(zone + "1", "{zone: " + zone + "}"));
    }
    cluster_.cache.set_node(make_node("a2", "{zone: a}"));
    cluster_.cache.set_node(make_node("nowhere"));
  }
  void place(const std::string& node, const std::string& name, const std::string& labels,
             const std::string& spec = "{}") {
    cluster_.place(node, make_info(name, spec, labels));
  }
  /// The nodes that the plugin lets pass.
  std::vector<std::string> passing(const Plugin& plugin, const PodInfo& pod) const {
    std::vector<std::string> out;
    for (const std::string name : {"a1", "a2", "b1", "nowhere"}) {
      if (cluster_.filter(plugin, pod, name).empty()) out.push_back(name);
    }
    return out;
  }

  Cluster cluster_;
  std::shared_ptr<Plugin> affinity_ = plugins::inter_pod_affinity();
  std::shared_ptr<Plugin> spread_ = plugins::pod_topology_spread();
};

TEST_F(TopologyTest, RequiredAffinityFollowsOtherPods) {
  place("a1", "web", "{app: web}");
  const auto pod = make_info("p", affinity("podAffinity", kWebInZone));
  EXPECT_THAT(passing(*affinity_, *pod), ElementsAre("a1", "a2"));
  EXPECT_EQ(cluster_.filter(*affinity_, *pod, "b1"), "node(s) didn't match pod affinity rules");
}

TEST_F(TopologyTest, TheFirstOfAGroupMayGoAnywhereInATopology) {
  EXPECT_THAT(passing(*affinity_, *make_info("p", affinity("podAffinity", kWebInZone), "{app: web}")),
              ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(passing(*affinity_, *make_info("p", affinity("podAffinity", kWebInZone))), IsEmpty());
}

TEST_F(TopologyTest, AllAffinityTermsMustMatchOnePod) {
  const std::string terms =
      kWebInZone + ", {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {tier: front}}}";
  place("a1", "web", "{app: web}");
  place("a2", "front", "{tier: front}");
  EXPECT_THAT(passing(*affinity_, *make_info("p", affinity("podAffinity", terms))), IsEmpty());
  place("b1", "both", "{app: web, tier: front}");
  EXPECT_THAT(passing(*affinity_, *make_info("p", affinity("podAffinity", terms))), ElementsAre("b1"));
}

TEST_F(TopologyTest, AntiAffinityKeepsAway) {
  place("a1", "web", "{app: web}");
  const auto pod = make_info("p", affinity("podAntiAffinity", kWebInZone));
  EXPECT_THAT(passing(*affinity_, *pod), ElementsAre("b1", "nowhere"));
  EXPECT_EQ(cluster_.filter(*affinity_, *pod, "a2"), "node(s) didn't match pod anti-affinity rules");
}

TEST_F(TopologyTest, AntiAffinityIsSymmetric) {
  place("a1", "lonely", "{}", affinity("podAntiAffinity", kWebInZone));
  const auto web = make_info("p", "{}", "{app: web}");
  EXPECT_THAT(passing(*affinity_, *web), ElementsAre("b1", "nowhere"));
  EXPECT_EQ(cluster_.filter(*affinity_, *web, "a1"), "node(s) didn't satisfy existing pods anti-affinity rules");
  EXPECT_THAT(passing(*affinity_, *make_info("q", "{}", "{app: db}")), ElementsAre("a1", "a2", "b1", "nowhere"));
  cluster_.cache.remove_pod("lonely");
  EXPECT_THAT(passing(*affinity_, *web), ElementsAre("a1", "a2", "b1", "nowhere"));
}

TEST_F(TopologyTest, ChangesDuringATrialCountAndCanBeTakenBack) {
  place("a1", "web", "{app: web}");
  const auto pod = make_info("p", affinity("podAntiAffinity", kWebInZone));
  const FilterPlan plan = affinity_->plan_filter(*pod, cluster_.cache);
  const NodeInfo& node = *cluster_.cache.node("a1");
  const PodInfoPointer web = cluster_.cache.pod("web");
  Reasons reasons;
  EXPECT_EQ(plan.filter->check(node, reasons), Fit::kUnschedulable);
  plan.filter->remove_pod(*web, node);
  EXPECT_EQ(plan.filter->check(node, reasons), Fit::kFits);
  plan.filter->add_pod(*web, node);
  EXPECT_EQ(plan.filter->check(node, reasons), Fit::kUnschedulable);
}

TEST_F(TopologyTest, PreferencesDrawAndRepel) {
  place("a1", "web", "{app: web}");
  place("b1", "db", "{app: db}");
  const auto prefer = [](const std::string& kind, const std::string& app) {
    return kind +
           ": {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 10, podAffinityTerm: {topologyKey: "
           "zone, labelSelector: {matchLabels: {app: " +
           app + "}}}}]}";
  };
  const auto draw = make_info("p", "{affinity: {" + prefer("podAffinity", "web") + "}}");
  EXPECT_THAT(cluster_.scores(*affinity_, *draw, {"a1", "a2", "b1"}), ElementsAre(100, 100, 0));
  const auto both =
      make_info("p", "{affinity: {" + prefer("podAffinity", "web") + ", " + prefer("podAntiAffinity", "db") + "}}");
  EXPECT_THAT(cluster_.scores(*affinity_, *both, {"a2", "nowhere", "b1"}), ElementsAre(100, 50, 0));
  // What is there already draws what it has an affinity to.
  cluster_.cache.remove_pod("web");
  place("b1", "friend", "{}", affinity("podAffinity", kWebInZone));
  EXPECT_THAT(cluster_.scores(*affinity_, *make_info("p", "{}", "{app: web}"), {"a1", "b1"}), ElementsAre(0, 100));
}

std::string spread(const std::string& rest, const std::string& key = "zone") {
  return "{topologySpreadConstraints: [{topologyKey: " + key + ", labelSelector: {matchLabels: {app: web}}, " + rest +
         "}]}";
}

TEST_F(TopologyTest, HardSpreadKeepsTheSkew) {
  const auto pod = make_info("p", spread("maxSkew: 1, whenUnsatisfiable: DoNotSchedule"), "{app: web}");
  EXPECT_THAT(passing(*spread_, *pod), ElementsAre("a1", "a2", "b1"));
  place("a1", "w1", "{app: web}");
  EXPECT_THAT(passing(*spread_, *pod), ElementsAre("b1"));
  EXPECT_EQ(cluster_.filter(*spread_, *pod, "a2"), "node(s) didn't match pod topology spread constraints");
  EXPECT_EQ(cluster_.filter(*spread_, *pod, "nowhere"),
            "node(s) didn't match pod topology spread constraints (missing required label)");
  place("b1", "w2", "{app: web}");
  EXPECT_THAT(passing(*spread_, *pod), ElementsAre("a1", "a2", "b1"));
}

TEST_F(TopologyTest, SpreadCountsOnlyNodesThatThePodCouldUse) {
  place("a1", "w1", "{app: web}");
  const std::string rule = "maxSkew: 1, whenUnsatisfiable: DoNotSchedule";
  const std::string in_a = ", nodeSelector: {zone: a}}";
  std::string spec = spread(rule);
  spec.replace(spec.size() - 1, 1, in_a);
  EXPECT_THAT(passing(*spread_, *make_info("p", spec, "{app: web}")), ElementsAre("a1", "a2", "b1"))
      << "zone b does not count, so a's one pod is the lowest";
  spec = spread(rule + ", nodeAffinityPolicy: Ignore");
  spec.replace(spec.size() - 1, 1, in_a);
  EXPECT_THAT(passing(*spread_, *make_info("p", spec, "{app: web}")), ElementsAre("b1"));
}

TEST_F(TopologyTest, TooFewDomainsCountAsAnEmptyOne) {
  place("a1", "w1", "{app: web}");
  place("b1", "w2", "{app: web}");
  const std::string rule = "maxSkew: 1, whenUnsatisfiable: DoNotSchedule, minDomains: ";
  EXPECT_THAT(passing(*spread_, *make_info("p", spread(rule + "2"), "{app: web}")), ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(passing(*spread_, *make_info("p", spread(rule + "3"), "{app: web}")), IsEmpty());
}

TEST_F(TopologyTest, SoftSpreadPrefersEmptierDomains) {
  place("a1", "w1", "{app: web}");
  place("a1", "w2", "{app: web}");
  place("b1", "w3", "{app: web}");
  const auto pod = make_info("p", spread("maxSkew: 1, whenUnsatisfiable: ScheduleAnyway"), "{app: web}");
  const auto scores = cluster_.scores(*spread_, *pod, {"a1", "a2", "b1", "nowhere"});
  EXPECT_EQ(scores[0], scores[1]);
  EXPECT_GT(scores[2], scores[0]);
  EXPECT_EQ(scores[3], 0) << "without the label it is the last choice";
}

TEST_F(TopologyTest, PodsOfAControllerSpreadByDefault) {
  const auto pod = make_info("p", "{}", "{app: web}");
  EXPECT_THAT(cluster_.scores(*spread_, *pod, {"a1", "a2"}), IsEmpty()) << "nothing stands behind the pod";
  cluster_.cache.set_siblings([](const api::corev1::Pod&) { return *api::LabelSelector::parse("app=web"); });
  for (int i = 0; i < 4; ++i) place("a1", "w" + std::to_string(i), "{app: web}");
  const auto scores = cluster_.scores(*spread_, *pod, {"a1", "a2", "b1"});
  EXPECT_LT(scores[0], scores[1]);
  EXPECT_EQ(scores[1], scores[2]);
  place("a2", "ending", "{app: web}");
}

}  // namespace
}  // namespace trireme::scheduler
