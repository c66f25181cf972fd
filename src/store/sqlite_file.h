#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "store/sqlite_db.h"

namespace trireme::store::sqlite {

/// Holds a lock file as long as it lives, so that one process at a time uses a database.
class FileLock {
 public:
  /// ServiceUnavailable when another process (or another store of this one) holds it.
  static Result<std::unique_ptr<FileLock>> take(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

/// A database that this process alone may use, with its schema in place.
struct DatabaseFile {
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<Connection> writer;
};

/// Opens or creates the database at `path` (mode 0600; directories that are missing are made with mode 0700).
/// Fails with a message that says what to do when the file is another program's, corrupt or of a newer version.
Result<DatabaseFile> open_database(const std::string& path, int cache_kib);

/// Bytes of the database and its write-ahead log on disk.
int64_t disk_bytes(const std::string& path);

}  // namespace trireme::store::sqlite
