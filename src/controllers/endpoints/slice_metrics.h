#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "controllers/endpoints/slice_plan.h"

namespace trireme::controllers {

/// What the controllers of EndpointSlices tell of their work, by upstream's names. Thread-safe.
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
class SliceMetrics {
 public:
  /// `prefix`: "endpoint_slice_controller"; `object`: of what a pass is ("Service").
  SliceMetrics(const std::string& prefix, std::string_view object);
  /// A slice was written: "create", "update", "delete".
  void changed(std::string_view operation) { changes_.add({std::string(operation)}); }
  /// A plan for the object `key` was carried out.
  void synced(const std::string& key, const SliceCounts& counts);
  /// The object is gone, or has no slices any more.
  void forget(const std::string& key);
  void print(std::string& out) const;

 private:
  const std::string prefix_;
  metrics::Counters changes_;
  metrics::Histograms added_, removed_;
  mutable std::mutex mutex_;
  std::map<std::string, SliceCounts> known_;  ///< By key: as of the last pass.
};

}  // namespace trireme::controllers
