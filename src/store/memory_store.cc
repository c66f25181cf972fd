#include "store/memory_store.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "store/checks.h"
#include "store/lease_book.h"
#include "store/watch_hub.h"

namespace trireme::store {
namespace {

/// One write of a key. A deletion has no value and create revision 0.
struct Version {
  Revision mod = 0;
  Revision create = 0;
  LeaseId lease = 0;
  SharedBytes value;

  bool deleted() const { return create == 0; }
};

using Versions = std::vector<Version>;  // of one key, oldest first

class MemoryStore final : public Store {
 public:
  MemoryStore(std::shared_ptr<Clock> clock, Dispatch dispatch)
      : hub_(
            kFirstRevision,
            [this](std::string_view start, std::string_view end, Revision after, std::size_t limit) {
              return read_history(start, end, after, limit);
            },
            dispatch),
        leases_(std::move(clock), [this](LeaseId lease) { static_cast<void>(revoke_lease(lease)); }) {}

  Result<RangeResult> range(std::string_view start, std::string_view end, const RangeOptions& options) override {
    std::shared_lock lock(mutex_);
    TRY(check_read_revision(options.revision, compacted_, current_));
    const Revision at = options.revision == 0 ? current_ : options.revision;
    RangeResult result;
    result.revision = current_;
    for (auto entry = keys_.lower_bound(start); entry != keys_.end() && below(entry->first, end); ++entry) {
      const Version* version = version_at(entry->second, at);
      if (version == nullptr || version->deleted()) continue;
      ++result.count;
      if (options.count_only || (options.limit > 0 && result.count > options.limit)) continue;
      result.entries.push_back(key_value(entry->first, *version));
      if (options.keys_only) result.entries.back().value = nullptr;
    }
    return result;
  }

  Result<Revision> put(std::string_view key, SharedBytes value, Revision expected, LeaseId lease) override {
    TRY(check_write(key, value));
    if (!value) value = share({});
    const Delivery delivery(*this);
    std::lock_guard lock(mutex_);
    const Version latest = latest_version(key);
    if (latest.mod != expected) return conflict(key, expected, latest.mod);
    if (lease != 0 && !leases_.contains(lease)) return lease_not_found(lease);
    const Revision create = latest.mod == 0 ? current_ + 1 : latest.create;
    return write(key, latest, Version{.create = create, .lease = lease, .value = std::move(value)});
  }

  Result<Revision> remove(std::string_view key, Revision expected) override {
    TRY(check_write(key, nullptr));
    const Delivery delivery(*this);
    std::lock_guard lock(mutex_);
    const Version latest = latest_version(key);
    if (latest.mod == 0 || latest.mod != expected) return conflict(key, expected, latest.mod);
    return write(key, latest, Version{});
  }

  Result<std::unique_ptr<Watch>> watch(std::string_view start, std::string_view end, Revision after,
                                       std::shared_ptr<WatchSink> sink) override {
    return hub_.add(start, end, after, std::move(sink));
  }

  Result<Revision> current_revision() override {
    std::shared_lock lock(mutex_);
    return current_;
  }

  Status compact(Revision revision) override {
    std::lock_guard lock(mutex_);
    TRY(check_compaction(revision, current_));
    while (!history_.empty() && history_.front().entry.mod_revision < revision) {
      forget_versions(history_.front().entry.key, revision);
      history_.pop_front();
    }
    // The event that stays at `revision` itself takes the version before it along.
    if (!history_.empty() && history_.front().entry.mod_revision == revision) {
      forget_versions(history_.front().entry.key, revision);
    }
    compacted_ = std::max(compacted_, revision);
    hub_.compacted(compacted_);
    return {};
  }

  Result<LeaseId> grant_lease(int64_t ttl_seconds) override {
    TRY(LeaseBook::check_ttl(ttl_seconds));
    LeaseId lease = 0;
    {
      std::lock_guard lock(mutex_);
      lease = ++last_lease_;
    }
    leases_.grant(lease, ttl_seconds);
    return lease;
  }

  Status keep_alive(LeaseId lease) override { return leases_.renew(lease); }

  Status revoke_lease(LeaseId lease) override {
    std::unique_ptr<Clock::Timer> timer;  // destroyed without the lock, for which its callback may be waiting
    const Delivery delivery(*this);
    std::lock_guard lock(mutex_);
    if (!leases_.contains(lease)) return lease_not_found(lease);
    for (const std::string& key : leases_.keys(lease)) write(key, latest_version(key), Version{});
    timer = leases_.forget(lease);
    return {};
  }

  Result<int64_t> size_bytes() override {
    std::shared_lock lock(mutex_);
    return bytes_;
  }

 private:
  /// Hands on what was published, after the locks that were taken later have been released.
  class Delivery {
   public:
    explicit Delivery(MemoryStore& store) : store_(store) {}
    ~Delivery() { store_.hub_.deliver(); }

   private:
    MemoryStore& store_;
  };

  static constexpr Revision kFirstRevision = 1;

  static KeyValue key_value(const std::string& key, const Version& version) {
    return {key, version.value, version.create, version.mod, version.lease};
  }

  static int64_t cost(const std::string& key, const Version& version) {
    return static_cast<int64_t>(key.size() + (version.value ? version.value->size() : 0));
  }

  static const Version* version_at(const Versions& versions, Revision at) {
    auto newer = std::upper_bound(versions.begin(), versions.end(), at,
                                  [](Revision revision, const Version& version) { return revision < version.mod; });
    return newer == versions.begin() ? nullptr : &*std::prev(newer);
  }

  /// The newest version of `key`; an empty one when it is absent.
  Version latest_version(std::string_view key) const {
    auto entry = keys_.find(key);
    if (entry == keys_.end() || entry->second.back().deleted()) return {};
    return entry->second.back();
  }

  Revision write(std::string_view key, const Version& latest, Version fresh) {
    fresh.mod = ++current_;
    auto entry = keys_.find(key);
    if (entry == keys_.end()) entry = keys_.emplace(key, Versions{}).first;
    bytes_ += cost(entry->first, fresh);

    Event event{.type = fresh.deleted() ? Event::Type::kDelete : Event::Type::kPut,
                .entry = key_value(entry->first, fresh),
                .previous = {}};
    if (latest.mod != 0) event.previous = key_value(entry->first, latest);
    leases_.move_key(key, latest.lease, fresh.lease);
    entry->second.push_back(std::move(fresh));
    history_.push_back(event);
    hub_.publish({std::move(event)});
    return current_;
  }

  /// Drops the versions of `key` that no read at `revision` or later sees; a deletion at `revision` stays.
  void forget_versions(const std::string& key, Revision revision) {
    auto entry = keys_.find(key);
    if (entry == keys_.end()) return;
    Versions& versions = entry->second;
    const Version* seen = version_at(versions, revision);
    if (seen == nullptr) return;
    auto first_kept = versions.begin() + (seen - versions.data());
    if (first_kept->deleted() && first_kept->mod < revision) ++first_kept;
    for (auto version = versions.begin(); version != first_kept; ++version) bytes_ -= cost(entry->first, *version);
    versions.erase(versions.begin(), first_kept);
    if (versions.empty()) keys_.erase(entry);
  }

  Result<HistorySlice> read_history(std::string_view start, std::string_view end, Revision after,
                                    std::size_t limit) const {
    std::shared_lock lock(mutex_);
    TRY(check_watch_revision(after, compacted_));
    HistorySlice slice{.events = {}, .through = current_};
    auto event = std::upper_bound(
        history_.begin(), history_.end(), after,
        [](Revision revision, const Event& candidate) { return revision < candidate.entry.mod_revision; });
    for (; event != history_.end(); ++event) {
      if (event->entry.key < start || !below(event->entry.key, end)) continue;
      slice.events.push_back(*event);
      if (slice.events.size() < limit) continue;
      slice.through = event->entry.mod_revision;
      break;
    }
    return slice;
  }

  mutable std::shared_mutex mutex_;
  std::map<std::string, Versions, std::less<>> keys_;
  std::deque<Event> history_;  // since the last compaction
  Revision current_ = kFirstRevision;
  Revision compacted_ = 0;
  LeaseId last_lease_ = 0;
  int64_t bytes_ = 0;
  WatchHub hub_;
  LeaseBook leases_;  // last: its callbacks use all of the above
};

}  // namespace

std::unique_ptr<Store> memory_store(std::shared_ptr<Clock> clock, Dispatch dispatch) {
  return std::make_unique<MemoryStore>(std::move(clock), dispatch);
}

}  // namespace trireme::store
