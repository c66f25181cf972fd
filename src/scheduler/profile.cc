#include <algorithm>

#include "scheduler/framework.h"
#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler {

void normalize_by_maximum(std::span<int64_t> scores, bool reverse) {
  const int64_t highest = scores.empty() ? 0 : *std::ranges::max_element(scores);
  for (int64_t& score : scores) {
    if (highest > 0) score = score * kMaxScore / highest;
    if (reverse) score = kMaxScore - score;
  }
}

Profile default_profile() {
  return {
      {plugins::node_unschedulable(), 0},
      {plugins::node_name(), 0},
      {plugins::taint_toleration(), 3},
      {plugins::node_affinity(), 2},
      {plugins::node_ports(), 0},
      {plugins::node_resources_fit(), 1},
      {plugins::pod_topology_spread(), 2},
      {plugins::inter_pod_affinity(), 2},
      {plugins::node_resources_balanced_allocation(), 1},
      {plugins::image_locality(), 1},
  };
}

}  // namespace trireme::scheduler
