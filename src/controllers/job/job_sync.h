#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/types/batchv1.h"
#include "controllers/job/backoff.h"
#include "controllers/job/indexes.h"
#include "controllers/support/pods.h"

/// What a job's pods mean for it, as functions of the job and the pods alone.
///
/// A pod that the controller made carries a finalizer until it has been counted. Counting is done in three writes, so
/// that a crash between any two neither loses nor repeats a pod: the pod's UID goes into
/// status.uncountedTerminatedPods; its finalizer is removed; the UID leaves the list and the counter goes up. (For the
/// successes of an indexed job the set of indexes does the same in two.)
/// https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/2307-job-tracking-without-lingering-pods
namespace trireme::controllers {

/// At most so many pods are made or deleted in one pass.
inline constexpr size_t kMaxJobPodsPerPass = 500;
/// Of an indexed job, once per index, by the name of the variable in its containers.
inline constexpr std::string_view kCompletionIndexVariable = "JOB_COMPLETION_INDEX";

/// A pod of the job, and what the controller knows of it beyond the object.
struct JobPod {
  PodPointer pod;
  int32_t index = kNoIndex;
  bool tracked = false;  ///< Has the finalizer still: it is not counted yet.
  bool deleted = false;  ///< Its deletion has been asked for, though the object does not show it yet.
};
JobPod job_pod(PodPointer pod);

bool is_active(const JobPod& pod);
bool is_terminating(const JobPod& pod);
/// Failed, or, unless the job waits for that, on its way there: pods that lost their node may never get further.
bool has_failed(const api::batchv1::JobSpec& spec, const JobPod& pod);
bool is_suspended(const api::batchv1::JobSpec& spec);

/// One pass over a job.
struct JobSync {
  api::batchv1::Job job;  ///< Its status is brought up to date as the pass goes on.
  std::vector<JobPod> pods;
  WallTime now{};

  std::vector<PodPointer> active;
  int32_t ready = 0;
  int32_t terminating = 0;
  int32_t succeeded = 0;  ///< With those that are not in the status's counters yet.
  int32_t failed = 0;
  Backoff backoff;

  IndexSet counted_indexes;  ///< Succeeded, as the status told at the beginning.
  IndexSet succeeded_indexes;
  std::optional<IndexSet> failed_indexes;  ///< Only with backoffLimitPerIndex.
  /// With backoffLimitPerIndex: the last failed pod of each index that waits for its next. It keeps its finalizer until
  /// the next one is there, because it carries the number of failures so far.
  std::map<int32_t, PodPointer> waiting;

  /// How the job ends, when it does: FailureTarget or Failed, SuccessCriteriaMet or Complete.
  std::optional<api::batchv1::JobCondition> ending;
  std::optional<Duration> deadline_in;  ///< When activeDeadlineSeconds will be over, if that is still to come.
};

/// `backoff` is what was known after the last pass; without it everything that has ended counts as new.
JobSync examine(api::batchv1::Job job, std::vector<JobPod> pods, const std::optional<Backoff>& backoff, WallTime now);

/// What is to be done about the number of pods: some to delete, or some to make, or a time to wait.
struct PodPlan {
  std::vector<PodPointer> remove;
  size_t create = 0;
  std::vector<int32_t> indexes;  ///< Of the pods to make, for indexed jobs.
  std::optional<Duration> wait;  ///< Until a pod that is missing may be made.
};
PodPlan plan_pods(const JobSync& sync);

/// Whether enough has succeeded, with `active` pods left.
bool is_complete(const JobSync& sync, int32_t active);

/// Sets, or changes, the condition. A condition that is not there is not set to False. Whether anything changed.
bool set_condition(api::batchv1::JobStatus& status, std::string_view type, std::string_view value,
                   std::string_view reason, std::string_view message, WallTime now);
api::batchv1::JobCondition make_condition(std::string_view type, std::string_view reason, std::string_view message,
                                          WallTime now);

/// The annotations of failures for the pod that replaces `failed` (null: the first of its index).
void note_failures(const api::batchv1::JobSpec& spec, const api::corev1::Pod* failed, api::corev1::Pod& replacement);
/// The pod for `index` (kNoIndex: of a job without indexes).
api::corev1::Pod pod_of(const JobSync& sync, int32_t index);

}  // namespace trireme::controllers
