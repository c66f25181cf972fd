#include "simulator/batch.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/types/batchv1.h"
#include "controllers/support/jobs.h"
#include "simulator/templates.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
namespace batchv1 = api::batchv1;
using std::chrono::seconds;

constexpr int32_t kHopelessLimit = 2;
constexpr int32_t kHistory = 3;
constexpr int32_t kPassesAfter = 20;  // seconds

corev1::PodTemplateSpec work(const std::string& app, Random& random, int32_t fail_percent) {
  corev1::PodTemplateSpec out = pod_template(app, random);
  out.spec.restart_policy = corev1::kRestartPolicyNever;
  if (fail_percent > 0) {
    out.metadata.annotations.insert_or_assign(std::string(kFailPercentAnnotation), std::to_string(fail_percent));
  }
  return out;
}

int64_t minute_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::minutes>(time.time_since_epoch()).count();
}

}  // namespace

Batch::Batch(World& world, int64_t pods) : world_(world), random_(world.random("batch")) {
  for (int64_t left = pods; left > 0;) {
    Task& job = jobs_.emplace_back();
    job.name = fmt::format("job-{:04}", jobs_.size());
    job.indexed = random_.chance(0.5);
    job.completions = static_cast<int32_t>(std::min<int64_t>(left, 1 + static_cast<int64_t>(random_.below(30))));
    job.parallelism = static_cast<int32_t>(1 + random_.below(10));
    job.hopeless = random_.chance(0.1);
    job.passing = random_.chance(0.2);
    job.fail_percent = job.hopeless ? 100 : random_.chance(0.5) ? 10 : 0;
    left -= job.completions;
  }
  for (const std::string_view policy : {batchv1::kAllowConcurrent, batchv1::kForbidConcurrent}) {
    Schedule& schedule = schedules_.emplace_back();
    schedule.policy = policy;
    schedule.name = policy == batchv1::kAllowConcurrent ? "every-minute" : "one-at-a-time";
  }
}

void Batch::plan(Duration over, Duration until) {
  plan_namespace(world_, std::string(kNamespace));
  for (size_t i = 0; i < jobs_.size(); ++i) {
    const Duration at = over * static_cast<int64_t>(i) / static_cast<int64_t>(jobs_.size());
    world_.after(seconds(1) + at, [this, i] { create(i); });
  }
  for (Schedule& schedule : schedules_) {
    world_.after(seconds(1), [this, &schedule] { create(schedule); });
    world_.after(until, [this, &schedule] { stop(schedule); });
  }
}

void Batch::create(size_t index) {
  Task& job = jobs_[index];
  batchv1::Job made;
  made.metadata.namespace_ = kNamespace;
  made.metadata.name = job.name;
  made.spec.completions = job.completions;
  made.spec.parallelism = job.parallelism;
  if (job.indexed) made.spec.completion_mode = batchv1::kIndexedCompletion;
  // Those that can succeed must not give up by bad luck.
  made.spec.backoff_limit = job.hopeless ? kHopelessLimit : 1000;
  if (job.passing) made.spec.ttl_seconds_after_finished = kPassesAfter;
  made.spec.template_ = work(job.name, random_, job.fail_percent);
  const auto created = world_.client().create(made);
  job.created = created.ok();
  if (!job.created) world_.fail(fmt::format("cannot create {}: {}", job.name, created.status().message()));
}

void Batch::create(Schedule& schedule) {
  batchv1::CronJob made;
  made.metadata.namespace_ = kNamespace;
  made.metadata.name = schedule.name;
  made.spec.schedule = "* * * * *";
  made.spec.concurrency_policy = schedule.policy;
  made.spec.successful_jobs_history_limit = kHistory;
  // One that takes longer than a minute now and then.
  made.spec.job_template.spec.completions = 2;
  made.spec.job_template.spec.template_ = work(schedule.name, random_, 0);
  const auto created = world_.client().create(made);
  if (!created.ok()) return world_.fail(fmt::format("cannot create {}: {}", schedule.name, created.status().message()));
  schedule.first = minute_of(world_.wall()) + 1;
}

void Batch::stop(Schedule& schedule) {
  schedule.last = minute_of(world_.wall());
  change<batchv1::CronJob>(world_, std::string(kNamespace), schedule.name,
                           [](batchv1::CronJob& each) { each.spec.suspend = true; });
}

void Batch::suspend(size_t index, bool on) {
  Task& job = jobs_[index];
  if (!job.created || job.passing) return;
  job.suspended = on;
  change<batchv1::Job>(world_, std::string(kNamespace), job.name,
                       [this, index](batchv1::Job& each) { each.spec.suspend = jobs_[index].suspended; });
}

void Batch::set_parallelism(size_t index, int32_t parallelism) {
  const Task& job = jobs_[index];
  if (!job.created || job.passing) return;
  change<batchv1::Job>(world_, std::string(kNamespace), job.name,
                       [parallelism](batchv1::Job& each) { each.spec.parallelism = parallelism; });
}

void Batch::delete_a_pod(size_t index, Random& random) {
  const auto pods = world_.observer().pods_of(fmt::format("{}/{}", kNamespace, jobs_[index].name));
  if (pods.empty()) return;
  (void)world_.client().remove<corev1::Pod>(std::string(kNamespace), pods[random.below(pods.size())]->metadata.name);
}

bool Batch::is_complete() const {
  if (!std::ranges::all_of(jobs_, [](const Task& job) { return job.created; })) return false;
  return std::ranges::all_of(world_.informers().informer<batchv1::Job>().list(),
                             [](const auto& job) { return controllers::is_finished(*job); });
}

void Batch::check() const {
  world_.invariants().check_jobs();
  for (const Task& job : jobs_) {
    const auto found = world_.client().get<batchv1::Job>(std::string(kNamespace), job.name);
    if (found.status().is(Reason::kNotFound) && job.passing) continue;
    if (!found.ok()) {
      world_.fail(fmt::format("Job {}: {}", job.name, found.status().message()));
      continue;
    }
    const std::string_view wanted = job.hopeless ? batchv1::kJobFailed : batchv1::kJobComplete;
    if (!controllers::true_condition(found->status, wanted)) {
      world_.fail(fmt::format("Job {} has not come to the end {}", job.name, wanted));
    }
    if (!job.hopeless && found->status.succeeded != job.completions) {
      world_.fail(fmt::format("Job {} asks for {} successes and tells of {}", job.name, job.completions,
                              found->status.succeeded));
    }
    if (job.hopeless && found->status.failed <= kHopelessLimit) {
      world_.fail(fmt::format("Job {} gave up after {} failures", job.name, found->status.failed));
    }
    if (found->status.active != 0 || found->status.ready.value_or(0) != 0 ||
        found->status.terminating.value_or(0) != 0) {
      world_.fail(fmt::format("Job {} has ended and tells of {} active pods, {} ready, {} terminating", job.name,
                              found->status.active, found->status.ready.value_or(0),
                              found->status.terminating.value_or(0)));
    }
  }
  for (const Schedule& schedule : schedules_) {
    const auto due = schedule.last - schedule.first + 1;
    const int64_t made = world_.invariants().jobs_of(fmt::format("{}/{}", kNamespace, schedule.name));
    const bool all = schedule.policy == batchv1::kAllowConcurrent;
    // A run that is due just when the CronJob is suspended may take place or not.
    if (made > due || (all && made < due - 1)) {
      world_.fail(fmt::format("CronJob {} has made {} Jobs in {} minutes", schedule.name, made, due));
    }
    const auto kept =
        std::ranges::count_if(world_.informers().informer<batchv1::Job>().list(kNamespace),
                              [&](const auto& job) { return job->metadata.name.starts_with(schedule.name + "-"); });
    if (kept > kHistory) {
      world_.fail(fmt::format("CronJob {} keeps {} Jobs, of at most {}", schedule.name, kept, kHistory));
    }
  }
}

}  // namespace trireme::simulator
