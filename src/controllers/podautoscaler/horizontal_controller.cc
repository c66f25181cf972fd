#include "controllers/podautoscaler/horizontal_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/codec.h"
#include "api/conditions.h"
#include "base/log.h"
#include "client/discovery.h"
#include "client/escape.h"

namespace trireme::controllers {

namespace autoscaling = api::autoscalingv2;
namespace corev1 = api::corev1;

namespace {

constexpr std::string_view kScale = "scale";
constexpr int kScaleTries = 5;

Quantity milli(int64_t amount) { return Quantity::of_milli(amount); }

std::string encoded(const autoscaling::HorizontalPodAutoscalerSpec& spec) { return api::encode_json(spec); }

/// As messages name a metric with its selector.
std::string metric_text(const autoscaling::MetricIdentifier& metric) {
  std::string selector = "nil";
  if (metric.selector) {
    if (auto parsed = api::LabelSelector::from(*metric.selector); parsed.ok()) selector = parsed->to_string();
  }
  return fmt::format("{}({})", metric.name, selector);
}

}  // namespace

HorizontalController::HorizontalController(const ControllerContext& context)
    : Controller(context, "horizontal-pod-autoscaler-controller",
                 context.options.concurrent_horizontal_pod_autoscaler_syncs),
      autoscalers_(context.informers->informer<Autoscaler>()),
      pods_(context.informers->informer<corev1::Pod>()),
      events_(context.events->recorder("horizontal-pod-autoscaler")),
      metrics_(context.client),
      calculator_{context.options.horizontal_pod_autoscaler_tolerance,
                  context.options.horizontal_pod_autoscaler_cpu_initialization_period,
                  context.options.horizontal_pod_autoscaler_initial_readiness_delay} {
  autoscalers_.add_handler([this](const AutoscalerPointer& before, const AutoscalerPointer& after) {
    if (before && after && encoded(before->spec) == encoded(after->spec)) return;
    enqueue(client::key_of(after ? after->metadata : before->metadata));
  });
}

void HorizontalController::set_condition(Pass& pass, std::string_view type, bool holds, std::string reason,
                                         std::string message) {
  autoscaling::HorizontalPodAutoscalerCondition condition;
  condition.type = type;
  condition.status = holds ? corev1::kConditionTrue : corev1::kConditionFalse;
  condition.reason = std::move(reason);
  condition.message = std::move(message);
  api::set_condition(pass.hpa.status.conditions, std::move(condition), clock().now());
}

Status HorizontalController::read_scale(Pass& pass) {
  const auto& target = pass.hpa.spec.scale_target_ref;
  const std::string& ns = pass.hpa.metadata.namespace_;
  TRY_ASSIGN(pass.target, client::resource_of_kind(client().raw(), target.api_version, target.kind));
  TRY_ASSIGN(const std::string body, client().raw().get_path(client::scale_path(*pass.target, ns, target.name)));
  TRY_ASSIGN(pass.scale, api::decode_json<Scale>(body));
  return {};
}

Status HorizontalController::write_scale(Pass& pass, int32_t replicas) {
  const int32_t before = pass.scale.spec.replicas;
  client::RawClient& raw = client().raw();
  for (int attempt = 1;; ++attempt) {
    Scale wanted = pass.scale;
    wanted.spec.replicas = replicas;
    Status written = raw.update(*pass.target, pass.hpa.metadata.namespace_, pass.hpa.spec.scale_target_ref.name,
                                raw.protobuf() ? api::encode_proto(wanted) : api::encode_json(wanted), kScale)
                         .status();
    if (!written.is(Reason::kConflict) || attempt == kScaleTries) return written;
    // The target's controller writes its status all the time; only another size makes the decision void.
    TRY(read_scale(pass));
    if (pass.scale.spec.replicas != before) return written;
  }
}

Status HorizontalController::select_pods(Pass& pass, const std::string& key) {
  auto refuse = [&](std::string reason, std::string message) {
    events_.warning(pass.hpa, reason, message);
    set_condition(pass, autoscaling::kScalingActive, false, std::move(reason), message);
    return Status::bad_request(std::move(message));
  };
  const std::string& text = pass.scale.status.selector;
  if (text.empty()) {
    events_.warning(pass.hpa, "SelectorRequired", "selector is required");
    set_condition(pass, autoscaling::kScalingActive, false, "InvalidSelector",
                  "the HPA target's scale is missing a selector");
    return Status::bad_request("selector is required");
  }
  auto selector = api::LabelSelector::parse(text);
  if (!selector.ok()) {
    return refuse("InvalidSelector",
                  fmt::format("couldn't convert selector into a corresponding internal selector object: {}",
                              selector.status().message()));
  }
  pass.selector = *selector;
  pass.pods = pods_.list(pass.hpa.metadata.namespace_);
  std::erase_if(pass.pods, [&](const PodPointer& pod) { return !selector->matches(pod->metadata.labels); });

  std::vector<std::string> sharing;
  {
    const std::scoped_lock lock(mutex_);
    selectors_.insert_or_assign(key, *selector);
    const std::string prefix = pass.hpa.metadata.namespace_ + "/";
    for (const auto& [other, others] : selectors_) {
      if (!other.starts_with(prefix)) continue;
      const bool shares = other == key || std::ranges::any_of(pass.pods, [&others = others](const PodPointer& pod) {
                            return others.matches(pod->metadata.labels);
                          });
      if (shares) sharing.push_back(other);
    }
  }
  if (sharing.size() > 1) {
    return refuse("AmbiguousSelector", fmt::format("pods by selector {} are controlled by multiple HPAs: [{}]", text,
                                                   fmt::join(sharing, " ")));
  }
  return {};
}

Status HorizontalController::resource_metric(const Pass& pass, std::string_view resource, std::string_view container,
                                             const autoscaling::MetricTarget& target, Proposal& out,
                                             autoscaling::MetricValueStatus& current) {
  const bool average = target.average_value.has_value();
  if (!average && !target.average_utilization) {
    return Status::bad_request(
        "invalid resource metric source: neither an average utilization target nor an average value (usage) target "
        "was set");
  }
  auto computed = [&]() -> Result<ReplicaProposal> {
    auto metrics = metrics_.resource(pass.hpa.metadata.namespace_, pass.selector, resource, container);
    if (!metrics.ok()) {
      return metrics.status().with_context(fmt::format("unable to get metrics for resource {}", resource));
    }
    const ReplicaQuestion question{pass.scale.spec.replicas, pass.pods, clock().now(), calculator_};
    if (average) {
      return average_replicas(question, std::move(*metrics), target.average_value->milli_value(), resource);
    }
    return utilization_replicas(question, std::move(*metrics), *target.average_utilization, resource, container);
  }();
  if (!computed.ok()) {
    return computed.status().with_context(
        fmt::format("failed to get {} {}", resource, average ? "usage" : "utilization"));
  }
  const std::string_view kind = container.empty() ? "resource" : "container resource";
  out.replicas = computed->replicas;
  out.name = average ? fmt::format("{} {}", resource, kind)
                     : fmt::format("{} {} utilization (percentage of request)", resource, kind);
  current.average_value = milli(computed->average);
  if (!average) current.average_utilization = computed->utilization;
  return {};
}

Status HorizontalController::shared_metric(const Pass& pass, int64_t usage, const autoscaling::MetricTarget& target,
                                           std::string_view what, Proposal& out,
                                           autoscaling::MetricValueStatus& current) {
  if (target.average_value) {
    const ReplicaProposal proposal =
        shared_replicas(pass.scale.status.replicas, usage, target.average_value->milli_value(), calculator_.tolerance);
    out.replicas = proposal.replicas;
    current.average_value = milli(proposal.average);
    return {};
  }
  if (!target.value) {
    return Status::bad_request(
        fmt::format("invalid {} metric source: neither a value target nor an average value target was set", what));
  }
  const ReplicaQuestion question{pass.scale.spec.replicas, pass.pods, clock().now(), calculator_};
  TRY_ASSIGN(const ReplicaProposal proposal, value_replicas(question, usage, target.value->milli_value()));
  out.replicas = proposal.replicas;
  current.value = milli(proposal.average);
  return {};
}

Status HorizontalController::compute_one(const Pass& pass, const MetricSpec& spec, Proposal& out, Failure& failure) {
  const std::string& ns = pass.hpa.metadata.namespace_;
  out.status.type = spec.type;
  auto failed = [&](const Status& status, std::string reason, std::string_view context) {
    failure = {status, std::move(reason)};
    return status.with_context(context);
  };
  if (spec.type == autoscaling::kResourceMetricSourceType && spec.resource) {
    auto& status = out.status.resource.emplace();
    status.name = spec.resource->name;
    const Status done = resource_metric(pass, spec.resource->name, {}, spec.resource->target, out, status.current);
    if (done.ok()) return done;
    return failed(done, "FailedGetResourceMetric", fmt::format("failed to get {} resource metric value", status.name));
  }
  if (spec.type == autoscaling::kContainerResourceMetricSourceType && spec.container_resource) {
    const auto& source = *spec.container_resource;
    auto& status = out.status.container_resource.emplace();
    status.name = source.name;
    status.container = source.container;
    const Status done = resource_metric(pass, source.name, source.container, source.target, out, status.current);
    if (done.ok()) return done;
    return failed(done, "FailedGetContainerResourceMetric",
                  fmt::format("failed to get {} container metric value", source.container));
  }
  if (spec.type == autoscaling::kPodsMetricSourceType && spec.pods) {
    auto& status = out.status.pods.emplace();
    status.metric = spec.pods->metric;
    const Status done = [&]() -> Status {
      auto metrics = metrics_.pods(ns, pass.selector, spec.pods->metric);
      if (!metrics.ok()) {
        return metrics.status().with_context(fmt::format("unable to get metric {}", spec.pods->metric.name));
      }
      const ReplicaQuestion question{pass.scale.spec.replicas, pass.pods, clock().now(), calculator_};
      const int64_t target = spec.pods->target.average_value.value_or(Quantity()).milli_value();
      TRY_ASSIGN(const ReplicaProposal proposal, average_replicas(question, std::move(*metrics), target, {}));
      out.replicas = proposal.replicas;
      status.current.average_value = milli(proposal.average);
      return {};
    }();
    out.name = fmt::format("pods metric {}", spec.pods->metric.name);
    if (done.ok()) return done;
    return failed(done, "FailedGetPodsMetric", "failed to get pods metric value");
  }
  if (spec.type == autoscaling::kObjectMetricSourceType && spec.object) {
    const auto& source = *spec.object;
    auto& status = out.status.object.emplace();
    status.metric = source.metric;
    status.described_object = source.described_object;
    const Status done = [&]() -> Status {
      const auto usage = metrics_.object(ns, source.described_object, source.metric);
      if (!usage.ok()) {
        return Status(usage.status().reason(), fmt::format("unable to get metric {}: {} on {} {}/{}",
                                                           source.metric.name, source.described_object.kind, ns,
                                                           source.described_object.name, usage.status().message()));
      }
      return shared_metric(pass, *usage, source.target, "object", out, status.current);
    }();
    out.name = source.target.average_value
                   ? fmt::format("external metric {}", metric_text(source.metric))
                   : fmt::format("{} metric {}", source.described_object.kind, source.metric.name);
    if (done.ok()) return done;
    return failed(done, "FailedGetObjectMetric", "failed to get object metric value");
  }
  if (spec.type == autoscaling::kExternalMetricSourceType && spec.external) {
    const auto& source = *spec.external;
    auto& status = out.status.external.emplace();
    status.metric = source.metric;
    const Status done = [&]() -> Status {
      const auto usage = metrics_.external(ns, source.metric);
      if (!usage.ok()) {
        const std::string what = source.target.average_value ? fmt::format("{} external metric", source.metric.name)
                                                             : fmt::format("external metric {}", source.metric.name);
        return usage.status()
            .with_context(fmt::format("unable to get external metric {}/{}", ns, metric_text(source.metric)))
            .with_context("failed to get " + what);
      }
      return shared_metric(pass, *usage, source.target, "external", out, status.current);
    }();
    out.name = fmt::format("external metric {}", metric_text(source.metric));
    if (done.ok()) return done;
    return failed(done, "FailedGetExternalMetric",
                  fmt::format("failed to get {} external metric value", source.metric.name));
  }
  const Status unknown = Status::bad_request(fmt::format("unknown metric source type \"{}\"", spec.type));
  failure = {unknown, "InvalidMetricSourceType"};
  return unknown;
}

Result<HorizontalController::Wanted> HorizontalController::compute(Pass& pass) {
  const auto& specs = pass.hpa.spec.metrics;
  Wanted out;
  Status first;
  Failure shown;
  size_t invalid = 0;
  for (const MetricSpec& spec : specs) {
    Proposal proposal;
    Failure failure;
    const Duration begin = clock().monotonic();
    const Status done = compute_one(pass, spec, proposal, failure);
    const int32_t proposed = done.ok() ? proposal.replicas : pass.scale.spec.replicas;
    measured_.computed(pass.scale.spec.replicas, proposed, done, spec.type, clock().monotonic() - begin);
    if (!done.ok()) {
      events_.warning(pass.hpa, failure.reason, failure.status.message());
      if (invalid++ == 0) {
        first = done;
        shown = failure;
      }
      continue;
    }
    out.statuses.push_back(std::move(proposal.status));
    if (out.replicas == 0 || proposal.replicas > out.replicas) {
      out.replicas = proposal.replicas;
      out.metric = proposal.name;
    }
  }
  // With some metrics unknown, only growing is safe.
  if (invalid >= specs.size() || (invalid > 0 && out.replicas < pass.scale.spec.replicas)) {
    set_condition(pass, autoscaling::kScalingActive, false, shown.reason,
                  "the HPA was unable to compute the replica count: " + shown.status.message());
    pass.hpa.status.current_metrics = std::move(out.statuses);
    return Status(first.reason(), fmt::format("invalid metrics ({} invalid out of {}), first error is: {}", invalid,
                                              specs.size(), first.message()));
  }
  set_condition(pass, autoscaling::kScalingActive, true, "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from " + out.metric);
  return out;
}

Status HorizontalController::rescale(Pass& pass, const std::string& key, int32_t current, int32_t desired,
                                     const std::string& reason) {
  const Status written = write_scale(pass, desired);
  if (!written.ok()) {
    events_.warning(pass.hpa, "FailedRescale",
                    fmt::format("New size: {}; reason: {}; error: {}", desired, reason, written.message()));
    set_condition(pass, autoscaling::kAbleToScale, false, "FailedUpdateScale",
                  "the HPA controller was unable to update the target scale: " + written.message());
    return written;
  }
  set_condition(pass, autoscaling::kAbleToScale, true, "SucceededRescale",
                fmt::format("the HPA controller was able to update the target scale to {}", desired));
  events_.normal(pass.hpa, "SuccessfulRescale", fmt::format("New size: {}; reason: {}", desired, reason));
  log::info("An autoscaler changed its target", {{"hpa", key}, {"from", current}, {"to", desired}});
  const std::scoped_lock lock(mutex_);
  histories_[key].note_step(pass.hpa.spec.behavior.get(), current, desired, clock().now());
  return {};
}

Status HorizontalController::run(Pass& pass, const std::string& key) {
  auto& status = pass.hpa.status;
  const Status read = read_scale(pass);
  if (!read.ok()) {
    events_.warning(pass.hpa, "FailedGetScale", read.message());
    set_condition(pass, autoscaling::kAbleToScale, false, "FailedGetScale",
                  "the HPA controller was unable to get the target's current scale: " + read.message());
    return read;
  }
  set_condition(pass, autoscaling::kAbleToScale, true, "SucceededGetScale",
                "the HPA controller was able to get the target's current scale");
  const int32_t current = pass.scale.spec.replicas;
  const ScalingBounds bounds{pass.hpa.spec.min_replicas.value_or(1), pass.hpa.spec.max_replicas, current};
  status.current_replicas = current;
  {
    const std::scoped_lock lock(mutex_);
    auto& known = histories_[key].recommendations;
    if (known.empty()) known.push_back({current, clock().now()});
  }

  int32_t desired = current;
  std::string reason;
  std::vector<MetricStatus> statuses;
  if (current == 0 && bounds.minimum != 0) {
    set_condition(pass, autoscaling::kScalingActive, false, "ScalingDisabled",
                  "scaling is disabled since the replica count of the target is zero");
  } else if (current > bounds.maximum) {
    desired = bounds.maximum;
    reason = "Current number of replicas above Spec.MaxReplicas";
  } else if (current < bounds.minimum) {
    desired = bounds.minimum;
    reason = "Current number of replicas below Spec.MinReplicas";
  } else {
    auto wanted = [&]() -> Result<Wanted> {
      TRY(select_pods(pass, key));
      return compute(pass);
    }();
    if (!wanted.ok()) {
      events_.warning(pass.hpa, "FailedComputeMetricsReplicas", wanted.status().message());
      return wanted.status();
    }
    statuses = std::move(wanted->statuses);
    if (wanted->replicas > current) reason = wanted->metric + " above target";
    if (wanted->replicas < current) reason = "All metrics below target";
    const std::scoped_lock lock(mutex_);
    ScalingDecision decision =
        apply_scaling_rules(histories_[key], pass.hpa.spec.behavior.get(), bounds, wanted->replicas,
                            context().options.horizontal_pod_autoscaler_downscale_stabilization, clock().now());
    desired = decision.replicas;
    set_condition(pass, autoscaling::kAbleToScale, decision.able.holds, decision.able.reason, decision.able.message);
    set_condition(pass, autoscaling::kScalingLimited, decision.limited.holds, decision.limited.reason,
                  decision.limited.message);
  }
  pass.wanted = desired;
  if (desired != current) {
    TRY(rescale(pass, key, current, desired, reason));
    status.last_scale_time = api::Time(clock().now());
  }
  status.desired_replicas = desired;
  status.current_metrics = std::move(statuses);
  return {};
}

Status HorizontalController::write_status(const Pass& pass, const Autoscaler& before) {
  if (api::encode_json(pass.hpa.status) == api::encode_json(before.status)) return {};
  Status written = client().update_status(pass.hpa).status();
  if (written.ok() || written.is(Reason::kNotFound) || written.is(Reason::kConflict)) return written;
  events_.warning(pass.hpa, "FailedUpdateStatus", written.message());
  return written;
}

Result<Outcome> HorizontalController::reconcile(const std::string& key) {
  const AutoscalerPointer stored = autoscalers_.get(key);
  if (!stored) {
    const std::scoped_lock lock(mutex_);
    histories_.erase(key);
    selectors_.erase(key);
    return Outcome::done();
  }
  Pass pass;
  pass.hpa = *stored;
  const Duration begin = clock().monotonic();
  const Status done = run(pass, key);
  const int32_t current = pass.scale.spec.replicas;
  measured_.reconciled(current, pass.wanted < 0 ? current : pass.wanted, done, clock().monotonic() - begin);
  if (!done.ok()) log::debug("An autoscaler could not decide", {{"hpa", key}, {"error", done}});
  const Status written = write_status(pass, *stored);
  if (!written.ok()) log::debug("An autoscaler's status was not written", {{"hpa", key}, {"error", written}});
  return Outcome::again_after(context().options.horizontal_pod_autoscaler_sync_period);
}

}  // namespace trireme::controllers
