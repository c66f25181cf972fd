#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "client/client.h"
#include "controllers/endpoints/slice_metrics.h"
#include "controllers/endpoints/slice_plan.h"

namespace trireme::controllers {

/// Carries plans out, and knows when the cache shows what was written last. Thread-safe.
class SliceWriter {
 public:
  /// See SliceMetrics.
  SliceWriter(const std::string& metrics_prefix, std::string_view object) : metrics_(metrics_prefix, object) {}
  /// False while a cache at `version` lacks what was written for `key`: a plan would write it again. The write's own
  /// event comes later and brings the key back.
  bool is_current(const std::string& key, uint64_t version);
  /// The first failure that counts: a slice that is gone or a namespace that ends do not.
  Status write(client::Client& client, const std::string& key, const SlicePlan& plan);
  /// The object is gone.
  void forget(const std::string& key);
  const SliceMetrics& metrics() const { return metrics_; }

 private:
  SliceMetrics metrics_;
  std::mutex mutex_;
  std::map<std::string, uint64_t> written_;  ///< By key: the newest version written and not yet seen in the cache.
};

}  // namespace trireme::controllers
