#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "controllers/support/pods.h"

/// How many replicas a metric asks for. Amounts are in thousandths.
/// https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
namespace trireme::controllers {

/// What one pod was measured at.
struct PodMetric {
  int64_t value = 0;
  WallTime at{};
  Duration window{};
};
using PodMetricMap = std::map<std::string, PodMetric, std::less<>>;  ///< By the pod's name.

struct CalculatorOptions {
  double tolerance = 0.1;
  Duration cpu_initialization_period = std::chrono::minutes(5);
  Duration initial_readiness_delay = std::chrono::seconds(30);
};

struct ReplicaProposal {
  int32_t replicas = 0;
  int64_t average = 0;      ///< What a pod was measured at, or the whole value for targets that are not per pod.
  int32_t utilization = 0;  ///< In percent of what was requested; of `utilization_replicas` only.
};

/// The question common to all: how many there are, of which pods, at which time.
struct ReplicaQuestion {
  int32_t current = 0;  ///< What the target's specification says.
  const std::vector<PodPointer>& pods;
  WallTime now{};
  CalculatorOptions options;
};

/// Keeps the pods' use of `resource` at `target` percent of what they request: all containers together, or only the one
/// named. Fails when there are no pods, no metrics, or a container requests nothing.
Result<ReplicaProposal> utilization_replicas(const ReplicaQuestion& question, PodMetricMap metrics, int32_t target,
                                             std::string_view resource, std::string_view container);
/// Keeps the pods' average at `target`. `resource` is empty for metrics that are no resource's.
Result<ReplicaProposal> average_replicas(const ReplicaQuestion& question, PodMetricMap metrics, int64_t target,
                                         std::string_view resource);
/// Keeps one value, which more pods make smaller, at `target`.
Result<ReplicaProposal> value_replicas(const ReplicaQuestion& question, int64_t usage, int64_t target);
/// Keeps one value, divided by the number of pods there are, at `target`.
ReplicaProposal shared_replicas(int32_t existing, int64_t usage, int64_t target, double tolerance);

/// Which pods count how.
struct PodGroups {
  int ready = 0;
  std::vector<std::string> unready;  ///< Not started yet: counts as idle when scaling up.
  std::vector<std::string> missing;  ///< Not measured.
  std::vector<std::string> ignored;  ///< Failed or being deleted.
};
PodGroups group_pods(const ReplicaQuestion& question, const PodMetricMap& metrics, std::string_view resource);

}  // namespace trireme::controllers
