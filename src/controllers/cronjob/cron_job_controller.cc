#include "controllers/cronjob/cron_job_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/status_convert.h"
#include "api/validation/equal.h"
#include "base/log.h"
#include "controllers/cronjob/cron_times.h"
#include "controllers/support/jobs.h"
#include "controllers/support/ownership.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: the types and constants of jobs
using api::corev1::ObjectReference;

namespace {

bool is_listed(const CronJob& cron_job, const std::string& uid) {
  return std::ranges::any_of(cron_job.status.active, [&](const auto& each) { return each.uid == uid; });
}

void unlist(CronJob& cron_job, const std::string& uid) {
  std::erase_if(cron_job.status.active, [&](const ObjectReference& each) { return each.uid == uid; });
}

/// Those that never started come last.
bool started_before(const std::shared_ptr<const Job>& a, const std::shared_ptr<const Job>& b) {
  const auto& first = a->status.start_time;
  const auto& second = b->status.start_time;
  if (first.has_value() != second.has_value()) return first.has_value();
  if (first && *first != *second) return *first < *second;
  return a->metadata.name < b->metadata.name;
}

bool same_times(const CronJobSpec& a, const CronJobSpec& b) {
  return a.schedule == b.schedule && a.time_zone == b.time_zone;
}

}  // namespace

CronJobController::CronJobController(const ControllerContext& context)
    : Controller(context, "cronjob-controller", context.options.concurrent_cron_job_syncs),
      cron_jobs_(context.informers->informer<CronJob>()),
      jobs_(context.informers->informer<Job>()),
      events_(context.events->recorder("cronjob-controller")),
      creation_skew_("cronjob_controller_job_creation_skew_duration_seconds",
                     "Time between when a cronjob is due, and when the job is created", {},
                     metrics::exponential_bounds(1, 2, 10)),
      newest_(cron_jobs_) {
  index_by_controller(jobs_);
  cron_jobs_.add_handler(
      [this](const CronJobPointer& before, const CronJobPointer& after) { on_cron_job(before, after); });
  jobs_.add_handler([this](const JobPointer& before, const JobPointer& after) {
    if (before) enqueue_owner(*before);
    if (after) enqueue_owner(*after);
  });
}

void CronJobController::on_cron_job(const CronJobPointer& before, const CronJobPointer& after) {
  if (!after) return;
  const std::string key = client::key_of(after->metadata);
  if (before && before->metadata.uid == after->metadata.uid && !same_times(before->spec, after->spec)) {
    // A new schedule counts from now on: a time that it would have had in the past is not made up for.
    const auto schedule = schedule_of(after->spec);
    const auto wait = schedule.ok() ? until_next(*after, *schedule, clock().now()) : std::nullopt;
    if (wait) {
      enqueue_after(key, *wait);
      return;
    }
  }
  enqueue(key);
}

void CronJobController::enqueue_owner(const Job& job) {
  const auto* controller = controller_of(job.metadata);
  if (!controller || controller->kind != "CronJob") return;
  const CronJobPointer owner = cron_jobs_.get(job.metadata.namespace_, controller->name);
  if (owner && owner->metadata.uid == controller->uid) enqueue(client::key_of(owner->metadata));
}

Result<Outcome> CronJobController::reconcile(const std::string& key) {
  const CronJobPointer known = newest_.get(key);
  if (!known) return Outcome::done();
  CronJob cron_job = *known;
  const std::vector<JobPointer> jobs = jobs_.by_index(kByController, cron_job.metadata.uid);
  forget_old_jobs(cron_job, jobs);
  Result<Outcome> outcome = Outcome::done();
  if (Status followed = follow_jobs(cron_job, jobs); !followed.ok()) {
    outcome = std::move(followed);
  } else if (!cron_job.metadata.deletion_timestamp) {
    outcome = follow_schedule(cron_job);
  }
  if (!api::validation::semantic_equal(known->status, cron_job.status)) {
    auto written = client().update_status(cron_job);
    if (written.status().is(Reason::kNotFound)) return Outcome::done();
    TRY(written.status());
    newest_.wrote(std::move(*written));
  }
  if (!outcome.ok() && namespace_is_ending(outcome.status())) return Outcome::done();
  return outcome;
}

// Jobs that were made

void CronJobController::forget_old_jobs(CronJob& cron_job, const std::vector<JobPointer>& jobs) {
  std::vector<JobPointer> complete;
  std::vector<JobPointer> failed;
  for (const JobPointer& job : jobs) {
    const auto* finished = finished_condition(*job);
    // One that is going already has no place in the count.
    if (!finished || job->metadata.deletion_timestamp) continue;
    (finished->type == kJobComplete ? complete : failed).push_back(job);
  }
  const auto limit = [&](std::vector<JobPointer> finished, const std::optional<int32_t>& kept) {
    if (kept) forget_oldest(cron_job, std::move(finished), static_cast<size_t>(std::max(*kept, 0)));
  };
  limit(std::move(complete), cron_job.spec.successful_jobs_history_limit);
  limit(std::move(failed), cron_job.spec.failed_jobs_history_limit);
}

void CronJobController::forget_oldest(CronJob& cron_job, std::vector<JobPointer> jobs, size_t kept) {
  if (jobs.size() <= kept) return;
  std::ranges::sort(jobs, started_before);
  for (size_t i = 0; i < jobs.size() - kept; ++i) {
    // What cannot be deleted now will be in a later pass; the event has told it.
    if (const Status gone = delete_job(cron_job, *jobs[i]); !gone.ok()) {
      log::debug("An old job stays", {{"job", jobs[i]->metadata.name}, {"error", gone}});
    }
  }
}

Status CronJobController::delete_job(CronJob& cron_job, const Job& job) {
  client::DeleteOptions options;
  options.propagation_policy = "Background";
  options.uid = job.metadata.uid;
  Status status = client().remove<Job>(job.metadata.namespace_, job.metadata.name, options);
  if (!status.ok() && !status.is(Reason::kNotFound)) {
    events_.warning(cron_job, "FailedDelete", "Deleted job: " + status.message());
    return status;
  }
  unlist(cron_job, job.metadata.uid);
  if (status.ok()) events_.normal(cron_job, "SuccessfulDelete", "Deleted job " + job.metadata.name);
  return {};
}

Status CronJobController::follow_jobs(CronJob& cron_job, const std::vector<JobPointer>& jobs) {
  std::set<std::string> present;
  for (const JobPointer& job : jobs) {
    present.insert(job->metadata.uid);
    const bool listed = is_listed(cron_job, job->metadata.uid);
    const auto* finished = finished_condition(*job);
    if (!finished) {
      // Made by somebody else, or just before this controller died. If it is due now it will be taken over below.
      if (!listed) {
        events_.warning(cron_job, "UnexpectedJob",
                        "Saw a job that the controller did not create or forgot: " + job->metadata.name);
      }
      continue;
    }
    if (listed) {
      unlist(cron_job, job->metadata.uid);
      events_.normal(cron_job, "SawCompletedJob",
                     fmt::format("Saw completed job: {}, condition: {}", job->metadata.name, finished->type));
    }
    auto& last = cron_job.status.last_successful_time;
    const auto& completed = job->status.completion_time;
    if (finished->type == kJobComplete && completed && (!last || *last < *completed)) last = completed;
  }
  const auto active = cron_job.status.active;
  for (const ObjectReference& each : active) {
    if (present.contains(each.uid)) continue;
    // The cache may be behind.
    const Result<Job> there = client().get<Job>(each.namespace_, each.name);
    if (there.ok() && there->metadata.uid == each.uid) continue;
    if (!there.ok() && !there.status().is(Reason::kNotFound)) return there.status();
    events_.normal(cron_job, "MissingJob", "Active job went missing: " + each.name);
    unlist(cron_job, each.uid);
  }
  return {};
}

// Jobs that are due

Result<Outcome> CronJobController::follow_schedule(CronJob& cron_job) {
  const CronJobSpec& spec = cron_job.spec;
  const WallTime now = clock().now();
  if (spec.time_zone) {
    if (const auto zone = api::TimeZone::load(*spec.time_zone); !zone.ok()) {
      events_.warning(cron_job, "UnknownTimeZone",
                      fmt::format("invalid timeZone: {}: {}", api::go_quote(*spec.time_zone), zone.status().message()));
      return Outcome::done();
    }
  }
  if (spec.suspend.value_or(false)) return Outcome::done();
  if (spec.schedule.find("TZ") != std::string::npos) {
    events_.warning(cron_job, "UnsupportedSchedule",
                    fmt::format("CRON_TZ or TZ used in schedule {} is not officially supported, see "
                                "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details",
                                api::go_quote(spec.schedule)));
  }
  const auto schedule = schedule_of(spec);
  if (!schedule.ok()) {
    events_.warning(
        cron_job, "UnparseableSchedule",
        fmt::format("unparseable schedule: {} : {}", api::go_quote(spec.schedule), schedule.status().message()));
    return Outcome::done();
  }
  const auto due = due_time(cron_job, *schedule, now);
  if (!due.ok()) {
    events_.warning(cron_job, "InvalidSchedule",
                    fmt::format("invalid schedule: {} : {}", spec.schedule, due.status().message()));
    return Outcome::done();
  }
  if (due->many_missed) {
    events_.warning(cron_job, "TooManyMissedTimes",
                    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
  }
  if (due->at) TRY(start_job(cron_job, *due->at));
  const auto wait = until_next(cron_job, *schedule, now);
  return wait ? Outcome::again_after(*wait) : Outcome::done();
}

Status CronJobController::start_job(CronJob& cron_job, WallTime scheduled) {
  const CronJobSpec& spec = cron_job.spec;
  const std::string name = job_name(cron_job, scheduled);
  const WallTime now = clock().now();
  const auto& deadline = spec.starting_deadline_seconds;
  if (deadline && Duration(now - scheduled) > std::chrono::seconds(*deadline)) {
    events_.warning(cron_job, "MissSchedule", "Missed scheduled time to start a job: " + rfc1123(scheduled));
    return {};
  }
  auto& status = cron_job.status;
  const bool running = std::ranges::any_of(status.active, [&](const auto& each) { return each.name == name; });
  if (running || (status.last_schedule_time && *status.last_schedule_time == api::Time(scheduled))) return {};
  if (spec.concurrency_policy == kForbidConcurrent && !status.active.empty()) {
    events_.normal(cron_job, "JobAlreadyActive",
                   "Not starting job because prior execution is running and concurrency policy is Forbid");
    return {};
  }
  if (spec.concurrency_policy == kReplaceConcurrent) TRY(replace_active(cron_job));

  Result<Job> made = client().create(job_from_template(cron_job, scheduled));
  if (made.status().is(Reason::kAlreadyExists)) {
    // Made before this controller died, or somebody else's.
    made = client().get<Job>(cron_job.metadata.namespace_, name);
    TRY(made.status());
    const auto* controller = controller_of(made->metadata);
    if (!controller || controller->uid != cron_job.metadata.uid || is_listed(cron_job, made->metadata.uid)) return {};
    if (is_finished(*made)) {
      status.last_schedule_time = api::Time(scheduled);
      return {};
    }
  } else if (!made.ok()) {
    if (!namespace_is_ending(made.status())) {
      events_.warning(cron_job, "FailedCreate", "Error creating job: " + made.status().message());
    }
    return made.status();
  } else {
    events_.normal(cron_job, "SuccessfulCreate", "Created job " + name);
    // Between the time it was due and the time the server gave it.
    creation_skew_.observe({}, Duration(made->metadata.creation_timestamp.wall() - scheduled));
  }
  status.active.push_back(client::reference_to(*made));
  status.last_schedule_time = api::Time(scheduled);
  return {};
}

Status CronJobController::replace_active(CronJob& cron_job) {
  const auto active = cron_job.status.active;
  for (const ObjectReference& each : active) {
    const Result<Job> job = client().get<Job>(each.namespace_, each.name);
    if (job.status().is(Reason::kNotFound)) {
      unlist(cron_job, each.uid);
      continue;
    }
    if (!job.ok()) {
      events_.warning(cron_job, "FailedGet", "Get job: " + job.status().message());
      return job.status();
    }
    TRY(delete_job(cron_job, *job));
  }
  return {};
}

}  // namespace trireme::controllers
