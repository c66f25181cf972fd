#include "api/defaults/defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/types/appsv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/batchv1.h"
#include "api/types/networkingv1.h"
#include "api/types/rbacv1.h"

namespace trireme::api {
namespace {

template <typename T>
T defaulted(std::string_view json) {
  Result<T> object = decode_json<T>(json);
  EXPECT_TRUE(object.ok()) << object.status().to_string();
  apply_defaults(*object);
  return std::move(*object);
}

TEST(DefaultsTest, PullPolicyFollowsTheTag) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"nginx", "Always"},
      {"nginx:latest", "Always"},
      {"nginx:1.27", "IfNotPresent"},
      {"localhost:5000/nginx", "Always"},
      {"localhost:5000/nginx:v1", "IfNotPresent"},
      {"nginx@sha256:0123", "IfNotPresent"},
      {"nginx:latest@sha256:0123", "Always"},
      {"", "IfNotPresent"},
  };
  for (const auto& [image, policy] : cases) EXPECT_EQ(default_pull_policy(image), policy) << image;
}

TEST(DefaultsTest, APodGetsWhatTheKubeletNeeds) {
  const auto pod = defaulted<corev1::Pod>(R"({
    "metadata": {"name": "web"},
    "spec": {
      "serviceAccount": "builder",
      "containers": [{
        "name": "c", "image": "nginx",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "livenessProbe": {"httpGet": {"port": 80}},
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}
      }],
      "volumes": [{"name": "none"}, {"name": "host", "hostPath": {"path": "/x"}}, {"name": "cm", "configMap": {"name": "m"}}]
    }})");
  const auto& spec = pod.spec;
  EXPECT_EQ(spec.restart_policy, "Always");
  EXPECT_EQ(spec.dns_policy, "ClusterFirst");
  EXPECT_EQ(spec.scheduler_name, "default-scheduler");
  EXPECT_EQ(spec.termination_grace_period_seconds, 30);
  EXPECT_EQ(spec.enable_service_links, true);
  EXPECT_TRUE(spec.security_context.has_value());
  EXPECT_EQ(spec.service_account_name, "builder");
  const auto& container = spec.containers[0];
  EXPECT_EQ(container.image_pull_policy, "Always");
  EXPECT_EQ(container.termination_message_path, "/dev/termination-log");
  EXPECT_EQ(container.termination_message_policy, "File");
  EXPECT_EQ(container.ports[0].protocol, "TCP");
  EXPECT_EQ(container.env[0].value_from->field_ref->api_version, "v1");
  EXPECT_EQ(container.liveness_probe->period_seconds, 10);
  EXPECT_EQ(container.liveness_probe->failure_threshold, 3);
  EXPECT_EQ(container.liveness_probe->probe_handler.http_get->path, "/");
  EXPECT_EQ(container.liveness_probe->probe_handler.http_get->scheme, "HTTP");
  EXPECT_EQ(container.resources.requests.at("cpu").to_string(), "1");
  EXPECT_EQ(container.resources.requests.at("memory").to_string(), "1Gi");
  EXPECT_TRUE(spec.volumes[0].volume_source.empty_dir.has_value());
  EXPECT_EQ(spec.volumes[1].volume_source.host_path->type, "");
  EXPECT_FALSE(spec.volumes[1].volume_source.empty_dir.has_value());
  EXPECT_EQ(spec.volumes[2].volume_source.config_map->default_mode, 0644);
}

TEST(DefaultsTest, DefaultsAreIdempotent) {
  auto pod = defaulted<corev1::Pod>(R"({"spec": {"hostNetwork": true, "containers": [
    {"name": "c", "image": "a:1", "ports": [{"containerPort": 80}]}]}})");
  EXPECT_EQ(pod.spec.containers[0].ports[0].host_port, 80);
  const std::string once = encode_json(pod);
  apply_defaults(pod);
  EXPECT_EQ(encode_json(pod), once);
}

TEST(DefaultsTest, TemplatesGetNoRequestsOrServiceLinks) {
  const auto deployment = defaulted<appsv1::Deployment>(R"({"spec": {"template": {"spec": {"containers": [
    {"name": "c", "image": "a", "resources": {"limits": {"cpu": "1"}}}]}}}})");
  const auto& spec = deployment.spec;
  EXPECT_EQ(spec.replicas, 1);
  EXPECT_EQ(spec.strategy.type, "RollingUpdate");
  EXPECT_EQ(spec.strategy.rolling_update->max_surge, IntOrString("25%"));
  EXPECT_EQ(spec.revision_history_limit, 10);
  EXPECT_EQ(spec.progress_deadline_seconds, 600);
  EXPECT_TRUE(spec.template_.spec.containers[0].resources.requests.empty());
  EXPECT_FALSE(spec.template_.spec.enable_service_links.has_value());
}

TEST(DefaultsTest, Services) {
  const auto service = defaulted<corev1::Service>(
      R"({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 81, "targetPort": "web"}]}})");
  EXPECT_EQ(service.spec.session_affinity, "None");
  EXPECT_EQ(service.spec.external_traffic_policy, "Cluster");
  EXPECT_EQ(service.spec.internal_traffic_policy, "Cluster");
  EXPECT_EQ(service.spec.allocate_load_balancer_node_ports, true);
  EXPECT_EQ(service.spec.ports[0].target_port, IntOrString(80));
  EXPECT_EQ(service.spec.ports[1].target_port, IntOrString("web"));
  EXPECT_EQ(service.spec.ports[0].protocol, "TCP");

  const auto sticky = defaulted<corev1::Service>(R"({"spec": {"sessionAffinity": "ClientIP"}})");
  EXPECT_EQ(sticky.spec.type, "ClusterIP");
  EXPECT_EQ(sticky.spec.external_traffic_policy, "");
  EXPECT_EQ(sticky.spec.session_affinity_config->client_ip->timeout_seconds, 10800);
}

TEST(DefaultsTest, SecretsTakeTheirStringData) {
  const auto secret =
      defaulted<corev1::Secret>(R"({"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new", "c": "c"}})");
  EXPECT_EQ(secret.type, "Opaque");
  EXPECT_TRUE(secret.string_data.empty());
  EXPECT_EQ(secret.data.at("a"), "new");
  EXPECT_EQ(secret.data.at("b"), "b");
  EXPECT_EQ(secret.data.at("c"), "c");
}

TEST(DefaultsTest, OtherKinds) {
  EXPECT_EQ(
      defaulted<corev1::Namespace>(R"({"metadata": {"name": "n"}})").metadata.labels.at("kubernetes.io/metadata.name"),
      "n");
  const auto job = defaulted<batchv1::Job>(R"({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})");
  EXPECT_EQ(job.spec.completions, 1);
  EXPECT_EQ(job.spec.parallelism, 1);
  EXPECT_EQ(job.spec.backoff_limit, 6);
  EXPECT_EQ(job.metadata.labels.at("a"), "b");
  const auto binding = defaulted<rbacv1::RoleBinding>(
      R"({"subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}]})");
  EXPECT_EQ(binding.role_ref.api_group, "rbac.authorization.k8s.io");
  EXPECT_EQ(binding.subjects[0].api_group, "rbac.authorization.k8s.io");
  EXPECT_EQ(binding.subjects[1].api_group, "");
  const auto policy = defaulted<networkingv1::NetworkPolicy>(R"({"spec": {"egress": [{}]}})");
  EXPECT_THAT(policy.spec.policy_types, testing::ElementsAre("Ingress", "Egress"));
  const auto scaler = defaulted<autoscalingv2::HorizontalPodAutoscaler>(R"({"spec": {}})");
  EXPECT_EQ(scaler.spec.min_replicas, 1);
  EXPECT_EQ(scaler.spec.metrics[0].resource->target.average_utilization, 80);
  const auto set =
      defaulted<appsv1::StatefulSet>(R"({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"}}]}})");
  EXPECT_EQ(set.spec.pod_management_policy, "OrderedReady");
  EXPECT_EQ(set.spec.update_strategy.rolling_update->partition, 0);
  EXPECT_EQ(set.spec.volume_claim_templates[0].spec.volume_mode, "Filesystem");
  EXPECT_EQ(set.spec.volume_claim_templates[0].status.phase, "Pending");
}

TEST(DefaultsTest, RequestsFinerThanAThousandthAreRoundedUp) {
  const auto pod = defaulted<corev1::Pod>(
      R"({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100500u"}}}]}})");
  EXPECT_EQ(pod.spec.containers[0].resources.requests.at("cpu").to_string(), "101m");
}

}  // namespace
}  // namespace trireme::api
