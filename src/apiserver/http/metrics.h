#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "apiserver/http/request_info.h"
#include "base/clock.h"

namespace trireme::apiserver {

/// Counters of the API server in upstream's names, and the Prometheus text of /metrics. Thread-safe.
class Metrics {
 public:
  explicit Metrics(WallTime started) : started_(started) {}

  /// `custom`: the resource is one of a custom kind; of others only the built-in ones are counted by name.
  void finished(const RequestInfo& info, bool custom, int code, Duration took);
  void watch_started() { ++watches_; }
  void watch_ended() { --watches_; }
  /// Registered before serving.
  void add_collector(std::function<void(std::string& out)> collect) { collectors_.push_back(std::move(collect)); }
  std::string text() const;

 private:
  struct Key {
    std::string verb, group, version, resource, subresource, scope;
    auto operator<=>(const Key&) const = default;
  };
  static constexpr std::array<double, 10> kBounds = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 5, 30};
  struct Durations {
    std::array<uint64_t, kBounds.size() + 1> counts{};
    double sum = 0;
  };
  struct Series {
    std::map<int, uint64_t> by_code;
    Durations durations;
  };
  static constexpr size_t kMaxSeries = 5000;  ///< Clients choose the labels of failed requests.

  const WallTime started_;
  mutable std::mutex mutex_;
  std::map<Key, Series> series_;
  std::atomic<int64_t> watches_ = 0;
  std::vector<std::function<void(std::string& out)>> collectors_;
};

}  // namespace trireme::apiserver
