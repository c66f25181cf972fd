#include "controllers/podautoscaler/autoscaler_metrics.h"

namespace trireme::controllers {
namespace {

std::string named(std::string_view metric) { return "horizontal_pod_autoscaler_controller_" + std::string(metric); }

std::string action_of(int32_t current, int32_t desired) {
  return desired > current ? "scale_up" : desired < current ? "scale_down" : "none";
}

/// What was asked for is wrong, or what was needed to decide could not be had.
std::string error_of(const Status& status) {
  return status.ok() ? "none" : status.is(Reason::kBadRequest) ? "spec" : "internal";
}

std::vector<double> bounds() { return metrics::exponential_bounds(0.001, 2, 15); }

}  // namespace

AutoscalerMetrics::AutoscalerMetrics()
    : reconciliations_(named("reconciliations_total"), "Number of reconciliations of HPA controller.",
                       {"action", "error"}),
      computations_(named("metric_computation_total"), "Number of metric computations.",
                    {"action", "error", "metric_type"}),
      reconciliation_duration_(named("reconciliation_duration_seconds"),
                               "The time(seconds) that the HPA controller takes to reconcile once.",
                               {"action", "error"}, bounds()),
      computation_duration_(named("metric_computation_duration_seconds"),
                            "The time(seconds) that the HPA controller takes to calculate one metric.",
                            {"action", "error", "metric_type"}, bounds()) {}

void AutoscalerMetrics::reconciled(int32_t current, int32_t desired, const Status& status, Duration took) {
  const metrics::Labels labels{action_of(current, desired), error_of(status)};
  reconciliations_.add(labels);
  reconciliation_duration_.observe(labels, took);
}

void AutoscalerMetrics::computed(int32_t current, int32_t desired, const Status& status, const std::string& metric_type,
                                 Duration took) {
  const metrics::Labels labels{action_of(current, desired), error_of(status), metric_type};
  computations_.add(labels);
  computation_duration_.observe(labels, took);
}

void AutoscalerMetrics::print(std::string& out) const {
  reconciliations_.print(out);
  reconciliation_duration_.print(out);
  computations_.print(out);
  computation_duration_.print(out);
}

}  // namespace trireme::controllers
