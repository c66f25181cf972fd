#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

bool conflict(const std::vector<HostPort>& wanted, const std::vector<HostPort>& used) {
  return std::ranges::any_of(wanted, [&](const HostPort& port) {
    return std::ranges::any_of(used, [&](const HostPort& other) { return port.conflicts(other); });
  });
}

class Filter final : public NodeFilter {
 public:
  explicit Filter(const PodInfo& pod) : wanted_(pod.host_ports) {}
  bool local() const override { return true; }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (!conflict(wanted_, node.used_ports)) return Fit::kFits;
    reasons.emplace_back("node(s) didn't have free ports for the requested pod ports");
    return Fit::kUnschedulable;
  }

 private:
  const std::vector<HostPort>& wanted_;
};

class NodePorts final : public Plugin {
 public:
  std::string_view name() const override { return "NodePorts"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    if (pod.host_ports.empty()) return {};
    return {std::make_unique<Filter>(pod), {}};
  }
  uint32_t changes() const override { return kNodeAdded | kPodGone; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    return !change.pod || conflict(pod.host_ports, change.pod->host_ports);
  }
};

}  // namespace

std::shared_ptr<Plugin> node_ports() { return std::make_shared<NodePorts>(); }

}  // namespace trireme::scheduler::plugins
