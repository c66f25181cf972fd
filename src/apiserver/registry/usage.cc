#include "apiserver/registry/usage.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/value.h"

namespace trireme::apiserver {

namespace corev1 = api::corev1;
namespace metrics = api::metricsv1beta1;
using api::Value;

namespace {

/// How often upstream's kubelet looks; ours says how long it did.
constexpr Duration kUsualWindow = std::chrono::seconds(10);

std::optional<int64_t> number_at(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->is_int() ? found->as_int() : static_cast<int64_t>(found->as_double());
}

std::optional<Usage> usage_of(const Value& value) {
  const auto cpu = number_at(value, {"cpu", "usageNanoCores"});
  const auto memory = number_at(value, {"memory", "workingSetBytes"});
  if (!cpu || !memory) return std::nullopt;
  return Usage{*cpu, *memory};
}

/// When and how long the cpu was watched.
void read_times(const Value& value, api::Time& at, Duration& window) {
  if (const Value* time = value.at_path({"cpu", "time"})) {
    if (auto parsed = api::Time::parse(time->string_or_empty()); parsed.ok()) at = *parsed;
  }
  window = kUsualWindow;
  if (const Value* watched = value.at_path({"cpu", "usageWindow"})) {
    if (auto parsed = api::GoDuration::parse(watched->string_or_empty()); parsed.ok()) window = parsed->value();
  }
}

std::optional<PodUsage> pod_usage(const Value& value) {
  const Value* containers = value.find("containers");
  if (containers == nullptr || !containers->is_array() || containers->as_array().empty()) return std::nullopt;
  PodUsage out;
  for (const Value& each : containers->as_array()) {
    const auto usage = usage_of(each);
    if (!usage) return std::nullopt;
    read_times(each, out.at, out.window);
    const Value* name = each.find("name");
    out.containers.push_back({name != nullptr ? std::string(name->string_or_empty()) : std::string(), *usage});
  }
  std::ranges::sort(out.containers, {}, &ContainerUsage::name);
  return out;
}

api::Map<Quantity> resources(const Usage& usage) {
  api::Map<Quantity> out;
  if (auto cpu = Quantity::parse(fmt::format("{}n", usage.cpu_nanocores)); cpu.ok()) {
    out.emplace(corev1::kResourceCPU, *cpu);
  }
  // In whole kibibytes, as upstream's add-on shows it.
  out.emplace(corev1::kResourceMemory, Quantity::of(usage.memory_bytes / 1024 * 1024, Quantity::Format::kBinarySi));
  return out;
}

}  // namespace

Result<NodeUsage> parse_summary(std::string_view json) {
  auto summary = api::parse_value(json);
  if (!summary.ok()) return Status::internal("the kubelet's summary: " + summary.status().message());
  const Value* node = summary->find("node");
  if (node == nullptr) return Status::internal("the kubelet's summary says nothing of its node");
  NodeUsage out;
  read_times(*node, out.at, out.window);
  out.node = usage_of(*node);
  const Value* pods = summary->find("pods");
  if (pods == nullptr || !pods->is_array()) return out;
  for (const Value& pod : pods->as_array()) {
    const Value* uid = pod.at_path({"podRef", "uid"});
    auto usage = pod_usage(pod);
    if (uid != nullptr && usage) out.pods.emplace(uid->string_or_empty(), std::move(*usage));
  }
  return out;
}

metrics::NodeMetrics node_metrics(const corev1::Node& node, const NodeUsage& node_usage) {
  metrics::NodeMetrics out;
  out.metadata.name = node.metadata.name;
  out.metadata.labels = node.metadata.labels;
  out.metadata.creation_timestamp = node_usage.at;
  out.timestamp = node_usage.at;
  out.window = node_usage.window;
  out.usage = resources(*node_usage.node);
  return out;
}

metrics::PodMetrics pod_metrics(const corev1::Pod& pod, const PodUsage& usage) {
  metrics::PodMetrics out;
  out.metadata.name = pod.metadata.name;
  out.metadata.namespace_ = pod.metadata.namespace_;
  out.metadata.labels = pod.metadata.labels;
  out.metadata.creation_timestamp = usage.at;
  out.timestamp = usage.at;
  out.window = usage.window;
  for (const ContainerUsage& container : usage.containers) {
    metrics::ContainerMetrics& each = out.containers.emplace_back();
    each.name = container.name;
    each.usage = resources(container.usage);
  }
  return out;
}

}  // namespace trireme::apiserver
