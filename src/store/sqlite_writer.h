#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "store/lease_book.h"
#include "store/sqlite_db.h"
#include "store/store.h"
#include "store/watch_hub.h"

namespace trireme::store::sqlite {

/// The one thread that writes the database. Requests that wait together are committed together, in the order of their
/// arrival, with one sync of the disk; each caller gets its own answer after the commit. Compaction runs on the same
/// thread in small steps between the commits.
class Writer {
 public:
  /// Reads the store's state. `db` is the writer's own from here on.
  static Result<std::unique_ptr<Writer>> open(std::unique_ptr<Connection> db);

  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// To be called once, before any request. Grants the stored leases in `leases`, which may call `expire_lease` from
  /// then on. After a commit and before the callers are answered, the events go to `hub`. Both outlive the writer.
  Status start(LeaseBook& leases, WatchHub& hub);

  /// The newest committed revision.
  Revision current() const { return current_.load(std::memory_order_acquire); }

  Result<Revision> put(std::string_view key, SharedBytes value, Revision expected, LeaseId lease);
  Result<Revision> remove(std::string_view key, Revision expected);
  Result<LeaseId> grant_lease(int64_t ttl_seconds);
  Status revoke_lease(LeaseId lease);
  /// Returns when the space is reclaimed; reads below `revision` fail long before.
  Status compact(Revision revision);

  /// Deletes the lease and its keys soon, without waiting; tries again later if the disk is full.
  void expire_lease(LeaseId lease);

 private:
  struct Request;
  using RequestPtr = std::shared_ptr<Request>;

  /// One version of a key as the database has it; mod 0 when the key is absent.
  struct Latest {
    Revision mod = 0;
    Revision create = 0;
    LeaseId lease = 0;
    SharedBytes value;
  };

  /// What a transaction will have done once it is committed.
  struct Effects {
    struct Move {
      std::string key;
      LeaseId from = 0;
      LeaseId to = 0;
    };
    Revision current = 0;
    std::vector<Event> events;
    std::vector<Move> moves;
  };

  explicit Writer(std::unique_ptr<Connection> db) : db_(std::move(db)) {}

  Status prepare();
  Status load();
  Status load_leases();
  Result<int64_t> submit(RequestPtr request);
  static void answer(Request& request, Result<int64_t> outcome);

  void run(std::stop_token stop);
  std::vector<RequestPtr> take_batch(std::stop_token stop);
  void commit_batch(const std::vector<RequestPtr>& batch);
  void note_outcome(const Status& failure);
  void checkpoint_if_due();

  // In a transaction. The outer status is a failure of the database, the inner result the request's answer.
  Status apply(Request& request, Effects& effects);
  Status apply_put(Request& request, Effects& effects);
  Status apply_remove(Request& request, Effects& effects);
  Status apply_grant(Request& request);
  Status apply_revoke(Request& request, Effects& effects);
  Status apply_compact(Request& request, const Effects& effects);
  Result<Latest> read_latest(std::string_view key);
  Status write(std::string_view key, Latest latest, Latest fresh, Effects& effects);

  // Compaction, in sqlite_compaction.cc.
  bool sweeping() const { return swept_ + 1 < sweep_target_ || vacuuming_; }
  void sweep_step();
  Status sweep_chunk();
  Status vacuum_chunk();
  void finish_sweep(const Status& status);

  std::unique_ptr<Connection> db_;  // before its statements
  LeaseBook* leases_ = nullptr;
  WatchHub* hub_ = nullptr;
  Statement begin_, commit_, latest_, insert_, insert_lease_, delete_lease_;
  Statement set_meta_, sweep_rows_, delete_row_;

  std::atomic<Revision> current_ = 1;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<RequestPtr> queue_;

  // The writer thread's own.
  Revision compacted_ = 0;     // reads below fail
  Revision swept_ = 0;         // what compaction has to look at begins after this revision
  Revision sweep_target_ = 0;  // and ends with this one
  bool vacuuming_ = false;
  bool failing_ = false;
  std::vector<RequestPtr> compactions_;  // wait for the end of the sweep

  std::jthread thread_;
};

}  // namespace trireme::store::sqlite
