#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "store/store.h"

namespace trireme::store {

struct SqliteOptions {
  /// The database file. Made with mode 0600, missing directories above it with 0700. Beside it SQLite keeps its
  /// write-ahead log, and PATH.lock keeps other processes out.
  std::string path;
  std::shared_ptr<Clock> clock;  ///< For leases.

  int reader_connections = 4;
  int writer_cache_kib = 2048;
  int reader_cache_kib = 512;  ///< For each reader connection.
};

/// Opens a durable store in one file: a write that succeeded survives the end of the process and of the machine.
/// Fails with ServiceUnavailable or InternalError and a message for the user when the file can't be used: locked,
/// corrupt, another program's or a newer version's.
///
/// Writes never wait for readers nor readers for writes. Nothing is written and no thread wakes while there are no
/// requests. Destruction waits for requests under way; watches then end with ServiceUnavailable.
Result<std::unique_ptr<Store>> sqlite_store(SqliteOptions options);

}  // namespace trireme::store
