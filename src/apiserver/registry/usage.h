#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/metricsv1beta1.h"
#include "base/result.h"

/// What nodes and containers use, as a kubelet tells it and as metrics.k8s.io shows it.
namespace trireme::apiserver {

struct Usage {
  int64_t cpu_nanocores = 0;
  int64_t memory_bytes = 0;  ///< The working set.
};

struct ContainerUsage {
  std::string name;
  Usage usage;
};

struct PodUsage {
  api::Time at;
  Duration window{};  ///< Over which the cpu was watched.
  std::vector<ContainerUsage> containers;
};

struct NodeUsage {
  api::Time at;
  Duration window{};
  std::optional<Usage> node;
  std::map<std::string, PodUsage> pods;  ///< By uid; only those whose every container was measured.
};

/// Reads /stats/summary, of our kubelet or of upstream's. InternalError when it is no such thing.
/// https://kubernetes.io/docs/reference/instrumentation/node-metrics/#summary-api-source
Result<NodeUsage> parse_summary(std::string_view json);

/// Labels are the node's or the pod's, so that the same selectors pick them. `node_usage.node` must be there.
api::metricsv1beta1::NodeMetrics node_metrics(const api::corev1::Node& node, const NodeUsage& node_usage);
api::metricsv1beta1::PodMetrics pod_metrics(const api::corev1::Pod& pod, const PodUsage& usage);

}  // namespace trireme::apiserver
