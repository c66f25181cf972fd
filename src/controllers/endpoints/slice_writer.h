#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "client/client.h"
#include "controllers/endpoints/slice_plan.h"

namespace trireme::controllers {

/// Carries plans out, and knows when the cache shows what was written last. Thread-safe.
class SliceWriter {
 public:
  /// False while a cache at `version` lacks what was written for `key`: a plan would write it again. The write's own
  /// event comes later and brings the key back.
  bool is_current(const std::string& key, uint64_t version);
  /// The first failure that counts: a slice that is gone or a namespace that ends do not.
  Status write(client::Client& client, const std::string& key, const SlicePlan& plan);
  void forget(const std::string& key);

 private:
  std::mutex mutex_;
  std::map<std::string, uint64_t> written_;  ///< By key: the newest version written and not yet seen in the cache.
};

}  // namespace trireme::controllers
