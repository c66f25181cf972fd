#include "apiserver/printers/printers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/corev1.h"
#include "api/types/rbacv1.h"
#include "api/types/storagev1.h"

namespace trireme::apiserver::printers {
namespace {

using namespace api;  // NOLINT: kinds of several groups
using testing::ElementsAre;
using testing::IsEmpty;

/// An hour after the objects' creationTimestamp.
const WallTime kNow = Time::parse("2025-03-01T13:00:00Z")->wall();

template <typename T>
metav1::TableRow row_of(std::string_view json) {
  Result<T> object = decode_json<T>(json);
  EXPECT_TRUE(object.ok()) << object.status().to_string();
  object->metadata.name = "x";
  object->metadata.creation_timestamp = *Time::parse("2025-03-01T12:00:00Z");
  return row(Object::of(std::move(*object)), kNow);
}

template <typename T>
std::vector<std::string> cells(std::string_view json) {
  std::vector<std::string> out;
  for (const auto& cell : row_of<T>(json).cells) out.push_back(cell.text);
  EXPECT_EQ(out.size(), columns(type_info<T>()).size());
  return out;
}

TEST(HumanDurationTest, FollowsKubectl) {
  using namespace std::chrono_literals;
  const std::pair<Duration, std::string_view> cases[] = {
      {-5s, "<invalid>"},  {-1s, "0s"},         {0s, "0s"},        {119s, "119s"},       {120s, "2m"},
      {125s, "2m5s"},      {599s, "9m59s"},     {600s, "10m"},     {179min, "179m"},     {3h, "3h"},
      {3h + 5min, "3h5m"}, {8h + 59min, "8h"},  {47h, "47h"},      {48h, "2d"},          {53h, "2d5h"},
      {24h * 8, "8d"},     {24h * 729, "729d"}, {24h * 730, "2y"}, {24h * 800, "2y70d"}, {24h * 365 * 9, "9y"}};
  for (const auto& [duration, text] : cases) EXPECT_EQ(human_duration(duration), text);
}

struct PodCase {
  std::string_view name;
  std::string_view json;
  std::string_view ready;
  std::string_view status;
  std::string_view restarts;
};

TEST(PodRowTest, StatusWords) {
  const PodCase cases[] = {
      {"pending", R"({"spec": {"containers": [{}, {}]}, "status": {"phase": "Pending"}})", "0/2", "Pending", "0"},
      {"running", R"({"spec": {"containers": [{}]}, "status": {"phase": "Running", "containerStatuses": [
          {"ready": true, "restartCount": 3, "state": {"running": {}},
           "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2025-03-01T12:55:00Z"}}}]}})",
       "1/1", "Running", "3 (5m ago)"},
      {"crashing", R"({"spec": {"containers": [{}]}, "status": {"phase": "Running", "containerStatuses": [
          {"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}})",
       "0/1", "CrashLoopBackOff", "2"},
      {"completed", R"({"spec": {"containers": [{}]}, "status": {"phase": "Succeeded", "containerStatuses": [
          {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}})",
       "0/1", "Completed", "0"},
      {"exit code", R"({"spec": {"containers": [{}]}, "status": {"phase": "Failed", "containerStatuses": [
          {"state": {"terminated": {"exitCode": 3}}}]}})",
       "0/1", "ExitCode:3", "0"},
      {"initializing", R"({"spec": {"containers": [{}], "initContainers": [{"name": "a"}, {"name": "b"}]},
          "status": {"phase": "Pending", "initContainerStatuses": [
          {"name": "a", "state": {"terminated": {"exitCode": 0}}}, {"name": "b", "state": {"running": {}}}]}})",
       "0/1", "Init:1/2", "0"},
      {"init failed", R"({"spec": {"containers": [{}], "initContainers": [{"name": "a"}]},
          "status": {"phase": "Pending", "initContainerStatuses": [
          {"name": "a", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}})",
       "0/1", "Init:CrashLoopBackOff", "4"},
      {"sidecar", R"({"spec": {"containers": [{}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]},
          "status": {"phase": "Running", "initContainerStatuses": [
          {"name": "s", "started": true, "ready": true, "state": {"running": {}}}], "containerStatuses": [
          {"ready": true, "state": {"running": {}}}]}})",
       "2/2", "Running", "0"},
      {"terminating", R"({"metadata": {"deletionTimestamp": "2025-03-01T12:59:00Z"},
          "spec": {"containers": [{}]}, "status": {"phase": "Running"}})",
       "0/1", "Terminating", "0"},
      {"gated", R"({"spec": {"containers": [{}]}, "status": {"phase": "Pending", "conditions": [
          {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}})",
       "0/1", "SchedulingGated", "0"},
  };
  for (const PodCase& each : cases) {
    const auto got = cells<corev1::Pod>(each.json);
    EXPECT_EQ(got[1], '"' + std::string(each.ready) + '"') << each.name;
    EXPECT_EQ(got[2], '"' + std::string(each.status) + '"') << each.name;
    EXPECT_EQ(got[3], '"' + std::string(each.restarts) + '"') << each.name;
    EXPECT_EQ(got[4], "\"60m\"") << each.name;
  }
}

TEST(PodRowTest, WideColumnsAndConditions) {
  const auto row = row_of<corev1::Pod>(R"({"spec": {"nodeName": "n1", "containers": [{}],
      "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
      "status": {"phase": "Succeeded", "podIP": "10.0.0.1", "conditions": [{"type": "a", "status": "True"}]}})");
  ASSERT_EQ(row.cells.size(), 9u);
  EXPECT_EQ(row.cells[5].text, "\"10.0.0.1\"");
  EXPECT_EQ(row.cells[6].text, "\"n1\"");
  EXPECT_EQ(row.cells[7].text, "\"<none>\"");
  EXPECT_EQ(row.cells[8].text, "\"1/2\"");
  ASSERT_EQ(row.conditions.size(), 1u);
  EXPECT_EQ(row.conditions[0].type, "Completed");
  EXPECT_EQ(row.conditions[0].reason, "Succeeded");
  const auto& definitions = columns(type_info<corev1::Pod>());
  EXPECT_EQ(definitions[0].format, "name");
  EXPECT_EQ(definitions[4].priority, 0);
  EXPECT_EQ(definitions[5].priority, 1);
}

TEST(RowTest, Services) {
  EXPECT_THAT(cells<corev1::Service>(R"({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "selector": {"a": "b"},
                  "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}})"),
              ElementsAre("\"x\"", "\"NodePort\"", "\"10.0.0.1\"", "\"<none>\"", "\"80:30080/TCP,53/UDP\"", "\"60m\"",
                          "\"a=b\""));
  EXPECT_EQ(cells<corev1::Service>(R"({"spec": {"type": "LoadBalancer"}})")[3], "\"<pending>\"");
}

TEST(RowTest, Nodes) {
  EXPECT_THAT(cells<corev1::Node>(R"({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
                  "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
                  "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
                  "nodeInfo": {"kubeletVersion": "v1.32.0", "kernelVersion": "6.1"}}})"),
              ElementsAre("\"x\"", "\"Ready,SchedulingDisabled\"", "\"control-plane\"", "\"60m\"", "\"v1.32.0\"",
                          "\"10.1.1.1\"", "\"<none>\"", "\"<unknown>\"", "\"6.1\"", "\"<unknown>\""));
}

TEST(RowTest, Events) {
  EXPECT_THAT(cells<corev1::Event>(R"({"involvedObject": {"kind": "Pod", "name": "p"}, "type": "Normal",
                  "reason": "Started", "message": "hello\n", "count": 2, "source": {"component": "kubelet", "host": "n"},
                  "firstTimestamp": "2025-03-01T12:50:00Z", "lastTimestamp": "2025-03-01T12:59:00Z"})"),
              ElementsAre("\"60s\"", "\"Normal\"", "\"Started\"", "\"pod/p\"", "\"\"", "\"kubelet, n\"", "\"hello\"",
                          "\"10m\"", "2", "\"x\""));
}

TEST(RowTest, Workloads) {
  EXPECT_THAT(cells<appsv1::Deployment>(R"({"spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}},
                  "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}},
                  "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}})"),
              ElementsAre("\"x\"", "\"1/3\"", "2", "1", "\"60m\"", "\"c,d\"", "\"i,j\"", "\"a=b\""));
  EXPECT_THAT(cells<batchv1::Job>(R"({"spec": {"completions": 2}, "status": {"succeeded": 1,
                  "startTime": "2025-03-01T12:00:00Z"}})"),
              ElementsAre("\"x\"", "\"Running\"", "\"1/2\"", "\"60m\"", "\"60m\"", "\"\"", "\"\"", "\"<none>\""));
}

TEST(RowTest, OtherKinds) {
  EXPECT_THAT(cells<corev1::Namespace>(R"({"status": {"phase": "Active"}})"),
              ElementsAre("\"x\"", "\"Active\"", "\"60m\""));
  EXPECT_THAT(cells<corev1::Secret>(R"({"type": "Opaque", "data": {"a": "", "b": ""}})"),
              ElementsAre("\"x\"", "\"Opaque\"", "2", "\"60m\""));
  EXPECT_THAT(cells<corev1::Endpoints>(R"({"subsets": [{"addresses": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.2"},
                  {"ip": "1.1.1.3"}, {"ip": "::1"}], "ports": [{"port": 80}]}]})"),
              ElementsAre("\"x\"", "\"1.1.1.1:80,1.1.1.2:80,1.1.1.3:80 + 1 more...\"", "\"60m\""));
  EXPECT_EQ(cells<storagev1::StorageClass>(
                R"({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}})")[0],
            "\"x (default)\"");
  // No columns of its own.
  EXPECT_THAT(cells<rbacv1::Role>("{}"), ElementsAre("\"x\"", "\"2025-03-01T12:00:00Z\""));
  EXPECT_EQ(columns(type_info<rbacv1::Role>())[1].name, "Created At");
}

}  // namespace
}  // namespace trireme::apiserver::printers
