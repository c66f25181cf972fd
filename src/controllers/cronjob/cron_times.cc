#include "controllers/cronjob/cron_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "client/event_recorder.h"
#include "controllers/support/ownership.h"

namespace trireme::controllers {

using api::CronSchedule;
using api::batchv1::CronJob;
using std::chrono::seconds;

namespace {

enum class Missed : uint8_t { kNone, kSome, kMany };

struct Passed {
  WallTime since;                  ///< From where on it was looked.
  std::optional<WallTime> latest;  ///< The last scheduled time that is not after now.
  Missed missed = Missed::kNone;
};

int64_t whole_seconds(Duration duration) { return std::chrono::duration_cast<seconds>(duration).count(); }

/// `deadline`: times before startingDeadlineSeconds ago are not looked for.
Result<Passed> passed_times(const CronJob& cron_job, const CronSchedule& schedule, WallTime now, bool deadline) {
  constexpr int64_t kMany = 100;
  Passed out;
  const auto& last = cron_job.status.last_schedule_time;
  const api::Time since = last ? *last : cron_job.metadata.creation_timestamp;
  out.since = since ? since.wall() : now;
  if (deadline && cron_job.spec.starting_deadline_seconds) {
    // Longer ago than the clock can tell is the same as no deadline.
    constexpr int64_t kLongest = int64_t{200} * 365 * 24 * 3600;
    const int64_t allowed = std::min(*cron_job.spec.starting_deadline_seconds, kLongest);
    out.since = std::max(out.since, now - seconds(allowed));
  }
  const auto first = schedule.next(out.since);
  if (first && now < *first) return out;
  const auto second = first ? schedule.next(*first) : std::nullopt;
  if (second && now < *second) {
    out.latest = first;
    return out;
  }
  const int64_t interval = second ? whole_seconds(*second - *first) : 0;
  if (interval < 1) return Status::bad_request("time difference between two schedules is less than 1 second");
  // To look at every time since then could take forever: skip as many as the first interval allows, less one, because
  // intervals need not be equal.
  const int64_t missed = whole_seconds(now - *first) / interval + 1;
  const WallTime start = *first + seconds((missed - 2) * interval);
  for (auto next = schedule.next(start); next && *next <= now; next = schedule.next(*next)) out.latest = next;
  out.missed = missed > kMany ? Missed::kMany : Missed::kSome;
  return out;
}

}  // namespace

Result<CronSchedule> schedule_of(const api::batchv1::CronJobSpec& spec) {
  TRY_ASSIGN(CronSchedule schedule, CronSchedule::parse(spec.schedule));
  if (!spec.time_zone) {
    schedule.set_zone(api::TimeZone::local());
    return schedule;
  }
  TRY_ASSIGN(const api::TimeZone zone, api::TimeZone::load(*spec.time_zone));
  schedule.set_zone(zone);
  return schedule;
}

Result<DueTime> due_time(const CronJob& cron_job, const CronSchedule& schedule, WallTime now) {
  TRY_ASSIGN(const Passed passed, passed_times(cron_job, schedule, now, true));
  return DueTime{passed.latest, passed.latest && passed.missed == Missed::kMany};
}

std::optional<Duration> until_next(const CronJob& cron_job, const CronSchedule& schedule, WallTime now) {
  constexpr Duration kMore = std::chrono::milliseconds(100);
  const Result<Passed> passed = passed_times(cron_job, schedule, now, false);
  WallTime from = now;
  if (passed.ok()) {
    if (passed->latest) {
      from = *passed->latest;
    } else if (passed->missed == Missed::kNone) {
      from = passed->since;
    }
  }
  const auto next = schedule.next(from);
  if (!next) return std::nullopt;
  return *next - now + kMore;
}

std::string job_name(const CronJob& cron_job, WallTime scheduled) {
  return fmt::format("{}-{}", cron_job.metadata.name,
                     std::chrono::floor<std::chrono::minutes>(scheduled.time_since_epoch()).count());
}

api::batchv1::Job job_from_template(const CronJob& cron_job, WallTime scheduled) {
  const auto& from = cron_job.spec.job_template;
  api::batchv1::Job job;
  job.metadata.namespace_ = cron_job.metadata.namespace_;
  job.metadata.name = job_name(cron_job, scheduled);
  job.metadata.labels = from.metadata.labels;
  job.metadata.annotations = from.metadata.annotations;
  const auto zone = api::TimeZone::load(cron_job.spec.time_zone.value_or(""));
  job.metadata.annotations.insert_or_assign(api::batchv1::kCronJobScheduledTimestampAnnotation,
                                            local_timestamp(scheduled, zone.ok() ? *zone : api::TimeZone()));
  job.metadata.owner_references.push_back(controller_reference(client::reference_to(cron_job)));
  job.spec = from.spec;
  return job;
}

std::string local_timestamp(WallTime at, const api::TimeZone& zone) {
  const int64_t unix_seconds = std::chrono::floor<seconds>(at.time_since_epoch()).count();
  const int64_t offset = zone.at(unix_seconds).offset;
  std::string text = api::Time::from_unix(unix_seconds + offset).to_string();
  if (offset == 0) return text;
  text.pop_back();  // the Z
  const int64_t minutes = std::abs(offset) / 60;
  return fmt::format("{}{}{:02}:{:02}", text, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string rfc1123(WallTime at) {
  using namespace std::chrono;  // NOLINT: calendar arithmetic
  constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(floor<seconds>(at - day));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", kDays[weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

}  // namespace trireme::controllers
