#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/selectors.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "controllers/podautoscaler/autoscaler_metrics.h"
#include "controllers/podautoscaler/metrics_client.h"
#include "controllers/podautoscaler/replica_calculator.h"
#include "controllers/podautoscaler/scaling_rules.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Scales whatever has a scale subresource by what its pods use, or by any other metric. Each autoscaler is looked at
/// once a --horizontal-pod-autoscaler-sync-period: metrics are measurements, nothing announces them.
/// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
class HorizontalController final : public Controller, public metrics::Source {
 public:
  explicit HorizontalController(const ControllerContext& context);
  /// Keys are autoscalers. Never fails: what went wrong stands in the status, and the next look is due anyway.
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override { measured_.print(out); }

 private:
  using Autoscaler = api::autoscalingv2::HorizontalPodAutoscaler;
  using AutoscalerPointer = std::shared_ptr<const Autoscaler>;
  using MetricSpec = api::autoscalingv2::MetricSpec;
  using MetricStatus = api::autoscalingv2::MetricStatus;
  using Scale = api::autoscalingv1::Scale;

  /// One pass over one autoscaler: the object with the status as it will be, and what it is about.
  struct Pass {
    Autoscaler hpa;
    const api::ResourceInfo* target = nullptr;
    Scale scale;
    std::vector<PodPointer> pods;
    api::LabelSelector selector;
    int32_t wanted = -1;  ///< The size that was decided on; negative while none was.
  };
  /// What all metrics together ask for.
  struct Wanted {
    int32_t replicas = 0;
    std::string metric;
    std::vector<MetricStatus> statuses;
  };
  /// What one metric asks for.
  struct Proposal {
    int32_t replicas = 0;
    std::string name;
    MetricStatus status;
  };
  struct Failure {
    Status status;       ///< As the conditions and events tell it.
    std::string reason;  ///< "FailedGetResourceMetric"
  };

  Status run(Pass& pass, const std::string& key);
  Status read_scale(Pass& pass);
  Status write_scale(Pass& pass, int32_t replicas);
  /// Sets the pass' selector and pods. Fails when the target has none, or shares pods with another autoscaler.
  Status select_pods(Pass& pass, const std::string& key);
  Result<Wanted> compute(Pass& pass);
  Status compute_one(const Pass& pass, const MetricSpec& spec, Proposal& out, Failure& failure);
  Status rescale(Pass& pass, const std::string& key, int32_t current, int32_t desired, const std::string& reason);
  void set_condition(Pass& pass, std::string_view type, bool holds, std::string reason, std::string message);
  Status write_status(const Pass& pass, const Autoscaler& before);

  Status resource_metric(const Pass& pass, std::string_view resource, std::string_view container,
                         const api::autoscalingv2::MetricTarget& target, Proposal& out,
                         api::autoscalingv2::MetricValueStatus& current);
  Status shared_metric(const Pass& pass, int64_t usage, const api::autoscalingv2::MetricTarget& target,
                       std::string_view what, Proposal& out, api::autoscalingv2::MetricValueStatus& current);

  client::Informer<Autoscaler>& autoscalers_;
  client::Informer<api::corev1::Pod>& pods_;
  client::EventRecorder events_;
  MetricsClient metrics_;
  CalculatorOptions calculator_;
  AutoscalerMetrics measured_;
  std::mutex mutex_;
  std::map<std::string, ScalingHistory> histories_;      ///< By key. A key has one worker at a time.
  std::map<std::string, api::LabelSelector> selectors_;  ///< By key: which pods each autoscaler is about.
};

}  // namespace trireme::controllers
