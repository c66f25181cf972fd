#include "scheduler/plugins/plugins.h"

#include <gmock/gmock.h>

#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::asking;
using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::make_info;
using testing::make_node;

struct FilterCase {
  const char* name;
  std::string pod;
  std::string refusal;
};

void check(const Cluster& cluster, const Plugin& plugin, const std::vector<FilterCase>& cases) {
  for (const FilterCase& each : cases) {
    EXPECT_EQ(cluster.filter(plugin, *make_info("new", each.pod), "n"), each.refusal) << each.name;
  }
}

TEST(NodeUnschedulable, RefusesCordonedNodesUnlessTolerated) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n", "{}", "{unschedulable: true}"));
  check(cluster, *plugins::node_unschedulable(),
        {{"plain", "{}", "node(s) were unschedulable"},
         {"tolerated", "{tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]}", ""},
         {"another toleration", "{tolerations: [{key: k, operator: Exists}]}", "node(s) were unschedulable"}});
}

TEST(NodeName, TakesTheNamedNodeOnly) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  check(cluster, *plugins::node_name(),
        {{"none", "{}", ""},
         {"this", "{nodeName: 'n'}", ""},
         {"another", "{nodeName: m}", "node(s) didn't match the requested node name"}});
}

TEST(TaintToleration, RefusesUntoleratedHardTaints) {
  Cluster cluster;
  cluster.cache.set_node(make_node(
      "n", "{}", "{taints: [{key: soft, effect: PreferNoSchedule}, {key: a, value: b, effect: NoSchedule}]}"));
  const std::string refusal = "node(s) had untolerated taint {a: b}";
  check(cluster, *plugins::taint_toleration(),
        {{"no toleration", "{}", refusal},
         {"equal", "{tolerations: [{key: a, operator: Equal, value: b, effect: NoSchedule}]}", ""},
         {"equal is the default operator", "{tolerations: [{key: a, value: b}]}", ""},
         {"other value", "{tolerations: [{key: a, value: c}]}", refusal},
         {"exists", "{tolerations: [{key: a, operator: Exists}]}", ""},
         {"other effect", "{tolerations: [{key: a, operator: Exists, effect: NoExecute}]}", refusal},
         {"everything", "{tolerations: [{operator: Exists}]}", ""}});
}

TEST(TaintToleration, PrefersNodesWithFewerUntoleratedSoftTaints) {
  Cluster cluster;
  cluster.cache.set_node(make_node("none"));
  cluster.cache.set_node(make_node("one", "{}", "{taints: [{key: a, effect: PreferNoSchedule}]}"));
  cluster.cache.set_node(
      make_node("two", "{}", "{taints: [{key: a, effect: PreferNoSchedule}, {key: b, effect: PreferNoSchedule}]}"));
  const auto plugin = plugins::taint_toleration();
  EXPECT_THAT(cluster.scores(*plugin, *make_info("p"), {"none", "one", "two"}), ElementsAre(100, 50, 0));
  EXPECT_THAT(
      cluster.scores(*plugin, *make_info("p", "{tolerations: [{key: a, operator: Exists}]}"), {"none", "one", "two"}),
      ElementsAre(100, 100, 0));
  EXPECT_THAT(cluster.scores(*plugin, *make_info("p"), {"none"}), IsEmpty());
}

std::string required_terms(const std::string& terms) {
  return "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: " + terms +
         "}}}}";
}

TEST(NodeAffinity, ChecksSelectorsAndTerms) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n", "{disk: ssd, cores: '8'}"));
  const std::string refusal = "node(s) didn't match Pod's node affinity/selector";
  const auto expression = [](const std::string& text) {
    return required_terms("[{matchExpressions: [" + text + "]}]");
  };
  check(cluster, *plugins::node_affinity(),
        {{"nothing asked", "{}", ""},
         {"selector", "{nodeSelector: {disk: ssd}}", ""},
         {"selector, other value", "{nodeSelector: {disk: hdd}}", refusal},
         {"selector, missing", "{nodeSelector: {gpu: 'yes'}}", refusal},
         {"In", expression("{key: disk, operator: In, values: [hdd, ssd]}"), ""},
         {"In, not there", expression("{key: gpu, operator: In, values: [a]}"), refusal},
         {"NotIn", expression("{key: disk, operator: NotIn, values: [ssd]}"), refusal},
         {"NotIn of a missing label", expression("{key: gpu, operator: NotIn, values: [a]}"), ""},
         {"Exists", expression("{key: disk, operator: Exists}"), ""},
         {"DoesNotExist", expression("{key: disk, operator: DoesNotExist}"), refusal},
         {"Gt", expression("{key: cores, operator: Gt, values: ['7']}"), ""},
         {"Gt, equal", expression("{key: cores, operator: Gt, values: ['8']}"), refusal},
         {"Lt", expression("{key: cores, operator: Lt, values: ['9']}"), ""},
         {"Gt of a word", expression("{key: disk, operator: Gt, values: ['1']}"), refusal},
         {"all expressions of a term", expression("{key: disk, operator: Exists}, {key: gpu, operator: Exists}"),
          refusal},
         {"any term",
          required_terms("[{matchExpressions: [{key: gpu, operator: Exists}]}, "
                         "{matchExpressions: [{key: disk, operator: Exists}]}]"),
          ""},
         {"an empty term matches nothing", required_terms("[{}]"), refusal},
         {"field", required_terms("[{matchFields: [{key: metadata.name, operator: In, values: ['n']}]}]"), ""},
         {"other field value", required_terms("[{matchFields: [{key: metadata.name, operator: In, values: [m]}]}]"),
          refusal}});
}

TEST(NodeAffinity, NamesTheNodesOfDaemonSetPods) {
  Cluster cluster;
  const auto plugin = plugins::node_affinity();
  const auto names = [&](const std::string& terms) {
    return plugin->plan_filter(*make_info("p", required_terms(terms)), cluster.cache).names;
  };
  const std::string on_n = "{matchFields: [{key: metadata.name, operator: In, values: ['n']}]}";
  EXPECT_EQ(names("[" + on_n + "]"), std::vector<std::string>{"n"});
  EXPECT_EQ(names("[" + on_n + ", {matchExpressions: [{key: a, operator: Exists}]}]"), std::nullopt);
}

TEST(NodeAffinity, ScoresByTheWeightsOfMatchingPreferences) {
  Cluster cluster;
  cluster.cache.set_node(make_node("both", "{a: x, b: x}"));
  cluster.cache.set_node(make_node("a", "{a: x}"));
  cluster.cache.set_node(make_node("none"));
  const auto pod = make_info("p",
                             "{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: ["
                             "{weight: 10, preference: {matchExpressions: [{key: a, operator: Exists}]}}, "
                             "{weight: 30, preference: {matchExpressions: [{key: b, operator: Exists}]}}]}}}");
  EXPECT_THAT(cluster.scores(*plugins::node_affinity(), *pod, {"both", "a", "none"}), ElementsAre(100, 25, 0));
}

TEST(NodePorts, RefusesPortsInUse) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  cluster.place("n", make_info("other", "{containers: [{ports: [{hostPort: 80, hostIP: 10.0.0.1}]}]}"));
  const std::string refusal = "node(s) didn't have free ports for the requested pod ports";
  check(cluster, *plugins::node_ports(),
        {{"none", "{containers: [{ports: [{containerPort: 80}]}]}", ""},
         {"all addresses", "{containers: [{ports: [{hostPort: 80}]}]}", refusal},
         {"another address", "{containers: [{ports: [{hostPort: 80, hostIP: 10.0.0.2}]}]}", ""},
         {"another protocol", "{containers: [{ports: [{hostPort: 80, protocol: UDP}]}]}", ""}});
  cluster.cache.remove_pod("other");
  check(cluster, *plugins::node_ports(), {{"freed", "{containers: [{ports: [{hostPort: 80}]}]}", ""}});
}

TEST(NodeResourcesFit, NamesEverythingThatIsShort) {
  Cluster cluster;
  cluster.cache.set_node(
      make_node("n", "{}", "{}", "{cpu: 4, memory: 8Gi, pods: 2, ephemeral-storage: 1Gi, example.com/gpu: 1}"));
  cluster.place("n", make_info("other", asking("{cpu: 3, memory: 6Gi, example.com/gpu: 1}")));
  check(cluster, *plugins::node_resources_fit(),
        {{"nothing asked", "{}", ""},
         {"just enough", asking("{cpu: 1, memory: 2Gi, ephemeral-storage: 1Gi}"), ""},
         {"cpu", asking("{cpu: 1001m}"), "Insufficient cpu"},
         {"all", asking("{cpu: 2, memory: 3Gi, ephemeral-storage: 2Gi, example.com/gpu: 1, example.com/x: 1}"),
          "Insufficient cpu, Insufficient memory, Insufficient ephemeral-storage, Insufficient example.com/gpu, "
          "Insufficient example.com/x"}});
  cluster.place("n", make_info("another"));
  check(cluster, *plugins::node_resources_fit(), {{"places", "{}", "Too many pods"}});
}

TEST(NodeResourcesFit, TellsWhatNoEmptyingOfTheNodeWouldHelp) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  cluster.place("n", make_info("other", asking("{cpu: 3}")));
  const auto plugin = plugins::node_resources_fit();
  const auto fit = [&](const std::string& requests) {
    const auto pod = make_info("p", asking(requests));
    Reasons reasons;
    return plugin->plan_filter(*pod, cluster.cache).filter->check(*cluster.cache.node("n"), reasons);
  };
  EXPECT_EQ(fit("{cpu: 1}"), Fit::kFits);
  EXPECT_EQ(fit("{cpu: 4}"), Fit::kUnschedulable);
  EXPECT_EQ(fit("{cpu: 5}"), Fit::kUnresolvable);
}

TEST(NodeResourcesFit, PrefersTheLeastAllocated) {
  Cluster cluster;
  cluster.cache.set_node(make_node("empty"));
  cluster.cache.set_node(make_node("half"));
  cluster.place("half", make_info("other", asking("{cpu: 2, memory: 4Gi}")));
  const auto pod = make_info("p", asking("{cpu: 1, memory: 2Gi}"));
  EXPECT_THAT(cluster.scores(*plugins::node_resources_fit(), *pod, {"empty", "half"}), ElementsAre(75, 25));
}

TEST(NodeResourcesBalancedAllocation, PrefersEvenUse) {
  Cluster cluster;
  cluster.cache.set_node(make_node("cpu-heavy"));
  cluster.cache.set_node(make_node("even"));
  cluster.place("cpu-heavy", make_info("other", asking("{cpu: 2}")));
  const auto pod = make_info("p", asking("{cpu: 1, memory: 2Gi}"));
  const auto plugin = plugins::node_resources_balanced_allocation();
  EXPECT_THAT(cluster.scores(*plugin, *pod, {"cpu-heavy", "even"}), ElementsAre(75, 100));
  EXPECT_THAT(cluster.scores(*plugin, *make_info("best-effort"), {"cpu-heavy", "even"}), IsEmpty());
}

TEST(ImageLocality, PrefersNodesThatHoldTheImage) {
  Cluster cluster;
  const std::string allocatable = "{cpu: 4, memory: 8Gi, pods: 10}";
  cluster.cache.set_node(make_node("has", "{}", "{}", allocatable, "[{names: ['app:latest'], sizeBytes: 1048576000}]"));
  cluster.cache.set_node(make_node("none"));
  const auto plugin = plugins::image_locality();
  const auto pod = make_info("p", "{containers: [{image: app}]}");
  // Half of the nodes hold it: (500 - 23) of (1000 - 23) MB.
  EXPECT_THAT(cluster.scores(*plugin, *pod, {"has", "none"}), ElementsAre(48, 0));
  EXPECT_THAT(cluster.scores(*plugin, *make_info("q", "{containers: [{image: 'app:v2'}]}"), {"has", "none"}),
              IsEmpty());
}

}  // namespace
}  // namespace trireme::scheduler
