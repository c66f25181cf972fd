#include "controllers/job/job_sync.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "controllers/job/policies.h"
#include "controllers/job/tracking.h"
#include "controllers/replicas/replica_manager.h"
#include "controllers/support/jobs.h"

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: the types and constants of jobs
using api::corev1::Pod;

namespace {

/// A number that only this controller writes; what others may have made of it counts as 0.
int32_t annotated(const Pod& pod, std::string_view annotation) {
  const auto found = pod.metadata.annotations.find(annotation);
  if (found == pod.metadata.annotations.end()) return 0;
  const std::string& text = found->second;
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

int32_t all_failures(const Pod& pod) {
  return annotated(pod, kJobIndexFailureCountAnnotation) + annotated(pod, kJobIndexIgnoredFailureCountAnnotation);
}

std::set<int32_t> indexes_of(const std::vector<PodPointer>& pods) {
  std::set<int32_t> out;
  for (const PodPointer& pod : pods) out.insert(completion_index(*pod));
  out.erase(kNoIndex);
  return out;
}

bool index_is_valid(const JobSpec& spec, const JobPod& pod) {
  return !is_indexed(spec) || (pod.index != kNoIndex && pod.index < spec.completions.value_or(0));
}

/// Whether the pod's failure is the last that its index may have.
bool fails_index(const JobSpec& spec, const JobPod& pod) {
  if (!has_failed(spec, pod)) return false;
  const FailureVerdict verdict = judge_failure(spec, *pod.pod);
  if (verdict.action == kPodFailurePolicyActionFailIndex) return true;
  return verdict.counts() && annotated(*pod.pod, kJobIndexFailureCountAnnotation) >= *spec.backoff_limit_per_index;
}

void examine_indexes(JobSync& sync) {
  const JobSpec& spec = sync.job.spec;
  const int32_t completions = spec.completions.value_or(0);
  std::vector<int32_t> succeeded;
  std::vector<int32_t> failed;
  for (const JobPod& pod : sync.pods) {
    if (!pod.tracked || !index_is_valid(spec, pod)) continue;
    if (pod.pod->status.phase == api::corev1::kPodSucceeded) {
      succeeded.push_back(pod.index);
    } else if (spec.backoff_limit_per_index && fails_index(spec, pod)) {
      failed.push_back(pod.index);
    }
  }
  sync.counted_indexes = IndexSet::parse(sync.job.status.completed_indexes, completions);
  sync.succeeded_indexes = sync.counted_indexes;
  sync.succeeded_indexes.add(IndexSet::of(std::move(succeeded)));
  sync.succeeded = sync.succeeded_indexes.size();
  if (!spec.backoff_limit_per_index) return;
  sync.failed_indexes = IndexSet::parse(sync.job.status.failed_indexes.value_or(""), completions);
  sync.failed_indexes->add(IndexSet::of(std::move(failed)));

  const std::set<int32_t> running = indexes_of(sync.active);
  for (const JobPod& pod : sync.pods) {
    if (!pod.tracked || !index_is_valid(spec, pod) || !has_failed(spec, pod)) continue;
    if (sync.succeeded_indexes.contains(pod.index) || sync.failed_indexes->contains(pod.index)) continue;
    if (running.contains(pod.index)) continue;
    PodPointer& last = sync.waiting[pod.index];
    if (!last || (all_failures(*last) <= all_failures(*pod.pod) && finished_time(*last) <= finished_time(*pod.pod))) {
      last = pod.pod;
    }
  }
}

/// Of pods that are restarted in place the restarts count.
bool restarted_too_often(const JobSpec& spec, const std::vector<JobPod>& pods) {
  if (spec.template_.spec.restart_policy != api::corev1::kRestartPolicyOnFailure) return false;
  int64_t restarts = 0;
  for (const JobPod& each : pods) {
    const auto& status = each.pod->status;
    if (status.phase != api::corev1::kPodRunning && status.phase != api::corev1::kPodPending) continue;
    for (const auto* list : {&status.init_container_statuses, &status.container_statuses}) {
      for (const auto& container : *list) restarts += container.restart_count;
    }
  }
  const int32_t limit = spec.backoff_limit.value_or(0);
  return limit == 0 ? restarts > 0 : restarts >= limit;
}

void decide_ending(JobSync& sync) {
  const JobSpec& spec = sync.job.spec;
  const auto fail = [&](std::string_view reason, std::string_view message) {
    sync.ending = make_condition(kJobFailureTarget, reason, message, sync.now);
  };
  // What an earlier pass decided stands.
  if (const JobCondition* met = true_condition(sync.job.status, kJobSuccessCriteriaMet)) {
    sync.ending = *met;
    return;
  }
  if (const JobCondition* target = true_condition(sync.job.status, kJobFailureTarget)) {
    sync.ending = make_condition(kJobFailed, target->reason, target->message, sync.now);
    return;
  }
  if (spec.pod_failure_policy) {
    for (const JobPod& pod : sync.pods) {
      if (!has_failed(spec, pod)) continue;
      const FailureVerdict verdict = judge_failure(spec, *pod.pod);
      if (verdict.action == kPodFailurePolicyActionFailJob) {
        return fail(kJobReasonPodFailurePolicy, verdict.message);
      }
    }
  }
  if (sync.failed > spec.backoff_limit.value_or(0) || restarted_too_often(spec, sync.pods)) {
    return fail(kJobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit");
  }
  if (spec.active_deadline_seconds && sync.job.status.start_time && !is_suspended(spec)) {
    const Duration left =
        std::chrono::seconds(*spec.active_deadline_seconds) - Duration(sync.now - sync.job.status.start_time->wall());
    if (left <= Duration::zero()) {
      return fail(kJobReasonDeadlineExceeded, "Job was active longer than specified deadline");
    }
    sync.deadline_in = left;
  }
  if (!is_indexed(spec)) return;
  if (sync.failed_indexes) {
    const int32_t failed = sync.failed_indexes->size();
    if (spec.max_failed_indexes && failed > *spec.max_failed_indexes) {
      return fail(kJobReasonMaxFailedIndexesExceeded,
                  "Job has exceeded the specified maximal number of failed indexes");
    }
    if (failed > 0 && failed + sync.succeeded_indexes.size() >= spec.completions.value_or(0)) {
      return fail(kJobReasonFailedIndexes, "Job has failed indexes");
    }
  }
  if (const auto message = success_message(spec, sync.succeeded_indexes)) {
    sync.ending = make_condition(kJobSuccessCriteriaMet, kJobReasonSuccessPolicy, *message, sync.now);
  }
}

/// Of the active pods those that are one too many, whatever the number asked for: repeated, missing or invalid indexes.
/// The others go to `left`.
std::vector<PodPointer> surplus(const JobSync& sync, std::vector<PodPointer>& left) {
  if (!is_indexed(sync.job.spec)) {
    left = sync.active;
    return {};
  }
  std::vector<PodPointer> remove;
  std::map<int32_t, std::vector<PodPointer>> by_index;
  for (const PodPointer& pod : sync.active) by_index[completion_index(*pod)].push_back(pod);
  for (auto& [index, pods] : by_index) {
    const bool valid = index != kNoIndex && index < sync.job.spec.completions.value_or(0);
    const size_t count = valid ? pods.size() - 1 : pods.size();
    std::set<std::string> chosen;
    for (PodPointer& pod : choose_for_deletion(pods, {}, count, sync.now)) {
      chosen.insert(pod->metadata.uid);
      remove.push_back(std::move(pod));
    }
    for (PodPointer& pod : pods) {
      if (!chosen.contains(pod->metadata.uid)) left.push_back(std::move(pod));
    }
  }
  return remove;
}

void plan_creations(const JobSync& sync, size_t count, PodPlan& plan) {
  const JobSpec& spec = sync.job.spec;
  if (!spec.backoff_limit_per_index) {
    const Duration wait = remaining(sync.backoff, sync.now);
    if (wait > Duration::zero()) {
      plan.wait = wait;
      return;
    }
  }
  plan.create = std::min(count, kMaxJobPodsPerPass);
  if (!is_indexed(spec)) return;
  IndexSet taken = sync.succeeded_indexes;
  const auto take = [&](const std::set<int32_t>& indexes) {
    taken.add(IndexSet::of({indexes.begin(), indexes.end()}));
  };
  take(indexes_of(sync.active));
  if (replaces_only_failed(spec)) {
    std::set<int32_t> terminating;
    for (const JobPod& pod : sync.pods) {
      if (pod.index != kNoIndex && is_terminating(pod)) terminating.insert(pod.index);
    }
    take(terminating);
  }
  if (sync.failed_indexes) taken.add(*sync.failed_indexes);
  for (const int32_t index : taken.missing(plan.create, spec.completions.value_or(0))) {
    if (spec.backoff_limit_per_index) {
      if (const auto last = sync.waiting.find(index); last != sync.waiting.end()) {
        const Duration wait = remaining({all_failures(*last->second) + 1, finished_time(*last->second)}, sync.now);
        if (wait > Duration::zero()) {
          plan.wait = std::min(plan.wait.value_or(wait), wait);
          continue;
        }
      }
    }
    plan.indexes.push_back(index);
  }
  plan.create = plan.indexes.size();
}

void add_index_variable(api::corev1::Container& container) {
  if (std::ranges::any_of(container.env, [](const auto& each) { return each.name == kCompletionIndexVariable; }))
    return;
  auto& variable = container.env.emplace_back();
  variable.name = kCompletionIndexVariable;
  variable.value_from.ensure().field_ref.ensure().field_path =
      "metadata.labels['" + std::string(kJobCompletionIndexAnnotation) + "']";
}

}  // namespace

JobPod job_pod(PodPointer pod) {
  JobPod out;
  out.index = completion_index(*pod);
  out.tracked = has_tracking_finalizer(*pod);
  out.pod = std::move(pod);
  return out;
}

bool is_active(const JobPod& pod) { return !pod.deleted && is_active(*pod.pod); }

bool is_terminating(const JobPod& pod) {
  return !is_finished(*pod.pod) && (pod.deleted || pod.pod->metadata.deletion_timestamp);
}

bool has_failed(const JobSpec& spec, const JobPod& pod) {
  if (pod.pod->status.phase == api::corev1::kPodFailed) return true;
  if (replaces_only_failed(spec)) return false;
  // A deletion that the object does not show yet may have met a pod that has succeeded meanwhile.
  return pod.pod->metadata.deletion_timestamp && pod.pod->status.phase != api::corev1::kPodSucceeded;
}

bool is_suspended(const JobSpec& spec) { return spec.suspend.value_or(false); }

JobSync examine(Job job, std::vector<JobPod> pods, const std::optional<Backoff>& backoff, WallTime now) {
  JobSync sync;
  sync.job = std::move(job);
  sync.pods = std::move(pods);
  sync.now = now;
  const JobSpec& spec = sync.job.spec;
  JobStatus& status = sync.job.status;
  const UncountedTerminatedPods& uncounted = status.uncounted_terminated_pods.ensure();
  const std::set<std::string> uncounted_succeeded(uncounted.succeeded.begin(), uncounted.succeeded.end());
  const std::set<std::string> uncounted_failed(uncounted.failed.begin(), uncounted.failed.end());
  // By UID, so that nothing depends on the order in which the pods came.
  std::ranges::sort(sync.pods, {}, [](const JobPod& pod) { return std::tie(pod.index, pod.pod->metadata.uid); });

  std::vector<PodPointer> succeeded;
  std::vector<PodPointer> failed;
  int32_t newly_succeeded = 0;
  int32_t newly_failed = 0;
  for (const JobPod& pod : sync.pods) {
    const std::string& uid = pod.pod->metadata.uid;
    if (is_active(pod)) {
      sync.active.push_back(pod.pod);
      if (is_ready(*pod.pod)) ++sync.ready;
    }
    if (is_terminating(pod)) ++sync.terminating;
    if (!index_is_valid(spec, pod)) continue;
    if (pod.pod->status.phase == api::corev1::kPodSucceeded) {
      const bool is_new = pod.tracked && !uncounted_succeeded.contains(uid);
      if (is_new) ++newly_succeeded;
      if (is_new || !backoff) succeeded.push_back(pod.pod);
    } else if (has_failed(spec, pod)) {
      const bool is_new = pod.tracked && !uncounted_failed.contains(uid);
      if (is_new && judge_failure(spec, *pod.pod).counts()) ++newly_failed;
      if (is_new || !backoff) failed.push_back(pod.pod);
    }
  }
  sync.succeeded = status.succeeded + newly_succeeded + static_cast<int32_t>(uncounted.succeeded.size());
  sync.failed = status.failed + newly_failed + static_cast<int32_t>(uncounted.failed.size());
  sync.backoff = advance(backoff.value_or(Backoff()), succeeded, failed);
  if (!status.start_time && !is_suspended(spec)) status.start_time = api::Time(now);
  if (is_indexed(spec)) examine_indexes(sync);
  decide_ending(sync);
  return sync;
}

PodPlan plan_pods(const JobSync& sync) {
  const JobSpec& spec = sync.job.spec;
  const auto active = static_cast<int32_t>(sync.active.size());
  PodPlan plan;
  if (is_suspended(spec)) {
    plan.remove = sync.active;
    return plan;
  }
  int32_t wanted = spec.parallelism.value_or(1);
  if (!spec.completions) {
    // The pods share a queue of work: once one has succeeded no more are started, and those that run are left alone.
    if (sync.succeeded > 0) wanted = active;
  } else {
    wanted = std::clamp(*spec.completions - sync.succeeded, 0, wanted);
  }
  std::vector<PodPointer> left;
  plan.remove = surplus(sync, left);
  const auto excess = static_cast<size_t>(std::max(active - wanted, 0));
  // First those whose deletion has been begun before: their finalizer is gone.
  std::set<std::string> untracked;
  for (const JobPod& pod : sync.pods) {
    if (!pod.tracked) untracked.insert(pod.pod->metadata.uid);
  }
  std::ranges::stable_partition(left, [&](const PodPointer& pod) { return untracked.contains(pod->metadata.uid); });
  while (plan.remove.size() < excess && !left.empty() && untracked.contains(left.front()->metadata.uid)) {
    plan.remove.push_back(std::move(left.front()));
    left.erase(left.begin());
  }
  if (plan.remove.size() < excess) {
    for (PodPointer& pod : choose_for_deletion(left, {}, excess - plan.remove.size(), sync.now)) {
      plan.remove.push_back(std::move(pod));
    }
  }
  if (plan.remove.size() > kMaxJobPodsPerPass) plan.remove.resize(kMaxJobPodsPerPass);
  // Deleting goes first; what is missing then, the next pass makes.
  if (!plan.remove.empty()) return plan;
  const int32_t missing = wanted - active - (replaces_only_failed(spec) ? sync.terminating : 0);
  if (missing > 0) plan_creations(sync, static_cast<size_t>(missing), plan);
  return plan;
}

bool is_complete(const JobSync& sync, int32_t active) {
  if (active != 0) return false;
  return sync.job.spec.completions ? sync.succeeded >= *sync.job.spec.completions : sync.succeeded > 0;
}

JobCondition make_condition(std::string_view type, std::string_view reason, std::string_view message, WallTime now) {
  JobCondition condition;
  condition.type = type;
  condition.status = api::corev1::kConditionTrue;
  condition.last_probe_time = api::Time(now);
  condition.last_transition_time = api::Time(now);
  condition.reason = reason;
  condition.message = message;
  return condition;
}

bool set_condition(JobStatus& status, std::string_view type, std::string_view value, std::string_view reason,
                   std::string_view message, WallTime now) {
  const auto found = std::ranges::find_if(status.conditions, [&](const auto& each) { return each.type == type; });
  if (found == status.conditions.end()) {
    if (value == api::corev1::kConditionFalse) return false;
    status.conditions.push_back(make_condition(type, reason, message, now));
    status.conditions.back().status = value;
    return true;
  }
  if (found->status == value && found->reason == reason && found->message == message) return false;
  *found = make_condition(type, reason, message, now);
  found->status = value;
  return true;
}

void note_failures(const JobSpec& spec, const Pod* failed, Pod& replacement) {
  int32_t counted = 0;
  int32_t ignored = 0;
  if (failed != nullptr) {
    counted = annotated(*failed, kJobIndexFailureCountAnnotation);
    ignored = annotated(*failed, kJobIndexIgnoredFailureCountAnnotation);
    int32_t& more = judge_failure(spec, *failed).counts() ? counted : ignored;
    if (more < std::numeric_limits<int32_t>::max()) ++more;
  }
  auto& annotations = replacement.metadata.annotations;
  annotations.insert_or_assign(kJobIndexFailureCountAnnotation, std::to_string(counted));
  if (ignored > 0) annotations.insert_or_assign(kJobIndexIgnoredFailureCountAnnotation, std::to_string(ignored));
}

Pod pod_of(const JobSync& sync, int32_t index) {
  ReplicaOwner owner;
  owner.reference = client::reference_to(sync.job);
  owner.pod_template = &sync.job.spec.template_;
  Pod pod = pod_from_template(owner);
  auto& finalizers = pod.metadata.finalizers;
  if (std::ranges::find(finalizers, kJobTrackingFinalizer) == finalizers.end()) {
    finalizers.emplace_back(kJobTrackingFinalizer);
  }
  if (index == kNoIndex) return pod;
  constexpr size_t kLongestBase = 58;  // leaves room for the five random characters of a DNS label
  const std::string number = std::to_string(index);
  const std::string& name = sync.job.metadata.name;
  const std::string suffix = "-" + number + "-";
  pod.metadata.generate_name = name.substr(0, kLongestBase - suffix.size()) + suffix;
  pod.metadata.annotations.insert_or_assign(kJobCompletionIndexAnnotation, number);
  pod.metadata.labels.insert_or_assign(kJobCompletionIndexAnnotation, number);
  pod.spec.hostname = name + "-" + number;
  for (auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (auto& container : *list) add_index_variable(container);
  }
  if (sync.job.spec.backoff_limit_per_index) {
    const auto last = sync.waiting.find(index);
    note_failures(sync.job.spec, last == sync.waiting.end() ? nullptr : last->second.get(), pod);
  }
  return pod;
}

}  // namespace trireme::controllers
