#pragma once

#include <map>
#include <mutex>
#include <string>

#include "api/value.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/pod_manager.h"

namespace trireme::kubelet {

/// What the node and its containers use: /stats/summary and /metrics/resource. Read when asked. Thread-safe.
class StatsProvider {
 public:
  StatsProvider(NodeServices& node, PodManager& pods) : node_(node), pods_(pods), started_(node.clock->now()) {}

  /// The stats API's Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1).
  Result<std::string> summary();
  /// Prometheus text of the resource metrics endpoint (KEP-727).
  Result<std::string> resource_metrics();

 private:
  struct Sample {
    uint64_t cpu_nanoseconds = 0;
    Duration at{};
  };
  api::Value cpu_value(const std::string& key, uint64_t cpu_nanoseconds, const std::string& time);

  NodeServices& node_;
  PodManager& pods_;
  const WallTime started_;
  std::mutex mutex_;
  std::map<std::string, Sample> samples_;
};

}  // namespace trireme::kubelet
