#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "api/value.h"
#include "kubelet/cri/types.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/pod_manager.h"
#include "kubelet/server/cpu_meters.h"
#include "linux/cgroup.h"

namespace trireme::kubelet {

/// What the node and its containers use: /stats/summary and /metrics/resource. Read when asked, and only then.
///
/// A rate of cpu use takes two looks. Who asks again within a minute gets the rate since the look before; who asks for
/// the first time waits a second for the second look. Thread-safe.
class StatsProvider {
 public:
  StatsProvider(NodeServices& node, PodManager& pods) : node_(node), pods_(pods), started_(node.clock->now()) {}

  /// The stats API's Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1), with how long each rate was watched beside it
  /// ("usageWindow"). May block for a second; ends early when `stop` is requested. `only_cpu_and_memory` leaves out
  /// file systems, which take long to look at.
  Result<std::string> summary(bool only_cpu_and_memory, std::stop_token stop = {});
  /// Prometheus text of the resource metrics endpoint (KEP-727).
  Result<std::string> resource_metrics();

 private:
  /// Everything at one time.
  struct Look {
    std::vector<cri::ContainerStats> containers;
    std::vector<api::corev1::Pod> pods;
    std::optional<linux::CgroupUsage> node;
    std::map<std::string, linux::CgroupUsage> pod_groups;  ///< By the pod's uid.
    bool all_rates = true;
  };
  Result<Look> look();
  api::Value cpu_value(const std::string& key, uint64_t cpu_nanoseconds, const std::string& time) const;
  api::Value container_value(const cri::ContainerStats& stats) const;
  void add_file_systems(const api::corev1::Pod& pod, api::Value& entry) const;
  void add_node_file_systems(const std::string& time, api::Value& node) const;

  NodeServices& node_;
  PodManager& pods_;
  const WallTime started_;
  std::mutex turn_;  ///< One summary at a time: the second finds the first one's rates.
  CpuMeters meters_;
};

}  // namespace trireme::kubelet
