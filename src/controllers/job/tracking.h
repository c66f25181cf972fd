#pragma once

#include <set>
#include <string>
#include <vector>

#include "controllers/job/job_sync.h"

/// Counting the pods that have ended, in steps between which the controller may die (see job_sync.h).
namespace trireme::controllers {

/// As many pods are counted in one pass, so that the status stays small.
inline constexpr size_t kMaxUncountedPods = 500;

bool has_tracking_finalizer(const api::corev1::Pod& pod);
/// A strategic merge patch that puts the finalizer on, or takes it off, and does what `base` (another such patch) does.
/// The UID in it makes it fail when the name is another pod's by now.
std::string tracking_patch(const api::corev1::Pod& pod, bool tracked, std::string_view base = "{}");

/// The UIDs of the pods that still have the finalizer.
std::set<std::string> tracked_uids(const std::vector<JobPod>& pods);

/// The last of the three steps, for the pods that have lost their finalizer: from the lists into the counters.
void count_released(api::batchv1::JobStatus& status, const std::set<std::string>& tracked);

/// The first of the three steps: notes in the status what has ended, with the conditions that tell how the job is
/// going to end. Returns the pods whose finalizer may go once the status is written. `complete` is false when some are
/// left for the next pass.
struct Release {
  std::vector<PodPointer> pods;
  /// For each of the pods: what the rule of the failure policy that it fits says; empty when it fits none.
  std::vector<std::string> actions;
  bool complete = true;
};
Release note_ended(JobSync& sync);

/// Sets the last condition (`sync.ending`) if nothing is left to wait for: pods to count or pods that are still
/// terminating. Whether it did.
bool conclude(JobSync& sync);

}  // namespace trireme::controllers
