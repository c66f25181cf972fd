// The plugins at the two ends of a pod's way: before it is queued, and when it is bound.

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

class SchedulingGates final : public Plugin {
 public:
  std::string_view name() const override { return "SchedulingGates"; }
  uint32_t points() const override { return point_bit(Point::kPreEnqueue); }
  std::optional<std::string> pre_enqueue(const PodInfo& pod) const override {
    const auto& gates = pod.pod->spec.scheduling_gates;
    if (gates.empty()) return std::nullopt;
    std::string names;
    for (const auto& gate : gates) names += (names.empty() ? "" : " ") + gate.name;
    return "waiting for scheduling gates: [" + names + "]";
  }
  uint32_t changes() const override { return kOwnGates; }
};

class PrioritySort final : public Plugin {
 public:
  std::string_view name() const override { return "PrioritySort"; }
  uint32_t points() const override { return point_bit(Point::kQueueSort); }
};

class DefaultBinder final : public Plugin {
 public:
  explicit DefaultBinder(client::Client client) : client_(std::move(client)) {}
  std::string_view name() const override { return "DefaultBinder"; }
  uint32_t points() const override { return point_bit(Point::kBind); }
  std::optional<Status> bind(const api::corev1::Pod& pod, const std::string& node) override {
    api::corev1::Binding binding;
    binding.metadata.namespace_ = pod.metadata.namespace_;
    binding.metadata.name = pod.metadata.name;
    binding.metadata.uid = pod.metadata.uid;
    binding.target.kind = "Node";
    binding.target.name = node;
    return client_.post<api::corev1::Pod>(pod.metadata.namespace_, pod.metadata.name, "binding", binding);
  }

 private:
  client::Client client_;
};

}  // namespace

std::shared_ptr<Plugin> scheduling_gates() { return std::make_shared<SchedulingGates>(); }

std::shared_ptr<Plugin> priority_sort() { return std::make_shared<PrioritySort>(); }

std::shared_ptr<Plugin> default_binder(const PluginContext& context) {
  return context.client ? std::make_shared<DefaultBinder>(*context.client) : nullptr;
}

}  // namespace trireme::scheduler::plugins
