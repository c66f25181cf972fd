#include "scheduler/cycle.h"

#include <gmock/gmock.h>

#include <set>

#include "scheduler/preemption.h"
#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::asking;
using testing::Cluster;
using ::testing::ElementsAre;
using testing::from_yaml;
using testing::make_info;
using testing::make_node;

TEST(NodesToFind, ShrinksAsTheClusterGrows) {
  EXPECT_EQ(nodes_to_find(10), 10U);
  EXPECT_EQ(nodes_to_find(100), 100U);
  EXPECT_EQ(nodes_to_find(1000), 420U);
  EXPECT_EQ(nodes_to_find(5000), 500U);
  EXPECT_EQ(nodes_to_find(6000), 300U);
  EXPECT_EQ(nodes_to_find(20000), 1000U);
}

TEST(Cycle, ChoosesTheBestNode) {
  Cluster cluster;
  EXPECT_EQ(cluster.decide(make_info("p")), "no nodes available to schedule pods");
  cluster.cache.set_node(make_node("busy"));
  cluster.cache.set_node(make_node("free"));
  cluster.place("busy", make_info("other", asking("{cpu: 3, memory: 6Gi}")));
  EXPECT_EQ(cluster.decide(make_info("p", asking("{cpu: 100m}"))), "free");
}

TEST(Cycle, TellsWhyNoNodeWillDo) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n1", "{}", "{taints: [{key: a, value: b, effect: NoSchedule}]}"));
  cluster.cache.set_node(make_node("n2", "{}", "{taints: [{key: a, value: b, effect: NoSchedule}]}"));
  cluster.cache.set_node(make_node("n3"));
  EXPECT_EQ(cluster.decide(make_info("p", asking("{cpu: 8, memory: 1Gi}"))),
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}.");
  EXPECT_EQ(
      cluster.decide(make_info(
          "p",
          "{containers: [{resources: {requests: {cpu: 8}}}], affinity: {nodeAffinity: "
          "{requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, "
          "operator: In, values: [n3]}]}]}}}}")),
      "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].");
}

TEST(Cycle, BreaksTiesAtRandom) {
  Cluster cluster;
  for (const std::string name : {"a", "b", "c", "d"}) cluster.cache.set_node(make_node(name));
  std::set<std::string> chosen;
  for (int i = 0; i < 100; ++i) chosen.insert(cluster.decide(make_info("p")));
  EXPECT_EQ(chosen.size(), 4U);
}

TEST(Cycle, AssumedPodsCountAtOnce) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  cluster.cache.assume(make_info("first", asking("{cpu: 3}")), "n");
  EXPECT_TRUE(cluster.cache.is_assumed("first"));
  EXPECT_EQ(cluster.decide(make_info("p", asking("{cpu: 2}"))), "0/1 nodes are available: 1 Insufficient cpu.");
  cluster.cache.remove_pod("first");
  EXPECT_EQ(cluster.decide(make_info("p", asking("{cpu: 2}"))), "n");
}

TEST(Cycle, LargeClustersAreSearchedInTurn) {
  Cluster cluster;
  for (int i = 0; i < 300; ++i) cluster.cache.set_node(make_node("n" + std::to_string(i)));
  PodFilters filters(cluster.profile, cluster.cache, cluster.nominations, *make_info("p"));
  const auto pod = make_info("p");
  std::set<std::string> chosen;
  for (int i = 0; i < 40; ++i) {
    PodFilters each(cluster.profile, cluster.cache, cluster.nominations, *pod);
    const Cycle::Decision decision = cluster.cycle.decide(each);
    EXPECT_EQ(decision.feasible, 144U);
    EXPECT_EQ(decision.evaluated, 144U);
    chosen.insert(decision.node->name);
  }
  EXPECT_GT(chosen.size(), 20U);
}

TEST(Cycle, NominatedPodsKeepTheirPlaceFromLessImportantOnes) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  const auto promised = make_info("promised", asking("{cpu: 3}", ", priority: 10"));
  cluster.nominations.set(promised, "n");
  EXPECT_EQ(cluster.decide(make_info("p", asking("{cpu: 2}"))), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(cluster.decide(make_info("q", asking("{cpu: 2}", ", priority: 11"))), "n");
  EXPECT_EQ(cluster.decide(promised), "n");
}

TEST(Cache, ConfirmsMovesAndForgetsPods) {
  Cache cache;
  cache.set_pod(make_info("early", asking("{cpu: 1}")), "n");
  EXPECT_EQ(cache.node("n"), nullptr) << "only a pod is known";
  EXPECT_TRUE(cache.nodes().empty());
  cache.set_node(make_node("n"));
  ASSERT_TRUE(cache.node("n"));
  EXPECT_EQ(cache.node("n")->requested.milli_cpu, 1000);
  cache.set_node(make_node("m"));
  cache.assume(make_info("p", asking("{cpu: 2}")), "n");
  EXPECT_EQ(cache.node("n")->requested.milli_cpu, 3000);
  cache.set_pod(make_info("p", asking("{cpu: 2}")), "m");
  EXPECT_FALSE(cache.is_assumed("p"));
  EXPECT_EQ(cache.node("n")->requested.milli_cpu, 1000);
  EXPECT_EQ(cache.node_of("p"), cache.node("m"));
  cache.remove_node("m");
  EXPECT_EQ(cache.nodes().size(), 1U);
  EXPECT_TRUE(cache.remove_pod("p"));
  EXPECT_FALSE(cache.remove_pod("p"));
}

TEST(Cache, TakesNodesOfAllZonesInTurn) {
  Cache cache;
  for (const std::string name : {"a1", "a2", "a3"}) cache.set_node(make_node(name, "{topology.kubernetes.io/zone: a}"));
  cache.set_node(make_node("b1", "{topology.kubernetes.io/zone: b}"));
  std::vector<std::string> names;
  for (const NodeInfo* node : cache.nodes()) names.push_back(node->name);
  EXPECT_THAT(names, ElementsAre("a1", "b1", "a2", "a3"));
}

class PreemptionTest : public ::testing::Test {
 protected:
  /// The chosen node and its victims ("n: a b"), or the message.
  std::string plan(const PodInfoPointer& pod) {
    PodFilters filters(cluster_.profile, cluster_.cache, cluster_.nominations, *pod);
    const Cycle::Decision decision = cluster_.cycle.decide(filters);
    if (decision.node) return "fits on " + decision.node->name;
    Preemption preemption(
        cluster_.cache, cluster_.nominations, [this](const std::string&) { return budgets_; }, 1);
    const Rescue plan = preemption.plan(filters, decision.refusal);
    if (!plan.node) return plan.message;
    std::string out = plan.node->name + ":";
    for (const PodInfoPointer& victim : plan.victims) out += " " + victim->uid();
    return out;
  }
  void place(const std::string& node, const std::string& name, int priority, const std::string& requests,
             const std::string& labels = "{}") {
    cluster_.place(node, make_info(name, asking(requests, ", priority: " + std::to_string(priority)), labels));
  }
  static PodInfoPointer important(const std::string& requests, const std::string& rest = "") {
    return make_info("important", asking(requests, ", priority: 100" + rest));
  }

  Cluster cluster_;
  Preemption::Budgets budgets_;
};

TEST_F(PreemptionTest, TakesAsFewAndAsUnimportantPodsAsItCan) {
  cluster_.cache.set_node(make_node("n"));
  place("n", "low", 1, "{cpu: 1}");
  place("n", "middle", 5, "{cpu: 1}");
  place("n", "high", 200, "{cpu: 2}");
  EXPECT_EQ(plan(important("{cpu: 1}")), "n: low");
  EXPECT_EQ(plan(important("{cpu: 2}")), "n: middle low");
  EXPECT_EQ(plan(important("{cpu: 3}")), "0/1 nodes are available: 1 Insufficient cpu.");
}

TEST_F(PreemptionTest, ChoosesTheNodeWithTheLeastImportantVictims) {
  for (const std::string name : {"n1", "n2"}) cluster_.cache.set_node(make_node(name));
  place("n1", "five", 5, "{cpu: 4}");
  place("n2", "three", 3, "{cpu: 2}");
  place("n2", "two", 2, "{cpu: 2}");
  EXPECT_EQ(plan(important("{cpu: 4}")), "n2: three two");
}

TEST_F(PreemptionTest, RespectsBudgetsWhereItCan) {
  for (const std::string name : {"n1", "n2"}) cluster_.cache.set_node(make_node(name));
  place("n1", "guarded", 1, "{cpu: 4}", "{app: db}");
  place("n2", "free", 50, "{cpu: 4}");
  EXPECT_EQ(plan(important("{cpu: 4}")), "n1: guarded");
  budgets_.push_back(from_yaml<api::policyv1::PodDisruptionBudget>(
      "{metadata: {name: b, namespace: default}, spec: {selector: {matchLabels: {app: db}}}, "
      "status: {disruptionsAllowed: 0}}"));
  EXPECT_EQ(plan(important("{cpu: 4}")), "n2: free");
}

TEST_F(PreemptionTest, TellsWhyItIsNoHelp) {
  cluster_.cache.set_node(make_node("n1"));
  cluster_.cache.set_node(make_node("n2", "{}", "{unschedulable: true}"));
  place("n1", "equal", 100, "{cpu: 4}");
  EXPECT_EQ(plan(important("{cpu: 1}")),
            "0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for "
            "scheduling.");
  EXPECT_EQ(plan(important("{cpu: 1}", ", preemptionPolicy: Never")), "not eligible due to preemptionPolicy=Never.");
}

TEST_F(PreemptionTest, RemovesPodsThatKeepThePodAway) {
  cluster_.cache.set_node(make_node("n", "{zone: a}"));
  cluster_.place("n", make_info("rude",
                                "{priority: 1, affinity: {podAntiAffinity: "
                                "{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: "
                                "{matchLabels: {app: web}}}]}}}"));
  place("n", "bystander", 1, "{cpu: 1}");
  EXPECT_EQ(plan(make_info("p", "{priority: 100}", "{app: web}")), "n: rude");
}

}  // namespace
}  // namespace trireme::scheduler
