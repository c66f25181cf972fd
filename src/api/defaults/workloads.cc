// apps, batch and autoscaling.

#include <limits>

#include "api/defaults/groups.h"
#include "api/types/appsv1.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/batchv1.h"

namespace trireme::api::defaults {
namespace {

void default_deployment(appsv1::Deployment& deployment) {
  auto& spec = deployment.spec;
  set(spec.replicas, 1);
  set(spec.strategy.type, appsv1::kRollingUpdateDeploymentStrategyType);
  if (spec.strategy.type == appsv1::kRollingUpdateDeploymentStrategyType) {
    auto& rolling = spec.strategy.rolling_update.ensure();
    if (!rolling.max_unavailable) rolling.max_unavailable = IntOrString("25%");
    if (!rolling.max_surge) rolling.max_surge = IntOrString("25%");
  }
  set(spec.revision_history_limit, 10);
  set(spec.progress_deadline_seconds, 600);
  default_pod_spec(spec.template_.spec);
}

void default_daemon_set(appsv1::DaemonSet& daemon_set) {
  auto& spec = daemon_set.spec;
  set(spec.update_strategy.type, appsv1::kRollingUpdateDaemonSetStrategyType);
  if (spec.update_strategy.type == appsv1::kRollingUpdateDaemonSetStrategyType) {
    auto& rolling = spec.update_strategy.rolling_update.ensure();
    if (!rolling.max_unavailable) rolling.max_unavailable = IntOrString(1);
    if (!rolling.max_surge) rolling.max_surge = IntOrString(0);
  }
  set(spec.revision_history_limit, 10);
  default_pod_spec(spec.template_.spec);
}

void default_stateful_set(appsv1::StatefulSet& stateful_set) {
  auto& spec = stateful_set.spec;
  set(spec.pod_management_policy, appsv1::kOrderedReadyPodManagement);
  set(spec.update_strategy.type, appsv1::kRollingUpdateStatefulSetStrategyType);
  if (spec.update_strategy.type == appsv1::kRollingUpdateStatefulSetStrategyType) {
    set(spec.update_strategy.rolling_update.ensure().partition, 0);
  }
  auto& retention = spec.persistent_volume_claim_retention_policy.ensure();
  set(retention.when_deleted, "Retain");
  set(retention.when_scaled, "Retain");
  set(spec.replicas, 1);
  set(spec.revision_history_limit, 10);
  default_pod_spec(spec.template_.spec);
  for (auto& claim : spec.volume_claim_templates) {
    set(claim.status.phase, corev1::kClaimPending);
    default_claim_spec(claim.spec);
  }
}

void default_replica_set(appsv1::ReplicaSet& replica_set) {
  set(replica_set.spec.replicas, 1);
  default_pod_spec(replica_set.spec.template_.spec);
}

void default_job_spec(batchv1::JobSpec& spec) {
  if (!spec.completions && !spec.parallelism) spec.completions = 1;
  set(spec.parallelism, 1);
  if (!spec.backoff_limit) {
    spec.backoff_limit = spec.backoff_limit_per_index ? std::numeric_limits<int32_t>::max() : 6;
  }
  set(spec.completion_mode, "NonIndexed");
  set(spec.suspend, false);
  set(spec.pod_replacement_policy, spec.pod_failure_policy ? "Failed" : "TerminatingOrFailed");
  set(spec.manual_selector, false);
  if (spec.pod_failure_policy) {
    for (auto& rule : spec.pod_failure_policy->rules) {
      for (auto& pattern : rule.on_pod_conditions) set(pattern.status, "True");
    }
  }
  default_pod_spec(spec.template_.spec);
}

void default_job(batchv1::Job& job) {
  if (job.metadata.labels.empty()) job.metadata.labels = job.spec.template_.metadata.labels;
  default_job_spec(job.spec);
}

/// The job's own spec is defaulted when the controller makes one; of the template only the pod is.
void default_cron_job(batchv1::CronJob& cron_job) {
  auto& spec = cron_job.spec;
  set(spec.concurrency_policy, batchv1::kAllowConcurrent);
  set(spec.suspend, false);
  set(spec.successful_jobs_history_limit, 3);
  set(spec.failed_jobs_history_limit, 1);
  default_pod_spec(spec.job_template.spec.template_.spec);
}

autoscalingv2::HPAScalingPolicy scaling_policy(std::string_view type, int32_t value) {
  autoscalingv2::HPAScalingPolicy policy;
  policy.type = type;
  policy.value = value;
  policy.period_seconds = 15;
  return policy;
}

void default_autoscaler(autoscalingv2::HorizontalPodAutoscaler& autoscaler) {
  auto& spec = autoscaler.spec;
  set(spec.min_replicas, 1);
  if (spec.metrics.empty()) {
    auto& metric = spec.metrics.emplace_back();
    metric.type = "Resource";
    auto& resource = metric.resource.emplace();
    resource.name = "cpu";
    resource.target.type = "Utilization";
    resource.target.average_utilization = 80;
  }
  if (!spec.behavior) return;
  // Who names one rule gets all the others, too, in both directions.
  auto& up = spec.behavior->scale_up.ensure();
  set(up.select_policy, "Max");
  set(up.stabilization_window_seconds, 0);
  if (up.policies.empty()) up.policies = {scaling_policy("Pods", 4), scaling_policy("Percent", 100)};
  auto& down = spec.behavior->scale_down.ensure();
  set(down.select_policy, "Max");
  if (down.policies.empty()) down.policies = {scaling_policy("Percent", 100)};
}

void default_autoscaler_v1(autoscalingv1::HorizontalPodAutoscaler& autoscaler) { set(autoscaler.spec.min_replicas, 1); }

}  // namespace

std::span<const Defaulter> workloads() {
  static const Defaulter kAll[] = {
      defaulter<appsv1::Deployment, default_deployment>(),
      defaulter<appsv1::DaemonSet, default_daemon_set>(),
      defaulter<appsv1::StatefulSet, default_stateful_set>(),
      defaulter<appsv1::ReplicaSet, default_replica_set>(),
      defaulter<batchv1::Job, default_job>(),
      defaulter<batchv1::CronJob, default_cron_job>(),
      defaulter<autoscalingv2::HorizontalPodAutoscaler, default_autoscaler>(),
      defaulter<autoscalingv1::HorizontalPodAutoscaler, default_autoscaler_v1>(),
  };
  return kAll;
}

}  // namespace trireme::api::defaults
