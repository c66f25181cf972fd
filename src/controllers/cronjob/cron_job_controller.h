#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types/batchv1.h"
#include "base/metrics.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/newest.h"

namespace trireme::controllers {

/// Makes jobs by a schedule. https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
/// Between two times there is one timer, for the next.
class CronJobController final : public Controller, public metrics::Source {
 public:
  explicit CronJobController(const ControllerContext& context);

  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override { creation_skew_.print(out); }

 private:
  using CronJob = api::batchv1::CronJob;
  using Job = api::batchv1::Job;
  using JobPointer = std::shared_ptr<const Job>;
  using CronJobPointer = std::shared_ptr<const CronJob>;

  void on_cron_job(const CronJobPointer& before, const CronJobPointer& after);
  void enqueue_owner(const Job& job);

  /// Deletes what the history has no place for any more.
  void forget_old_jobs(CronJob& cron_job, const std::vector<JobPointer>& jobs);
  void forget_oldest(CronJob& cron_job, std::vector<JobPointer> jobs, size_t kept);
  /// Takes the jobs' ends and disappearances into the status.
  Status follow_jobs(CronJob& cron_job, const std::vector<JobPointer>& jobs);
  /// Starts a job if one is due. `status` may be changed also when it fails.
  Result<Outcome> follow_schedule(CronJob& cron_job);
  Status start_job(CronJob& cron_job, WallTime scheduled);
  /// Deletes the jobs that still run, for the next to take their place.
  Status replace_active(CronJob& cron_job);
  /// NotFound counts as success.
  Status delete_job(CronJob& cron_job, const Job& job);

  client::Informer<CronJob>& cron_jobs_;
  client::Informer<Job>& jobs_;
  client::EventRecorder events_;
  metrics::Histograms creation_skew_;
  Newest<CronJob> newest_;
};

}  // namespace trireme::controllers
