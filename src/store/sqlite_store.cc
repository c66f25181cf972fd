#include "store/sqlite_store.h"

#include <utility>

#include "store/checks.h"
#include "store/lease_book.h"
#include "store/sqlite_file.h"
#include "store/sqlite_reader.h"
#include "store/sqlite_writer.h"
#include "store/watch_hub.h"

namespace trireme::store {
namespace {

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(SqliteOptions options)
      : path_(std::move(options.path)),
        writer_cache_kib_(options.writer_cache_kib),
        readers_(path_, options.reader_connections, options.reader_cache_kib),
        leases_(std::move(options.clock), [this](LeaseId lease) { writer_->expire_lease(lease); }) {}

  ~SqliteStore() override {
    leases_.stop();  // its callbacks use the writer, which uses the leases
    writer_.reset();
  }

  Status open() {
    TRY_ASSIGN(sqlite::DatabaseFile file, sqlite::open_database(path_, writer_cache_kib_));
    lock_ = std::move(file.lock);
    TRY_ASSIGN(writer_, sqlite::Writer::open(std::move(file.writer)));
    hub_ = std::make_unique<WatchHub>(
        writer_->current(), [this](std::string_view start, std::string_view end, Revision after, std::size_t limit) {
          return readers_.history(start, end, after, limit);
        });
    return writer_->start(leases_, *hub_);
  }

  Result<RangeResult> range(std::string_view start, std::string_view end, const RangeOptions& options) override {
    return readers_.range(start, end, options);
  }

  Result<Revision> put(std::string_view key, SharedBytes value, Revision expected, LeaseId lease) override {
    TRY(check_write(key, value));
    return writer_->put(key, std::move(value), expected, lease);
  }

  Result<Revision> remove(std::string_view key, Revision expected) override {
    TRY(check_write(key, nullptr));
    return writer_->remove(key, expected);
  }

  Result<std::unique_ptr<Watch>> watch(std::string_view start, std::string_view end, Revision after,
                                       std::shared_ptr<WatchSink> sink) override {
    return hub_->add(start, end, after, std::move(sink));
  }

  Result<Revision> current_revision() override { return writer_->current(); }

  Status compact(Revision revision) override { return writer_->compact(revision); }

  Result<LeaseId> grant_lease(int64_t ttl_seconds) override {
    TRY(LeaseBook::check_ttl(ttl_seconds));
    return writer_->grant_lease(ttl_seconds);
  }

  Status keep_alive(LeaseId lease) override { return leases_.renew(lease); }

  Status revoke_lease(LeaseId lease) override { return writer_->revoke_lease(lease); }

  Result<int64_t> size_bytes() override { return sqlite::disk_bytes(path_); }

 private:
  const std::string path_;
  const int writer_cache_kib_;
  std::unique_ptr<sqlite::FileLock> lock_;  // released last
  sqlite::ReaderPool readers_;
  std::unique_ptr<WatchHub> hub_;
  LeaseBook leases_;
  std::unique_ptr<sqlite::Writer> writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> sqlite_store(SqliteOptions options) {
  auto store = std::make_unique<SqliteStore>(std::move(options));
  TRY(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace trireme::store
