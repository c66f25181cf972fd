#include "store/sqlite_reader.h"

#include <algorithm>
#include <utility>

#include "store/checks.h"

namespace trireme::store::sqlite {
namespace {

constexpr std::size_t kHistorySliceBytes = 4u << 20;

}  // namespace

class ReaderPool::Reader {
 public:
  static Result<std::unique_ptr<Reader>> open(const std::string& path, int cache_kib);

  Result<RangeResult> range(std::string_view start, std::string_view end, const RangeOptions& options);
  Result<HistorySlice> history(std::string_view start, std::string_view end, Revision after, std::size_t limit);

 private:
  struct Snapshot {
    Revision current = 0;
    Revision compacted = 0;
  };

  /// Holds one snapshot of the database while it lives.
  class Transaction {
   public:
    explicit Transaction(Reader& reader) : reader_(reader) {}
    ~Transaction() {
      if (begun_) static_cast<void>(reader_.commit_.run());
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    Result<Snapshot> begin();

   private:
    Reader& reader_;
    bool begun_ = false;
  };

  Result<SharedBytes> value_of(Revision revision);
  Status read_one(std::string_view key, Revision at, const RangeOptions& options, RangeResult& result);
  Status read_many(std::string_view start, std::string_view end, Revision at, const RangeOptions& options,
                   RangeResult& result);
  Result<KeyValue> read_previous(const std::string& key, Revision revision);

  std::unique_ptr<Connection> db_;  // first: it outlives its statements
  Statement begin_, commit_, snapshot_, one_, scan_, scan_unbounded_, value_, history_, history_unbounded_, previous_;
};

Result<std::unique_ptr<ReaderPool::Reader>> ReaderPool::Reader::open(const std::string& path, int cache_kib) {
  auto reader = std::make_unique<Reader>();
  TRY_ASSIGN(reader->db_, Connection::open(path, cache_kib));
  Connection& db = *reader->db_;
  TRY_ASSIGN(reader->begin_, db.prepare("BEGIN"));
  TRY_ASSIGN(reader->commit_, db.prepare("COMMIT"));
  TRY_ASSIGN(reader->snapshot_,
             db.prepare("SELECT (SELECT max(rev) FROM history), (SELECT value FROM meta WHERE name = 'compacted')"));
  TRY_ASSIGN(reader->one_, db.prepare("SELECT rev, create_rev, lease FROM history "
                                      "WHERE key = ?1 AND rev <= ?2 ORDER BY rev DESC LIMIT 1"));
  // With max(), SQLite takes the other columns from the row that has the maximum.
  TRY_ASSIGN(reader->scan_, db.prepare("SELECT max(rev), create_rev, lease, key FROM history INDEXED BY history_key "
                                       "WHERE rev <= ?1 AND key >= ?2 AND key < ?3 GROUP BY key"));
  TRY_ASSIGN(reader->scan_unbounded_,
             db.prepare("SELECT max(rev), create_rev, lease, key FROM history INDEXED BY history_key "
                        "WHERE rev <= ?1 AND key >= ?2 GROUP BY key"));
  TRY_ASSIGN(reader->value_, db.prepare("SELECT value FROM history WHERE rev = ?1"));
  // The unary plus keeps the planner from sorting a scan by key.
  TRY_ASSIGN(reader->history_, db.prepare("SELECT rev, key, create_rev, prev_rev, lease, value FROM history "
                                          "WHERE rev > ?1 AND +key >= ?2 AND +key < ?4 ORDER BY rev LIMIT ?3"));
  TRY_ASSIGN(reader->history_unbounded_, db.prepare("SELECT rev, key, create_rev, prev_rev, lease, value FROM history "
                                                    "WHERE rev > ?1 AND +key >= ?2 ORDER BY rev LIMIT ?3"));
  TRY_ASSIGN(reader->previous_, db.prepare("SELECT create_rev, lease, value FROM history WHERE rev = ?1"));
  return reader;
}

Result<ReaderPool::Reader::Snapshot> ReaderPool::Reader::Transaction::begin() {
  TRY(reader_.begin_.run());
  begun_ = true;
  ResetAtExit reset(reader_.snapshot_);
  TRY_ASSIGN(bool row, reader_.snapshot_.step());
  if (!row) return Status::internal("the database has lost its revision");
  return Snapshot{std::max<Revision>(reader_.snapshot_.number(0), 1), reader_.snapshot_.number(1)};
}

Result<SharedBytes> ReaderPool::Reader::value_of(Revision revision) {
  ResetAtExit reset(value_);
  TRY_ASSIGN(bool row, value_.bind(1, revision).step());
  if (!row) return Status::internal("the database has lost a value");
  return share(std::string(value_.blob(0)));
}

Result<RangeResult> ReaderPool::Reader::range(std::string_view start, std::string_view end,
                                              const RangeOptions& options) {
  Transaction transaction(*this);
  TRY_ASSIGN(Snapshot snapshot, transaction.begin());
  TRY(check_read_revision(options.revision, snapshot.compacted, snapshot.current));
  const Revision at = options.revision == 0 ? snapshot.current : options.revision;
  RangeResult result;
  result.revision = snapshot.current;
  if (is_single_key(start, end)) {
    TRY(read_one(start, at, options, result));
  } else {
    TRY(read_many(start, end, at, options, result));
  }
  return result;
}

Status ReaderPool::Reader::read_one(std::string_view key, Revision at, const RangeOptions& options,
                                    RangeResult& result) {
  ResetAtExit reset(one_);
  TRY_ASSIGN(bool row, one_.bind(1, key).bind(2, at).step());
  if (!row || one_.number(1) == 0) return {};
  result.count = 1;
  if (options.count_only) return {};
  KeyValue entry{std::string(key), nullptr, one_.number(1), one_.number(0), one_.number(2)};
  if (!options.keys_only) {
    TRY_ASSIGN(entry.value, value_of(entry.mod_revision));
  }
  result.entries.push_back(std::move(entry));
  return {};
}

Status ReaderPool::Reader::read_many(std::string_view start, std::string_view end, Revision at,
                                     const RangeOptions& options, RangeResult& result) {
  Statement& scan = end.empty() ? scan_unbounded_ : scan_;
  scan.bind(1, at).bind(2, start);
  if (!end.empty()) scan.bind(3, end);
  ResetAtExit reset(scan);
  while (true) {
    TRY_ASSIGN(bool row, scan.step());
    if (!row) return {};
    if (scan.number(1) == 0) continue;  // deleted
    ++result.count;
    if (options.count_only || (options.limit > 0 && result.count > options.limit)) continue;
    KeyValue entry{std::string(scan.blob(3)), nullptr, scan.number(1), scan.number(0), scan.number(2)};
    if (!options.keys_only) {
      TRY_ASSIGN(entry.value, value_of(entry.mod_revision));
    }
    result.entries.push_back(std::move(entry));
  }
}

Result<HistorySlice> ReaderPool::Reader::history(std::string_view start, std::string_view end, Revision after,
                                                 std::size_t limit) {
  Transaction transaction(*this);
  TRY_ASSIGN(Snapshot snapshot, transaction.begin());
  TRY(check_watch_revision(after, snapshot.compacted));
  HistorySlice slice{.events = {}, .through = snapshot.current};
  Statement& rows = end.empty() ? history_unbounded_ : history_;
  rows.bind(1, after).bind(2, start).bind(3, static_cast<int64_t>(limit));
  if (!end.empty()) rows.bind(4, end);
  ResetAtExit reset(rows);
  std::size_t bytes = 0;
  while (true) {
    TRY_ASSIGN(bool row, rows.step());
    if (!row) break;
    Event event{.type = Event::Type::kPut, .entry = {}, .previous = {}};
    event.entry.mod_revision = rows.number(0);
    event.entry.key = rows.blob(1);
    event.entry.create_revision = rows.number(2);
    event.entry.lease = rows.number(4);
    if (event.entry.create_revision == 0) {
      event.type = Event::Type::kDelete;
    } else {
      event.entry.value = share(std::string(rows.blob(5)));
    }
    if (Revision previous = rows.number(3); previous != 0) {
      TRY_ASSIGN(event.previous, read_previous(event.entry.key, previous));
    }
    bytes += event.entry.value ? event.entry.value->size() : 0;
    slice.events.push_back(std::move(event));
    if (slice.events.size() < limit && bytes < kHistorySliceBytes) continue;
    slice.through = slice.events.back().entry.mod_revision;
    break;
  }
  return slice;
}

Result<KeyValue> ReaderPool::Reader::read_previous(const std::string& key, Revision revision) {
  ResetAtExit reset(previous_);
  TRY_ASSIGN(bool row, previous_.bind(1, revision).step());
  if (!row) return KeyValue{};  // compacted
  return KeyValue{key, share(std::string(previous_.blob(2))), previous_.number(0), revision, previous_.number(1)};
}

/// A reader out of the pool, given back at the end of a scope.
class ReaderPool::Loan {
 public:
  explicit Loan(ReaderPool& pool) : pool_(pool), reader_(pool.borrow()) {}
  ~Loan() {
    if (reader_.ok()) pool_.give_back(*std::move(reader_));
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  bool ok() const { return reader_.ok(); }
  const Status& status() const { return reader_.status(); }
  Reader& reader() { return **reader_; }

 private:
  ReaderPool& pool_;
  Result<std::unique_ptr<Reader>> reader_;
};

ReaderPool::ReaderPool(std::string path, int connections, int cache_kib)
    : path_(std::move(path)), cache_kib_(cache_kib), unopened_(connections) {}

ReaderPool::~ReaderPool() = default;

Result<RangeResult> ReaderPool::range(std::string_view start, std::string_view end, const RangeOptions& options) {
  Loan loan(*this);
  if (!loan.ok()) return loan.status();
  return loan.reader().range(start, end, options);
}

Result<HistorySlice> ReaderPool::history(std::string_view start, std::string_view end, Revision after,
                                         std::size_t limit) {
  Loan loan(*this);
  if (!loan.ok()) return loan.status();
  return loan.reader().history(start, end, after, limit);
}

Result<std::unique_ptr<ReaderPool::Reader>> ReaderPool::borrow() {
  {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return !idle_.empty() || unopened_ > 0; });
    if (!idle_.empty()) {
      std::unique_ptr<Reader> reader = std::move(idle_.back());
      idle_.pop_back();
      return reader;
    }
    --unopened_;
  }
  auto reader = Reader::open(path_, cache_kib_);
  if (!reader.ok()) {
    std::lock_guard lock(mutex_);
    ++unopened_;
    returned_.notify_one();
  }
  return reader;
}

void ReaderPool::give_back(std::unique_ptr<Reader> reader) {
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(reader));
  returned_.notify_one();
}

}  // namespace trireme::store::sqlite
