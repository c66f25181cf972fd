#include "store/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace trireme::store::sqlite {
namespace {

constexpr int64_t kApplicationId = 0x54524D45;  // "TRME"
constexpr int64_t kSchemaVersion = 1;

// Up to this size the structure of the whole file is checked at every start; it costs about 1 ms a MiB.
constexpr int64_t kCheckUpToBytes = 64 << 20;

// A row of history is one write of one key, and its rowid is the revision: watches replay in the order of the table.
// A deletion has create_rev 0 and no value. prev_rev is the revision of the version it replaced, 0 if there was none.
// The index answers which versions a range has without touching the values.
constexpr char kSchema[] = R"sql(
CREATE TABLE history (
  rev INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  create_rev INTEGER NOT NULL,
  prev_rev INTEGER NOT NULL,
  lease INTEGER NOT NULL,
  value BLOB
);
CREATE UNIQUE INDEX history_key ON history (key, rev, create_rev, lease);
CREATE TABLE lease (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ttl_seconds INTEGER NOT NULL
);
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('compacted', 0), ('swept', 0);
)sql";

Status system_error(std::string_view what, const std::string& path) {
  return Status::unavailable(fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

Status make_directories(const std::filesystem::path& directory) {
  if (directory.empty() || std::filesystem::is_directory(directory)) return {};
  TRY(make_directories(directory.parent_path()));
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return system_error("can't make", directory.string());
  return {};
}

Status make_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("can't open", path);
  Status status;
  if (::fchmod(fd, 0600) != 0) status = system_error("can't set the mode of", path);
  ::close(fd);
  TRY(status);
  // A power cut must not lose the directory's entry for a file with acknowledged writes.
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  int directory_fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return system_error("can't open", directory);
  if (::fsync(directory_fd) != 0) status = system_error("can't sync", directory);
  ::close(directory_fd);
  return status;
}

Status create_schema(Connection& db) {
  // Both must stand before the first table.
  TRY(db.exec("PRAGMA auto_vacuum = INCREMENTAL"));
  TRY(db.exec("PRAGMA journal_mode = WAL"));
  std::string sql = fmt::format("BEGIN IMMEDIATE; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
                                kSchema, kApplicationId, kSchemaVersion);
  Status status = db.exec(sql.c_str());
  if (!status.ok()) db.rollback();
  return status;
}

Status check_schema(Connection& db) {
  TRY_ASSIGN(int64_t tables, db.number("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return create_schema(db);
  TRY_ASSIGN(int64_t application, db.number("PRAGMA application_id"));
  if (application != kApplicationId) return Status::unavailable("the file is a database of another program");
  TRY_ASSIGN(int64_t version, db.number("PRAGMA user_version"));
  if (version > kSchemaVersion) {
    return Status::unavailable(
        fmt::format("the database was written by a newer Trireme (schema {}, this one knows {}): use that version",
                    version, kSchemaVersion));
  }
  TRY_ASSIGN(std::string mode, db.text("PRAGMA journal_mode = WAL"));
  if (mode != "wal") return Status::unavailable("the filesystem does not support SQLite's write-ahead log");
  TRY_ASSIGN(int64_t bytes, db.number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"));
  if (bytes > kCheckUpToBytes) return {};
  TRY_ASSIGN(std::string verdict, db.text("PRAGMA quick_check(1)"));
  if (verdict != "ok") return Status::internal("the database file is corrupt: " + verdict);
  return {};
}

}  // namespace

Result<std::unique_ptr<FileLock>> FileLock::take(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return system_error("can't open", path);
  std::unique_ptr<FileLock> lock(new FileLock(fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Status::unavailable("another process uses the database (it holds " + path + ")");
    return system_error("can't lock", path);
  }
  return lock;
}

FileLock::~FileLock() { ::close(fd_); }

Result<DatabaseFile> open_database(const std::string& path, int cache_kib) {
  TRY(make_directories(std::filesystem::path(path).parent_path()));
  DatabaseFile file;
  TRY_ASSIGN(file.lock, FileLock::take(path + ".lock"));
  TRY(make_file(path));
  auto open = [&]() -> Status {
    TRY_ASSIGN(file.writer, Connection::open(path, cache_kib));
    return check_schema(*file.writer);
  };
  TRY(open().with_context("can't open " + path));
  return file;
}

int64_t disk_bytes(const std::string& path) {
  int64_t total = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat info = {};
    if (::stat((path + suffix).c_str(), &info) == 0) total += info.st_size;
  }
  return total;
}

}  // namespace trireme::store::sqlite
