#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/types/batchv1.h"
#include "base/metrics.h"
#include "controllers/job/job_memory.h"
#include "controllers/job/job_metrics.h"
#include "controllers/job/job_sync.h"
#include "controllers/job/tracking.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Runs pods until enough of them have succeeded. https://kubernetes.io/docs/concepts/workloads/controllers/job/
/// Keys are those of jobs, and "pod/NAMESPACE/NAME" for pods that keep a job's finalizer though no job will count them.
class JobController final : public Controller, public metrics::Source {
 public:
  explicit JobController(const ControllerContext& context);

  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override { metrics_.print(out); }

 private:
  using Job = api::batchv1::Job;
  using Pod = api::corev1::Pod;
  using JobPointer = std::shared_ptr<const Job>;

  void on_job(const JobPointer& before, const JobPointer& after);
  void on_pod(const PodPointer& before, const PodPointer& after);
  /// The job that controls the pod, as the cache knows it; null also when the controller is of another kind.
  JobPointer job_of(const Pod& pod) const;
  void enqueue_job_of(const Pod& pod);
  void enqueue_pod(const Pod& pod);

  std::shared_ptr<JobMemory> memory_of(const std::string& uid);
  Result<std::vector<JobPod>> claim(const Job& job, JobMemory& memory);
  Result<Pod> patch(const Pod& pod, std::string body);
  Result<Pod> adopt(const Job& job, const Pod& pod);
  Status release(const Job& job, const Pod& pod);
  /// `action` receives what the pass did.
  Result<Outcome> sync_job(const Job& job, JobMemory& memory, JobMetrics::Action& action);

  struct Changes {
    int32_t active = 0;  ///< Pods that will be active.
    Status failure;
  };
  /// `uncounted`: the pods' finalizers go first, so that they do not count as failed.
  Changes delete_pods(JobSync& sync, JobMemory& memory, const std::vector<PodPointer>& pods, bool uncounted);
  Changes create_pods(const JobSync& sync, JobMemory& memory, const PodPlan& plan);
  Status remove_finalizer(const Pod& pod);
  /// Pods that run without the finalizer, because the controller died between taking it off and deleting them, and that
  /// are wanted after all: they get it back.
  Status track_again(const JobSync& sync, JobMemory& memory);
  Status release_orphan(const std::string& pod_key);

  /// Writes the status if it differs from `before`, and remembers the answer.
  Status write_status(Job& job, const api::batchv1::JobStatus& before, JobMemory& memory);
  Status track(JobSync& sync, JobMemory& memory, const api::batchv1::JobStatus& before);
  void announce_end(const Job& job, const api::batchv1::JobCondition& ending);

  client::Informer<Job>& jobs_;
  client::Informer<Pod>& pods_;
  client::EventRecorder events_;
  JobMetrics metrics_;
  const bool parallel_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<JobMemory>> memories_;  ///< By the job's UID.
};

}  // namespace trireme::controllers
