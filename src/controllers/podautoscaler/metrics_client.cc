#include "controllers/podautoscaler/metrics_client.h"

#include <fmt/format.h>

#include "api/codec.h"
#include "api/scheme.h"
#include "api/types/metricsv1beta1.h"
#include "api/value.h"
#include "client/discovery.h"
#include "client/escape.h"

namespace trireme::controllers {

namespace metricsv1beta1 = api::metricsv1beta1;
using api::Value;
using api::autoscalingv2::MetricIdentifier;

namespace {

constexpr std::string_view kCustom = "/apis/custom.metrics.k8s.io";
constexpr std::string_view kExternal = "/apis/external.metrics.k8s.io/v1beta1";

Result<api::LabelSelector> selector_of(const MetricIdentifier& metric) {
  if (!metric.selector) return api::LabelSelector();
  return api::LabelSelector::from(*metric.selector);
}

/// "&NAME=SELECTOR", or nothing when it selects everything.
std::string query_of(std::string_view name, const api::LabelSelector& selector) {
  if (selector.empty()) return {};
  return fmt::format("&{}={}", name, client::escaped(selector.to_string()));
}

std::string with_query(std::string path, std::string query) {
  if (!query.empty()) query[0] = '?';
  return path + query;
}

Result<int64_t> milli_at(const Value& item, std::string_view field) {
  const Value* value = item.find(field);
  if (value == nullptr || !value->is_string()) return Status::internal(fmt::format("a metric has no {}", field));
  TRY_ASSIGN(const Quantity quantity, Quantity::parse(value->as_string()));
  return quantity.milli_value();
}

Result<std::vector<Value>> items_of(const std::string& body) {
  TRY_ASSIGN(Value list, api::parse_value(body));
  Value* items = list.find("items");
  if (items == nullptr || !items->is_array()) return Status::internal("a list of metrics has no items");
  return std::move(items->as_array());
}

}  // namespace

Result<PodMetricMap> MetricsClient::resource(std::string_view ns, const api::LabelSelector& pods,
                                             std::string_view resource, std::string_view container) {
  client::ListOptions options;
  options.label_selector = pods.to_string();
  auto listed = client_.list<metricsv1beta1::PodMetrics, metricsv1beta1::PodMetricsList>(ns, options);
  if (!listed.ok()) return listed.status().with_context("unable to fetch metrics from resource metrics API");
  if (listed->items.empty()) return Status::unavailable("no metrics returned from resource metrics API");
  PodMetricMap out;
  for (const auto& pod : listed->items) {
    PodMetric metric{0, pod.timestamp ? pod.timestamp.wall() : WallTime{}, pod.window.value()};
    bool complete = !pod.containers.empty();
    bool found = container.empty();
    for (const auto& each : pod.containers) {
      if (!container.empty() && each.name != container) continue;
      found = true;
      const auto usage = each.usage.find(resource);
      if (usage == each.usage.end()) {
        complete = false;
        break;
      }
      metric.value += usage->second.milli_value();
    }
    if (!found) {
      return Status::unavailable(
          fmt::format("failed to get container metrics: container {} not present in metrics for "
                      "pod {}/{}",
                      container, ns, pod.metadata.name));
    }
    if (complete) out.emplace(pod.metadata.name, metric);
  }
  return out;
}

Result<std::string> MetricsClient::custom(std::string_view path) {
  Result<std::string> answer = Status::not_found("");
  for (const std::string_view version : {"/v1beta2", "/v1beta1"}) {
    answer = client_.raw().get_path(fmt::format("{}{}{}", kCustom, version, path));
    if (answer.ok() || !answer.status().is(Reason::kNotFound)) break;
  }
  if (answer.ok()) return answer;
  Status failure = answer.status();
  if (failure.is(Reason::kNotFound) && client_.raw().get_path(std::string(kCustom)).status().is(Reason::kNotFound)) {
    failure = Status::not_found("no custom metrics API (custom.metrics.k8s.io) registered");
  }
  return failure.with_context("unable to fetch metrics from custom metrics API");
}

Result<PodMetricMap> MetricsClient::pods(std::string_view ns, const api::LabelSelector& pods,
                                         const MetricIdentifier& metric) {
  TRY_ASSIGN(const api::LabelSelector selector, selector_of(metric));
  TRY_ASSIGN(const std::string body,
             custom(with_query(fmt::format("/namespaces/{}/pods/*/{}", ns, client::escaped(metric.name)),
                               query_of("labelSelector", pods) + query_of("metricLabelSelector", selector))));
  TRY_ASSIGN(const std::vector<Value> items, items_of(body));
  if (items.empty()) return Status::unavailable("no metrics returned from custom metrics API");
  PodMetricMap out;
  for (const Value& item : items) {
    const Value* name = item.at_path({"describedObject", "name"});
    if (name == nullptr) continue;
    PodMetric each;
    TRY_ASSIGN(each.value, milli_at(item, "value"));
    if (const Value* at = item.find("timestamp")) {
      if (auto time = api::Time::parse(at->string_or_empty()); time.ok()) each.at = time->wall();
    }
    // A minute is what adapters mean when they do not say.
    const Value* window = item.find("windowSeconds");
    each.window = std::chrono::seconds(window != nullptr && window->is_int() ? window->as_int() : 60);
    out.emplace(name->string_or_empty(), each);
  }
  return out;
}

Result<int64_t> MetricsClient::object(std::string_view ns,
                                      const api::autoscalingv2::CrossVersionObjectReference& object,
                                      const MetricIdentifier& metric) {
  TRY_ASSIGN(const api::LabelSelector selector, selector_of(metric));
  TRY_ASSIGN(const api::ResourceInfo* resource,
             client::resource_of_kind(client_.raw(), object.api_version, object.kind));
  std::string of = resource->resource;
  if (!resource->group.empty()) of += "." + resource->group;
  const std::string name = client::escaped(object.name);
  const std::string metric_name = client::escaped(metric.name);
  const std::string path = resource->kind == "Namespace" ? fmt::format("/namespaces/{}/metrics/{}", name, metric_name)
                           : resource->namespaced ? fmt::format("/namespaces/{}/{}/{}/{}", ns, of, name, metric_name)
                                                  : fmt::format("/{}/{}/{}", of, name, metric_name);
  TRY_ASSIGN(const std::string body, custom(with_query(path, query_of("metricLabelSelector", selector))));
  TRY_ASSIGN(const std::vector<Value> items, items_of(body));
  if (items.empty()) return Status::unavailable("no metrics returned from custom metrics API");
  return milli_at(items.front(), "value");
}

Result<int64_t> MetricsClient::external(std::string_view ns, const MetricIdentifier& metric) {
  TRY_ASSIGN(const api::LabelSelector selector, selector_of(metric));
  const auto body =
      client_.raw().get_path(with_query(fmt::format("{}/namespaces/{}/{}", kExternal, ns, client::escaped(metric.name)),
                                        query_of("labelSelector", selector)));
  if (!body.ok()) return body.status().with_context("unable to fetch metrics from external metrics API");
  TRY_ASSIGN(const std::vector<Value> items, items_of(*body));
  if (items.empty()) return Status::unavailable("no metrics returned from external metrics API");
  int64_t total = 0;
  for (const Value& item : items) {
    TRY_ASSIGN(const int64_t value, milli_at(item, "value"));
    total += value;
  }
  return total;
}

}  // namespace trireme::controllers
