#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "api/time_zone.h"
#include "base/clock.h"
#include "base/result.h"

namespace trireme::api {

/// When a CronJob runs. Understands what robfig/cron's standard parser does: five fields of lists, ranges, steps and
/// names, the descriptors (`@hourly`), `@every 90m`, and a leading `TZ=` or `CRON_TZ=`.
/// https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax,
/// https://pkg.go.dev/github.com/robfig/cron/v3
class CronSchedule {
 public:
  /// BadRequest with the parser's own words. Times are read in UTC until `set_zone` is called, unless the text names a
  /// zone.
  static Result<CronSchedule> parse(std::string_view text);
  /// Where the text names a zone itself, that stands.
  void set_zone(TimeZone zone) {
    if (!own_zone_) zone_ = zone;
  }

  /// The first time after `after`, in whole seconds; nothing when there is none in the five years that follow
  /// ("59 23 31 2 *").
  /// Around changes of the offset: a time that a day skips does not happen that day; a time that a day has twice
  /// happens twice when the hour is `*`, and else at its first occurrence of the hour.
  std::optional<WallTime> next(WallTime after) const;

 private:
  struct Local;
  Local local(int64_t unix_seconds) const;
  int64_t instant(int year, int month, int day, int hour, int minute, int second) const;
  bool day_matches(const Local& at) const;

  // Bit n stands for the value n, the highest bit for a star.
  uint64_t minutes_ = 0;
  uint64_t hours_ = 0;
  uint64_t days_ = 0;
  uint64_t months_ = 0;
  uint64_t weekdays_ = 0;
  int64_t every_seconds_ = 0;  ///< Of "@every"; then the rest is not used.
  TimeZone zone_;
  bool own_zone_ = false;
};

}  // namespace trireme::api
