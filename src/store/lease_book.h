#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "store/store.h"

namespace trireme::store {

/// The longest time to live a lease may have, as etcd's.
inline constexpr int64_t kMaxLeaseSeconds = 9'000'000'000;

/// The leases of one store: when they expire and which keys hang on them. It deletes nothing itself: `on_expired` is
/// called once for a lease whose time has passed, on the clock's thread and without a lock held; from then on the
/// lease can't be renewed. Thread-safe.
class LeaseBook {
 public:
  LeaseBook(std::shared_ptr<Clock> clock, std::function<void(LeaseId)> on_expired);
  ~LeaseBook();

  /// Waits for a running `on_expired` and calls it no more.
  void stop();

  LeaseBook(const LeaseBook&) = delete;
  LeaseBook& operator=(const LeaseBook&) = delete;

  /// BadRequest when `ttl_seconds` is not positive or above kMaxLeaseSeconds.
  static Status check_ttl(int64_t ttl_seconds);

  void grant(LeaseId lease, int64_t ttl_seconds);
  /// Starts the time to live again. NotFound when there is no such lease or it has expired.
  Status renew(LeaseId lease);
  /// Calls `on_expired` for an expired lease again after `delay`: its deletion could not be written.
  void retry_expiry(LeaseId lease, Duration delay);
  /// Returns the lease's timer, to be destroyed when the caller holds no lock that `on_expired` takes.
  [[nodiscard]] std::unique_ptr<Clock::Timer> forget(LeaseId lease);
  bool contains(LeaseId lease) const;

  /// Records that `key` moved from lease `from` to lease `to` (0: none).
  void move_key(std::string_view key, LeaseId from, LeaseId to);
  std::vector<std::string> keys(LeaseId lease) const;

 private:
  struct Lease {
    Duration ttl{};
    Duration deadline{};
    bool expired = false;
    std::set<std::string, std::less<>> keys;
    std::unique_ptr<Clock::Timer> timer;
  };

  void on_timer(LeaseId lease);
  /// Sets the timer of `lease`. Returns the timer it replaces, to be destroyed without the lock.
  [[nodiscard]] std::unique_ptr<Clock::Timer> arm(LeaseId id, Lease& lease, Duration delay);

  const std::shared_ptr<Clock> clock_;
  const std::function<void(LeaseId)> on_expired_;
  mutable std::mutex mutex_;
  std::unordered_map<LeaseId, Lease> leases_;
  bool stopped_ = false;
};

}  // namespace trireme::store
