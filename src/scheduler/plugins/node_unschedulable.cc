#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

bool tolerates_unschedulable(const PodInfo& pod) {
  api::corev1::Taint taint;
  taint.key = api::corev1::kTaintNodeUnschedulable;
  taint.effect = api::corev1::kTaintEffectNoSchedule;
  return tolerates(pod.pod->spec.tolerations, taint);
}

class Filter final : public NodeFilter {
 public:
  bool local() const override { return true; }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (!node.unschedulable) return Fit::kFits;
    reasons.emplace_back("node(s) were unschedulable");
    return Fit::kUnresolvable;
  }
};

class NodeUnschedulable final : public Plugin {
 public:
  std::string_view name() const override { return "NodeUnschedulable"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    if (!pod.pod->spec.tolerations.empty() && tolerates_unschedulable(pod)) return {};
    return {std::make_unique<Filter>(), {}};
  }
  uint32_t changes() const override { return kNodeAdded | kNodeTaints | kOwnTolerations; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (change.kinds & kOwnTolerations) return tolerates_unschedulable(pod);
    return !change.node || !change.node->spec.unschedulable;
  }
};

}  // namespace

std::shared_ptr<Plugin> node_unschedulable() { return std::make_shared<NodeUnschedulable>(); }

}  // namespace trireme::scheduler::plugins
