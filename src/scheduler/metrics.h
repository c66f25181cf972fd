#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/metrics.h"

namespace trireme::scheduler {

/// The scheduler's metrics, by upstream's names. Thread-safe, but for `serve`.
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
class Metrics {
 public:
  enum Result : uint8_t { kScheduled, kUnschedulable, kError, kResults };

  Metrics();
  /// A profile whose pods are going to be recorded. Before anything else.
  void serve(const std::string& profile);

  /// An attempt to schedule a pod: the decision and, when scheduled, what it took until it is bound.
  void record(const std::string& profile, Result result, Duration duration);
  /// A pod was bound at its so-many-th attempt, so long after it was first seen.
  void bound(int attempts, Duration since_first_seen);
  void preempting() { preemption_attempts_.add({}); }
  void preempted(size_t victims) { preemption_victims_.of({}).observe_value(static_cast<double>(victims)); }

  std::atomic<int64_t> active = 0;
  std::atomic<int64_t> backoff = 0;
  std::atomic<int64_t> unschedulable = 0;
  std::atomic<int64_t> gated = 0;

  /// Prometheus text.
  std::string print() const;

 private:
  /// Found once, not with every pod.
  struct PerProfile {
    std::array<std::atomic<uint64_t>*, kResults> attempts{};
    std::array<metrics::Distribution*, kResults> durations{};
  };
  metrics::Counters attempts_;
  metrics::Histograms attempt_duration_;
  metrics::Histograms pod_duration_;
  metrics::Counters preemption_attempts_;
  metrics::Histograms preemption_victims_;
  std::map<std::string, PerProfile, std::less<>> profiles_;
};

}  // namespace trireme::scheduler
