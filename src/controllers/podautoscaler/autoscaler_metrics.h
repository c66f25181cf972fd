#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"

namespace trireme::controllers {

/// The autoscaler's metrics, by upstream's names. Thread-safe.
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
class AutoscalerMetrics {
 public:
  AutoscalerMetrics();
  /// One look at an autoscaler, from the size that was to the one that was decided on.
  void reconciled(int32_t current, int32_t desired, const Status& status, Duration took);
  /// One of its metrics was evaluated.
  void computed(int32_t current, int32_t desired, const Status& status, const std::string& metric_type, Duration took);
  void print(std::string& out) const;

 private:
  metrics::Counters reconciliations_, computations_;
  metrics::Histograms reconciliation_duration_, computation_duration_;
};

}  // namespace trireme::controllers
