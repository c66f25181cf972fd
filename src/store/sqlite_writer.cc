#include "store/sqlite_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "store/checks.h"
#include "store/sqlite_request.h"

namespace trireme::store::sqlite {
namespace {

constexpr std::size_t kBatchRequests = 512;
constexpr std::size_t kBatchBytes = 4u << 20;

// Pages of 4 KiB. Above the first number the log is copied into the database after a commit; above the second the
// writer also waits for readers, so that the log can't grow without end under constant reading.
constexpr int kCheckpointPages = 1000;
constexpr int kRestartPages = 8000;

constexpr Duration kExpiryRetry = std::chrono::seconds(10);

}  // namespace

Result<std::unique_ptr<Writer>> Writer::open(std::unique_ptr<Connection> db) {
  std::unique_ptr<Writer> writer(new Writer(std::move(db)));
  TRY(writer->prepare());
  TRY(writer->load());
  return writer;
}

Writer::~Writer() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

Status Writer::start(LeaseBook& leases, WatchHub& hub) {
  leases_ = &leases;
  hub_ = &hub;
  hub.compacted(compacted_);
  TRY(load_leases());
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  return {};
}

Status Writer::prepare() {
  TRY_ASSIGN(begin_, db_->prepare("BEGIN IMMEDIATE"));
  TRY_ASSIGN(commit_, db_->prepare("COMMIT"));
  TRY_ASSIGN(latest_, db_->prepare("SELECT rev, create_rev, lease, value FROM history "
                                   "WHERE key = ?1 ORDER BY rev DESC LIMIT 1"));
  TRY_ASSIGN(insert_, db_->prepare("INSERT INTO history (rev, key, create_rev, prev_rev, lease, value) "
                                   "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
  TRY_ASSIGN(insert_lease_, db_->prepare("INSERT INTO lease (ttl_seconds) VALUES (?1)"));
  TRY_ASSIGN(delete_lease_, db_->prepare("DELETE FROM lease WHERE id = ?1"));
  TRY_ASSIGN(set_meta_, db_->prepare("UPDATE meta SET value = ?2 WHERE name = CAST(?1 AS TEXT)"));
  TRY_ASSIGN(sweep_rows_, db_->prepare("SELECT rev, create_rev, prev_rev FROM history "
                                       "WHERE rev > ?1 AND rev <= ?2 ORDER BY rev LIMIT ?3"));
  TRY_ASSIGN(delete_row_, db_->prepare("DELETE FROM history WHERE rev = ?1"));
  return {};
}

Status Writer::load() {
  TRY_ASSIGN(Revision current, db_->number("SELECT max(rev) FROM history"));
  current_ = std::max<Revision>(current, 1);
  TRY_ASSIGN(compacted_, db_->number("SELECT value FROM meta WHERE name = 'compacted'"));
  TRY_ASSIGN(swept_, db_->number("SELECT value FROM meta WHERE name = 'swept'"));
  sweep_target_ = compacted_;  // goes on where a compaction was interrupted
  return {};
}

Status Writer::load_leases() {
  TRY_ASSIGN(Statement leases, db_->prepare("SELECT id, ttl_seconds FROM lease"));
  bool any = false;
  while (true) {
    TRY_ASSIGN(bool row, leases.step());
    if (!row) break;
    leases_->grant(leases.number(0), leases.number(1));
    any = true;
  }
  if (!any) return {};
  TRY_ASSIGN(Statement keys, db_->prepare("SELECT max(rev), lease, key FROM history GROUP BY key HAVING lease <> 0"));
  while (true) {
    TRY_ASSIGN(bool row, keys.step());
    if (!row) break;
    leases_->move_key(keys.blob(2), 0, keys.number(1));
  }
  return {};
}

Result<Revision> Writer::put(std::string_view key, SharedBytes value, Revision expected, LeaseId lease) {
  auto request = std::make_shared<Request>(Request::Kind::kPut);
  request->key = key;
  request->value = value ? std::move(value) : share({});
  request->expected = expected;
  request->lease = lease;
  return submit(std::move(request));
}

Result<Revision> Writer::remove(std::string_view key, Revision expected) {
  auto request = std::make_shared<Request>(Request::Kind::kRemove);
  request->key = key;
  request->expected = expected;
  return submit(std::move(request));
}

Result<LeaseId> Writer::grant_lease(int64_t ttl_seconds) {
  auto request = std::make_shared<Request>(Request::Kind::kGrant);
  request->number = ttl_seconds;
  return submit(std::move(request));
}

Status Writer::revoke_lease(LeaseId lease) {
  auto request = std::make_shared<Request>(Request::Kind::kRevoke);
  request->lease = lease;
  return submit(std::move(request)).status();
}

Status Writer::compact(Revision revision) {
  auto request = std::make_shared<Request>(Request::Kind::kCompact);
  request->number = revision;
  return submit(std::move(request)).status();
}

void Writer::expire_lease(LeaseId lease) {
  auto request = std::make_shared<Request>(Request::Kind::kRevoke);
  request->lease = lease;
  request->expired = true;
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(request));
  wake_.notify_one();
}

Result<int64_t> Writer::submit(RequestPtr request) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(request);
    if (queue_.size() == 1) wake_.notify_one();
  }
  std::unique_lock lock(request->mutex);
  request->answered.wait(lock, [&] { return request->outcome.has_value(); });
  return std::move(*request->outcome);
}

void Writer::answer(Request& request, Result<int64_t> outcome) {
  std::lock_guard lock(request.mutex);
  request.outcome = std::move(outcome);
  request.answered.notify_one();
}

void Writer::run(std::stop_token stop) {
  while (true) {
    std::vector<RequestPtr> batch = take_batch(stop);
    if (!batch.empty()) commit_batch(batch);
    if (batch.empty() && stop.stop_requested()) break;
    if (sweeping() && !stop.stop_requested()) sweep_step();
    checkpoint_if_due();
  }
  // What is left of a compaction is done after the next start.
  for (const RequestPtr& request : compactions_) answer(*request, Status::unavailable("the store is closed"));
}

std::vector<Writer::RequestPtr> Writer::take_batch(std::stop_token stop) {
  std::vector<RequestPtr> batch;
  std::unique_lock lock(mutex_);
  if (!sweeping()) wake_.wait(lock, stop, [&] { return !queue_.empty(); });
  std::size_t bytes = 0;
  while (!queue_.empty() && batch.size() < kBatchRequests && bytes < kBatchBytes) {
    if (queue_.front()->alone() && !batch.empty()) break;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
    if (batch.back()->alone()) break;
    if (batch.back()->value) bytes += batch.back()->value->size();
  }
  return batch;
}

void Writer::commit_batch(const std::vector<RequestPtr>& batch) {
  Effects effects;
  effects.current = current();
  bool committing = false;
  auto transact = [&]() -> Status {
    TRY(begin_.run());
    for (const RequestPtr& request : batch) TRY(apply(*request, effects));
    committing = true;
    return commit_.run();
  };
  Status failure = transact();
  if (!failure.ok() && committing && db_->outcome_unknown()) {
    failure = Status::timeout("the disk failed while committing, the outcome is unknown: " + failure.message());
  }
  if (!failure.ok()) db_->rollback();
  note_outcome(failure);
  if (!failure.ok()) {
    for (const RequestPtr& request : batch) {
      if (request->expired) leases_->retry_expiry(request->lease, kExpiryRetry);
      answer(*request, failure);
    }
    return;
  }

  current_.store(effects.current, std::memory_order_release);
  for (const Effects::Move& move : effects.moves) leases_->move_key(move.key, move.from, move.to);
  if (!effects.events.empty()) hub_->publish(std::move(effects.events));
  for (const RequestPtr& request : batch) {
    if (request->on_commit) request->on_commit();
    if (request->kind == Request::Kind::kCompact && request->answer.ok() && sweeping()) {
      compactions_.push_back(request);  // answered at the end of the sweep
    } else {
      answer(*request, std::move(request->answer));
    }
  }
}

void Writer::note_outcome(const Status& failure) {
  if (failure.ok() == !failing_) return;
  failing_ = !failure.ok();
  if (failing_) {
    log::error("Store can't write", {{"error", failure}});
  } else {
    log::info("Store writes again");
  }
}

void Writer::checkpoint_if_due() {
  if (db_->wal_pages() < kCheckpointPages) return;
  // A failure means that the log stays longer; commits will report what is wrong with the disk.
  static_cast<void>(db_->checkpoint(db_->wal_pages() >= kRestartPages));
}

Status Writer::apply(Request& request, Effects& effects) {
  switch (request.kind) {
    case Request::Kind::kPut:
      return apply_put(request, effects);
    case Request::Kind::kRemove:
      return apply_remove(request, effects);
    case Request::Kind::kGrant:
      return apply_grant(request);
    case Request::Kind::kRevoke:
      return apply_revoke(request, effects);
    case Request::Kind::kCompact:
      return apply_compact(request, effects);
  }
  return {};
}

Status Writer::apply_put(Request& request, Effects& effects) {
  TRY_ASSIGN(Latest latest, read_latest(request.key));
  if (latest.mod != request.expected) {
    request.answer = conflict(request.key, request.expected, latest.mod);
    return {};
  }
  if (request.lease != 0 && !leases_->contains(request.lease)) {
    request.answer = lease_not_found(request.lease);
    return {};
  }
  const Revision revision = effects.current + 1;
  const Revision create = latest.mod == 0 ? revision : latest.create;
  TRY(write(request.key, std::move(latest), Latest{revision, create, request.lease, request.value}, effects));
  request.answer = revision;
  return {};
}

Status Writer::apply_remove(Request& request, Effects& effects) {
  TRY_ASSIGN(Latest latest, read_latest(request.key));
  if (latest.mod == 0 || latest.mod != request.expected) {
    request.answer = conflict(request.key, request.expected, latest.mod);
    return {};
  }
  const Revision revision = effects.current + 1;
  TRY(write(request.key, std::move(latest), Latest{.mod = revision}, effects));
  request.answer = revision;
  return {};
}

Status Writer::apply_grant(Request& request) {
  TRY(insert_lease_.bind(1, request.number).run());
  request.answer = db_->last_insert_id();
  request.on_commit = [this, lease = *request.answer, seconds = request.number] { leases_->grant(lease, seconds); };
  return {};
}

Status Writer::apply_revoke(Request& request, Effects& effects) {
  if (!leases_->contains(request.lease)) {
    request.answer = lease_not_found(request.lease);
    return {};
  }
  for (const std::string& key : leases_->keys(request.lease)) {
    TRY_ASSIGN(Latest latest, read_latest(key));
    TRY(write(key, std::move(latest), Latest{.mod = effects.current + 1}, effects));
  }
  TRY(delete_lease_.bind(1, request.lease).run());
  request.answer = int64_t{0};
  request.on_commit = [this, lease = request.lease] { static_cast<void>(leases_->forget(lease)); };
  return {};
}

Result<Writer::Latest> Writer::read_latest(std::string_view key) {
  ResetAtExit reset(latest_);
  TRY_ASSIGN(bool row, latest_.bind(1, key).step());
  if (!row || latest_.number(1) == 0) return Latest{};
  return Latest{latest_.number(0), latest_.number(1), latest_.number(2), share(std::string(latest_.blob(3)))};
}

Status Writer::write(std::string_view key, Latest latest, Latest fresh, Effects& effects) {
  insert_.bind(1, fresh.mod).bind(2, key).bind(3, fresh.create).bind(4, latest.mod).bind(5, fresh.lease);
  if (fresh.value) {
    insert_.bind(6, *fresh.value);
  } else {
    insert_.bind_null(6);
  }
  TRY(insert_.run());
  effects.current = fresh.mod;
  if (latest.lease != fresh.lease) effects.moves.push_back({std::string(key), latest.lease, fresh.lease});
  Event event{.type = fresh.create == 0 ? Event::Type::kDelete : Event::Type::kPut,
              .entry = {std::string(key), std::move(fresh.value), fresh.create, fresh.mod, fresh.lease},
              .previous = {}};
  if (latest.mod != 0) {
    event.previous = {std::string(key), std::move(latest.value), latest.create, latest.mod, latest.lease};
  }
  effects.events.push_back(std::move(event));
  return {};
}

}  // namespace trireme::store::sqlite
