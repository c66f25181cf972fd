#pragma once

#include <string>
#include <string_view>

#include "api/types/batchv1.h"
#include "base/metrics.h"
#include "controllers/job/job_sync.h"

namespace trireme::controllers {

/// The Job controller's metrics, by upstream's names. Thread-safe.
/// https://kubernetes.io/docs/reference/instrumentation/metrics/
class JobMetrics {
 public:
  /// What a pass did for the number of pods. ("reconciling", a pass that only waits for its caches, does not occur: see
  /// JobMemory.)
  enum class Action : uint8_t { kTracking, kPodsCreated, kPodsDeleted };

  JobMetrics();
  void synced(const api::batchv1::Job& job, bool ok, Action action, Duration took);
  /// Pods that this pass asked for.
  void created(const JobSync& sync, size_t succeeded, size_t failed);
  /// A status was written, after the one that was there `before`.
  void counted(const api::batchv1::Job& now, const api::batchv1::JobStatus& before);
  void finished(const api::batchv1::Job& job, const api::batchv1::JobCondition& ending);
  void failure_handled(std::string_view action) { failure_policy_.add({std::string(action)}); }
  /// What the watch tells of a pod: null before its first and after its last state.
  void pod_changed(const api::corev1::Pod* before, const api::corev1::Pod* after);
  void managed_elsewhere(const std::string& controller) { external_.add({controller}); }

  void print(std::string& out) const;

 private:
  metrics::Histograms duration_;
  metrics::Counters syncs_, finished_, external_, pods_finished_, failure_policy_, finalizers_, indexes_, creation_;
};

}  // namespace trireme::controllers
