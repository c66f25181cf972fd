#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace trireme::proxy {

/// Durations by kube-proxy's buckets: 1 ms, doubling to 16.4 s. Thread-safe.
class Durations {
 public:
  void observe(Duration duration);
  void print(std::string& out, std::string_view name, std::string_view help) const;

 private:
  static constexpr size_t kBuckets = 15;
  std::array<std::atomic<uint64_t>, kBuckets + 1> counts_{};
  std::atomic<int64_t> sum_nanoseconds_ = 0;
};

/// By kube-proxy's names. Thread-safe. https://kubernetes.io/docs/reference/instrumentation/metrics/
struct Metrics {
  Durations sync;          ///< sync_proxy_rules_duration_seconds
  Durations sync_full;     ///< sync_full_proxy_rules_duration_seconds
  Durations sync_partial;  ///< sync_partial_proxy_rules_duration_seconds
  Durations programming;   ///< network_programming_duration_seconds
  std::atomic<int64_t> last_sync_seconds = 0;
  std::atomic<int64_t> last_queued_seconds = 0;
  std::atomic<uint64_t> service_changes = 0;
  std::atomic<uint64_t> endpoint_changes = 0;
  std::atomic<int64_t> service_changes_pending = 0;
  std::atomic<int64_t> endpoint_changes_pending = 0;
  std::atomic<uint64_t> failures = 0;
  std::atomic<uint64_t> restores = 0;
  std::atomic<uint64_t> flows_forgotten = 0;
  std::atomic<int64_t> elements = 0;
  std::atomic<int64_t> services = 0;

  std::string print() const;
};

}  // namespace trireme::proxy
