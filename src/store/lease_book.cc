#include "store/lease_book.h"

#include <fmt/format.h>

#include <utility>

namespace trireme::store {

LeaseBook::LeaseBook(std::shared_ptr<Clock> clock, std::function<void(LeaseId)> on_expired)
    : clock_(std::move(clock)), on_expired_(std::move(on_expired)) {}

LeaseBook::~LeaseBook() { stop(); }

void LeaseBook::stop() {
  std::vector<std::unique_ptr<Clock::Timer>> timers;  // their destruction may wait for a callback that wants the lock
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& [id, lease] : leases_) timers.push_back(std::move(lease.timer));
}

Status LeaseBook::check_ttl(int64_t ttl_seconds) {
  if (ttl_seconds > 0 && ttl_seconds <= kMaxLeaseSeconds) return {};
  return Status::bad_request(fmt::format("a lease of {} s is not between 1 and {} s", ttl_seconds, kMaxLeaseSeconds));
}

void LeaseBook::grant(LeaseId id, int64_t ttl_seconds) {
  std::unique_ptr<Clock::Timer> replaced;
  std::lock_guard lock(mutex_);
  Lease& lease = leases_[id];
  lease.ttl = std::chrono::seconds(ttl_seconds);
  lease.deadline = clock_->monotonic() + lease.ttl;
  replaced = arm(id, lease, lease.ttl);
}

Status LeaseBook::renew(LeaseId id) {
  std::unique_ptr<Clock::Timer> replaced;
  std::lock_guard lock(mutex_);
  auto found = leases_.find(id);
  if (found == leases_.end() || found->second.expired) {
    return Status::not_found(fmt::format("lease {} not found", id));
  }
  Lease& lease = found->second;
  lease.deadline = clock_->monotonic() + lease.ttl;
  replaced = arm(id, lease, lease.ttl);
  return {};
}

void LeaseBook::retry_expiry(LeaseId id, Duration delay) {
  std::unique_ptr<Clock::Timer> replaced;
  std::lock_guard lock(mutex_);
  auto found = leases_.find(id);
  if (found == leases_.end() || !found->second.expired) return;
  replaced = arm(id, found->second, delay);
}

std::unique_ptr<Clock::Timer> LeaseBook::forget(LeaseId id) {
  std::lock_guard lock(mutex_);
  auto found = leases_.find(id);
  if (found == leases_.end()) return nullptr;
  std::unique_ptr<Clock::Timer> timer = std::move(found->second.timer);
  leases_.erase(found);
  return timer;
}

bool LeaseBook::contains(LeaseId id) const {
  std::lock_guard lock(mutex_);
  return leases_.contains(id);
}

void LeaseBook::move_key(std::string_view key, LeaseId from, LeaseId to) {
  if (from == to) return;
  std::lock_guard lock(mutex_);
  if (auto old = leases_.find(from); old != leases_.end()) {
    if (auto entry = old->second.keys.find(key); entry != old->second.keys.end()) old->second.keys.erase(entry);
  }
  if (auto fresh = leases_.find(to); fresh != leases_.end()) fresh->second.keys.emplace(key);
}

std::vector<std::string> LeaseBook::keys(LeaseId id) const {
  std::lock_guard lock(mutex_);
  auto found = leases_.find(id);
  if (found == leases_.end()) return {};
  return {found->second.keys.begin(), found->second.keys.end()};
}

std::unique_ptr<Clock::Timer> LeaseBook::arm(LeaseId id, Lease& lease, Duration delay) {
  if (stopped_) return nullptr;
  return std::exchange(lease.timer, clock_->call_after(delay, [this, id] { on_timer(id); }));
}

void LeaseBook::on_timer(LeaseId id) {
  {
    std::lock_guard lock(mutex_);
    auto found = leases_.find(id);
    if (found == leases_.end()) return;
    Lease& lease = found->second;
    if (!lease.expired && clock_->monotonic() < lease.deadline) return;  // renewed while this timer fell due
    lease.expired = true;
  }
  on_expired_(id);
}

}  // namespace trireme::store
