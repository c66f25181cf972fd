#include "api/quota/evaluator.h"

#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/types/appsv1.h"

namespace trireme::api::quota {
namespace {

using corev1::PersistentVolumeClaim;
using corev1::Pod;
using corev1::Secret;
using corev1::Service;

const WallTime kNow = Time::from_unix(1'700'000'000).wall();

template <typename T>
T parse(const std::string& json) {
  Result<T> object = decode_json<T>(json);
  EXPECT_TRUE(object.ok()) << object.status().to_string() << json;
  return object.ok() ? *object : T();
}

template <typename T>
std::string cost(const std::string& json) {
  const T object = parse<T>(json);
  return to_string(Evaluator::of(resource_of<T>()).usage(&object, kNow));
}

TEST(QuotaUsage, PodsCostWhatTheyRequest) {
  const std::string containers = R"("spec":{"containers":[
      {"name":"a","resources":{"requests":{"cpu":"100m","memory":"1Gi","hugepages-2Mi":"4Mi","example.com/gpu":"2"},
                               "limits":{"cpu":"1","ephemeral-storage":"3Gi"}}},
      {"name":"b","resources":{"requests":{"cpu":"150m","ephemeral-storage":"1Gi"}}}],
      "initContainers":[{"name":"i","resources":{"requests":{"cpu":"50m","memory":"2Gi"}}}]})";
  EXPECT_EQ(cost<Pod>("{" + containers + "}"),
            "count/pods=1,cpu=250m,ephemeral-storage=1Gi,hugepages-2Mi=4Mi,limits.cpu=1,limits.ephemeral-storage=3Gi,"
            "memory=2Gi,pods=1,requests.cpu=250m,requests.ephemeral-storage=1Gi,requests.example.com/gpu=2,"
            "requests.hugepages-2Mi=4Mi,requests.memory=2Gi");
  EXPECT_EQ(cost<Pod>(R"({"status":{"phase":"Succeeded"},)" + containers + "}"), "count/pods=1");
  const std::string deleted = R"({"metadata":{"deletionGracePeriodSeconds":30,"deletionTimestamp":")";
  EXPECT_EQ(cost<Pod>(deleted + Time(kNow - std::chrono::seconds(31)).to_string() + R"("}})"), "count/pods=1");
  EXPECT_EQ(cost<Pod>(deleted + Time(kNow - std::chrono::seconds(29)).to_string() + R"("}})"), "count/pods=1,pods=1");
}

TEST(QuotaUsage, ServicesCostTheirPorts) {
  const std::string ports = R"("ports":[{"port":1},{"port":2,"nodePort":30001}])";
  struct Case {
    std::string spec;
    std::string cost;
  };
  for (const Case& each : std::vector<Case>{
           {"", "count/services=1,services=1,services.loadbalancers=0,services.nodeports=0"},
           {R"("type":"NodePort",)", "count/services=1,services=1,services.loadbalancers=0,services.nodeports=2"},
           {R"("type":"LoadBalancer",)", "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"},
           {R"("type":"LoadBalancer","allocateLoadBalancerNodePorts":false,)",
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=1"}}) {
    EXPECT_EQ(cost<Service>(R"({"spec":{)" + each.spec + ports + "}}"), each.cost) << each.spec;
  }
}

TEST(QuotaUsage, ClaimsCostStorageAlsoPerClass) {
  EXPECT_EQ(cost<PersistentVolumeClaim>(R"({"spec":{"resources":{"requests":{"storage":"1Gi"}}}})"),
            "count/persistentvolumeclaims=1,persistentvolumeclaims=1,requests.storage=1Gi");
  EXPECT_EQ(cost<PersistentVolumeClaim>(R"({"spec":{"storageClassName":"gold","resources":{"requests":
                {"storage":"1Gi"}}},"status":{"allocatedResources":{"storage":"2Gi"}}})"),
            "count/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,"
            "gold.storageclass.storage.k8s.io/requests.storage=2Gi,persistentvolumeclaims=1,requests.storage=2Gi");
}

TEST(QuotaUsage, OthersCountByNumber) {
  EXPECT_EQ(cost<Secret>("{}"), "count/secrets=1,secrets=1");
  EXPECT_EQ(cost<appsv1::Deployment>("{}"), "count/deployments.apps=1");
}

TEST(QuotaTracks, ByKind) {
  const Evaluator pods = Evaluator::of(resource_of<Pod>());
  const Evaluator claims = Evaluator::of(resource_of<PersistentVolumeClaim>());
  for (const char* name : {"pods", "cpu", "limits.memory", "requests.example.com/gpu", "hugepages-1Gi", "count/pods",
                           "requests.hugepages-2Mi"}) {
    EXPECT_TRUE(pods.tracks(name)) << name;
    EXPECT_FALSE(claims.tracks(name)) << name;
  }
  for (const char* name :
       {"requests.storage", "persistentvolumeclaims", "gold.storageclass.storage.k8s.io/requests.storage"}) {
    EXPECT_FALSE(pods.tracks(name)) << name;
    EXPECT_TRUE(claims.tracks(name)) << name;
  }
  EXPECT_FALSE(pods.tracks("example.com/gpu")) << "extended resources are limited as requests only";
  EXPECT_TRUE(Evaluator::of(resource_of<Secret>()).tracks("secrets"));
  EXPECT_FALSE(Evaluator::of(resource_of<appsv1::Deployment>()).tracks("deployments"));
}

TEST(QuotaScopes, SelectPods) {
  const Pod plain = parse<Pod>(R"({"spec":{"containers":[{"name":"a"}]}})");
  const Pod job = parse<Pod>(R"({"spec":{"activeDeadlineSeconds":60,"priorityClassName":"high","containers":
      [{"name":"a","resources":{"requests":{"cpu":"1"}}}],"affinity":{"podAntiAffinity":
      {"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":{"namespaces":["x"]}}]}}}})");
  struct Case {
    const char* quota;
    bool plain;
    bool job;
  };
  const auto selector = [](const std::string& op) {
    return R"({"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass",)" + op + "}]}}";
  };
  const std::string in = selector(R"("operator":"In","values":["high"])");
  const std::string not_in = selector(R"("operator":"NotIn","values":["high"])");
  const std::string exists = selector(R"("operator":"Exists")");
  const std::string absent = selector(R"("operator":"DoesNotExist")");
  const Evaluator pods = Evaluator::of(resource_of<Pod>());
  const Evaluator services = Evaluator::of(resource_of<Service>());
  const Service service;
  for (const Case& each : std::vector<Case>{{R"({"scopes":["Terminating"]})", false, true},
                                            {R"({"scopes":["NotTerminating"]})", true, false},
                                            {R"({"scopes":["BestEffort"]})", true, false},
                                            {R"({"scopes":["NotBestEffort"]})", false, true},
                                            {R"({"scopes":["NotBestEffort","NotTerminating"]})", false, false},
                                            {R"({"scopes":["PriorityClass"]})", false, true},
                                            {R"({"scopes":["CrossNamespacePodAffinity"]})", false, true},
                                            {in.c_str(), false, true},
                                            {not_in.c_str(), true, false},
                                            {exists.c_str(), false, true},
                                            {absent.c_str(), true, false}}) {
    const auto quota = parse<corev1::ResourceQuotaSpec>(each.quota);
    EXPECT_EQ(pods.in_scopes(quota, &plain), each.plain) << each.quota;
    EXPECT_EQ(pods.in_scopes(quota, &job), each.job) << each.quota;
    EXPECT_FALSE(services.in_scopes(quota, &service)) << each.quota;
  }
  EXPECT_TRUE(services.in_scopes({}, &service));
}

TEST(QuotaConstraints, ComputeMustBeNamed) {
  const Pod pod = parse<Pod>(R"({"spec":{"containers":[{"name":"b"},{"name":"a","resources":{"requests":
      {"cpu":"1"}}}],"initContainers":[{"name":"i"}]}})");
  const Evaluator pods = Evaluator::of(resource_of<Pod>());
  EXPECT_EQ(pods.missing({"requests.cpu", "limits.memory", "pods", "ephemeral-storage"}, &pod),
            "must specify limits.memory for: a,b,i; requests.cpu for: b,i");
  EXPECT_EQ(pods.missing({"pods", "hugepages-2Mi"}, &pod), "");
}

}  // namespace
}  // namespace trireme::api::quota
