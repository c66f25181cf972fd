#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace trireme::scheduler {

/// Durations by buckets of 1 ms, doubling to 16.4 s. Thread-safe.
class Histogram {
 public:
  void observe(Duration duration);
  /// `labels` without braces, may be empty.
  void print(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  static constexpr size_t kBuckets = 15;
  std::array<std::atomic<uint64_t>, kBuckets + 1> counts_{};
  std::atomic<int64_t> sum_nanoseconds_ = 0;
};

/// The scheduler's metrics, by upstream's names. Thread-safe.
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
struct Metrics {
  enum Result : uint8_t { kScheduled, kUnschedulable, kError, kResults };

  std::array<std::atomic<uint64_t>, kResults> attempts{};
  std::array<Histogram, kResults> attempt_duration;  ///< Of a decision and, when scheduled, until it is bound.
  Histogram pod_duration;                            ///< From a pod's first sight to its binding.
  std::atomic<uint64_t> preemption_attempts = 0;
  std::atomic<uint64_t> preemption_victims = 0;
  std::atomic<int64_t> active = 0;
  std::atomic<int64_t> backoff = 0;
  std::atomic<int64_t> unschedulable = 0;
  std::atomic<int64_t> gated = 0;

  void record(Result result, Duration duration) {
    ++attempts[result];
    attempt_duration[result].observe(duration);
  }
  /// Prometheus text.
  std::string print(std::string_view profile) const;
};

}  // namespace trireme::scheduler
