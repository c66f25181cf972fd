#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/sqlite_db.h"
#include "store/store.h"
#include "store/watch_hub.h"

namespace trireme::store::sqlite {

/// Reads of the database, each in one snapshot, on a few connections that are opened when first needed. Thread-safe;
/// readers never wait for the writer, only for each other when there are more of them than connections.
class ReaderPool {
 public:
  ReaderPool(std::string path, int connections, int cache_kib);
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  Result<RangeResult> range(std::string_view start, std::string_view end, const RangeOptions& options);
  /// As HistoryReader.
  Result<HistorySlice> history(std::string_view start, std::string_view end, Revision after, std::size_t limit);

 private:
  class Reader;
  class Loan;

  Result<std::unique_ptr<Reader>> borrow();
  void give_back(std::unique_ptr<Reader> reader);

  const std::string path_;
  const int cache_kib_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Reader>> idle_;
  int unopened_;
};

}  // namespace trireme::store::sqlite
