#include "controllers/job/tracking.h"

#include <algorithm>

#include "api/value.h"
#include "controllers/job/policies.h"
#include "controllers/support/jobs.h"

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: the types and constants of jobs

namespace {

bool is_success(const JobCondition& ending) {
  return ending.type == kJobSuccessCriteriaMet || ending.type == kJobComplete;
}

/// Whether the pod has said all that it will ever say to this job.
bool may_be_released(const JobSync& sync, const JobPod& pod) {
  if (sync.job.metadata.deletion_timestamp || sync.ending) return true;
  if (pod.pod->status.phase == api::corev1::kPodSucceeded) return true;
  if (!has_failed(sync.job.spec, pod)) return false;
  const auto waiting = sync.waiting.find(pod.index);
  return waiting == sync.waiting.end() || waiting->second->metadata.uid != pod.pod->metadata.uid;
}

void count(std::vector<std::string>& uncounted, const std::set<std::string>& tracked, int32_t& counter) {
  const auto released = [&](const std::string& uid) { return !tracked.contains(uid); };
  counter += static_cast<int32_t>(std::erase_if(uncounted, released));
}

/// The conditions that come before the last one. Whoever sees them knows the outcome while pods are still ending.
void announce_ending(JobSync& sync) {
  JobStatus& status = sync.job.status;
  if (!sync.ending) return;
  const JobCondition announced = *sync.ending;
  if (announced.type != kJobFailureTarget && announced.type != kJobSuccessCriteriaMet) return;
  if (true_condition(status, announced.type) == nullptr) status.conditions.push_back(announced);
  const std::string_view last = announced.type == kJobFailureTarget ? kJobFailed : kJobComplete;
  sync.ending = make_condition(last, announced.reason, announced.message, sync.now);
}

}  // namespace

bool has_tracking_finalizer(const api::corev1::Pod& pod) {
  return std::ranges::find(pod.metadata.finalizers, kJobTrackingFinalizer) != pod.metadata.finalizers.end();
}

std::string tracking_patch(const api::corev1::Pod& pod, bool tracked, std::string_view base) {
  api::Value patch = api::parse_value(base).value_or(api::Value::object());
  const std::string_view key = tracked ? "finalizers" : "$deleteFromPrimitiveList/finalizers";
  patch["metadata"][key] = api::Value::Array{api::Value(kJobTrackingFinalizer)};
  patch["metadata"]["uid"] = pod.metadata.uid;
  return api::to_json(patch);
}

std::set<std::string> tracked_uids(const std::vector<JobPod>& pods) {
  std::set<std::string> out;
  for (const JobPod& pod : pods) {
    if (pod.tracked) out.insert(pod.pod->metadata.uid);
  }
  return out;
}

void count_released(JobStatus& status, const std::set<std::string>& tracked) {
  UncountedTerminatedPods& uncounted = status.uncounted_terminated_pods.ensure();
  count(uncounted.succeeded, tracked, status.succeeded);
  count(uncounted.failed, tracked, status.failed);
}

Release note_ended(JobSync& sync) {
  const JobSpec& spec = sync.job.spec;
  JobStatus& status = sync.job.status;
  const bool indexed = is_indexed(spec);
  const bool succeeding = sync.ending && is_success(*sync.ending);
  const bool giving_up = sync.ending && !succeeding;
  count_released(status, tracked_uids(sync.pods));
  UncountedTerminatedPods& uncounted = *status.uncounted_terminated_pods;
  std::set<std::string> listed_succeeded(uncounted.succeeded.begin(), uncounted.succeeded.end());
  std::set<std::string> listed_failed(uncounted.failed.begin(), uncounted.failed.end());
  std::set<int32_t> new_indexes;

  Release release;
  for (const JobPod& pod : sync.pods) {
    if (!pod.tracked || !may_be_released(sync, pod)) continue;
    if (new_indexes.size() + uncounted.succeeded.size() + uncounted.failed.size() >= kMaxUncountedPods) {
      release.complete = false;
      break;
    }
    const std::string& uid = pod.pod->metadata.uid;
    const bool valid = !indexed || (pod.index != kNoIndex && pod.index < spec.completions.value_or(0));
    release.pods.push_back(pod.pod);
    std::string& action = release.actions.emplace_back();
    if (pod.pod->status.phase == api::corev1::kPodSucceeded && !listed_failed.contains(uid)) {
      if (indexed) {
        if (valid && !sync.counted_indexes.contains(pod.index)) new_indexes.insert(pod.index);
      } else if (listed_succeeded.insert(uid).second) {
        uncounted.succeeded.push_back(uid);
      }
    } else if (giving_up || pod.pod->status.phase == api::corev1::kPodFailed ||
               (has_failed(spec, pod) && !succeeding)) {
      // Once the job has failed, whatever has not succeeded counts as failed. Once it has succeeded, pods that are told
      // to end do not.
      const FailureVerdict verdict = judge_failure(spec, *pod.pod);
      action = verdict.action;
      if (valid && !listed_failed.contains(uid) && verdict.counts()) uncounted.failed.push_back(uid);
    }
  }
  if (indexed) {
    // Only what this pass counts; the rest of the successes follows with their pods.
    IndexSet counted = sync.counted_indexes;
    counted.add(IndexSet::of({new_indexes.begin(), new_indexes.end()}));
    status.completed_indexes = counted.to_string();
    status.succeeded = counted.size();
    status.failed_indexes.reset();
    if (sync.failed_indexes) status.failed_indexes = sync.failed_indexes->to_string();
  }
  announce_ending(sync);
  return release;
}

bool conclude(JobSync& sync) {
  if (!sync.ending || sync.terminating > 0) return false;
  JobStatus& status = sync.job.status;
  if (const auto& uncounted = status.uncounted_terminated_pods;
      uncounted && !(uncounted->succeeded.empty() && uncounted->failed.empty())) {
    return false;
  }
  set_condition(status, sync.ending->type, sync.ending->status, sync.ending->reason, sync.ending->message, sync.now);
  if (sync.ending->type == kJobComplete) status.completion_time = sync.ending->last_transition_time;
  return true;
}

}  // namespace trireme::controllers
