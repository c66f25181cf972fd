#include "store/sqlite_db.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace trireme::store::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 1000;

Status failure(sqlite3* db, int code) {
  const int os_error = sqlite3_system_errno(db);
  std::string detail = sqlite3_errmsg(db);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Status::unavailable("the disk is full, nothing was written");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Status::internal("the database file is corrupt: " + detail);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (os_error == ENOSPC || os_error == EDQUOT) {
        return Status::unavailable("the disk is full, nothing was written");
      }
      if (os_error != 0) detail += fmt::format(" ({})", std::strerror(os_error));
      return Status::unavailable("the database file can't be read or written: " + detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
      return Status::unavailable("the database can't be used: " + detail);
    default:
      return Status::internal(fmt::format("SQLite: {} (code {})", detail, code));
  }
}

void configure_once() {
  static std::once_flag once;
  // Statistics would make every allocation of every connection take one global lock.
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(statement_, other.statement_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int index, int64_t number) {
  sqlite3_bind_int64(statement_, index, number);
  return *this;
}

Statement& Statement::bind(int index, std::string_view blob) {
  // A null pointer would bind NULL instead of an empty blob.
  const char* data = blob.empty() ? "" : blob.data();
  sqlite3_bind_blob64(statement_, index, data, blob.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(statement_, index);
  return *this;
}

Result<bool> Statement::step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failure(db_, code);
}

Status Statement::run() {
  auto row = step();
  reset();
  return row.status();
}

void Statement::reset() { sqlite3_reset(statement_); }

int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
}

bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Connection::Connection(sqlite3* db) : db_(db) {
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  // A few short statements at a time: the default of 120 KiB a connection is never used.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 512, 32);
  // The store says itself when to checkpoint, so that no commit waits for one.
  sqlite3_wal_hook(
      db_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Connection*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
}

Connection::~Connection() { sqlite3_close_v2(db_); }

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, int cache_kib) {
  configure_once();
  sqlite3* db = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    Status status = db == nullptr ? Status::unavailable("out of memory") : failure(db, code);
    sqlite3_close_v2(db);
    return status;
  }
  std::unique_ptr<Connection> connection(new Connection(db));
  TRY(connection->exec(fmt::format("PRAGMA cache_size = -{};"
                                   "PRAGMA mmap_size = 0;"
                                   "PRAGMA temp_store = MEMORY;"
                                   "PRAGMA synchronous = FULL;"
                                   "PRAGMA journal_size_limit = 8388608;"
                                   "PRAGMA cell_size_check = ON;",
                                   cache_kib)
                           .c_str()));
  return connection;
}

Status Connection::exec(const char* sql) {
  int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : failure(db_, code);
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code =
      sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failure(db_, code);
  return Statement(db_, statement);
}

Result<int64_t> Connection::number(std::string_view sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(bool row, statement.step());
  return row ? statement.number(0) : 0;
}

Result<std::string> Connection::text(std::string_view sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(bool row, statement.step());
  return row ? std::string(statement.blob(0)) : std::string();
}

int64_t Connection::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }

void Connection::rollback() {
  if (sqlite3_get_autocommit(db_) != 0) return;
  sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

bool Connection::outcome_unknown() const {
  int code = sqlite3_extended_errcode(db_);
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

Status Connection::checkpoint(bool restart) {
  int code = sqlite3_wal_checkpoint_v2(db_, nullptr, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
                                       nullptr, nullptr);
  if (code == SQLITE_BUSY) return {};  // readers are in the way: the next one will do
  if (code != SQLITE_OK) return failure(db_, code);
  wal_pages_ = 0;
  return {};
}

}  // namespace trireme::store::sqlite
