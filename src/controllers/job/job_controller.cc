#include "controllers/job/job_controller.h"

#include <algorithm>
#include <atomic>

#include "api/validation/equal.h"
#include "base/log.h"
#include "controllers/job/policies.h"
#include "controllers/runtime/batches.h"
#include "controllers/support/jobs.h"
#include "controllers/support/key_kind.h"
#include "controllers/support/ownership.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using namespace api::batchv1;  // NOLINT: the types and constants of jobs

namespace {

constexpr KeyKind kPodKey("pod");
/// How fast failing jobs come back.
constexpr client::RateLimit kRateLimit{.base = std::chrono::seconds(1), .maximum = std::chrono::minutes(1)};

bool is_managed_elsewhere(const Job& job) { return job.spec.managed_by && *job.spec.managed_by != kJobControllerName; }

bool is_job_reference(const api::metav1::OwnerReference& owner) {
  return owner.kind == "Job" && owner.api_version == "batch/v1";
}

api::LabelSelector selector_of(const Job& job) {
  if (!job.spec.selector) return api::LabelSelector::nothing();
  auto parsed = api::LabelSelector::from(*job.spec.selector);
  return parsed.ok() ? std::move(*parsed) : api::LabelSelector::nothing();
}

}  // namespace

JobController::JobController(const ControllerContext& context)
    : Controller(context, "job-controller", context.options.concurrent_job_syncs, kRateLimit),
      jobs_(context.informers->informer<Job>()),
      pods_(context.informers->informer<Pod>()),
      events_(context.events->recorder("job-controller")),
      parallel_(!context.single_threaded) {
  index_by_controller(pods_);
  jobs_.add_handler([this](const JobPointer& before, const JobPointer& after) { on_job(before, after); });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) { on_pod(before, after); });
}

void JobController::on_job(const JobPointer& before, const JobPointer& after) {
  if (after) {
    if (!before && is_managed_elsewhere(*after)) metrics_.managed_elsewhere(*after->spec.managed_by);
    enqueue(client::key_of(after->metadata));
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    memories_.erase(before->metadata.uid);
  }
  for (const PodPointer& pod : pods_.by_index(kByController, before->metadata.uid)) enqueue_pod(*pod);
}

JobController::JobPointer JobController::job_of(const Pod& pod) const {
  const auto* controller = controller_of(pod.metadata);
  if (!controller || !is_job_reference(*controller)) return nullptr;
  JobPointer job = jobs_.get(pod.metadata.namespace_, controller->name);
  return job && job->metadata.uid == controller->uid ? job : nullptr;
}

void JobController::enqueue_job_of(const Pod& pod) {
  if (const JobPointer job = job_of(pod)) enqueue(client::key_of(job->metadata));
}

void JobController::enqueue_pod(const Pod& pod) {
  if (has_tracking_finalizer(pod)) enqueue(kPodKey(client::key_of(pod.metadata)));
}

void JobController::on_pod(const PodPointer& before, const PodPointer& after) {
  metrics_.pod_changed(before.get(), after.get());
  if (!after) {
    enqueue_job_of(*before);
    return;
  }
  const auto* old_owner = before ? controller_of(before->metadata) : nullptr;
  const auto* new_owner = controller_of(after->metadata);
  const bool moved = old_owner && (!new_owner || new_owner->uid != old_owner->uid);
  if (moved) enqueue_job_of(*before);
  if (new_owner) {
    const JobPointer job = job_of(*after);
    if (job) enqueue(client::key_of(job->metadata));
    if (is_job_reference(*new_owner) && (!job || is_finished(*job))) enqueue_pod(*after);
    return;
  }
  enqueue_pod(*after);
  if (before && !moved && before->metadata.labels == after->metadata.labels) return;
  for (const JobPointer& job : jobs_.list(after->metadata.namespace_)) {
    if (selector_of(*job).matches(after->metadata.labels)) enqueue(client::key_of(job->metadata));
  }
}

std::shared_ptr<JobMemory> JobController::memory_of(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  auto& memory = memories_[uid];
  if (!memory) memory = std::make_shared<JobMemory>();
  return memory;
}

Result<Outcome> JobController::reconcile(const std::string& key) {
  if (const auto pod = kPodKey.name_in(key)) {
    TRY(release_orphan(*pod));
    return Outcome::done();
  }
  const uint64_t version = jobs_.version();
  const JobPointer cached = jobs_.get(key);
  if (!cached || is_managed_elsewhere(*cached)) return Outcome::done();
  const std::shared_ptr<JobMemory> memory = memory_of(cached->metadata.uid);
  const JobPointer job = memory->newest(cached, version);
  if (is_finished(*job)) {
    // The finalizers went before the job ended; this is for what came after.
    for (const PodPointer& pod : pods_.by_index(kByController, job->metadata.uid)) enqueue_pod(*pod);
    memory->backoff.reset();
    return Outcome::done();
  }
  const std::string mode = job->spec.completion_mode.value_or(std::string(kNonIndexedCompletion));
  if (mode != kNonIndexedCompletion && mode != kIndexedCompletion) {
    events_.warning(*job, "UnknownCompletionMode", "Skipped Job sync because completion mode is unknown");
    return Outcome::done();
  }
  const Duration begin = clock().monotonic();
  JobMetrics::Action action = JobMetrics::Action::kTracking;
  Result<Outcome> outcome = sync_job(*job, *memory, action);
  metrics_.synced(*job, outcome.ok(), action, clock().monotonic() - begin);
  return outcome;
}

Result<Outcome> JobController::sync_job(const Job& job, JobMemory& memory, JobMetrics::Action& action) {
  TRY_ASSIGN(std::vector<JobPod> pods, claim(job, memory));
  const WallTime now = clock().now();
  JobSync sync = examine(job, std::move(pods), memory.backoff, now);
  JobStatus& status = sync.job.status;
  Changes changes{static_cast<int32_t>(sync.active.size()), {}};
  std::optional<Duration> wait = sync.deadline_in;
  std::string_view turned;  // the event of a suspension or its end
  if (sync.ending) {
    if (!sync.active.empty()) action = JobMetrics::Action::kPodsDeleted;
    changes = delete_pods(sync, memory, sync.active, /*uncounted=*/false);
    // It has not ended while pods may still run.
    if (!changes.failure.ok()) sync.ending.reset();
  } else {
    const bool manage = !job.metadata.deletion_timestamp;
    if (manage) {
      const PodPlan plan = plan_pods(sync);
      if (plan.wait) wait = std::min(wait.value_or(*plan.wait), *plan.wait);
      if (!plan.remove.empty()) {
        action = JobMetrics::Action::kPodsDeleted;
        changes = delete_pods(sync, memory, plan.remove, /*uncounted=*/true);
      } else {
        TRY(track_again(sync, memory));
        if (plan.create > 0) {
          action = JobMetrics::Action::kPodsCreated;
          changes = create_pods(sync, memory, plan);
        }
      }
    }
    if (is_complete(sync, changes.active)) {
      sync.ending = make_condition(kJobSuccessCriteriaMet, kJobReasonCompletionsReached,
                                   "Reached expected number of succeeded pods", now);
    } else if (manage && is_suspended(sync.job.spec)) {
      if (set_condition(status, kJobSuspended, api::corev1::kConditionTrue, "JobSuspended", "Job suspended", now)) {
        turned = "Suspended";
      }
    } else if (manage &&
               set_condition(status, kJobSuspended, api::corev1::kConditionFalse, "JobResumed", "Job resumed", now)) {
      turned = "Resumed";
      // The deadline counts from here.
      status.start_time = api::Time(now);
      if (sync.job.spec.active_deadline_seconds) {
        wait = std::min<Duration>(wait.value_or(Duration::max()),
                                  std::chrono::seconds(*sync.job.spec.active_deadline_seconds));
      }
    }
  }
  status.active = changes.active;
  status.ready = sync.ready;
  status.terminating = sync.terminating;
  const Status tracked = track(sync, memory, job.status);
  if (tracked.is(Reason::kNotFound)) return Outcome::done();
  TRY(tracked);
  if (turned == "Suspended") events_.normal(job, turned, "Job suspended");
  if (turned == "Resumed") events_.normal(job, turned, "Job resumed");
  if (!changes.failure.ok() && !namespace_is_ending(changes.failure)) return changes.failure;
  return wait ? Outcome::again_after(*wait) : Outcome::done();
}

// Pods

Result<std::vector<JobPod>> JobController::claim(const Job& job, JobMemory& memory) {
  // Read before the pods: a version read after them could claim more than they show.
  const uint64_t version = pods_.version();
  const api::LabelSelector selector = selector_of(job);
  const bool deleting = job.metadata.deletion_timestamp.has_value();
  std::vector<JobPod> mine;
  Status failure;
  std::optional<Status> confirmed;
  for (PodPointer& pod : memory.newest(owned_or_orphaned(pods_, job.metadata.uid, job.metadata.namespace_), version)) {
    switch (claim_of(job.metadata.uid, deleting, selector, pod->metadata)) {
      case Claim::kIgnore:
        break;
      case Claim::kOwned:
        mine.push_back(memory.describe(std::move(pod)));
        break;
      case Claim::kAdopt: {
        if (!confirmed) confirmed = confirm_alive(client(), job);
        const Result<Pod> adopted = confirmed->ok() ? adopt(job, *pod) : Result<Pod>(*confirmed);
        if (adopted.ok()) {
          memory.tracked_again(adopted->metadata.uid);
          memory.wrote(*adopted);
          mine.push_back(memory.describe(std::make_shared<const Pod>(*adopted)));
        } else if (!adopted.status().is(Reason::kNotFound)) {
          failure = adopted.status();
        }
        break;
      }
      case Claim::kRelease:
        if (Status status = release(job, *pod); !status.ok()) failure = std::move(status);
        break;
    }
  }
  if (!failure.ok()) return failure;
  return mine;
}

Result<api::corev1::Pod> JobController::patch(const Pod& pod, std::string body) {
  return client().patch<Pod>(pod.metadata.namespace_, pod.metadata.name, client::PatchType::kStrategicMerge,
                             std::move(body));
}

Result<api::corev1::Pod> JobController::adopt(const Job& job, const Pod& pod) {
  return patch(pod, tracking_patch(pod, true, adoption_patch(client::reference_to(job), pod.metadata.uid)));
}

Status JobController::release(const Job& job, const Pod& pod) {
  const Status done =
      patch(pod, tracking_patch(pod, false, release_patch(job.metadata.uid, pod.metadata.uid))).status();
  // Gone, or another pod by now: nothing to release.
  return done.is(Reason::kNotFound) || done.is(Reason::kInvalid) ? Status() : done;
}

Status JobController::track_again(const JobSync& sync, JobMemory& memory) {
  for (const JobPod& pod : sync.pods) {
    if (pod.tracked || !is_active(pod)) continue;
    const Result<Pod> changed = patch(*pod.pod, tracking_patch(*pod.pod, true));
    if (changed.ok()) {
      memory.tracked_again(changed->metadata.uid);
      memory.wrote(*changed);
    } else if (!changed.status().is(Reason::kNotFound) && !changed.status().is(Reason::kInvalid)) {
      return changed.status();
    }
  }
  return {};
}

Status JobController::remove_finalizer(const Pod& pod) {
  const auto& meta = pod.metadata;
  const Status done = patch(pod, tracking_patch(pod, false)).status();
  if (done.is(Reason::kNotFound)) return {};
  if (done.is(Reason::kInvalid) || done.is(Reason::kConflict)) {
    // Perhaps the name is another pod's by now.
    const Result<Pod> there = client().get<Pod>(meta.namespace_, meta.name);
    if (there.status().is(Reason::kNotFound) || (there.ok() && there->metadata.uid != meta.uid)) return {};
  }
  return done;
}

JobController::Changes JobController::delete_pods(JobSync& sync, JobMemory& memory, const std::vector<PodPointer>& pods,
                                                  bool uncounted) {
  enum class Step : uint8_t { kNone, kReleased, kDeleted };
  std::vector<Step> reached(pods.size(), Step::kNone);
  const BatchResult result = run_batch(pods.size(), parallel_, [&](size_t i) -> Status {
    const Pod& pod = *pods[i];
    if (uncounted && has_tracking_finalizer(pod)) TRY(remove_finalizer(pod));
    reached[i] = Step::kReleased;
    client::DeleteOptions options;
    options.uid = pod.metadata.uid;
    const Status status = client().remove<Pod>(pod.metadata.namespace_, pod.metadata.name, options);
    if (!status.ok() && !status.is(Reason::kNotFound)) {
      events_.warning(sync.job, "FailedDelete", "Error deleting: " + status.message());
      return status;
    }
    reached[i] = Step::kDeleted;
    if (status.ok()) events_.normal(sync.job, "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
    return {};
  });
  Changes changes{static_cast<int32_t>(sync.active.size()), result.failure};
  std::set<std::string> released;
  for (size_t i = 0; i < pods.size(); ++i) {
    const std::string& uid = pods[i]->metadata.uid;
    if (uncounted && reached[i] != Step::kNone) {
      memory.released(uid);
      released.insert(uid);
    }
    if (reached[i] != Step::kDeleted) continue;
    memory.deleted(uid);
    --changes.active;
    ++sync.terminating;
    if (is_ready(*pods[i])) --sync.ready;
  }
  for (JobPod& pod : sync.pods) {
    if (released.contains(pod.pod->metadata.uid)) pod.tracked = false;
  }
  return changes;
}

JobController::Changes JobController::create_pods(const JobSync& sync, JobMemory& memory, const PodPlan& plan) {
  std::vector<std::optional<Pod>> made(plan.create);
  std::atomic<size_t> failed = 0;
  const BatchResult result = slow_start(plan.create, parallel_, [&](size_t i) -> Status {
    Result<Pod> pod = client().create(pod_of(sync, plan.indexes.empty() ? kNoIndex : plan.indexes[i]));
    if (!pod.ok()) {
      ++failed;
      if (!namespace_is_ending(pod.status())) {
        events_.warning(sync.job, "FailedCreate", "Error creating: " + pod.status().message());
      }
      return pod.status();
    }
    events_.normal(sync.job, "SuccessfulCreate", "Created pod: " + pod->metadata.name);
    made[i] = std::move(*pod);
    return {};
  });
  metrics_.created(sync, result.succeeded, failed);
  Changes changes{static_cast<int32_t>(sync.active.size() + result.succeeded), result.failure};
  for (std::optional<Pod>& pod : made) {
    if (pod) memory.wrote(std::move(*pod));
  }
  return changes;
}

Status JobController::release_orphan(const std::string& pod_key) {
  const PodPointer pod = pods_.get(pod_key);
  if (!pod || !has_tracking_finalizer(*pod)) return {};
  if (const auto* controller = controller_of(pod->metadata)) {
    if (!is_job_reference(*controller)) return {};
    JobPointer job = job_of(*pod);
    if (!job && !pod->metadata.deletion_timestamp) {
      // The cache of jobs may be behind the cache of pods.
      const Result<Job> there = client().get<Job>(pod->metadata.namespace_, controller->name);
      if (!there.ok() && !there.status().is(Reason::kNotFound)) return there.status();
      if (there.ok() && there->metadata.uid == controller->uid) return {};
    }
    if (job && (is_managed_elsewhere(*job) || !is_finished(*job))) return {};
  }
  return remove_finalizer(*pod);
}

// Status

Status JobController::write_status(Job& job, const JobStatus& before, JobMemory& memory) {
  if (api::validation::semantic_equal(before, job.status)) return {};
  TRY_ASSIGN(Job written, client().update_status(job));
  metrics_.counted(written, before);
  job = std::move(written);
  memory.wrote(job);
  return {};
}

Status JobController::track(JobSync& sync, JobMemory& memory, const JobStatus& before) {
  const Release release = note_ended(sync);
  TRY(write_status(sync.job, before, memory));
  memory.backoff = sync.backoff;
  // Nobody counts the pods a second time: they are in the status.
  std::vector<uint8_t> done(release.pods.size(), 0);
  const BatchResult result = run_batch(release.pods.size(), parallel_, [&](size_t i) -> Status {
    TRY(remove_finalizer(*release.pods[i]));
    done[i] = 1;
    return {};
  });
  std::set<std::string> tracked = tracked_uids(sync.pods);
  for (size_t i = 0; i < release.pods.size(); ++i) {
    if (done[i] == 0) continue;
    const std::string& uid = release.pods[i]->metadata.uid;
    tracked.erase(uid);
    memory.released(uid);
    if (!release.actions[i].empty()) metrics_.failure_handled(release.actions[i]);
  }
  const JobStatus written = sync.job.status;
  count_released(sync.job.status, tracked);
  const bool ended = result.failure.ok() && release.complete && conclude(sync);
  TRY(write_status(sync.job, written, memory));
  if (ended) announce_end(sync.job, *sync.ending);
  if (!release.complete) enqueue(client::key_of(sync.job.metadata));
  return result.failure;
}

void JobController::announce_end(const Job& job, const JobCondition& ending) {
  metrics_.finished(job, ending);
  if (ending.type != kJobComplete) {
    events_.warning(job, ending.reason, ending.message);
    return;
  }
  if (job.spec.completions && job.status.succeeded > *job.spec.completions) {
    events_.warning(job, "TooManySucceededPods", "Too many succeeded pods running after completion count reached");
  }
  events_.normal(job, "Completed", "Job completed");
}

}  // namespace trireme::controllers
