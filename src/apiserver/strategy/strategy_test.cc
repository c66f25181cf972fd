#include "apiserver/strategy/strategy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/defaults/defaults.h"
#include "api/pod_resources.h"
#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "api/types/eventsv1.h"
#include "api/types/policyv1.h"

namespace trireme::apiserver::strategy {
namespace {

using namespace api;  // NOLINT: kinds of several groups
using testing::ElementsAre;
using testing::IsEmpty;

const WallTime kNow = Time::parse("2025-03-01T12:00:00Z")->wall();

template <typename T>
Object object(std::string_view json) {
  Result<T> decoded = decode_json<T>(json);
  EXPECT_TRUE(decoded.ok()) << decoded.status().to_string();
  apply_defaults(*decoded);
  return Object::of(std::move(*decoded));
}

TEST(StrategyTest, CreateClearsWhatOnlyTheServerWrites) {
  Object pod = object<corev1::Pod>(R"({"metadata": {"name": "p", "generation": 7, "resourceVersion": "3",
      "deletionTimestamp": "2025-01-01T00:00:00Z"}, "status": {"phase": "Running", "message": "x"}})");
  prepare_for_create(pod, kNow);
  EXPECT_EQ(pod.metadata().generation, 0);
  EXPECT_EQ(pod.metadata().resource_version, "");
  EXPECT_FALSE(pod.metadata().deletion_timestamp.has_value());
  EXPECT_EQ(encode_json(pod.as<corev1::Pod>()->status), R"({"phase":"Pending","qosClass":"BestEffort"})");

  Object deployment = object<appsv1::Deployment>(R"({"status": {"replicas": 5}})");
  prepare_for_create(deployment, kNow);
  EXPECT_EQ(deployment.metadata().generation, 1);
  EXPECT_EQ(deployment.as<appsv1::Deployment>()->status.replicas, 0);

  Object node = object<corev1::Node>(R"({"status": {"phase": "Running"}})");
  prepare_for_create(node, kNow);
  EXPECT_EQ(node.as<corev1::Node>()->status.phase, "Running");
}

TEST(StrategyTest, UpdatesKeepStatusAndCountSpecificationChanges) {
  const Object old = object<appsv1::Deployment>(R"({"metadata": {"name": "d", "uid": "u", "generation": 4,
      "creationTimestamp": "2025-01-01T00:00:00Z"}, "spec": {"replicas": 1}, "status": {"replicas": 1}})");
  Object same = old.clone();
  same.metadata().labels["a"] = "b";
  same.metadata().generation = 9;
  same.metadata().creation_timestamp = Time();
  same.as<appsv1::Deployment>()->status.replicas = 9;
  prepare_for_update(same, old, kNow);
  EXPECT_EQ(same.metadata().generation, 4);
  EXPECT_EQ(same.metadata().creation_timestamp, old.metadata().creation_timestamp);
  EXPECT_EQ(same.as<appsv1::Deployment>()->status.replicas, 1);

  Object scaled = old.clone();
  scaled.as<appsv1::Deployment>()->spec.replicas = 2;
  prepare_for_update(scaled, old, kNow);
  EXPECT_EQ(scaled.metadata().generation, 5);

  Object annotated = old.clone();
  annotated.metadata().annotations["a"] = "b";
  prepare_for_update(annotated, old, kNow);
  EXPECT_EQ(annotated.metadata().generation, 5);
}

TEST(StrategyTest, StatusWritesChangeNothingElse) {
  const Object old = object<corev1::Pod>(R"({"metadata": {"name": "p", "ownerReferences": [{"name": "o"}]},
      "spec": {"nodeName": "n"}, "status": {"phase": "Pending", "qosClass": "Burstable"}})");
  Object updated = object<corev1::Pod>(R"({"metadata": {"name": "p", "labels": {"l": "1"}},
      "spec": {"nodeName": "other"}, "status": {"phase": "Running"}})");
  prepare_for_subresource_update(updated, old, "status", kNow);
  const auto& pod = *updated.as<corev1::Pod>();
  EXPECT_EQ(pod.spec.node_name, "n");
  EXPECT_EQ(pod.status.phase, "Running");
  EXPECT_EQ(pod.status.qos_class, "Burstable");
  EXPECT_EQ(pod.metadata.labels.at("l"), "1");
  EXPECT_EQ(pod.metadata.owner_references.size(), 1u);
}

TEST(StrategyTest, Namespaces) {
  Object ns = object<corev1::Namespace>(R"({"metadata": {"name": "n"}})");
  prepare_for_create(ns, kNow);
  auto* typed = ns.as<corev1::Namespace>();
  EXPECT_THAT(typed->spec.finalizers, ElementsAre("kubernetes"));
  EXPECT_EQ(typed->status.phase, "Active");
  Object updated = ns.clone();
  updated.as<corev1::Namespace>()->spec.finalizers.clear();
  prepare_for_update(updated, ns, kNow);
  EXPECT_THAT(updated.as<corev1::Namespace>()->spec.finalizers, ElementsAre("kubernetes"));
  updated.as<corev1::Namespace>()->spec.finalizers.clear();
  prepare_for_subresource_update(updated, ns, "finalize", kNow);
  EXPECT_THAT(updated.as<corev1::Namespace>()->spec.finalizers, IsEmpty());
}

TEST(StrategyTest, JobsSelectTheirPodsByUid) {
  Object job = object<batchv1::Job>(R"({"metadata": {"name": "j", "uid": "u1"}})");
  prepare_for_create(job, kNow);
  const auto& spec = job.as<batchv1::Job>()->spec;
  EXPECT_EQ(spec.selector->match_labels.at("batch.kubernetes.io/controller-uid"), "u1");
  EXPECT_EQ(spec.template_.metadata.labels.at("batch.kubernetes.io/job-name"), "j");
  EXPECT_EQ(spec.template_.metadata.labels.at("controller-uid"), "u1");
}

TEST(StrategyTest, ServicesKeepWhatWasAllocated) {
  const Object old = object<corev1::Service>(R"({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1",
      "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "nodePort": 30080}]}})");
  Object updated = object<corev1::Service>(R"({"spec": {"type": "NodePort", "ports": [{"port": 80}]}})");
  prepare_for_update(updated, old, kNow);
  const auto* spec = &updated.as<corev1::Service>()->spec;
  EXPECT_EQ(spec->cluster_ip, "10.0.0.1");
  EXPECT_THAT(spec->cluster_ips, ElementsAre("10.0.0.1"));
  EXPECT_EQ(spec->ports[0].node_port, 30080);

  Object plain = old.clone();
  plain.as<corev1::Service>()->spec.type = "ClusterIP";
  prepare_for_update(plain, old, kNow);
  EXPECT_EQ(plain.as<corev1::Service>()->spec.ports[0].node_port, 0);
  EXPECT_EQ(plain.as<corev1::Service>()->spec.external_traffic_policy, "");
}

TEST(StrategyTest, GracePeriods) {
  auto pod = [](std::string_view rest) {
    return object<corev1::Pod>(R"({"spec": {"terminationGracePeriodSeconds": 20, )" + std::string(rest));
  };
  const Object running = pod(R"("nodeName": "n"}, "status": {"phase": "Running"}})");
  EXPECT_EQ(grace_period(running, std::nullopt), 20);
  EXPECT_EQ(grace_period(running, 5), 5);
  EXPECT_EQ(grace_period(running, 0), 0);
  EXPECT_EQ(grace_period(running, -1), 1);
  EXPECT_EQ(grace_period(pod(R"("nodeName": ""}})"), std::nullopt), 0);
  EXPECT_EQ(grace_period(pod(R"("nodeName": "n"}, "status": {"phase": "Failed"}})"), 10), 0);
  EXPECT_EQ(grace_period(object<corev1::ConfigMap>("{}"), 10), std::nullopt);
}

TEST(StrategyTest, QosClasses) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({})", "BestEffort"},
      {R"({"requests": {"cpu": "1"}})", "Burstable"},
      {R"({"limits": {"cpu": "1"}})", "Burstable"},
      {R"({"limits": {"cpu": "1", "memory": "1Gi"}})", "Guaranteed"},
      {R"({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})", "Burstable"},
      {R"({"limits": {"example.com/gpu": "1"}})", "BestEffort"},
  };
  for (const auto& [resources, expected] : cases) {
    const Object pod =
        object<corev1::Pod>(R"({"spec": {"containers": [{"resources": )" + std::string(resources) + "}]}}");
    EXPECT_EQ(api::qos_class(pod.as<corev1::Pod>()->spec), expected) << resources;
  }
}

TEST(StrategyTest, WhoMayOverwrite) {
  EXPECT_TRUE(allow_create_on_update(type_info<coordinationv1::Lease>()));
  EXPECT_FALSE(allow_create_on_update(type_info<corev1::Pod>()));
  EXPECT_TRUE(allow_unconditional_update(type_info<corev1::Pod>()));
  EXPECT_FALSE(allow_unconditional_update(type_info<coordinationv1::Lease>()));
  EXPECT_FALSE(allow_unconditional_update(type_info<policyv1::PodDisruptionBudget>()));
}

TEST(StrategyTest, SelectableFields) {
  const Object pod = object<corev1::Pod>(R"({"metadata": {"name": "p", "namespace": "ns"},
      "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})");
  EXPECT_EQ(field_value(pod, "metadata.name"), "p");
  EXPECT_EQ(field_value(pod, "metadata.namespace"), "ns");
  EXPECT_EQ(field_value(pod, "spec.nodeName"), "n1");
  EXPECT_EQ(field_value(pod, "spec.hostNetwork"), "false");
  EXPECT_EQ(field_value(pod, "status.phase"), "Running");
  EXPECT_FALSE(field_supported(pod.type(), "spec.containers"));
  const Object event = object<corev1::Event>(R"({"involvedObject": {"kind": "Pod", "name": "p"},
      "reportingComponent": "kubelet"})");
  EXPECT_EQ(field_value(event, "involvedObject.name"), "p");
  EXPECT_EQ(field_value(event, "source"), "kubelet");
  EXPECT_TRUE(field_supported(type_info<eventsv1::Event>(), "regarding.kind"));
}

TEST(StrategyTest, Warnings) {
  const Object pod = object<corev1::Pod>(R"({"spec": {
      "nodeSelector": {"beta.kubernetes.io/os": "linux"},
      "volumes": [{"name": "g", "gitRepo": {"repository": "r"}}],
      "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                      "resources": {"limits": {"memory": "100m"}}}]}})");
  EXPECT_THAT(warnings_on_create(pod),
              ElementsAre("spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" "
                          "instead",
                          "spec.volumes[0].gitRepo: deprecated in v1.11",
                          "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, "
                          "must be an integer",
                          "spec.containers[0].resources.requests[memory]: fractional byte value \"100m\" is invalid, "
                          "must be an integer",
                          "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when "
                          "using apply"));
  EXPECT_THAT(warnings_on_create(object<corev1::ConfigMap>("{}")), IsEmpty());
}

}  // namespace
}  // namespace trireme::apiserver::strategy
