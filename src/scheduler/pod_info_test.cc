#include "scheduler/pod_info.h"

#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::from_yaml;
using testing::make_info;
using testing::make_pod;

TEST(PodRequests, FollowsTheRulesForInitContainersSidecarsAndOverhead) {
  struct Case {
    const char* name;
    const char* spec;
    int64_t milli_cpu;
    int64_t memory;
  };
  const Case cases[] = {
      {"containers add up",
       "{containers: [{resources: {requests: {cpu: 100m, memory: 1Ki}}}, {resources: {requests: {cpu: 1}}}]}", 1100,
       1024},
      {"the greediest init container counts when it needs more",
       "{initContainers: [{resources: {requests: {cpu: 2}}}, {resources: {requests: {cpu: 3}}}], "
       "containers: [{resources: {requests: {cpu: 1, memory: 5}}}]}",
       3000, 5},
      {"a sidecar runs beside the containers",
       "{initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 500m}}}], "
       "containers: [{resources: {requests: {cpu: 1}}}]}",
       1500, 0},
      {"an init container runs beside the sidecars before it only",
       "{initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 1}}}, "
       "{resources: {requests: {cpu: 3}}}, {restartPolicy: Always, resources: {requests: {cpu: 2}}}], "
       "containers: [{resources: {requests: {cpu: 100m}}}]}",
       4000, 0},
      {"overhead comes on top",
       "{overhead: {cpu: 50m, memory: 10}, initContainers: [{resources: {requests: {cpu: 2}}}], containers: [{}]}",
       2050, 10},
      {"limits do not count", "{containers: [{resources: {limits: {cpu: 1}}}]}", 0, 0},
  };
  for (const Case& each : cases) {
    const Resources requests = pod_requests(*make_pod("p", each.spec));
    EXPECT_EQ(requests.milli_cpu, each.milli_cpu) << each.name;
    EXPECT_EQ(requests.memory, each.memory) << each.name;
  }
}

TEST(PodRequests, CountsExtendedResourcesByName) {
  const Resources requests = pod_requests(
      *make_pod("p", "{containers: [{resources: {requests: {example.com/gpu: 2, hugepages-2Mi: 4Mi, odd: 1}}}]}"));
  EXPECT_EQ(requests.scalar.get("example.com/gpu"), 2);
  EXPECT_EQ(requests.scalar.get("hugepages-2Mi"), 4 << 20);
  EXPECT_EQ(requests.scalar.size(), 2U);
  EXPECT_FALSE(requests.nothing());
}

TEST(PodInfo, FillsInMissingRequestsForScoringOnly) {
  const PodInfoPointer info = make_info("p", "{containers: [{}, {resources: {requests: {cpu: 0, memory: 1Mi}}}]}");
  EXPECT_EQ(info->requests.milli_cpu, 0);
  EXPECT_EQ(info->non_zero_milli_cpu, 100);
  EXPECT_EQ(info->non_zero_memory, 201LL << 20);
}

TEST(HostPort, ConflictsByAddressProtocolAndPort) {
  const HostPort any{"0.0.0.0", "TCP", 80};
  const HostPort one{"10.0.0.1", "TCP", 80};
  EXPECT_TRUE(any.conflicts(one));
  EXPECT_TRUE(one.conflicts(any));
  EXPECT_TRUE(one.conflicts(one));
  EXPECT_FALSE(one.conflicts({"10.0.0.2", "TCP", 80}));
  EXPECT_FALSE(any.conflicts({"0.0.0.0", "UDP", 80}));
  EXPECT_FALSE(any.conflicts({"0.0.0.0", "TCP", 81}));
}

TEST(AffinityTerm, MatchesByNamespaceAndLabels) {
  struct Case {
    const char* name;
    const char* term;
    bool matches;
  };
  // The other pod is in "default", labelled app=web; its namespace is labelled team=a.
  const Case cases[] = {
      {"own namespace", "{labelSelector: {matchLabels: {app: web}}}", true},
      {"other label", "{labelSelector: {matchLabels: {app: db}}}", false},
      {"no selector", "{}", false},
      {"empty selector", "{labelSelector: {}}", true},
      {"listed namespace", "{namespaces: [default, other], labelSelector: {}}", true},
      {"other namespace", "{namespaces: [other], labelSelector: {}}", false},
      {"namespace selector", "{namespaceSelector: {matchLabels: {team: a}}, labelSelector: {}}", true},
      {"namespace selector that differs", "{namespaceSelector: {matchLabels: {team: b}}, labelSelector: {}}", false},
      {"all namespaces", "{namespaceSelector: {}, labelSelector: {}}", true},
      {"label key of the owner", "{matchLabelKeys: [version], labelSelector: {}}", false},
      {"label key of the owner, to differ", "{mismatchLabelKeys: [version], labelSelector: {}}", true},
  };
  const PodPointer owner = make_pod("owner", "{}", "{version: '2'}");
  const PodPointer other = make_pod("other", "{}", "{app: web, version: '1'}");
  const Labels namespace_labels = {{"team", "a"}};
  for (const Case& each : cases) {
    const AffinityTerm term(*owner, *from_yaml<api::corev1::PodAffinityTerm>(each.term));
    EXPECT_EQ(term.matches(*other, &namespace_labels), each.matches) << each.name;
  }
}

}  // namespace
}  // namespace trireme::scheduler
