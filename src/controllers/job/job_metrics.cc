#include "controllers/job/job_metrics.h"

#include <algorithm>

#include "controllers/job/policies.h"
#include "controllers/job/tracking.h"

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: the types and constants of jobs
using api::corev1::Pod;

namespace {

constexpr std::string_view kSucceededLabel = "succeeded";
constexpr std::string_view kFailedLabel = "failed";

std::string named(std::string_view metric) { return "job_controller_" + std::string(metric); }

std::string mode_of(const Job& job) {
  return std::string(is_indexed(job.spec) ? kIndexedCompletion : kNonIndexedCompletion);
}

bool ended_and_tracked(const Pod* pod) { return pod != nullptr && is_finished(*pod) && has_tracking_finalizer(*pod); }

uint64_t grown(int32_t before, int32_t now) { return static_cast<uint64_t>(std::max(now - before, 0)); }

}  // namespace

JobMetrics::JobMetrics()
    : duration_(named("job_sync_duration_seconds"), "The time it took to sync a job",
                {"completion_mode", "result", "action"}, metrics::exponential_bounds(0.004, 2, 15)),
      syncs_(named("job_syncs_total"), "The number of job syncs", {"completion_mode", "result", "action"}),
      finished_(named("jobs_finished_total"), "The number of finished jobs", {"completion_mode", "result", "reason"}),
      external_(named("jobs_by_external_controller_total"), "Jobs whose managedBy names another controller",
                {"controller_name"}),
      pods_finished_(named("job_pods_finished_total"), "The number of finished pods that have been counted",
                     {"completion_mode", "result"}),
      failure_policy_(named("pod_failures_handled_by_failure_policy_total"),
                      "Failed pods that a rule of the pod failure policy fitted, by its action", {"action"}),
      finalizers_(named("terminated_pods_tracking_finalizer_total"),
                  "Ended pods with the finalizer batch.kubernetes.io/job-tracking: \"add\" got it or ended with it, "
                  "\"delete\" lost it",
                  {"event"}),
      indexes_(named("job_finished_indexes_total"), "The number of finished indexes", {"status", "backoffLimit"}),
      creation_(named("job_pods_creation_total"), "Pods that were made, or could not be, by the reason",
                {"reason", "status"}) {}

void JobMetrics::synced(const Job& job, bool ok, Action action, Duration took) {
  constexpr std::string_view kActions[] = {"tracking", "pods_created", "pods_deleted"};
  const metrics::Labels labels{mode_of(job), ok ? "success" : "error",
                               std::string(kActions[static_cast<size_t>(action)])};
  duration_.observe(labels, took);
  syncs_.add(labels);
}

void JobMetrics::created(const JobSync& sync, size_t succeeded, size_t failed) {
  const bool again = sync.job.status.terminating.value_or(0) > 0 || sync.job.status.failed > 0;
  const std::string reason = !again                                ? "new"
                             : replaces_only_failed(sync.job.spec) ? "recreate_failed"
                                                                   : "recreate_terminating_or_failed";
  if (succeeded > 0) creation_.add({reason, std::string(kSucceededLabel)}, succeeded);
  if (failed > 0) creation_.add({reason, std::string(kFailedLabel)}, failed);
}

void JobMetrics::counted(const Job& now, const JobStatus& before) {
  const std::string mode = mode_of(now);
  const auto pods = [&](std::string_view result, uint64_t count) {
    if (count > 0) pods_finished_.add({mode, std::string(result)}, count);
  };
  pods(kSucceededLabel, grown(before.succeeded, now.status.succeeded));
  pods(kFailedLabel, grown(before.failed, now.status.failed));
  if (!is_indexed(now.spec)) return;
  const int32_t completions = now.spec.completions.value_or(0);
  const auto indexes = [&](std::string_view status, const std::string& old_text, const std::string& new_text) {
    if (old_text == new_text) return;
    const uint64_t count =
        grown(IndexSet::parse(old_text, completions).size(), IndexSet::parse(new_text, completions).size());
    if (count == 0) return;
    indexes_.add({std::string(status), now.spec.backoff_limit_per_index ? "perIndex" : "global"}, count);
  };
  indexes(kSucceededLabel, before.completed_indexes, now.status.completed_indexes);
  indexes(kFailedLabel, before.failed_indexes.value_or(""), now.status.failed_indexes.value_or(""));
}

void JobMetrics::finished(const Job& job, const JobCondition& ending) {
  const bool complete = ending.type == kJobComplete;
  finished_.add({mode_of(job), std::string(complete ? kSucceededLabel : kFailedLabel), ending.reason});
}

void JobMetrics::pod_changed(const Pod* before, const Pod* after) {
  const bool was = ended_and_tracked(before);
  const bool is = ended_and_tracked(after);
  if (was != is) finalizers_.add({is ? "add" : "delete"});
}

void JobMetrics::print(std::string& out) const {
  duration_.print(out);
  for (const auto* each :
       {&syncs_, &finished_, &external_, &pods_finished_, &failure_policy_, &finalizers_, &indexes_, &creation_}) {
    each->print(out);
  }
}

}  // namespace trireme::controllers
