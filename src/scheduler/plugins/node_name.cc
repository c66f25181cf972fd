#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

class Filter final : public NodeFilter {
 public:
  explicit Filter(const std::string& name) : name_(name) {}
  bool local() const override { return true; }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (node.name == name_) return Fit::kFits;
    reasons.emplace_back("node(s) didn't match the requested node name");
    return Fit::kUnresolvable;
  }

 private:
  const std::string& name_;
};

class NodeName final : public Plugin {
 public:
  std::string_view name() const override { return "NodeName"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }
  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    const std::string& name = pod.pod->spec.node_name;
    if (name.empty()) return {};
    return {std::make_unique<Filter>(name), {}};
  }
  uint32_t changes() const override { return kNodeAdded; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    return !change.node || change.node->metadata.name == pod.pod->spec.node_name;
  }
};

}  // namespace

std::shared_ptr<Plugin> node_name() { return std::make_shared<NodeName>(); }

}  // namespace trireme::scheduler::plugins
