#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

/// RAII over the SQLite C interface: only what the store needs. A connection and its statements belong to one thread
/// at a time.
namespace trireme::store::sqlite {

class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  /// Parameters count from 1. Bytes are bound by reference: they must live until `reset`.
  Statement& bind(int index, int64_t number);
  Statement& bind(int index, std::string_view blob);
  Statement& bind_null(int index);

  /// Runs on to the next row. False when there is none.
  Result<bool> step();
  /// Runs a statement that returns no rows, and resets it.
  Status run();
  void reset();

  /// Columns count from 0. The view lives until the next step or reset.
  int64_t number(int column) const;
  std::string_view blob(int column) const;
  bool is_null(int column) const;

 private:
  friend class Connection;
  Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}

  sqlite3* db_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

/// Resets a statement at the end of a scope, which ends its read of the database.
class ResetAtExit {
 public:
  explicit ResetAtExit(Statement& statement) : statement_(statement) {}
  ~ResetAtExit() { statement_.reset(); }
  ResetAtExit(const ResetAtExit&) = delete;
  ResetAtExit& operator=(const ResetAtExit&) = delete;

 private:
  Statement& statement_;
};

class Connection {
 public:
  /// Opens an existing file. At most `cache_kib` of its pages are kept in memory.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, int cache_kib);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status exec(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  /// The first column of the first row, 0 or "" when there is none.
  Result<int64_t> number(std::string_view sql);
  Result<std::string> text(std::string_view sql);

  int64_t last_insert_id() const;
  /// Ends a transaction that failed. SQLite may have ended it by itself: then nothing happens.
  void rollback();
  /// True when the last failure leaves open whether a commit reached the disk.
  bool outcome_unknown() const;

  /// Pages in the write-ahead log after this connection's last commit.
  int wal_pages() const { return wal_pages_; }
  /// Moves the log's pages into the database file. `restart` also waits (briefly) for readers, so that the log can
  /// be written from its beginning again.
  Status checkpoint(bool restart);

 private:
  explicit Connection(sqlite3* db);

  sqlite3* db_;
  int wal_pages_ = 0;
};

}  // namespace trireme::store::sqlite
