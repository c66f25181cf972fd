// Autoscalers on the real API server: usage comes from a kubelet through metrics.k8s.io.

#include <fmt/format.h>

#include "api/codec.h"
#include "api/conditions.h"
#include "api/types/autoscalingv2.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using namespace api::corev1;  // NOLINT: the suite speaks of little else
using api::autoscalingv2::HorizontalPodAutoscaler;
using std::chrono::seconds;

/// Tells that every pod it was told of uses the same.
class UniformKubelet final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    const std::scoped_lock lock(mutex);
    std::string list;
    for (const std::string& uid : uids) {
      if (!list.empty()) list += ",";
      list += fmt::format(R"({{"podRef":{{"uid":"{}"}},"containers":[{{"name":"main",
          "cpu":{{"time":"{}","usageNanoCores":{}}},"memory":{{"workingSetBytes":1048576}}}}]}})",
                          uid, time, nano_cores.load());
    }
    exchange->respond(200, {{"Content-Type", "application/json"}}, R"({"node":{},"pods":[)" + list + "]}");
  }
  std::mutex mutex;
  std::vector<std::string> uids;
  std::string time = "2100-01-01T00:00:00Z";
  std::atomic<int64_t> nano_cores = 0;
};

/// custom.metrics.k8s.io and external.metrics.k8s.io, as adapters serve them.
class Adapter final : public apiserver::PathHandler {
 public:
  void handle(apiserver::Call call) override {
    const std::string& target = call.exchange->request().target;
    {
      const std::scoped_lock lock(mutex);
      targets.push_back(target);
    }
    std::string body = R"({"items":[{"metricName":"jobs","value":"30"},{"metricName":"jobs","value":"30"}]})";
    if (target.find("/custom.") != std::string::npos) {
      body =
          R"({"items":[{"describedObject":{"kind":"Service","name":"s"},"timestamp":"2025-01-01T00:00:00Z","value":"4500m"}]})";
    }
    call.exchange->respond(200, {{"Content-Type", "application/json"}}, std::move(body));
  }
  std::mutex mutex;
  std::vector<std::string> targets;
};

class AutoscalerSuite : public ControllersSuite {
 protected:
  void configure(apiserver::Options& options) override {
    options.kubelet_transport = [this](const std::string&) -> Result<std::unique_ptr<net::Transport>> {
      return net::in_process_transport(kubelet_, {});
    };
  }
  void SetUp() override {
    ControllersSuite::SetUp();
    Node host = node("n1");
    create(host);
    change<Node>(
        "", "n1",
        [](Node& each) {
          auto& address = each.status.addresses.emplace_back();
          address.type = "InternalIP";
          address.address = "192.0.2.9";
          auto& ready = each.status.conditions.emplace_back();
          ready.type = "Ready";
          ready.status = "True";
        },
        true);
  }
  /// Pods of this shape would be the controller's; here each is put on the node, running and ready for an hour.
  void settle(Watched<Pod>& pods) {
    for (const auto& each : pods.list()) {
      if (!each->spec.node_name.empty()) continue;
      Binding binding;
      binding.metadata.name = each->metadata.name;
      binding.target.kind = "Node";
      binding.target.name = "n1";
      EXPECT_EQ(client().post<Pod>("default", each->metadata.name, "binding", binding).to_string(), "OK");
      change<Pod>(
          "default", each->metadata.name,
          [&](Pod& pod) {
            pod.status.phase = "Running";
            pod.status.start_time = api::Time(clock_->now() - std::chrono::hours(1));
            auto& ready = pod.status.conditions.emplace_back();
            ready.type = "Ready";
            ready.status = "True";
            ready.last_transition_time = *pod.status.start_time;
          },
          true);
      const std::scoped_lock lock(kubelet_.mutex);
      kubelet_.uids.push_back(each->metadata.uid);
    }
  }
  void deploy(Watched<Pod>& pods, int32_t replicas) {
    ReplicationController target = controller(replicas);
    target.spec.template_->spec.containers[0].resources.requests.emplace("cpu", Quantity::of_milli(100));
    create(target);
    ASSERT_TRUE(pods.until([&] { return pods.list().size() == static_cast<size_t>(replicas); }));
    settle(pods);
  }
  static HorizontalPodAutoscaler autoscaler(const std::string& spec) {
    auto out = api::decode_json<HorizontalPodAutoscaler>(
        R"({"metadata":{"name":"hpa","namespace":"default"},"spec":{"scaleTargetRef":{"apiVersion":"v1",
            "kind":"ReplicationController","name":"redis"},"maxReplicas":10,)" +
        spec + "}}");
    EXPECT_TRUE(out.ok()) << out.status().to_string();
    return *out;
  }
  static std::string condition(const std::shared_ptr<const HorizontalPodAutoscaler>& hpa, std::string_view type) {
    const auto* found = hpa ? api::find_condition(hpa->status.conditions, type) : nullptr;
    return found != nullptr ? found->status + " " + found->reason + ": " + found->message : "";
  }
  std::vector<std::string> event_texts() {
    events_->flush();
    const auto events = client().list<Event, EventList>("default");
    std::vector<std::string> out;
    for (const auto& event : events->items) {
      if (event.involved_object.name == "hpa") out.push_back(event.reason + ": " + event.message);
    }
    return out;
  }

  UniformKubelet kubelet_;
};

constexpr const char* kCpu =
    R"("metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}])";

TEST_F(AutoscalerSuite, ScalesByCpu) {
  run("replicationcontroller,horizontalpodautoscaling");
  Watched<Pod> pods(raw());
  Watched<HorizontalPodAutoscaler> hpas(raw());
  deploy(pods, 2);
  kubelet_.nano_cores = 100'000'000;
  create(autoscaler(kCpu));
  // 100m of the 100m requested is twice the target.
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    const auto hpa = hpas.get("default", "hpa");
    return hpa && hpa->status.desired_replicas == 4;
  })) << condition(hpas.get("default", "hpa"), "ScalingActive");
  const auto hpa = hpas.get("default", "hpa");
  EXPECT_EQ(condition(hpa, "AbleToScale"),
            "True SucceededRescale: the HPA controller was able to update the target scale to 4");
  EXPECT_EQ(condition(hpa, "ScalingActive"),
            "True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource "
            "utilization (percentage of request)");
  EXPECT_EQ(condition(hpa, "ScalingLimited"),
            "False DesiredWithinRange: the desired count is within the acceptable range");
  ASSERT_EQ(hpa->status.current_metrics.size(), 1u);
  EXPECT_EQ(hpa->status.current_metrics[0].resource->current.average_utilization, 100);
  EXPECT_EQ(hpa->status.current_metrics[0].resource->current.average_value->to_string(), "100m");
  EXPECT_TRUE(hpa->status.last_scale_time);
  EXPECT_TRUE(advance_until(pods, seconds(1), [&] { return pods.list().size() == 4; }));
  const auto texts = event_texts();
  EXPECT_NE(std::ranges::find(texts,
                              "SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of "
                              "request) above target"),
            texts.end());
}

TEST_F(AutoscalerSuite, BoundsHoldWithoutMetrics) {
  run("replicationcontroller,horizontalpodautoscaling");
  Watched<Pod> pods(raw());
  Watched<HorizontalPodAutoscaler> hpas(raw());
  create(controller(1));
  create(autoscaler(std::string(R"("minReplicas":3,)") + kCpu));
  EXPECT_TRUE(advance_until(pods, seconds(1), [&] { return pods.list().size() == 3; }));
  change<ReplicationController>("default", "redis", [](auto& rc) { rc.spec.replicas = 12; });
  EXPECT_TRUE(advance_until(pods, seconds(15), [&] { return pods.list().size() == 10; }));
  change<ReplicationController>("default", "redis", [](auto& rc) { rc.spec.replicas = 0; });
  EXPECT_TRUE(advance_until(hpas, seconds(15), [&] {
    return condition(hpas.get("default", "hpa"), "ScalingActive") ==
           "False ScalingDisabled: scaling is disabled since the replica count of the target is zero";
  }));
}

TEST_F(AutoscalerSuite, WhatFailsStandsInTheConditions) {
  run("horizontalpodautoscaling");
  Watched<HorizontalPodAutoscaler> hpas(raw());
  create(autoscaler(kCpu));
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    return condition(hpas.get("default", "hpa"), "AbleToScale") ==
           "False FailedGetScale: the HPA controller was unable to get the target's current scale: "
           "replicationcontrollers \"redis\" not found";
  })) << condition(hpas.get("default", "hpa"), "AbleToScale");
  create(controller(1));
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    return condition(hpas.get("default", "hpa"), "ScalingActive") ==
           "False FailedGetResourceMetric: the HPA was unable to compute the replica count: failed to get cpu "
           "utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
  })) << condition(hpas.get("default", "hpa"), "ScalingActive");
  change<HorizontalPodAutoscaler>("default", "hpa", [](auto& hpa) {
    hpa = *api::decode_json<HorizontalPodAutoscaler>([&] {
      auto next = autoscaler(R"("metrics":[{"type":"Pods","pods":{"metric":{"name":"qps"},"target":
          {"type":"AverageValue","averageValue":"1"}}}])");
      next.metadata = hpa.metadata;
      return api::encode_json(next);
    }());
  });
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    return condition(hpas.get("default", "hpa"), "ScalingActive") ==
           "False FailedGetPodsMetric: the HPA was unable to compute the replica count: unable to get metric qps: "
           "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";
  })) << condition(hpas.get("default", "hpa"), "ScalingActive");
}

TEST_F(AutoscalerSuite, TwoAutoscalersOfTheSamePodsDoNothing) {
  run("replicationcontroller,horizontalpodautoscaling");
  Watched<Pod> pods(raw());
  Watched<HorizontalPodAutoscaler> hpas(raw());
  deploy(pods, 2);
  kubelet_.nano_cores = 50'000'000;
  create(autoscaler(kCpu));
  HorizontalPodAutoscaler second = autoscaler(kCpu);
  second.metadata.name = "second";
  create(second);
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    return condition(hpas.get("default", "hpa"), "ScalingActive").starts_with("False AmbiguousSelector: ");
  }));
  EXPECT_EQ(condition(hpas.get("default", "hpa"), "ScalingActive"),
            "False AmbiguousSelector: pods by selector app=redis are controlled by multiple HPAs: [default/hpa "
            "default/second]");
}

TEST_F(AutoscalerSuite, CustomAndExternalMetrics) {
  auto adapter = std::make_shared<Adapter>();
  server_->add_path("/apis/custom.metrics.k8s.io", adapter, false);
  server_->add_path("/apis/external.metrics.k8s.io", adapter, false);
  run("replicationcontroller,horizontalpodautoscaling");
  Watched<Pod> pods(raw());
  Watched<HorizontalPodAutoscaler> hpas(raw());
  deploy(pods, 2);
  create(autoscaler(R"("metrics":[
      {"type":"Object","object":{"metric":{"name":"load"},"describedObject":{"apiVersion":"v1","kind":"Service",
        "name":"s"},"target":{"type":"Value","value":"1500m"}}},
      {"type":"External","external":{"metric":{"name":"jobs","selector":{"matchLabels":{"queue":"q"}}},"target":
        {"type":"AverageValue","averageValue":"15"}}}],
      "behavior":{"scaleUp":{"policies":[{"type":"Pods","value":1,"periodSeconds":60}]}})"));
  // The object asks for 6, the queue for 4; one a minute is allowed.
  ASSERT_TRUE(advance_until(hpas, seconds(15), [&] {
    const auto hpa = hpas.get("default", "hpa");
    return hpa && hpa->status.desired_replicas == 3;
  }));
  const auto hpa = hpas.get("default", "hpa");
  EXPECT_EQ(condition(hpa, "ScalingLimited"),
            "True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate");
  ASSERT_EQ(hpa->status.current_metrics.size(), 2u);
  EXPECT_EQ(hpa->status.current_metrics[0].object->current.value->to_string(), "4500m");
  EXPECT_EQ(hpa->status.current_metrics[1].external->current.average_value->to_string(), "30");
  const std::scoped_lock lock(adapter->mutex);
  const auto asked = [&](const char* target) {
    return std::ranges::find(adapter->targets, target) != adapter->targets.end();
  };
  EXPECT_TRUE(asked("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/services/s/load"));
  EXPECT_TRUE(asked("/apis/external.metrics.k8s.io/v1beta1/namespaces/default/jobs?labelSelector=queue%3Dq"));
}

}  // namespace
}  // namespace trireme::controllers
