#include "controllers/podautoscaler/replica_calculator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "api/conditions.h"

namespace trireme::controllers {

namespace corev1 = api::corev1;
using corev1::Pod;

namespace {

int32_t to_replicas(double wanted) {
  const double whole = std::ceil(wanted);
  constexpr double kMost = std::numeric_limits<int32_t>::max();
  return whole >= kMost ? std::numeric_limits<int32_t>::max() : static_cast<int32_t>(whole);
}

bool within(double ratio, double tolerance) { return std::abs(1.0 - ratio) <= tolerance; }

/// Whether the sample of the pod's cpu says nothing, because the pod was only starting.
bool is_warming_up(const ReplicaQuestion& question, const Pod& pod, const PodMetric& metric) {
  const auto* ready = api::find_condition(pod.status.conditions, corev1::kPodReady);
  if (ready == nullptr || !pod.status.start_time) return true;
  const bool unready = ready->status == corev1::kConditionFalse;
  const WallTime started = pod.status.start_time->wall();
  const WallTime since = ready->last_transition_time ? ready->last_transition_time.wall() : WallTime{};
  if (started + question.options.cpu_initialization_period > question.now) {
    return unready || metric.at < since + metric.window;
  }
  // It has never been ready.
  return unready && started + question.options.initial_readiness_delay > since;
}

struct Measured {
  double ratio = 0;
  int64_t average = 0;
  int32_t utilization = 0;
};
using Measure = std::function<Result<Measured>(const PodMetricMap&)>;

/// The common reckoning: pods without a measurement count so that they dampen the change. `missing_value` is what such
/// a pod uses when scaling down.
Result<ReplicaProposal> reckon(const ReplicaQuestion& question, PodMetricMap metrics, std::string_view resource,
                               const Measure& measure,
                               const std::function<int64_t(const std::string& pod)>& missing_value) {
  const PodGroups groups = group_pods(question, metrics, resource);
  for (const auto* names : {&groups.ignored, &groups.unready}) {
    for (const std::string& name : *names) metrics.erase(name);
  }
  if (metrics.empty()) {
    return Status::unavailable("did not receive metrics for targeted pods (pods might be unready)");
  }
  TRY_ASSIGN(const Measured first, measure(metrics));
  ReplicaProposal out{question.current, first.average, first.utilization};
  const bool up = first.ratio > 1.0;
  const bool with_unready = up && !groups.unready.empty();
  if (!with_unready && groups.missing.empty()) {
    if (!within(first.ratio, question.options.tolerance)) out.replicas = to_replicas(first.ratio * groups.ready);
    return out;
  }
  for (const std::string& name : groups.missing) {
    if (first.ratio < 1.0) {
      metrics[name] = {missing_value(name)};
    } else if (up) {
      metrics[name] = {0};
    }
  }
  if (with_unready) {
    for (const std::string& name : groups.unready) metrics[name] = {0};
  }
  TRY_ASSIGN(const Measured second, measure(metrics));
  const bool turned = (first.ratio < 1.0 && second.ratio > 1.0) || (up && second.ratio < 1.0);
  if (within(second.ratio, question.options.tolerance) || turned) return out;
  const int32_t replicas = to_replicas(second.ratio * static_cast<double>(metrics.size()));
  const bool wrong_way =
      (second.ratio < 1.0 && replicas > question.current) || (second.ratio > 1.0 && replicas < question.current);
  if (!wrong_way) out.replicas = replicas;
  return out;
}

Status no_pods() { return Status::unavailable("no pods returned by selector while calculating replica count"); }

/// What each pod requests of the resource.
Result<std::map<std::string, int64_t>> requests_of(const std::vector<PodPointer>& pods, std::string_view resource,
                                                   std::string_view only) {
  std::map<std::string, int64_t> out;
  for (const PodPointer& pod : pods) {
    int64_t& total = out[pod->metadata.name];
    auto add = [&](const corev1::Container& container) -> Status {
      if (!only.empty() && container.name != only) return {};
      const auto request = container.resources.requests.find(resource);
      if (request == container.resources.requests.end()) {
        return Status::bad_request(fmt::format("missing request for {} in container {} of Pod {}", resource,
                                               container.name, pod->metadata.name));
      }
      total += request->second.milli_value();
      return {};
    };
    for (const auto& container : pod->spec.containers) TRY(add(container));
    for (const auto& container : pod->spec.init_containers) {
      if (container.restart_policy == corev1::kContainerRestartPolicyAlways) TRY(add(container));
    }
  }
  return out;
}

}  // namespace

PodGroups group_pods(const ReplicaQuestion& question, const PodMetricMap& metrics, std::string_view resource) {
  PodGroups out;
  for (const PodPointer& pod : question.pods) {
    const std::string& name = pod->metadata.name;
    if (pod->metadata.deletion_timestamp || pod->status.phase == corev1::kPodFailed) {
      out.ignored.push_back(name);
      continue;
    }
    if (pod->status.phase == corev1::kPodPending) {
      out.unready.push_back(name);
      continue;
    }
    const auto metric = metrics.find(name);
    if (metric == metrics.end()) {
      out.missing.push_back(name);
    } else if (resource == corev1::kResourceCPU && is_warming_up(question, *pod, metric->second)) {
      out.unready.push_back(name);
    } else {
      ++out.ready;
    }
  }
  return out;
}

Result<ReplicaProposal> utilization_replicas(const ReplicaQuestion& question, PodMetricMap metrics, int32_t target,
                                             std::string_view resource, std::string_view container) {
  if (question.pods.empty()) return no_pods();
  TRY_ASSIGN(const auto requests, requests_of(question.pods, resource, container));
  const Measure measure = [&](const PodMetricMap& measured) -> Result<Measured> {
    int64_t used = 0;
    int64_t requested = 0;
    int64_t pods = 0;
    for (const auto& [name, metric] : measured) {
      const auto request = requests.find(name);
      if (request == requests.end()) continue;
      used += metric.value;
      requested += request->second;
      ++pods;
    }
    if (requested == 0) return Status::unavailable("no metrics returned matched known pods");
    const auto utilization = static_cast<int32_t>(used * 100 / requested);
    return Measured{static_cast<double>(utilization) / target, used / pods, utilization};
  };
  return reckon(question, std::move(metrics), resource, measure, [&](const std::string& pod) {
    // Also when the target allows more than all that was requested.
    return requests.at(pod) * std::max(100, target) / 100;
  });
}

Result<ReplicaProposal> average_replicas(const ReplicaQuestion& question, PodMetricMap metrics, int64_t target,
                                         std::string_view resource) {
  if (question.pods.empty()) return no_pods();
  const Measure measure = [&](const PodMetricMap& measured) -> Result<Measured> {
    int64_t total = 0;
    for (const auto& [name, metric] : measured) total += metric.value;
    const int64_t average = total / static_cast<int64_t>(measured.size());
    return Measured{static_cast<double>(average) / static_cast<double>(target), average};
  };
  return reckon(question, std::move(metrics), resource, measure, [&](const std::string&) { return target; });
}

Result<ReplicaProposal> value_replicas(const ReplicaQuestion& question, int64_t usage, int64_t target) {
  const double ratio = static_cast<double>(usage) / static_cast<double>(target);
  ReplicaProposal out{question.current, usage};
  if (question.current == 0) {
    // From nothing, readiness says nothing.
    out.replicas = to_replicas(ratio);
    return out;
  }
  if (within(ratio, question.options.tolerance)) return out;
  if (question.pods.empty()) {
    return Status::unavailable(
        "unable to calculate ready pods: no pods returned by selector while calculating replica count");
  }
  const auto ready = std::ranges::count_if(
      question.pods, [](const PodPointer& pod) { return pod->status.phase == corev1::kPodRunning && is_ready(*pod); });
  out.replicas = to_replicas(ratio * static_cast<double>(ready));
  return out;
}

ReplicaProposal shared_replicas(int32_t existing, int64_t usage, int64_t target, double tolerance) {
  ReplicaProposal out{existing};
  const double ratio = static_cast<double>(usage) / (static_cast<double>(target) * existing);
  // Also where there are none: then the ratio is infinite, or no number at all.
  if (!within(ratio, tolerance)) out.replicas = to_replicas(static_cast<double>(usage) / static_cast<double>(target));
  out.average = existing == 0 ? usage : static_cast<int64_t>(std::ceil(static_cast<double>(usage) / existing));
  return out;
}

}  // namespace trireme::controllers
