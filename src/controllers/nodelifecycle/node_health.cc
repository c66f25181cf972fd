#include "controllers/nodelifecycle/node_health.h"

#include <algorithm>

#include "api/conditions.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::NodeCondition;
using api::corev1::Taint;
namespace v1 = api::corev1;

namespace {

bool has_status(const Node& node, std::string_view type, std::string_view status) {
  const NodeCondition* condition = api::find_condition(node.status.conditions, type);
  return condition && condition->status == status;
}

Taint taint(std::string_view key, std::string_view effect) {
  Taint out;
  out.key = key;
  out.effect = effect;
  return out;
}

bool owned(const Taint& taint) {
  const bool health = taint.key == v1::kTaintNodeNotReady || taint.key == v1::kTaintNodeUnreachable;
  if (taint.effect == v1::kTaintEffectNoExecute) return health;
  if (taint.effect != v1::kTaintEffectNoSchedule) return false;
  return health || taint.key == v1::kTaintNodeMemoryPressure || taint.key == v1::kTaintNodeDiskPressure ||
         taint.key == v1::kTaintNodePIDPressure || taint.key == v1::kTaintNodeNetworkUnavailable ||
         taint.key == v1::kTaintNodeUnschedulable;
}

bool same(const Taint& a, const Taint& b) { return a.key == b.key && a.effect == b.effect; }

bool contains(const std::vector<Taint>& taints, const Taint& wanted) {
  return std::ranges::any_of(taints, [&](const Taint& each) { return same(each, wanted); });
}

}  // namespace

std::string_view ready_status(const Node& node) {
  const NodeCondition* ready = api::find_condition(node.status.conditions, v1::kNodeReady);
  return ready ? std::string_view(ready->status) : v1::kConditionUnknown;
}

api::Time ready_heartbeat(const Node& node) {
  const NodeCondition* ready = api::find_condition(node.status.conditions, v1::kNodeReady);
  return ready ? ready->last_heartbeat_time : api::Time();
}

bool mark_unknown(Node& node, WallTime now) {
  bool changed = false;
  for (const std::string_view type :
       {v1::kNodeReady, v1::kNodeMemoryPressure, v1::kNodeDiskPressure, v1::kNodePIDPressure}) {
    auto& conditions = node.status.conditions;
    auto found = std::ranges::find_if(conditions, [&](const NodeCondition& each) { return each.type == type; });
    if (found == conditions.end()) {
      NodeCondition condition;
      condition.type = type;
      condition.status = v1::kConditionUnknown;
      condition.reason = "NodeStatusNeverUpdated";
      condition.message = "Kubelet never posted node status.";
      condition.last_heartbeat_time = node.metadata.creation_timestamp;
      condition.last_transition_time = api::Time(now);
      conditions.push_back(std::move(condition));
      changed = true;
    } else if (found->status != v1::kConditionUnknown) {
      found->status = v1::kConditionUnknown;
      found->reason = "NodeStatusUnknown";
      found->message = "Kubelet stopped posting node status.";
      found->last_transition_time = api::Time(now);
      changed = true;
    }
  }
  return changed;
}

std::vector<Taint> wanted_taints(const Node& node, bool execute) {
  std::vector<Taint> wanted;
  std::string_view health;
  // A node that never said anything is left alone until it is known to be unreachable.
  if (const NodeCondition* ready = api::find_condition(node.status.conditions, v1::kNodeReady)) {
    if (ready->status == v1::kConditionFalse) health = v1::kTaintNodeNotReady;
    if (ready->status == v1::kConditionUnknown) health = v1::kTaintNodeUnreachable;
  }
  if (!health.empty()) {
    wanted.push_back(taint(health, v1::kTaintEffectNoSchedule));
    if (execute) wanted.push_back(taint(health, v1::kTaintEffectNoExecute));
  }
  const auto pressure = [&](std::string_view condition, std::string_view key) {
    if (has_status(node, condition, v1::kConditionTrue)) wanted.push_back(taint(key, v1::kTaintEffectNoSchedule));
  };
  pressure(v1::kNodeMemoryPressure, v1::kTaintNodeMemoryPressure);
  pressure(v1::kNodeDiskPressure, v1::kTaintNodeDiskPressure);
  pressure(v1::kNodePIDPressure, v1::kTaintNodePIDPressure);
  pressure(v1::kNodeNetworkUnavailable, v1::kTaintNodeNetworkUnavailable);
  if (node.spec.unschedulable) wanted.push_back(taint(v1::kTaintNodeUnschedulable, v1::kTaintEffectNoSchedule));
  return wanted;
}

bool apply_taints(std::vector<Taint>& taints, const std::vector<Taint>& wanted, WallTime now) {
  const size_t removed =
      std::erase_if(taints, [&](const Taint& each) { return owned(each) && !contains(wanted, each); });
  bool changed = removed > 0;
  for (const Taint& each : wanted) {
    if (contains(taints, each)) continue;
    taints.push_back(each);
    taints.back().time_added = api::Time(now);
    changed = true;
  }
  return changed;
}

std::string zone_of(const Node& node) {
  const std::string region = node.metadata.labels.get(api::corev1::kLabelTopologyRegion);
  const std::string zone = node.metadata.labels.get(api::corev1::kLabelTopologyZone);
  return region.empty() && zone.empty() ? std::string() : region + ":" + zone;
}

ZoneState ZoneHealth::state(double threshold) const {
  if (ready == 0 && not_ready > 0) return ZoneState::kFullDisruption;
  if (not_ready > 2 && static_cast<double>(not_ready) / (not_ready + ready) >= threshold) {
    return ZoneState::kPartialDisruption;
  }
  return ZoneState::kNormal;
}

double eviction_rate(const std::map<std::string, ZoneHealth>& zones, const std::string& zone,
                     const EvictionRates& rates) {
  const bool all_lost = std::ranges::all_of(
      zones, [&](const auto& entry) { return entry.second.state(rates.threshold) == ZoneState::kFullDisruption; });
  if (all_lost) return 0;
  const auto found = zones.find(zone);
  if (found == zones.end()) return rates.normal;
  if (found->second.state(rates.threshold) == ZoneState::kPartialDisruption) {
    return found->second.ready + found->second.not_ready > rates.large_zone ? rates.secondary : 0;
  }
  return rates.normal;
}

}  // namespace trireme::controllers
