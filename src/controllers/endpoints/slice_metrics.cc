#include "controllers/endpoints/slice_metrics.h"

#include <fmt/format.h>

namespace trireme::controllers {

SliceMetrics::SliceMetrics(const std::string& prefix, std::string_view object)
    : prefix_(prefix),
      changes_(prefix + "_changes", "Number of EndpointSlice changes", {"operation"}),
      added_(prefix + "_endpoints_added_per_sync", fmt::format("Number of endpoints added on each {} sync", object), {},
             metrics::exponential_bounds(2, 2, 15)),
      removed_(prefix + "_endpoints_removed_per_sync",
               fmt::format("Number of endpoints removed on each {} sync", object), {},
               metrics::exponential_bounds(2, 2, 15)) {}

void SliceMetrics::synced(const std::string& key, const SliceCounts& counts) {
  added_.of({}).observe_value(static_cast<double>(counts.added));
  removed_.of({}).observe_value(static_cast<double>(counts.removed));
  const std::lock_guard lock(mutex_);
  known_[key] = counts;
}

void SliceMetrics::forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  known_.erase(key);
}

void SliceMetrics::print(std::string& out) const {
  SliceCounts total;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, counts] : known_) {
      total.endpoints += counts.endpoints;
      total.slices += counts.slices;
      total.ideal_slices += counts.ideal_slices;
    }
  }
  const auto gauge = [&](std::string_view name, std::string_view help, size_t value) {
    const std::string full = fmt::format("{}_{}", prefix_, name);
    metrics::print_head(out, full, "gauge", help);
    out += fmt::format("{} {}\n", full, value);
  };
  gauge("endpoints_desired", "Number of endpoints desired", total.endpoints);
  gauge("num_endpoint_slices", "Number of EndpointSlices", total.slices);
  gauge("desired_endpoint_slices", "Number of EndpointSlices that would exist with perfect endpoint allocation",
        total.ideal_slices);
  changes_.print(out);
  added_.print(out);
  removed_.print(out);
}

}  // namespace trireme::controllers
