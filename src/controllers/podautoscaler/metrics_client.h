#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/selectors.h"
#include "api/types/autoscalingv2.h"
#include "client/client.h"
#include "controllers/podautoscaler/replica_calculator.h"

namespace trireme::controllers {

/// Reads the three metrics APIs. Amounts come in thousandths. Thread-safe.
/// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#support-for-metrics-apis
class MetricsClient {
 public:
  explicit MetricsClient(client::Client client) : client_(std::move(client)) {}

  /// What the selected pods use of a resource, all containers or the one named (metrics.k8s.io). Pods with a container
  /// that was not measured are left out.
  Result<PodMetricMap> resource(std::string_view ns, const api::LabelSelector& pods, std::string_view resource,
                                std::string_view container);
  /// A metric that describes pods (custom.metrics.k8s.io).
  Result<PodMetricMap> pods(std::string_view ns, const api::LabelSelector& pods,
                            const api::autoscalingv2::MetricIdentifier& metric);
  /// A metric that describes one object (custom.metrics.k8s.io).
  Result<int64_t> object(std::string_view ns, const api::autoscalingv2::CrossVersionObjectReference& object,
                         const api::autoscalingv2::MetricIdentifier& metric);
  /// The sum of all series of a metric that describes nothing in the cluster (external.metrics.k8s.io).
  Result<int64_t> external(std::string_view ns, const api::autoscalingv2::MetricIdentifier& metric);

 private:
  /// The items of a MetricValueList.
  Result<std::string> custom(std::string_view path);

  client::Client client_;
};

}  // namespace trireme::controllers
