#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "store/checks.h"
#include "store/sqlite_request.h"
#include "store/sqlite_writer.h"

// Compaction costs what has changed, not what is stored: it walks over the rows written since the last one, and each
// takes the version that it replaced with it. A row at the compacted revision itself stays, so that a watch can begin
// with it; therefore the next walk begins at that row again.

namespace trireme::store::sqlite {
namespace {

// One step, between two commits. Takes a few milliseconds.
constexpr int64_t kSweepRows = 256;
constexpr int64_t kVacuumPages = 256;

// Free pages that are kept for coming writes, at least and as a part of the file.
constexpr int64_t kReservePages = 256;
constexpr int64_t kReserveDivisor = 8;

}  // namespace

Status Writer::apply_compact(Request& request, const Effects& effects) {
  const Revision revision = request.number;
  if (Status status = check_compaction(revision, effects.current); !status.ok()) {
    request.answer = status;
    return {};
  }
  request.answer = int64_t{0};
  if (revision <= compacted_) return {};
  TRY(set_meta_.bind(1, "compacted").bind(2, revision).run());
  // If the commit fails, a sweep beyond what readers know of as compacted must not begin.
  request.on_commit = [this, revision] {
    compacted_ = sweep_target_ = revision;
    hub_->compacted(revision);
  };
  return {};
}

void Writer::sweep_step() {
  const bool sweep = swept_ + 1 < sweep_target_;
  Status status = sweep ? sweep_chunk() : vacuum_chunk();
  if (!status.ok()) {
    db_->rollback();
    log::warning("Compaction stopped, the next one goes on with it", {{"error", status}});
    finish_sweep(status);
  } else if (!sweeping()) {
    finish_sweep({});
  }
}

Status Writer::sweep_chunk() {
  TRY(begin_.run());
  struct Row {
    Revision revision, create, previous;
  };
  std::vector<Row> rows;
  {
    ResetAtExit reset(sweep_rows_);
    sweep_rows_.bind(1, swept_).bind(2, sweep_target_).bind(3, kSweepRows);
    while (true) {
      TRY_ASSIGN(bool more, sweep_rows_.step());
      if (!more) break;
      rows.push_back({sweep_rows_.number(0), sweep_rows_.number(1), sweep_rows_.number(2)});
    }
  }
  for (const Row& row : rows) {
    if (row.previous != 0) TRY(delete_row_.bind(1, row.previous).run());
    if (row.create == 0 && row.revision < sweep_target_) TRY(delete_row_.bind(1, row.revision).run());
  }
  const bool last = static_cast<int64_t>(rows.size()) < kSweepRows || rows.back().revision >= sweep_target_;
  const Revision swept = last ? sweep_target_ - 1 : rows.back().revision;
  TRY(set_meta_.bind(1, "swept").bind(2, swept).run());
  TRY(commit_.run());
  swept_ = swept;
  vacuuming_ = true;
  return {};
}

Status Writer::vacuum_chunk() {
  TRY_ASSIGN(const int64_t free, db_->number("PRAGMA freelist_count"));
  TRY_ASSIGN(const int64_t pages, db_->number("PRAGMA page_count"));
  const int64_t surplus = free - std::max(kReservePages, pages / kReserveDivisor);
  if (surplus > 0) {
    TRY(db_->exec(fmt::format("PRAGMA incremental_vacuum({})", std::min(surplus, kVacuumPages)).c_str()));
  }
  if (surplus > kVacuumPages) return {};
  vacuuming_ = false;
  return db_->checkpoint(false);  // the file shrinks now, not with some later write
}

void Writer::finish_sweep(const Status& status) {
  vacuuming_ = false;
  if (!status.ok()) sweep_target_ = 0;
  for (const RequestPtr& request : std::exchange(compactions_, {})) {
    answer(*request, status.ok() ? Result<int64_t>(int64_t{0}) : Result<int64_t>(status));
  }
}

}  // namespace trireme::store::sqlite
