#include "controllers/ttlafterfinished/ttl_after_finished_controller.h"

#include "controllers/support/jobs.h"

namespace trireme::controllers {

using api::batchv1::Job;

std::optional<WallTime> expiry(const Job& job) {
  if (job.metadata.deletion_timestamp || !job.spec.ttl_seconds_after_finished) return std::nullopt;
  const auto* finished = finished_condition(job);
  if (!finished || !finished->last_transition_time) return std::nullopt;
  return finished->last_transition_time.wall() + std::chrono::seconds(*job.spec.ttl_seconds_after_finished);
}

TtlAfterFinishedController::TtlAfterFinishedController(const ControllerContext& context)
    : Controller(context, "ttl-after-finished-controller", context.options.concurrent_ttl_after_finished_syncs),
      jobs_(context.informers->informer<Job>()),
      deletion_latency_("ttl_after_finished_controller_job_deletion_duration_seconds",
                        "The time it took to delete the job since it became eligible for deletion", {},
                        metrics::exponential_bounds(0.1, 2, 14)) {
  jobs_.add_handler([this](const auto&, const auto& after) {
    if (after && expiry(*after)) enqueue(client::key_of(after->metadata));
  });
}

Result<Outcome> TtlAfterFinishedController::reconcile(const std::string& key) {
  const auto cached = jobs_.get(key);
  if (!cached) return Outcome::done();
  const auto due = expiry(*cached);
  if (!due) return Outcome::done();
  if (const Duration left = *due - clock().now(); left > Duration::zero()) return Outcome::again_after(left);
  // The time may have been extended since: the server has the last word.
  const Result<Job> fresh = client().get<Job>(cached->metadata.namespace_, cached->metadata.name);
  if (fresh.status().is(Reason::kNotFound)) return Outcome::done();
  TRY(fresh.status());
  const auto still_due = expiry(*fresh);
  if (!still_due) return Outcome::done();
  if (const Duration left = *still_due - clock().now(); left > Duration::zero()) return Outcome::again_after(left);
  client::DeleteOptions options;
  options.propagation_policy = "Foreground";
  options.uid = fresh->metadata.uid;
  const Status removed = client().remove<Job>(fresh->metadata.namespace_, fresh->metadata.name, options);
  if (!removed.ok() && !removed.is(Reason::kNotFound)) return removed;
  deletion_latency_.observe({}, clock().now() - *still_due);
  return Outcome::done();
}

}  // namespace trireme::controllers
