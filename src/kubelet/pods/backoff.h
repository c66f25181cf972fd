#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace trireme::kubelet {

/// Growing delays by key: for containers that keep failing and images that cannot be pulled. Thread-safe.
///
/// A key's first failure costs no delay, the second `base`, then twice as much each time up to `maximum`. A key that
/// was quiet for twice the maximum starts anew (KEP-4603 describes the rule and its figures).
class Backoff {
 public:
  Backoff(std::shared_ptr<Clock> clock, Duration base, Duration maximum)
      : clock_(std::move(clock)), base_(base), maximum_(maximum) {}

  /// How long `key` must still wait, counted from `since` (when it last failed, by the wall clock); zero: it may go.
  Duration remaining(const std::string& key, WallTime since);
  /// Notes that `key`, which failed at `since`, is tried again now. Call it when `remaining` was zero.
  void next(const std::string& key, WallTime since);
  /// The present delay.
  Duration delay(const std::string& key) const;
  /// Drops all keys that begin with `prefix`.
  void forget_prefix(std::string_view prefix);

 private:
  struct Entry {
    Duration delay{};
    WallTime updated;
  };
  bool expired(const Entry& entry, WallTime since) const { return since - entry.updated > 2 * maximum_; }

  const std::shared_ptr<Clock> clock_;
  const Duration base_;
  const Duration maximum_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace trireme::kubelet
