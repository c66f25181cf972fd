#include "controllers/runtime/flags.h"

namespace trireme::controllers {

void add_flags(FlagSet& flags, ControllerOptions& options) {
  flags.add("concurrent-rc-syncs", &options.concurrent_rc_syncs, "replication controllers worked on at the same time");
  flags.add("concurrent-replicaset-syncs", &options.concurrent_replicaset_syncs,
            "replica sets worked on at the same time");
  flags.add("concurrent-deployment-syncs", &options.concurrent_deployment_syncs,
            "deployments worked on at the same time");
  flags.add("node-monitor-grace-period", &options.node_monitor_grace_period,
            "silence after which a node counts as not ready");
  flags.add("terminated-pod-gc-threshold", &options.terminated_pod_gc_threshold, "finished pods that are kept; 0: all");
  flags.add("concurrent-job-syncs", &options.concurrent_job_syncs, "jobs worked on at the same time");
  flags.add("concurrent-cron-job-syncs", &options.concurrent_cron_job_syncs, "cron jobs worked on at the same time");
  flags.add("concurrent-ttl-after-finished-syncs", &options.concurrent_ttl_after_finished_syncs,
            "finished jobs worked on at the same time");
}

}  // namespace trireme::controllers
