#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/cron.h"
#include "api/types/batchv1.h"
#include "base/clock.h"

/// When a cron job is due, from its schedule and what it has done so far.
/// https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#job-creation
namespace trireme::controllers {

/// The schedule with its zone: the one of spec.timeZone, else the machine's. BadRequest when it cannot be read, or
/// names a zone that is not known.
Result<api::CronSchedule> schedule_of(const api::batchv1::CronJobSpec& spec);

struct DueTime {
  std::optional<WallTime> at;  ///< The last time that has passed and for which nothing was started; none: not due.
  bool many_missed = false;    ///< More than 100 times have passed.
};
/// BadRequest when the schedule never comes, or cannot be told apart from one time to the next.
Result<DueTime> due_time(const api::batchv1::CronJob& cron_job, const api::CronSchedule& schedule, WallTime now);

/// How long until it is due next, and a little more, so that the time has passed then; nothing when it never will be.
std::optional<Duration> until_next(const api::batchv1::CronJob& cron_job, const api::CronSchedule& schedule,
                                   WallTime now);

/// "NAME-28440000": the same for the same time, so that nothing is started twice.
std::string job_name(const api::batchv1::CronJob& cron_job, WallTime scheduled);
/// The job for that time.
api::batchv1::Job job_from_template(const api::batchv1::CronJob& cron_job, WallTime scheduled);

/// RFC 3339 with the zone's offset: "2024-01-01T09:00:00+09:00".
std::string local_timestamp(WallTime at, const api::TimeZone& zone);
/// As Go's time.RFC1123Z, in UTC: "Mon, 01 Jan 2024 00:00:00 +0000".
std::string rfc1123(WallTime at);

}  // namespace trireme::controllers
