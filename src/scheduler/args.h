#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"

/// The arguments of the plugins, with upstream's defaults. KubeSchedulerConfiguration's pluginConfig sets them.
/// https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/
namespace trireme::scheduler {

struct ResourceWeight {
  std::string name;
  int64_t weight = 1;
};

/// A function by its points, linear between them: utilization in percent, and a score of 0 to 10.
struct Shape {
  struct Point {
    int64_t utilization;
    int64_t score;
  };
  std::vector<Point> points;
};

struct FitArgs {
  enum class Strategy : uint8_t { kLeastAllocated, kMostAllocated, kRequestedToCapacityRatio };
  std::vector<std::string> ignored_resources;
  std::vector<std::string> ignored_resource_groups;  ///< The part before the slash.
  Strategy strategy = Strategy::kLeastAllocated;
  std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
  Shape shape;  ///< Of kRequestedToCapacityRatio.
};

struct BalancedAllocationArgs {
  std::vector<ResourceWeight> resources = {{"cpu", 1}, {"memory", 1}};
};

struct TopologySpreadArgs {
  bool system_defaults = true;  ///< defaultingType System: hosts with skew 3, zones with skew 5.
  std::vector<api::corev1::TopologySpreadConstraint> constraints;  ///< defaultingType List
};

struct InterPodAffinityArgs {
  int32_t hard_pod_affinity_weight = 1;
  bool ignore_preferred_terms_of_existing_pods = false;
};

struct NodeAffinityArgs {
  Box<api::corev1::NodeAffinity> added_affinity;  ///< Null when there is none.
};

struct PreemptionArgs {
  int32_t min_candidate_nodes_percentage = 10;
  int32_t min_candidate_nodes_absolute = 100;
};

struct VolumeBindingArgs {
  Duration bind_timeout = std::chrono::seconds(600);
  Shape shape;  ///< Empty: the default.
};

struct PluginArgs {
  FitArgs fit;
  BalancedAllocationArgs balanced_allocation;
  TopologySpreadArgs topology_spread;
  InterPodAffinityArgs inter_pod_affinity;
  NodeAffinityArgs node_affinity;
  PreemptionArgs preemption;
  VolumeBindingArgs volume_binding;
};

}  // namespace trireme::scheduler
