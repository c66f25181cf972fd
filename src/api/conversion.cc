#include "api/conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "api/codec.h"
#include "api/custom_resource.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/corev1.h"
#include "api/types/eventsv1.h"
#include "api/value.h"

namespace trireme::api {
namespace {

namespace v1 = autoscalingv1;
namespace v2 = autoscalingv2;

// Both versions of Event have the same content under different names.

eventsv1::Event to_events(const corev1::Event& in) {
  eventsv1::Event out;
  out.metadata = in.metadata;
  out.event_time = in.event_time;
  if (in.series) {
    eventsv1::EventSeries& series = out.series.emplace();
    series.count = in.series->count;
    series.last_observed_time = in.series->last_observed_time;
  }
  out.reporting_controller = in.reporting_component;
  out.reporting_instance = in.reporting_instance;
  out.action = in.action;
  out.reason = in.reason;
  out.regarding = in.involved_object;
  out.related = in.related;
  out.note = in.message;
  out.type = in.type;
  out.deprecated_source = in.source;
  out.deprecated_first_timestamp = in.first_timestamp;
  out.deprecated_last_timestamp = in.last_timestamp;
  out.deprecated_count = in.count;
  return out;
}

corev1::Event to_core(const eventsv1::Event& in) {
  corev1::Event out;
  out.metadata = in.metadata;
  out.event_time = in.event_time;
  if (in.series) {
    corev1::EventSeries& series = out.series.emplace();
    series.count = in.series->count;
    series.last_observed_time = in.series->last_observed_time;
  }
  out.reporting_component = in.reporting_controller;
  out.reporting_instance = in.reporting_instance;
  out.action = in.action;
  out.reason = in.reason;
  out.involved_object = in.regarding;
  out.related = in.related;
  out.message = in.note;
  out.type = in.type;
  out.source = in.deprecated_source;
  out.first_timestamp = in.deprecated_first_timestamp;
  out.last_timestamp = in.deprecated_last_timestamp;
  out.count = in.deprecated_count;
  return out;
}

// Horizontal pod autoscalers. Version 1 knows one target, the CPU utilization.

constexpr std::string_view kMetrics = "autoscaling.alpha.kubernetes.io/metrics";
constexpr std::string_view kCurrentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr std::string_view kConditions = "autoscaling.alpha.kubernetes.io/conditions";
constexpr std::string_view kBehavior = "autoscaling.alpha.kubernetes.io/behavior";
constexpr int32_t kDefaultCpuUtilization = 80;

void drop_carried_annotations(metav1::ObjectMeta& metadata) {
  for (std::string_view key : {kMetrics, kCurrentMetrics, kConditions, kBehavior}) metadata.annotations.erase(key);
}

template <typename T>
std::string encode_list(const std::vector<T>& list) {
  std::string out = "[";
  for (const T& element : list) {
    if (out.size() > 1) out += ',';
    append_json(type_info<T>(), &element, out);
  }
  return out + "]";
}

/// False, with `out` untouched, when the annotation is missing or no such list: upstream ignores it then.
template <typename T>
bool decode_list(const metav1::ObjectMeta& metadata, std::string_view key, std::vector<T>& out) {
  auto annotation = metadata.annotations.find(key);
  if (annotation == metadata.annotations.end()) return false;
  auto json = parse_value(annotation->second);
  if (!json.ok() || !json->is_array()) return false;
  std::vector<T> decoded;
  for (const Value& element : json->as_array()) {
    auto status = parse_json(type_info<T>(), to_json(element), &decoded.emplace_back());
    if (!status.ok()) return false;
  }
  out = std::move(decoded);
  return true;
}

template <typename To, typename From>
To reference(const From& in) {
  To out;
  out.kind = in.kind;
  out.name = in.name;
  out.api_version = in.api_version;
  return out;
}

template <typename To, typename From>
To condition(const From& in) {
  To out;
  out.type = in.type;
  out.status = in.status;
  out.last_transition_time = in.last_transition_time;
  out.reason = in.reason;
  out.message = in.message;
  return out;
}

v2::MetricTarget target(std::string_view type) {
  v2::MetricTarget out;
  out.type = type;
  return out;
}

v1::MetricSpec to_v1(const v2::MetricSpec& in) {
  v1::MetricSpec out;
  out.type = in.type;
  if (in.object) {
    v1::ObjectMetricSource& object = out.object.emplace();
    object.target = reference<v1::CrossVersionObjectReference>(in.object->described_object);
    object.metric_name = in.object->metric.name;
    object.selector = in.object->metric.selector;
    if (in.object->target.value) object.target_value = *in.object->target.value;
    object.average_value = in.object->target.average_value;
  }
  if (in.pods) {
    v1::PodsMetricSource& pods = out.pods.emplace();
    pods.metric_name = in.pods->metric.name;
    pods.selector = in.pods->metric.selector;
    if (in.pods->target.average_value) pods.target_average_value = *in.pods->target.average_value;
  }
  if (in.resource) {
    v1::ResourceMetricSource& resource = out.resource.emplace();
    resource.name = in.resource->name;
    resource.target_average_utilization = in.resource->target.average_utilization;
    resource.target_average_value = in.resource->target.average_value;
  }
  if (in.container_resource) {
    v1::ContainerResourceMetricSource& container = out.container_resource.emplace();
    container.name = in.container_resource->name;
    container.container = in.container_resource->container;
    container.target_average_utilization = in.container_resource->target.average_utilization;
    container.target_average_value = in.container_resource->target.average_value;
  }
  if (in.external) {
    v1::ExternalMetricSource& external = out.external.emplace();
    external.metric_name = in.external->metric.name;
    external.metric_selector = in.external->metric.selector;
    external.target_value = in.external->target.value;
    external.target_average_value = in.external->target.average_value;
  }
  return out;
}

v2::MetricSpec to_v2(const v1::MetricSpec& in) {
  v2::MetricSpec out;
  out.type = in.type;
  if (in.object) {
    v2::ObjectMetricSource& object = out.object.emplace();
    object.described_object = reference<v2::CrossVersionObjectReference>(in.object->target);
    object.metric.name = in.object->metric_name;
    object.metric.selector = in.object->selector;
    object.target = target(in.object->average_value ? "AverageValue" : "Value");
    object.target.value = in.object->target_value;
    object.target.average_value = in.object->average_value;
  }
  if (in.pods) {
    v2::PodsMetricSource& pods = out.pods.emplace();
    pods.metric.name = in.pods->metric_name;
    pods.metric.selector = in.pods->selector;
    pods.target = target("AverageValue");
    pods.target.average_value = in.pods->target_average_value;
  }
  if (in.resource) {
    v2::ResourceMetricSource& resource = out.resource.emplace();
    resource.name = in.resource->name;
    resource.target = target(in.resource->target_average_utilization ? "Utilization" : "AverageValue");
    resource.target.average_utilization = in.resource->target_average_utilization;
    resource.target.average_value = in.resource->target_average_value;
  }
  if (in.container_resource) {
    v2::ContainerResourceMetricSource& container = out.container_resource.emplace();
    container.name = in.container_resource->name;
    container.container = in.container_resource->container;
    container.target = target(in.container_resource->target_average_utilization ? "Utilization" : "AverageValue");
    container.target.average_utilization = in.container_resource->target_average_utilization;
    container.target.average_value = in.container_resource->target_average_value;
  }
  if (in.external) {
    v2::ExternalMetricSource& external = out.external.emplace();
    external.metric.name = in.external->metric_name;
    external.metric.selector = in.external->metric_selector;
    external.target = target(in.external->target_average_value ? "AverageValue" : "Value");
    external.target.value = in.external->target_value;
    external.target.average_value = in.external->target_average_value;
  }
  return out;
}

v1::MetricStatus to_v1(const v2::MetricStatus& in) {
  v1::MetricStatus out;
  out.type = in.type;
  if (in.object) {
    v1::ObjectMetricStatus& object = out.object.emplace();
    object.target = reference<v1::CrossVersionObjectReference>(in.object->described_object);
    object.metric_name = in.object->metric.name;
    object.selector = in.object->metric.selector;
    if (in.object->current.value) object.current_value = *in.object->current.value;
    object.average_value = in.object->current.average_value;
  }
  if (in.pods) {
    v1::PodsMetricStatus& pods = out.pods.emplace();
    pods.metric_name = in.pods->metric.name;
    pods.selector = in.pods->metric.selector;
    if (in.pods->current.average_value) pods.current_average_value = *in.pods->current.average_value;
  }
  if (in.resource) {
    v1::ResourceMetricStatus& resource = out.resource.emplace();
    resource.name = in.resource->name;
    resource.current_average_utilization = in.resource->current.average_utilization;
    if (in.resource->current.average_value) resource.current_average_value = *in.resource->current.average_value;
  }
  if (in.container_resource) {
    v1::ContainerResourceMetricStatus& container = out.container_resource.emplace();
    const v2::MetricValueStatus& current = in.container_resource->current;
    container.name = in.container_resource->name;
    container.container = in.container_resource->container;
    container.current_average_utilization = current.average_utilization;
    if (current.average_value) container.current_average_value = *current.average_value;
  }
  if (in.external) {
    v1::ExternalMetricStatus& external = out.external.emplace();
    external.metric_name = in.external->metric.name;
    external.metric_selector = in.external->metric.selector;
    if (in.external->current.value) external.current_value = *in.external->current.value;
    external.current_average_value = in.external->current.average_value;
  }
  return out;
}

v2::MetricStatus to_v2(const v1::MetricStatus& in) {
  v2::MetricStatus out;
  out.type = in.type;
  if (in.object) {
    v2::ObjectMetricStatus& object = out.object.emplace();
    object.described_object = reference<v2::CrossVersionObjectReference>(in.object->target);
    object.metric.name = in.object->metric_name;
    object.metric.selector = in.object->selector;
    object.current.value = in.object->current_value;
    object.current.average_value = in.object->average_value;
  }
  if (in.pods) {
    v2::PodsMetricStatus& pods = out.pods.emplace();
    pods.metric.name = in.pods->metric_name;
    pods.metric.selector = in.pods->selector;
    pods.current.average_value = in.pods->current_average_value;
  }
  if (in.resource) {
    v2::ResourceMetricStatus& resource = out.resource.emplace();
    resource.name = in.resource->name;
    resource.current.average_utilization = in.resource->current_average_utilization;
    resource.current.average_value = in.resource->current_average_value;
  }
  if (in.container_resource) {
    v2::ContainerResourceMetricStatus& container = out.container_resource.emplace();
    container.name = in.container_resource->name;
    container.container = in.container_resource->container;
    container.current.average_utilization = in.container_resource->current_average_utilization;
    container.current.average_value = in.container_resource->current_average_value;
  }
  if (in.external) {
    v2::ExternalMetricStatus& external = out.external.emplace();
    external.metric.name = in.external->metric_name;
    external.metric.selector = in.external->metric_selector;
    external.current.value = in.external->current_value;
    external.current.average_value = in.external->current_average_value;
  }
  return out;
}

/// The behavior annotation spells names as Go does without JSON tags ("ScaleUp"), and prints what is absent as null.
Value rename_members(const Value& value, char (*first_letter)(char)) {
  if (value.is_array()) {
    Value out = Value::array();
    for (const Value& element : value.as_array()) out.push_back(rename_members(element, first_letter));
    return out;
  }
  if (!value.is_object()) return value;
  Value out = Value::object();
  for (const auto& [key, member] : value.as_object()) {
    if (member.is_null()) continue;
    std::string name = key;
    if (!name.empty()) name[0] = first_letter(name[0]);
    out[name] = rename_members(member, first_letter);
  }
  return out;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Result<std::string> encode_behavior(const v2::HorizontalPodAutoscalerBehavior& behavior) {
  TRY_ASSIGN(Value json, to_value(type_info<v2::HorizontalPodAutoscalerBehavior>(), &behavior));
  Value out = rename_members(json, upper);
  for (const char* direction : {"ScaleUp", "ScaleDown"}) {
    Value& rules = out[direction];
    if (rules.is_null()) continue;
    for (const char* member : {"StabilizationWindowSeconds", "SelectPolicy", "Policies"}) rules[member];
  }
  return to_json(out);
}

void decode_behavior(const metav1::ObjectMeta& metadata, v2::HorizontalPodAutoscalerSpec& spec) {
  auto annotation = metadata.annotations.find(kBehavior);
  if (annotation == metadata.annotations.end()) return;
  auto json = parse_value(annotation->second);
  if (!json.ok() || !json->is_object()) return;
  v2::HorizontalPodAutoscalerBehavior behavior;
  auto status =
      parse_json(type_info<v2::HorizontalPodAutoscalerBehavior>(), to_json(rename_members(*json, lower)), &behavior);
  if (status.ok() && (behavior.scale_up || behavior.scale_down)) spec.behavior.emplace() = std::move(behavior);
}

bool is_cpu(const v2::MetricSpec& metric) {
  return metric.type == "Resource" && metric.resource && metric.resource->name == "cpu";
}

v2::MetricSpec cpu_utilization(int32_t percentage) {
  v2::MetricSpec metric;
  metric.type = "Resource";
  v2::ResourceMetricSource& resource = metric.resource.emplace();
  resource.name = "cpu";
  resource.target = target("Utilization");
  resource.target.average_utilization = percentage;
  return metric;
}

Result<v1::HorizontalPodAutoscaler> to_v1(const v2::HorizontalPodAutoscaler& in) {
  v1::HorizontalPodAutoscaler out;
  out.metadata = in.metadata;
  out.spec.scale_target_ref = reference<v1::CrossVersionObjectReference>(in.spec.scale_target_ref);
  out.spec.min_replicas = in.spec.min_replicas;
  out.spec.max_replicas = in.spec.max_replicas;
  auto first_cpu = std::find_if(in.spec.metrics.begin(), in.spec.metrics.end(), is_cpu);
  if (first_cpu != in.spec.metrics.end())
    out.spec.target_cpu_utilization_percentage = first_cpu->resource->target.average_utilization;
  out.status.observed_generation = in.status.observed_generation;
  out.status.last_scale_time = in.status.last_scale_time;
  out.status.current_replicas = in.status.current_replicas;
  out.status.desired_replicas = in.status.desired_replicas;
  std::vector<v1::MetricStatus> current;
  for (const v2::MetricStatus& metric : in.status.current_metrics) {
    if (metric.type == "Resource" && metric.resource && metric.resource->name == "cpu" &&
        metric.resource->current.average_utilization)
      out.status.current_cpu_utilization_percentage = metric.resource->current.average_utilization;
    current.push_back(to_v1(metric));
  }
  std::vector<v1::MetricSpec> others;
  for (const v2::MetricSpec& metric : in.spec.metrics) {
    if (!is_cpu(metric) || !metric.resource->target.average_utilization) others.push_back(to_v1(metric));
  }
  std::vector<v1::HorizontalPodAutoscalerCondition> conditions;
  for (const auto& one : in.status.conditions)
    conditions.push_back(condition<v1::HorizontalPodAutoscalerCondition>(one));

  drop_carried_annotations(out.metadata);
  if (!others.empty()) out.metadata.annotations[kMetrics] = encode_list(others);
  if (!current.empty()) out.metadata.annotations[kCurrentMetrics] = encode_list(current);
  if (!conditions.empty()) out.metadata.annotations[kConditions] = encode_list(conditions);
  if (in.spec.behavior) {
    TRY_ASSIGN(out.metadata.annotations[kBehavior], encode_behavior(*in.spec.behavior));
  }
  return out;
}

v2::HorizontalPodAutoscaler to_v2(const v1::HorizontalPodAutoscaler& in) {
  v2::HorizontalPodAutoscaler out;
  out.metadata = in.metadata;
  out.spec.scale_target_ref = reference<v2::CrossVersionObjectReference>(in.spec.scale_target_ref);
  out.spec.min_replicas = in.spec.min_replicas;
  out.spec.max_replicas = in.spec.max_replicas;
  std::vector<v1::MetricSpec> others;
  decode_list(in.metadata, kMetrics, others);
  for (const v1::MetricSpec& metric : others) out.spec.metrics.push_back(to_v2(metric));
  if (in.spec.target_cpu_utilization_percentage)
    out.spec.metrics.push_back(cpu_utilization(*in.spec.target_cpu_utilization_percentage));
  // Version 1 without any target means the default; version 2 says it.
  if (out.spec.metrics.empty()) out.spec.metrics.push_back(cpu_utilization(kDefaultCpuUtilization));
  decode_behavior(in.metadata, out.spec);

  out.status.observed_generation = in.status.observed_generation;
  out.status.last_scale_time = in.status.last_scale_time;
  out.status.current_replicas = in.status.current_replicas;
  out.status.desired_replicas = in.status.desired_replicas;
  // The annotation knows more than the one field.
  if (std::vector<v1::MetricStatus> current; decode_list(in.metadata, kCurrentMetrics, current)) {
    for (const v1::MetricStatus& metric : current) out.status.current_metrics.push_back(to_v2(metric));
  } else if (in.status.current_cpu_utilization_percentage) {
    v2::MetricStatus& metric = out.status.current_metrics.emplace_back();
    metric.type = "Resource";
    v2::ResourceMetricStatus& resource = metric.resource.emplace();
    resource.name = "cpu";
    resource.current.average_utilization = in.status.current_cpu_utilization_percentage;
  }
  std::vector<v1::HorizontalPodAutoscalerCondition> conditions;
  decode_list(in.metadata, kConditions, conditions);
  for (const auto& one : conditions)
    out.status.conditions.push_back(condition<v2::HorizontalPodAutoscalerCondition>(one));
  drop_carried_annotations(out.metadata);
  return out;
}

}  // namespace

Result<Object> convert(const Object& object, const TypeInfo& target) {
  if (&object.type() == &target) return object.clone();
  if (const auto* event = object.as<corev1::Event>(); event && &target == &type_info<eventsv1::Event>())
    return Object::of(to_events(*event));
  if (const auto* event = object.as<eventsv1::Event>(); event && &target == &type_info<corev1::Event>())
    return Object::of(to_core(*event));
  if (const auto* scaler = object.as<v2::HorizontalPodAutoscaler>();
      scaler && &target == &type_info<v1::HorizontalPodAutoscaler>()) {
    TRY_ASSIGN(v1::HorizontalPodAutoscaler converted, to_v1(*scaler));
    return Object::of(std::move(converted));
  }
  if (const auto* scaler = object.as<v1::HorizontalPodAutoscaler>();
      scaler && &target == &type_info<v2::HorizontalPodAutoscaler>())
    return Object::of(to_v2(*scaler));
  // The versions of a custom kind differ in their names only, unless it brings a converter of its own.
  if (const CustomResource* custom = as_custom(object);
      custom != nullptr && is_custom(target) && object.type().kind == target.kind) {
    Object converted(target);
    *as_custom(converted) = *custom;
    return converted;
  }
  return Status::internal(fmt::format("no conversion from {} to {}", object.type().schema_name, target.schema_name));
}

}  // namespace trireme::api
