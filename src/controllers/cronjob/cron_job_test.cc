// Cron jobs: when they are due, and the controller on the real API server.

#include "controllers/cronjob/cron_times.h"
#include "controllers/support/jobs.h"
#include "controllers/support/ownership.h"
#include "controllers/testing/restarts.h"
#include "controllers/testing/suite.h"
#include "controllers/ttlafterfinished/ttl_after_finished_controller.h"

namespace trireme::controllers {
namespace {

using namespace api::batchv1;  // NOLINT
using api::corev1::Event;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime kTen{seconds(1704103200)};  // 2024-01-01T10:00:00Z

CronJob cron_job(const std::string& schedule) {
  CronJob out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "tick";
  out.spec.schedule = schedule;
  out.spec.time_zone = "UTC";
  auto& pod = out.spec.job_template.spec.template_.spec;
  pod.restart_policy = "Never";
  auto& container = pod.containers.emplace_back();
  container.name = "main";
  container.image = "busybox";
  return out;
}

std::string text(const std::optional<WallTime>& at) { return at ? api::Time(*at).to_string() : "none"; }

TEST(CronTimesTest, WhatIsDue) {
  const struct {
    std::string schedule;
    Duration created;  // before ten
    std::optional<Duration> last;
    std::optional<int64_t> deadline;
    Duration now;  // after ten
    std::string due;
    bool many;
    std::optional<Duration> next;
  } cases[] = {
      {"0 * * * *", minutes(5), {}, {}, seconds(-1), "none", false, seconds(1)},
      {"0 * * * *", minutes(5), {}, {}, seconds(0), "2024-01-01T10:00:00Z", false, hours(1)},
      {"0 * * * *", minutes(5), {}, {}, minutes(20), "2024-01-01T10:00:00Z", false, minutes(40)},
      {"0 * * * *", hours(50), minutes(60), {}, minutes(20), "2024-01-01T10:00:00Z", false, minutes(40)},
      {"0 * * * *", hours(50), minutes(0), {}, minutes(20), "none", false, minutes(40)},
      {"0 * * * *", hours(50), {}, {}, minutes(20), "2024-01-01T10:00:00Z", false, minutes(40)},
      {"* * * * *", hours(50), {}, {}, seconds(90), "2024-01-01T10:01:00Z", true, seconds(30)},
      {"* * * * *", minutes(99), {}, {}, seconds(0), "2024-01-01T10:00:00Z", false, seconds(60)},
      {"* * * * *", minutes(101), {}, {}, seconds(0), "2024-01-01T10:00:00Z", true, seconds(60)},
      // A deadline leaves fewer to look at.
      {"* * * * *", hours(50), {}, 200, seconds(90), "2024-01-01T10:01:00Z", false, seconds(30)},
      {"0 * * * *", hours(50), {}, 60, minutes(20), "none", false, minutes(40)},
      {"0 * * * *",
       hours(50),
       {},
       std::numeric_limits<int64_t>::max(),
       minutes(20),
       "2024-01-01T10:00:00Z",
       false,
       minutes(40)},
      // Intervals that are not equal.
      {"30 6-16/4 * * 1-5", hours(100), {}, {}, minutes(40), "2024-01-01T10:30:00Z", false, minutes(230)},
      {"@every 7m", minutes(15), {}, {}, seconds(0), "2024-01-01T09:59:00Z", false, minutes(6)},
  };
  for (const auto& each : cases) {
    CronJob job = cron_job(each.schedule);
    job.metadata.creation_timestamp = api::Time(kTen - each.created);
    if (each.last) job.status.last_schedule_time = api::Time(kTen - *each.last);
    job.spec.starting_deadline_seconds = each.deadline;
    const auto schedule = schedule_of(job.spec);
    ASSERT_TRUE(schedule.ok());
    const WallTime now = kTen + each.now;
    const auto due = due_time(job, *schedule, now);
    ASSERT_TRUE(due.ok()) << each.schedule;
    EXPECT_EQ(text(due->at), each.due) << each.schedule;
    EXPECT_EQ(due->many_missed, each.many) << each.schedule;
    const auto next = until_next(job, *schedule, now);
    EXPECT_EQ(next, each.next ? std::optional<Duration>(*each.next + std::chrono::milliseconds(100)) : std::nullopt)
        << each.schedule;
  }
}

TEST(CronTimesTest, ATimeThatNeverComes) {
  CronJob job = cron_job("59 23 31 2 *");
  job.metadata.creation_timestamp = api::Time(kTen);
  const auto schedule = schedule_of(job.spec);
  ASSERT_TRUE(schedule.ok());
  EXPECT_EQ(due_time(job, *schedule, kTen).status().message(),
            "time difference between two schedules is less than 1 second");
  EXPECT_EQ(until_next(job, *schedule, kTen), std::nullopt);
  job.spec.time_zone = "Nowhere/Else";
  EXPECT_FALSE(schedule_of(job.spec).ok());
}

TEST(CronTimesTest, TheJobOfATime) {
  CronJob owner = cron_job("0 * * * *");
  owner.metadata.uid = "u";
  owner.spec.time_zone = "Asia/Kolkata";
  owner.spec.job_template.metadata.labels["a"] = "b";
  owner.spec.job_template.metadata.annotations["c"] = "d";
  const Job job = job_from_template(owner, kTen + minutes(30));
  EXPECT_EQ(job.metadata.name, "tick-28401750");
  EXPECT_EQ(job.metadata.labels.at("a"), "b");
  EXPECT_EQ(job.metadata.annotations.at("c"), "d");
  EXPECT_EQ(job.metadata.annotations.at(kCronJobScheduledTimestampAnnotation), "2024-01-01T16:00:00+05:30");
  EXPECT_EQ(controller_of(job.metadata)->uid, "u");
  EXPECT_EQ(job.spec.template_.spec.containers.size(), 1u);
  EXPECT_EQ(local_timestamp(kTen, *api::TimeZone::load("America/St_Johns")), "2024-01-01T06:30:00-03:30");
  EXPECT_EQ(local_timestamp(kTen, {}), "2024-01-01T10:00:00Z");
  EXPECT_EQ(rfc1123(kTen + seconds(7)), "Mon, 01 Jan 2024 10:00:07 +0000");
}

TEST(TtlTest, Expiry) {
  Job job;
  EXPECT_EQ(expiry(job), std::nullopt);
  job.spec.ttl_seconds_after_finished = 30;
  EXPECT_EQ(expiry(job), std::nullopt);
  auto& condition = job.status.conditions.emplace_back();
  condition.type = "Failed";
  condition.status = "False";
  condition.last_transition_time = api::Time(kTen);
  EXPECT_EQ(expiry(job), std::nullopt);
  condition.status = "True";
  EXPECT_EQ(expiry(job), kTen + seconds(30));
  job.metadata.deletion_timestamp = api::Time(kTen);
  EXPECT_EQ(expiry(job), std::nullopt);
}

class CronJobSuite : public ControllersSuite {
 protected:
  void SetUp() override {
    ControllersSuite::SetUp();
    jobs_.emplace(raw());
    cron_jobs_.emplace(raw());
    events_seen_.emplace(raw());
  }
  void TearDown() override {
    jobs_.reset();
    cron_jobs_.reset();
    events_seen_.reset();
    ControllersSuite::TearDown();
  }
  std::shared_ptr<const CronJob> tick() { return cron_jobs_->get("default", "tick"); }
  bool until_tick(const std::function<bool(const CronJob&)>& holds) {
    return cron_jobs_->until([&] {
      const auto now = tick();
      return now && holds(*now);
    });
  }
  bool until_event(std::string_view reason) {
    return events_seen_->until([&] {
      return std::ranges::any_of(events_seen_->list("default"), [&](const auto& each) {
        return each->involved_object.kind == "CronJob" && each->reason == reason;
      });
    });
  }
  /// Moves on to the next full minute and a little further.
  void next_minute() {
    ASSERT_TRUE(clock_->wait_for_waiters(1));
    const auto now = clock_->now().time_since_epoch();
    clock_->advance(std::chrono::ceil<minutes>(now + std::chrono::nanoseconds(1)) - now +
                    std::chrono::milliseconds(200));
  }
  /// One more minute, and the job that it brings.
  void next_job(size_t jobs) {
    next_minute();
    ASSERT_TRUE(jobs_->until([&] { return jobs_->list("default").size() == jobs; }));
    ASSERT_TRUE(until_tick([&](const CronJob& each) {
      const auto newest =
          std::ranges::max(jobs_->list("default"), {}, [](const auto& one) { return one->metadata.name; });
      return std::ranges::any_of(each.status.active, [&](const auto& one) { return one.uid == newest->metadata.uid; });
    }));
  }
  void finish(const std::string& name, std::string_view type) {
    change<Job>(
        "default", name,
        [&](Job& each) {
          const api::Time now(std::chrono::system_clock::now());
          each.status.start_time = now;
          if (type == kJobComplete) each.status.completion_time = now;
          for (const std::string_view one : {type == kJobComplete ? kJobSuccessCriteriaMet : kJobFailureTarget, type}) {
            auto& condition = each.status.conditions.emplace_back();
            condition.type = one;
            condition.status = "True";
            condition.last_transition_time = now;
          }
        },
        true);
  }

  std::optional<Watched<Job>> jobs_;
  std::optional<Watched<CronJob>> cron_jobs_;
  std::optional<Watched<Event>> events_seen_;
};

TEST_F(CronJobSuite, MakesJobsAndKeepsAHistory) {
  run("cronjob");
  CronJob wanted = cron_job("* * * * *");
  wanted.spec.successful_jobs_history_limit = 1;
  wanted.spec.failed_jobs_history_limit = 0;
  create(wanted);
  next_job(1);
  const std::string first = jobs_->list("default")[0]->metadata.name;
  EXPECT_EQ(first, job_name(*tick(), tick()->status.last_schedule_time->wall()));
  EXPECT_TRUE(until_event("SuccessfulCreate"));
  next_job(2);
  EXPECT_EQ(tick()->status.active.size(), 2u);
  const std::string second = jobs_->list("default")[1]->metadata.name;
  finish(first, kJobComplete);
  ASSERT_TRUE(until_tick([](const CronJob& each) {
    return each.status.active.size() == 1 && each.status.last_successful_time.has_value();
  }));
  EXPECT_TRUE(until_event("SawCompletedJob"));
  EXPECT_TRUE(jobs_->get("default", first));
  finish(second, kJobComplete);
  ASSERT_TRUE(jobs_->until([&] { return !jobs_->get("default", first); }));
  EXPECT_TRUE(until_event("SuccessfulDelete"));
  next_job(2);
  finish(jobs_->list("default")[1]->metadata.name, kJobFailed);
  ASSERT_TRUE(jobs_->until([&] { return jobs_->list("default").size() == 1; }));
  EXPECT_TRUE(until_tick([](const CronJob& each) { return each.status.active.empty(); }));
  EXPECT_EQ(jobs_->list("default")[0]->metadata.name, second);
}

TEST_F(CronJobSuite, OneTimerForTheNextTime) {
  run("cronjob");
  create(cron_job("30 4 29 2 *"));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  EXPECT_EQ(clock_->timers(), 1u);
  EXPECT_GT(*clock_->next_due(), hours(1));
  EXPECT_TRUE(jobs_->list("default").empty());
}

TEST_F(CronJobSuite, OneAtATime) {
  run("cronjob");
  CronJob wanted = cron_job("* * * * *");
  wanted.spec.concurrency_policy = kForbidConcurrent;
  create(wanted);
  next_job(1);
  const std::string first = jobs_->list("default")[0]->metadata.name;
  next_minute();
  ASSERT_TRUE(until_event("JobAlreadyActive"));
  EXPECT_EQ(jobs_->list("default").size(), 1u);
  // When it has ended, the time that was missed is made up for.
  finish(first, kJobComplete);
  ASSERT_TRUE(jobs_->until([&] { return jobs_->list("default").size() == 2; }));
  EXPECT_TRUE(until_tick(
      [&](const CronJob& each) { return each.status.active.size() == 1 && each.status.active[0].name != first; }));
}

TEST_F(CronJobSuite, TheNextTakesThePlace) {
  run("cronjob");
  CronJob wanted = cron_job("* * * * *");
  wanted.spec.concurrency_policy = kReplaceConcurrent;
  create(wanted);
  next_job(1);
  const std::string first = jobs_->list("default")[0]->metadata.name;
  next_minute();
  ASSERT_TRUE(jobs_->until([&] {
    const auto all = jobs_->list("default");
    return all.size() == 1 && all[0]->metadata.name != first;
  }));
  EXPECT_TRUE(until_tick(
      [&](const CronJob& each) { return each.status.active.size() == 1 && each.status.active[0].name != first; }));
}

TEST_F(CronJobSuite, SuspensionAndDeadlines) {
  run("cronjob");
  CronJob wanted = cron_job("* * * * *");
  wanted.spec.suspend = true;
  create(wanted);
  ASSERT_TRUE(until_tick([](const CronJob&) { return true; }));
  clock_->advance(minutes(3));
  // Longer ago than the deadline allows: nothing is made up for.
  change<CronJob>("default", "tick", [](CronJob& each) {
    each.spec.suspend = false;
    each.spec.starting_deadline_seconds = 0;
  });
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  EXPECT_TRUE(jobs_->list("default").empty());
  change<CronJob>("default", "tick", [](CronJob& each) { each.spec.starting_deadline_seconds.reset(); });
  ASSERT_TRUE(jobs_->until([&] { return jobs_->list("default").size() == 1; }));
}

TEST_F(CronJobSuite, AnotherScheduleCountsFromNow) {
  run("cronjob");
  create(cron_job("0 0 1 1 *"));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(minutes(3));
  change<CronJob>("default", "tick", [](CronJob& each) { each.spec.schedule = "* * * * *"; });
  ASSERT_TRUE(until_tick([](const CronJob& each) { return each.spec.schedule == "* * * * *"; }));
  EXPECT_TRUE(jobs_->list("default").empty());
  ASSERT_TRUE(advance_until(*jobs_, seconds(20), [&] { return jobs_->list("default").size() == 1; }));
}

TEST_F(CronJobSuite, AMissingJobIsTakenOffTheList) {
  run("cronjob");
  create(cron_job("* * * * *"));
  next_job(1);
  EXPECT_TRUE(
      remove<Job>("default", jobs_->list("default")[0]->metadata.name, {.propagation_policy = "Background"}).ok());
  ASSERT_TRUE(until_tick([](const CronJob& each) { return each.status.active.empty(); }));
  EXPECT_TRUE(until_event("MissingJob"));
}

TEST_F(CronJobSuite, FinishedJobsGoAfterTheirTime) {
  run("ttl-after-finished,garbagecollector");
  const auto make = [&](const std::string& name, std::optional<int32_t> ttl) {
    Job job;
    job.metadata.namespace_ = "default";
    job.metadata.name = name;
    job.spec = cron_job("* * * * *").spec.job_template.spec;
    job.spec.ttl_seconds_after_finished = ttl;
    create(job);
    finish(name, name == "failed" ? kJobFailed : kJobComplete);
  };
  make("kept", std::nullopt);
  make("failed", 100);
  make("done", 10);
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(12));
  ASSERT_TRUE(jobs_->until([&] { return !jobs_->get("default", "done"); }));
  EXPECT_TRUE(jobs_->get("default", "failed"));
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(100));
  ASSERT_TRUE(jobs_->until([&] { return !jobs_->get("default", "failed"); }));
  EXPECT_TRUE(jobs_->get("default", "kept"));
}

TEST(CronJobRestarts, AJobIsStartedOnce) {
  const auto jobs = [](client::Client& client) {
    const auto listed = client.list<Job, JobList>("default");
    return listed.ok() ? listed->items : std::vector<Job>();
  };
  survives_restarts(
      {.controllers = "cronjob",
       .acts = {{[](client::Client& client) {
                   CronJob wanted = cron_job("@every 1000h");
                   // As if made long ago, so that it is due once and then not for long.
                   EXPECT_TRUE(client.create(wanted).ok());
                   auto fresh = client.get<CronJob>("default", "tick");
                   ASSERT_TRUE(fresh.ok());
                   fresh->status.last_schedule_time = api::Time(std::chrono::system_clock::now() - hours(1001));
                   EXPECT_TRUE(client.update_status(*fresh).ok());
                 },
                 [=](client::Client& client) {
                   const auto now = client.get<CronJob>("default", "tick");
                   return now.ok() && now->status.active.size() == 1 && jobs(client).size() == 1;
                 }}},
       .normalise = [](api::Value& item) {
         // Names and labels tell times and UIDs.
         const std::string text = api::to_json(item);
         item = api::Value(text.find("\"CronJob\"") != std::string::npos ? "job of the cron job" : "cron job");
       }});
}

}  // namespace
}  // namespace trireme::controllers
