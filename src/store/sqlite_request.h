#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "store/sqlite_writer.h"

namespace trireme::store::sqlite {

/// A write that waits for its commit.
struct Writer::Request {
  enum class Kind { kPut, kRemove, kGrant, kRevoke, kCompact };

  explicit Request(Kind request_kind) : kind(request_kind) {}

  /// These change what following requests are checked against outside the database, so they commit alone.
  bool alone() const { return kind != Kind::kPut && kind != Kind::kRemove; }

  const Kind kind;
  std::string key;
  SharedBytes value;
  Revision expected = 0;
  LeaseId lease = 0;
  int64_t number = 0;    // kGrant: seconds; kCompact: revision
  bool expired = false;  // kRevoke: by the clock, nobody waits

  std::function<void()> on_commit;                                 // run by the writer once the request is committed
  Result<int64_t> answer{Reason::kInternalError, "not answered"};  // the writer's, while it works on the request

  std::mutex mutex;
  std::condition_variable answered;
  std::optional<Result<int64_t>> outcome;  // guarded by mutex
};

}  // namespace trireme::store::sqlite
