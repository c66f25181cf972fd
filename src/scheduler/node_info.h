#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/node_matching.h"
#include "scheduler/pod_info.h"

namespace trireme::scheduler {

/// One node and what its pods have taken of it. What every filter reads stands first and is a copy: the node itself is
/// touched only by those that need more.
struct NodeInfo {
  Resources allocatable;
  Resources requested;
  int64_t non_zero_milli_cpu = 0;  ///< Taken, by the scoring's count (PodInfo).
  int64_t non_zero_memory = 0;
  bool unschedulable = false;
  int32_t lowest_priority = std::numeric_limits<int32_t>::max();  ///< Of the pods on it.
  std::vector<api::corev1::Taint> hard_taints;                    ///< NoSchedule and NoExecute
  std::vector<api::corev1::Taint> soft_taints;                    ///< PreferNoSchedule
  std::vector<PodInfoPointer> pods;
  std::vector<PodInfoPointer> pods_with_affinity;
  std::vector<PodInfoPointer> pods_with_required_anti_affinity;
  std::vector<HostPort> used_ports;
  std::unordered_map<std::string, int64_t> image_bytes;  ///< By every name of the image.
  /// A small number that is the node's own while it is in the cache: what is kept beside nodes is indexed by it.
  size_t ordinal = 0;
  std::string name;
  NodePointer node;  ///< Null while only pods on it are known.

  void set_node(NodePointer new_node);
  void add_pod(const PodInfoPointer& pod);
  /// False when it is not there.
  bool remove_pod(std::string_view uid);

  const Labels& labels() const { return node->metadata.labels; }
  /// The value of a label, or null.
  const std::string* label(std::string_view key) const;
};

/// Region and zone in one text; empty when the node names neither.
std::string zone_of(const api::corev1::Node& node);

using api::matches_term;
using api::tolerates;
/// Whether the node satisfies the pod's nodeSelector and required node affinity.
inline bool matches_required_node_affinity(const api::corev1::Pod& pod, const api::corev1::Node& node) {
  return api::matches_required_node_affinity(pod.spec, node);
}

}  // namespace trireme::scheduler
