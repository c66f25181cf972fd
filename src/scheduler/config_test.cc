#include "scheduler/config.h"

#include <gmock/gmock.h>

#include "scheduler/plugins/plugins.h"
#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using namespace std::chrono_literals;
using testing::asking;
using testing::Cluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::make_info;
using testing::make_node;

const std::string kHead = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

std::string error_of(const std::string& yaml) {
  const auto config = parse_configuration(kHead + yaml);
  return config.ok() ? "" : config.status().message();
}

/// The plugins that a profile asks at a point.
std::vector<std::string> plugins_at(const Profile& profile, Point point) {
  std::vector<std::string> out;
  for (const Profile::Use& use : profile.at(point)) out.emplace_back(profile.plugins[use.plugin]->name());
  return out;
}

Profile profile_of(const std::string& profile_yaml) {
  const auto config = parse_configuration(kHead + "profiles: [" + profile_yaml + "]");
  EXPECT_TRUE(config.ok()) << config.status().to_string();
  if (!config.ok()) return default_profile();
  auto profile = make_profile(config->profiles[0], {});
  EXPECT_TRUE(profile.ok()) << profile.status().to_string();
  return profile.ok() ? std::move(*profile) : default_profile();
}

TEST(Configuration, HasUpstreamsDefaults) {
  const auto config = parse_configuration(kHead);
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  ASSERT_EQ(config->profiles.size(), 1U);
  EXPECT_EQ(config->profiles[0].scheduler_name, "default-scheduler");
  EXPECT_EQ(config->pod_initial_backoff, Duration(1s));
  EXPECT_EQ(config->pod_max_backoff, Duration(10s));
  EXPECT_TRUE(config->leader_elect);
  EXPECT_EQ(config->leader_election.lease_duration, Duration(15s));
}

TEST(Configuration, ReadsEverything) {
  const auto config = parse_configuration(kHead + R"(
parallelism: 4
percentageOfNodesToScore: 30
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 20
leaderElection: {leaderElect: false, leaseDuration: 30s}
clientConnection: {kubeconfig: /etc/scheduler.conf, qps: 50, burst: 100}
profiles:
- schedulerName: one
  percentageOfNodesToScore: 70
- schedulerName: two
  pluginConfig:
  - name: NodeResourcesFit
    args:
      ignoredResourceGroups: [example.com]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: example.com/gpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: InterPodAffinity
    args: {hardPodAffinityWeight: 7, ignorePreferredTermsOfExistingPods: true}
  - name: DefaultPreemption
    args: {minCandidateNodesPercentage: 20, minCandidateNodesAbsolute: 5}
  - name: VolumeBinding
    args: {bindTimeoutSeconds: 60}
extenders:
- urlPrefix: http://127.0.0.1:8888/ext
  filterVerb: filter
  prioritizeVerb: rank
  weight: 2
  httpTimeout: 3s
  managedResources: [{name: example.com/gpu, ignoredByScheduler: true}]
)");
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->pod_max_backoff, Duration(20s));
  EXPECT_FALSE(config->leader_elect);
  EXPECT_EQ(config->kubeconfig, "/etc/scheduler.conf");
  ASSERT_EQ(config->profiles.size(), 2U);
  EXPECT_EQ(config->profiles[0].percentage_of_nodes_to_score, 70);
  const ProfileConfig& two = config->profiles[1];
  EXPECT_EQ(two.percentage_of_nodes_to_score, 30);
  EXPECT_EQ(two.args.fit.strategy, FitArgs::Strategy::kRequestedToCapacityRatio);
  ASSERT_EQ(two.args.fit.resources.size(), 2U);
  EXPECT_EQ(two.args.fit.resources[0].weight, 3);
  EXPECT_EQ(two.args.fit.resources[1].weight, 1);
  EXPECT_EQ(two.args.inter_pod_affinity.hard_pod_affinity_weight, 7);
  EXPECT_EQ(two.args.preemption.min_candidate_nodes_absolute, 5);
  EXPECT_EQ(two.args.volume_binding.bind_timeout, Duration(60s));
  ASSERT_EQ(config->extenders.size(), 1U);
  EXPECT_EQ(config->extenders[0].timeout, Duration(3s));
  EXPECT_TRUE(config->extenders[0].managed_resources[0].ignored_by_scheduler);
}

TEST(Configuration, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(error_of("frobnicate: 1"), "frobnicate: Forbidden: unknown field");
  EXPECT_EQ(error_of("profiles: [{plugins: {score: {enabled: [{name: NodeAffinity, wieght: 2}]}}}]"),
            "profiles[0].plugins.score.enabled[0].wieght: Forbidden: unknown field");
  EXPECT_EQ(error_of("percentageOfNodesToScore: 101"),
            "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]");
  EXPECT_EQ(error_of("podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 4"),
            "podMaxBackoffSeconds: Invalid value: 4: must be greater than or equal to PodInitialBackoffSeconds");
  EXPECT_EQ(error_of("profiles: [{schedulerName: a}, {schedulerName: a}]"),
            "profiles[1].schedulerName: Duplicate value: \"a\"");
  EXPECT_EQ(error_of("profiles: [{plugins: {filter: {enabled: [{name: Nonsense}]}}}]"),
            "profiles[0].plugins.filter.enabled[0].name: Not found: \"Nonsense\"");
  EXPECT_EQ(error_of("parallelism: many"), "parallelism: Invalid value: \"many\": must be an integer");
  EXPECT_THAT(
      error_of("profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 200}}]}]"),
      HasSubstr("profiles[0].pluginConfig[0].args.hardPodAffinityWeight: Invalid value: 200: not in valid range "
                "[0, 100]"));
  EXPECT_THAT(error_of("profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]"),
              HasSubstr("profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: \"Best\""));
  EXPECT_THAT(error_of("profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: [{maxSkew: 1, "
                       "topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]}}]}]"),
              HasSubstr("when .defaultConstraints are not empty"));
  EXPECT_THAT(error_of("extenders: [{urlPrefix: http://a, bindVerb: b}, {urlPrefix: http://b, bindVerb: b}]"),
              HasSubstr("only one extender can implement bind"));
  EXPECT_FALSE(parse_configuration("kind: Pod\napiVersion: v1").ok());
}

TEST(Profiles, ArePluginsInUpstreamsOrder) {
  const Profile profile = default_profile();
  EXPECT_THAT(plugins_at(profile, Point::kFilter),
              ElementsAre("NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts",
                          "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity"));
  EXPECT_THAT(plugins_at(profile, Point::kPreEnqueue), ElementsAre("SchedulingGates"));
}

TEST(Profiles, SwitchPluginsOnAndOffPointByPoint) {
  const Profile profile = profile_of(R"({plugins: {
      multiPoint: {enabled: [{name: ImageLocality, weight: 5}], disabled: [{name: NodePorts}]},
      filter: {disabled: [{name: TaintToleration}], enabled: [{name: InterPodAffinity}]},
      score: {disabled: [{name: '*'}], enabled: [{name: NodeAffinity, weight: 9}, {name: NodeResourcesFit}]}}})");
  EXPECT_THAT(plugins_at(profile, Point::kFilter),
              ElementsAre("InterPodAffinity", "NodeUnschedulable", "NodeName", "NodeAffinity", "NodeResourcesFit",
                          "PodTopologySpread"));
  EXPECT_THAT(plugins_at(profile, Point::kScore), ElementsAre("NodeAffinity", "NodeResourcesFit"));
  EXPECT_EQ(profile.at(Point::kScore)[0].weight, 9);
  EXPECT_EQ(profile.at(Point::kScore)[1].weight, 1);
}

TEST(Profiles, RefuseWhatCannotWork) {
  const auto make = [](const std::string& yaml) {
    const auto config = parse_configuration(kHead + "profiles: [" + yaml + "]");
    EXPECT_TRUE(config.ok()) << config.status().to_string();
    return make_profile(config->profiles[0], {}).status().message();
  };
  EXPECT_THAT(make("{plugins: {bind: {enabled: [{name: NodeName}]}}}"), HasSubstr("\"NodeName\" does not serve"));
  EXPECT_THAT(make("{plugins: {queueSort: {disabled: [{name: '*'}]}}}"), HasSubstr("only one queue sort plugin"));
}

/// The chosen one of a busy and a free node.
std::string choice(const std::string& fit_args, const std::string& requests = "{cpu: 1}") {
  Cluster cluster;
  cluster.profile = profile_of(
      "{plugins: {score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit}]}}, "
      "pluginConfig: [{name: NodeResourcesFit, args: " +
      fit_args + "}]}");
  cluster.cache.set_node(make_node("busy", "{}", "{}", "{cpu: 4, memory: 8Gi, pods: 10, example.com/gpu: 4}"));
  cluster.cache.set_node(make_node("free", "{}", "{}", "{cpu: 4, memory: 8Gi, pods: 10, example.com/gpu: 4}"));
  cluster.place("busy", make_info("other", asking("{cpu: 2, memory: 4Gi, example.com/gpu: 2}")));
  return cluster.decide(make_info("p", asking(requests)));
}

TEST(FitArgs, ChooseTheStrategy) {
  EXPECT_EQ(choice("{scoringStrategy: {type: LeastAllocated}}"), "free");
  EXPECT_EQ(choice("{scoringStrategy: {type: MostAllocated}}"), "busy");
  EXPECT_EQ(
      choice("{scoringStrategy: {type: MostAllocated, resources: [{name: example.com/gpu}]}}", "{example.com/gpu: 1}"),
      "busy");
  const std::string ratio = "{scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: ";
  EXPECT_EQ(choice(ratio + "[{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}}"), "busy");
  EXPECT_EQ(choice(ratio + "[{utilization: 0, score: 10}, {utilization: 100, score: 0}]}}}"), "free");
}

TEST(FitArgs, LeaveIgnoredResourcesOut) {
  Cluster cluster;
  cluster.cache.set_node(make_node("n"));
  const auto pod = make_info("p", asking("{example.com/gpu: 1}"));
  EXPECT_EQ(cluster.decide(pod), "0/1 nodes are available: 1 Insufficient example.com/gpu.");
  FitArgs args;
  args.ignored_resource_groups = {"example.com"};
  EXPECT_EQ(cluster.filter(*plugins::node_resources_fit(args), *pod, "n"), "");
  args.ignored_resource_groups = {};
  args.ignored_resources = {"example.com/gpu"};
  EXPECT_EQ(cluster.filter(*plugins::node_resources_fit(args), *pod, "n"), "");
}

TEST(NodeAffinityArgs, AddToEveryPodsAffinity) {
  Cluster cluster;
  cluster.cache.set_node(make_node("a", "{pool: x}"));
  cluster.cache.set_node(make_node("b"));
  cluster.profile = profile_of(R"({pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [
      {key: pool, operator: In, values: [x]}]}]}}}}]})");
  EXPECT_EQ(cluster.decide(make_info("p")), "a");
  cluster.cache.remove_node("a");
  EXPECT_EQ(cluster.decide(make_info("p")),
            "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity.");
}

TEST(TopologySpreadArgs, SpreadByTheirOwnDefaults) {
  Cluster cluster;
  cluster.cache.set_siblings([](const api::corev1::Pod&) { return *api::LabelSelector::parse("app=web"); });
  for (const std::string name : {"a", "b"}) cluster.cache.set_node(make_node(name, "{rack: " + name + "}"));
  cluster.place("a", make_info("w", "{}", "{app: web}"));
  const Profile listed = profile_of(R"({pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List,
      defaultConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]}}]})");
  cluster.profile = listed;
  EXPECT_EQ(cluster.decide(make_info("p", "{}", "{app: web}")), "b");
  cluster.cache.remove_node("b");
  EXPECT_EQ(cluster.decide(make_info("p", "{}", "{app: web}")), "a") << "one domain is always even";
}

}  // namespace
}  // namespace trireme::scheduler
