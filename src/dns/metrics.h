#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "base/clock.h"

namespace trireme::dns {

/// What one thread counts, by CoreDNS's names (https://coredns.io/plugins/metrics/). One thread writes, any reads.
class Metrics {
 public:
  void count_query(bool tcp, bool v6, uint16_t type) { bump(requests_[tcp ? 1 : 0][v6 ? 1 : 0][slot_of(type)]); }
  void count_response(uint8_t rcode) { bump(responses_[rcode < kRcodes ? rcode : kRcodes - 1]); }
  /// `count` queries that took `each`.
  void observe(Duration each, uint64_t count);
  void count_hit() { bump(hits_); }
  void count_miss() { bump(misses_); }
  void count_forward() { bump(forwards_); }
  void count_reject() { bump(rejects_); }
  void count_broken_health_check() { bump(broken_); }

  /// Adds the figures of another thread.
  void add(const Metrics& other);
  void print(std::string& out, size_t cache_entries) const;

 private:
  using Counter = std::atomic<uint64_t>;
  static constexpr size_t kTypes = 14;
  static constexpr size_t kRcodes = 17;
  static constexpr size_t kBuckets = 16;  ///< From 250 us, doubling.
  static size_t slot_of(uint16_t type);
  /// Only one thread writes: no locked instruction is needed.
  static void bump(Counter& counter, uint64_t by = 1) {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::array<std::array<Counter, kTypes>, 2>, 2> requests_{};
  std::array<Counter, kRcodes> responses_{};
  std::array<Counter, kBuckets + 1> durations_{};
  Counter duration_sum_{};  // nanoseconds
  Counter hits_{};
  Counter misses_{};
  Counter forwards_{};
  Counter rejects_{};
  Counter broken_{};
};

}  // namespace trireme::dns
