#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"

/// The pure decisions about nodes: what their conditions mean, which taints follow, and how fast evicting may go.
/// https://kubernetes.io/docs/concepts/architecture/nodes/#node-status
namespace trireme::controllers {

/// The Ready condition's status: "True", "False", "Unknown"; "Unknown" when there is none.
std::string_view ready_status(const api::corev1::Node& node);
/// When the kubelet last said something about readiness; unset when never.
api::Time ready_heartbeat(const api::corev1::Node& node);

/// Marks the conditions Ready, MemoryPressure, DiskPressure and PIDPressure Unknown: nothing was heard from the node
/// for too long. Returns whether anything changed.
bool mark_unknown(api::corev1::Node& node, WallTime now);

/// Which of the taints that the node lifecycle owns the node should have. `execute` says whether the NoExecute taint
/// of an unhealthy node is to be there; a node that is healthy never has one.
std::vector<api::corev1::Taint> wanted_taints(const api::corev1::Node& node, bool execute);
/// Replaces the taints that the node lifecycle owns by `wanted`, leaving others and the times of those that stay.
/// New NoExecute taints get `now`. Returns whether anything changed.
bool apply_taints(std::vector<api::corev1::Taint>& taints, const std::vector<api::corev1::Taint>& wanted, WallTime now);

/// "region:zone" from the node's labels; nodes without both share one zone, "".
std::string zone_of(const api::corev1::Node& node);

enum class ZoneState { kNormal, kPartialDisruption, kFullDisruption };
struct ZoneHealth {
  int ready = 0;
  int not_ready = 0;
  /// Full when no node is ready; partial when more than two and at least `threshold` of all are not.
  ZoneState state(double threshold) const;
};

/// Nodes a second that may be tainted NoExecute in a zone; 0: none. With no zone left that is not fully disrupted it is
/// this side that lost the network, and nobody is evicted.
struct EvictionRates {
  double normal = 0.1;
  double secondary = 0.01;
  double threshold = 0.55;
  int large_zone = 50;
};
double eviction_rate(const std::map<std::string, ZoneHealth>& zones, const std::string& zone,
                     const EvictionRates& rates);

}  // namespace trireme::controllers
