#include "api/validation/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/defaults/defaults.h"
#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/networkingv1.h"
#include "api/types/rbacv1.h"
#include "api/types/storagev1.h"
#include "api/validation/equal.h"

namespace trireme::api::validation {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

std::vector<std::string> text(const std::vector<StatusCause>& causes) {
  std::vector<std::string> out;
  for (const auto& cause : causes) out.push_back(cause.field + ": " + cause.message);
  return out;
}

template <typename T>
Object object(std::string_view json) {
  Result<T> decoded = decode_json<T>(json);
  EXPECT_TRUE(decoded.ok()) << decoded.status().to_string();
  apply_defaults(*decoded);
  auto& meta = decoded->metadata;
  if (meta.resource_version.empty()) meta.resource_version = "1";
  return Object::of(std::move(*decoded));
}

template <typename T>
std::vector<std::string> create(std::string_view json) {
  return text(validate_create(object<T>(json)));
}

template <typename T>
std::vector<std::string> update(std::string_view updated, std::string_view old) {
  return text(validate_update(object<T>(updated), object<T>(old)));
}

std::string pod_with(std::string_view spec, std::string_view container = "") {
  std::string json =
      R"({"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [{"name": "c", "image": "i")";
  if (!container.empty()) json.append(", ").append(container);
  json += "}]";
  if (!spec.empty()) json.append(", ").append(spec);
  return json + "}}";
}

TEST(ValidationTest, AMinimalPodIsValid) { EXPECT_THAT(create<corev1::Pod>(pod_with("")), IsEmpty()); }

TEST(ValidationTest, PodsNeedNamesImagesAndContainers) {
  EXPECT_THAT(create<corev1::Pod>(R"({"metadata": {"name": "UPPER", "namespace": "ns"}, "spec": {"containers": []}})"),
              ElementsAre("metadata.name: Invalid value: \"UPPER\": a lowercase RFC 1123 subdomain must consist of "
                          "lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric "
                          "character (e.g. 'example.com', regex used for validation is "
                          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                          "spec.containers: Required value"));
  EXPECT_THAT(create<corev1::Pod>(R"({"metadata": {"name": "p", "namespace": "ns"}, "spec": {"containers": [{}]}})"),
              ElementsAre("spec.containers[0].name: Required value", "spec.containers[0].image: Required value"));
}

struct PodCase {
  std::string_view spec;
  std::string_view container;
  std::string_view error;
};

TEST(ValidationTest, PodFields) {
  const PodCase cases[] = {
      {R"("restartPolicy": "Sometimes")", "",
       R"(spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never")"},
      {R"("activeDeadlineSeconds": 0)", "",
       "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"},
      {R"("volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}])", "",
       "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"},
      {"", R"("volumeMounts": [{"name": "gone", "mountPath": "/x"}])",
       R"(spec.containers[0].volumeMounts[0].name: Not found: "gone")"},
      {"", R"("ports": [{"containerPort": 70000}])",
       "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
      {"", R"("ports": [{"containerPort": 80, "protocol": "ICMP"}])",
       R"(spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP")"},
      {"", R"("resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})",
       R"(spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1)"},
      {"", R"("resources": {"requests": {"memory": "-1"}})",
       R"(spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0)"},
      {"", R"("resources": {"requests": {"storage": "1"}})",
       R"(spec.containers[0].resources.requests[storage]: Invalid value: "storage": must be a standard resource for containers)"},
      {"", R"("resources": {"requests": {"example.com/gpu": "1"}})",
       "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"},
      {"", R"("livenessProbe": {"httpGet": {"port": 80}, "exec": {"command": ["x"]}})",
       "spec.containers[0].livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"},
      {"", R"("livenessProbe": {"httpGet": {"port": 80}, "successThreshold": 2})",
       "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"},
      {"", R"("env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.wrong"}}}])",
       R"(spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.wrong": error converting fieldPath: field label not supported: spec.wrong)"},
      {"", R"("env": [{"name": "A=B"}])",
       R"(spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '=')"},
      {R"("tolerations": [{"operator": "Equal", "value": "v"}])", "",
       R"(spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys")"},
      {R"("topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}])", "",
       "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"},
      {R"("hostAliases": [{"ip": "300.1.1.1"}])", "",
       R"(spec.hostAliases[0].ip: Invalid value: "300.1.1.1": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff))"},
      {R"("dnsPolicy": "None")", "",
       "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
      {R"("securityContext": {"runAsUser": -1})", "",
       "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"},
      {R"("securityContext": {"seccompProfile": {"type": "Localhost"}})", "",
       "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is "
       "Localhost"},
      {R"("initContainers": [{"name": "c", "image": "i"}])", "",
       R"(spec.initContainers[0].name: Duplicate value: "c")"},
      {R"("schedulingGates": [{"name": "a"}], "nodeName": "n")", "",
       "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"},
      {R"("ephemeralContainers": [{"name": "e", "image": "i"}])", "",
       "spec.ephemeralContainers: Forbidden: cannot be set on create"},
      {R"("affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}})",
       "",
       "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: "
       "must have at least one node selector term"},
  };
  for (const PodCase& each : cases) {
    EXPECT_THAT(create<corev1::Pod>(pod_with(each.spec, each.container)), ElementsAre(std::string(each.error)))
        << each.spec << each.container;
  }
}

TEST(ValidationTest, PodUpdatesMayChangeLittle) {
  const std::string old = pod_with(R"("tolerations": [{"key": "a", "operator": "Exists"}])");
  EXPECT_THAT(update<corev1::Pod>(old, old), IsEmpty());
  std::string image = old;
  image.replace(image.find(R"("i")"), 3, R"("j")");
  EXPECT_THAT(update<corev1::Pod>(image, old), IsEmpty());
  EXPECT_THAT(
      update<corev1::Pod>(
          pod_with(R"("tolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}])"), old),
      IsEmpty());
  EXPECT_THAT(update<corev1::Pod>(pod_with(""), old),
              ElementsAre("spec.tolerations: Forbidden: existing toleration can not be modified except its "
                          "tolerationSeconds"));
  const auto errors =
      update<corev1::Pod>(pod_with(R"("hostNetwork": true, "tolerations": [{"key": "a", "operator": "Exists"}])"), old);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_THAT(errors[0], StartsWith("spec: Forbidden: pod updates may not change fields other than "
                                    "`spec.containers[*].image`,`spec.initContainers[*].image`,"
                                    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                                    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                                    "was previously negative)\n  hostNetwork: unset -> true"))
      << errors[0];
}

TEST(ValidationTest, GatedPodsMayNarrowTheirNodes) {
  const std::string old = pod_with(R"("schedulingGates": [{"name": "g"}], "nodeSelector": {"a": "1"})");
  EXPECT_THAT(
      update<corev1::Pod>(pod_with(R"("schedulingGates": [{"name": "g"}], "nodeSelector": {"a": "1", "b": "2"})"), old),
      IsEmpty());
  EXPECT_THAT(update<corev1::Pod>(pod_with(R"("nodeSelector": {"a": "1"})"), old), IsEmpty());
  EXPECT_THAT(update<corev1::Pod>(pod_with(R"("schedulingGates": [{"name": "h"}], "nodeSelector": {"a": "1"})"), old),
              ElementsAre("spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling "
                          "gate 'h'"));
}

TEST(ValidationTest, MetadataIsCheckedOnUpdate) {
  const std::string old = R"({"metadata": {"name": "m", "namespace": "ns", "uid": "1"}})";
  EXPECT_THAT(update<corev1::ConfigMap>(R"({"metadata": {"name": "m", "namespace": "ns", "uid": "2"}})", old),
              ElementsAre("metadata.uid: Invalid value: \"2\": field is immutable"));
}

TEST(ValidationTest, ConfigMapsAndSecretsCanBeLocked) {
  const std::string locked = R"({"metadata": {"name": "m", "namespace": "ns"}, "immutable": true, "data": {"a": "1"}})";
  EXPECT_THAT(
      update<corev1::ConfigMap>(R"({"metadata": {"name": "m", "namespace": "ns"}, "data": {"a": "2"}})", locked),
      ElementsAre("immutable: Forbidden: field is immutable when `immutable` is set",
                  "data: Forbidden: field is immutable when `immutable` is set"));
  EXPECT_THAT(create<corev1::ConfigMap>(R"({"metadata": {"name": "m", "namespace": "ns"}, "data": {"a/b": "1"}})"),
              ElementsAre(StartsWith("data[a/b]: Invalid value: \"a/b\": a valid config key must consist of")));
  EXPECT_THAT(create<corev1::Secret>(R"({"metadata": {"name": "m", "namespace": "ns"}, "type": "kubernetes.io/tls"})"),
              ElementsAre("data[tls.crt]: Required value", "data[tls.key]: Required value"));
}

TEST(ValidationTest, Services) {
  const std::string head = R"({"metadata": {"name": "s", "namespace": "ns"}, "spec": )";
  auto errors = [&](std::string_view spec) { return create<corev1::Service>(head + std::string(spec) + "}"); };
  EXPECT_THAT(errors(R"({"ports": [{"port": 80}]})"), IsEmpty());
  EXPECT_THAT(errors("{}"), ElementsAre("spec.ports: Required value"));
  EXPECT_THAT(errors(R"({"ports": [{"port": 80}, {"port": 81}]})"),
              ElementsAre("spec.ports[0].name: Required value", "spec.ports[1].name: Required value"));
  EXPECT_THAT(errors(R"({"type": "ExternalName"})"), ElementsAre("spec.externalName: Required value"));
  EXPECT_THAT(errors(R"({"ports": [{"port": 80, "nodePort": 30000}]})"),
              ElementsAre("spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"));
  EXPECT_THAT(errors(R"({"ports": [{"port": 80}], "externalIPs": ["127.0.0.1"]})"),
              ElementsAre("spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range "
                          "(127.0.0.0/8, ::1/128)"));
  const std::string old = head + R"({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80}]}})";
  const std::string now = head + R"({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"], "ports": [{"port": 80}]}})";
  EXPECT_THAT(update<corev1::Service>(now, old),
              ElementsAre("spec.clusterIPs[0]: Invalid value: []string{\"10.0.0.2\"}: may not change once set"));
}

TEST(ValidationTest, Workloads) {
  const std::string pod =
      R"("template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})";
  const std::string head = R"({"metadata": {"name": "d", "namespace": "ns"}, "spec": {)";
  EXPECT_THAT(create<appsv1::Deployment>(head + R"("selector": {"matchLabels": {"a": "b"}}, )" + pod + "}}"),
              IsEmpty());
  EXPECT_THAT(create<appsv1::Deployment>(head + R"("selector": {"matchLabels": {"a": "x"}}, )" + pod + "}}"),
              ElementsAre("spec.template.metadata.labels: Invalid value: map[string]string{\"a\":\"b\"}: `selector` "
                          "does not match template `labels`"));
  EXPECT_THAT(create<appsv1::Deployment>(head + pod + "}}"), ElementsAre("spec.selector: Required value"));
  EXPECT_THAT(create<corev1::ReplicationController>(head + R"("replicas": -1, )" + pod + "}}"),
              ElementsAre("spec.replicas: Invalid value: -1: must be greater than or equal to 0"));
  EXPECT_THAT(
      create<batchv1::Job>(head + R"("manualSelector": true, "selector": {"matchLabels": {"a": "b"}}, )" + pod + "}}"),
      ElementsAre("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""));
}

TEST(ValidationTest, CronSchedules) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"*/5 0-6 1,15 jan-mar MON", ""},
      {"@daily", ""},
      {"@every 5m", ""},
      {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
      {"60 * * * *", "end of range (60) above maximum (59): 60"},
      {"*/0 * * * *", "step of range should be a positive number: */0"},
      {"@never", "unrecognized descriptor: @never"},
  };
  for (const auto& [schedule, problem] : cases) {
    const std::string json = R"({"metadata": {"name": "c", "namespace": "ns"}, "spec": {"schedule": ")" +
                             std::string(schedule) +
                             R"(", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Never",
                                "containers": [{"name": "c", "image": "i"}]}}}}}})";
    if (problem.empty()) {
      EXPECT_THAT(create<batchv1::CronJob>(json), IsEmpty()) << schedule;
    } else {
      EXPECT_THAT(create<batchv1::CronJob>(json), ElementsAre("spec.schedule: Invalid value: \"" +
                                                              std::string(schedule) + "\": " + std::string(problem)));
    }
  }
}

TEST(ValidationTest, TimeZones) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"Europe/Zurich", ""},
      {"Etc/GMT+5", ""},
      {"", "timeZone must be nil or non-empty string"},
      {"LOCAL", "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"},
      {"Europe/Atlantis", "unknown time zone Europe/Atlantis"},
      {"../etc/passwd", "unknown time zone ../etc/passwd"},
      {"/Europe/Zurich", "unknown time zone /Europe/Zurich"},
  };
  for (const auto& [zone, problem] : cases) {
    const auto errors =
        create<batchv1::CronJob>(R"({"metadata": {"name": "c", "namespace": "ns"}, "spec": {"schedule": "@daily",
            "timeZone": ")" + std::string(zone) +
                                 R"(", "jobTemplate": {"spec": {"template": {"spec": {"restartPolicy":
            "Never", "containers": [{"name": "c", "image": "i"}]}}}}}})");
    if (problem.empty()) {
      EXPECT_THAT(errors, IsEmpty()) << zone;
    } else {
      EXPECT_THAT(errors,
                  ElementsAre("spec.timeZone: Invalid value: \"" + std::string(zone) + "\": " + std::string(problem)));
    }
  }
}

TEST(ValidationTest, JobPolicies) {
  const std::pair<std::string_view, std::vector<std::string>> cases[] = {
      {R"("completionMode": "Indexed", "completions": 5, "successPolicy": {"rules": [{"succeededIndexes": "0,2-4"},
          {"succeededCount": 3}]})",
       {}},
      {R"("completionMode": "Indexed", "completions": 5, "successPolicy": {"rules": []})",
       {"spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is "
        "specified"}},
      {R"("completionMode": "Indexed", "completions": 5, "successPolicy": {"rules": [{"succeededIndexes": "0,5"}, {},
          {"succeededIndexes": "3,1"}, {"succeededIndexes": "1,2", "succeededCount": 3}]})",
       {"spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"0,5\": error parsing succeededIndexes: too "
        "large "
        "index: \"5\"",
        "spec.successPolicy.rules[1]: Required value: at least one of succeededCount or succeededIndexes must be "
        "specified",
        "spec.successPolicy.rules[2].succeededIndexes: Invalid value: \"3,1\": error parsing succeededIndexes: "
        "non-increasing order, previous: 3, current: 1",
        "spec.successPolicy.rules[3].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of "
        "indexes in the specified succeededIndexes field)"}},
      {R"("maxFailedIndexes": 6, "completionMode": "Indexed", "completions": 5)",
       {"spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"}},
      {R"("managedBy": "acme")",
       {"spec.managedBy: Invalid value: \"acme\": must be a domain-prefixed path (such as \"acme.io/foo\")"}},
      {R"("managedBy": "acme.io/foo")", {}},
      {R"("podFailurePolicy": {"rules": [{"action": "FailJob"}]})",
       {"spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is "
        "required"}},
      {R"("podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 1]}}]})",
       {"spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1]: must be ordered"}},
  };
  for (const auto& [spec, problems] : cases) {
    EXPECT_THAT(create<batchv1::Job>(R"({"metadata": {"name": "j", "namespace": "ns"}, "spec": {"manualSelector": true,
                    "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec":
                    {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}, )" +
                                     std::string(spec) + "}}"),
                ::testing::ElementsAreArray(problems))
        << spec;
  }
  // Labels of another job, as in an exported object.
  EXPECT_THAT(create<batchv1::Job>(R"({"metadata": {"name": "j", "namespace": "ns", "uid": "u"}, "spec": {
                  "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "other"}},
                  "template": {"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "other",
                    "controller-uid": "u", "batch.kubernetes.io/job-name": "j", "job-name": "j"}}, "spec":
                  {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}})"),
              ElementsAre(::testing::EndsWith("must be 'u'"), ::testing::EndsWith("`selector` not auto-generated")));
}

TEST(ValidationTest, JobStatuses) {
  const auto update = [](std::string_view before, std::string_view after) {
    const auto job = [](std::string_view status) {
      return object<batchv1::Job>(R"({"metadata": {"name": "j", "namespace": "ns", "resourceVersion": "1"}, "spec":
          {"completionMode": "Indexed", "completions": 5, "parallelism": 2, "backoffLimitPerIndex": 1},
          "status": {)" + std::string(status) +
                                  "}}");
    };
    return text(validate_subresource_update(job(after), job(before), "status"));
  };
  const auto condition = [](const std::string& type) { return R"({"type": ")" + type + R"(", "status": "True"})"; };
  const std::string start = R"("startTime": "2024-01-01T00:00:00Z")";
  const std::string complete = start + R"(, "completionTime": "2024-01-01T00:01:00Z", "conditions": [)" +
                               condition("SuccessCriteriaMet") + "," + condition("Complete") + "]";
  EXPECT_THAT(update("", complete), IsEmpty());
  EXPECT_THAT(update(complete, start),
              ElementsAre("status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                          "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"));
  EXPECT_THAT(update(start, start + R"(, "conditions": [)" + condition("Failed") + "]"),
              ElementsAre("status.conditions: Invalid value: cannot set Failed=True condition without the "
                          "FailureTarget=true condition"));
  EXPECT_THAT(update(R"("failed": 3, "succeeded": 2)", R"("failed": 2, "succeeded": 1)"),
              ElementsAre("status.failed: Invalid value: 2: cannot decrease the failed counter",
                          "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"));
  EXPECT_THAT(update("", R"("completedIndexes": "0-2", "failedIndexes": "2,4")"),
              ElementsAre("status.failedIndexes: Invalid value: \"2,4\": failedIndexes and completedIndexes overlap at "
                          "index: 2"));
  EXPECT_THAT(update("", R"("completedIndexes": "0-9")"),
              ElementsAre("status.completedIndexes: Invalid value: \"0-9\": error parsing completedIndexes: too large "
                          "index: \"9\""));
  EXPECT_THAT(update(start, R"("startTime": "2024-01-01T00:00:09Z")"),
              ElementsAre("status.startTime: Required value: startTime cannot be removed for unsuspended job"));
  EXPECT_THAT(update("", R"("active": 1, "ready": 2)"),
              ElementsAre("status.ready: Invalid value: 2: cannot set more ready pods than active"));
}

TEST(ValidationTest, OtherGroups) {
  EXPECT_THAT(
      create<rbacv1::Role>(R"({"metadata": {"name": "a:b", "namespace": "ns"}, "rules": [{"apiGroups": [""]}]})"),
      ElementsAre("rules[0].verbs: Required value: verbs must contain at least one value",
                  "rules[0].resources: Required value: resource rules must supply at least one resource"));
  EXPECT_THAT(create<networkingv1::Ingress>(R"({"metadata": {"name": "i", "namespace": "ns"}, "spec": {}})"),
              ElementsAre("spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"));
  EXPECT_THAT(create<coordinationv1::Lease>(
                  R"({"metadata": {"name": "l", "namespace": "ns"}, "spec": {"leaseDurationSeconds": 0}})"),
              ElementsAre("spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"));
  EXPECT_THAT(create<corev1::PersistentVolumeClaim>(R"({"metadata": {"name": "c", "namespace": "ns"}, "spec": {}})"),
              ElementsAre("spec.accessModes: Required value: at least 1 access mode is required",
                          "spec.resources[storage]: Required value"));
  EXPECT_THAT(create<corev1::Namespace>(R"({"metadata": {"name": "a.b"}})"),
              ElementsAre(StartsWith("metadata.name: Invalid value: \"a.b\": ")));
  EXPECT_THAT(create<storagev1::StorageClass>(R"({"metadata": {"name": "s"}})"),
              ElementsAre("provisioner: Required value"));
}

TEST(ValidationTest, NamespacesFollowTheirDeletion) {
  const Object old = object<corev1::Namespace>(R"({"metadata": {"name": "n"}})");
  Object updated = old.clone();
  updated.as<corev1::Namespace>()->status.phase = "Terminating";
  EXPECT_THAT(text(validate_subresource_update(updated, old, "status")),
              ElementsAre("status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` "
                          "is empty"));
}

TEST(SemanticEqualTest, ComparesByValue) {
  auto a = *decode_json<corev1::Pod>(R"({"spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}})");
  auto b = *decode_json<corev1::Pod>(R"({"spec": {"containers": [{"resources": {"limits": {"cpu": "1000m"}}}]}})");
  EXPECT_TRUE(semantic_equal(a, b));
  b.spec.node_selector["x"] = "y";
  EXPECT_FALSE(semantic_equal(a, b));
  EXPECT_EQ(describe_changes(type_info<corev1::Pod>(), &a, &b), "  spec.nodeSelector: unset -> {\"x\":\"y\"}\n");
}

}  // namespace
}  // namespace trireme::api::validation
