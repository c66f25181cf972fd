#include "controllers/runtime/flags.h"

#include <initializer_list>
#include <string>

#include "controllers/servicelb/balancer_addresses.h"

namespace trireme::controllers {

void add_flags(FlagSet& flags, ControllerOptions& options) {
  struct Workers {
    const char* name;
    int* value;
    const char* what;
  };
  for (const Workers& each : std::initializer_list<Workers>{
           {"concurrent-rc-syncs", &options.concurrent_rc_syncs, "replication controllers"},
           {"concurrent-replicaset-syncs", &options.concurrent_replicaset_syncs, "replica sets"},
           {"concurrent-deployment-syncs", &options.concurrent_deployment_syncs, "deployments"},
           {"concurrent-statefulset-syncs", &options.concurrent_statefulset_syncs, "stateful sets"},
           {"concurrent-daemonset-syncs", &options.concurrent_daemonset_syncs, "daemon sets"},
           {"concurrent-job-syncs", &options.concurrent_job_syncs, "jobs"},
           {"concurrent-cron-job-syncs", &options.concurrent_cron_job_syncs, "cron jobs"},
           {"concurrent-ttl-after-finished-syncs", &options.concurrent_ttl_after_finished_syncs, "finished jobs"},
           {"concurrent-serviceaccount-token-syncs", &options.concurrent_serviceaccount_token_syncs,
            "secrets with tokens"},
           {"concurrent-resource-quota-syncs", &options.concurrent_resource_quota_syncs, "resource quotas"},
           {"concurrent-horizontal-pod-autoscaler-syncs", &options.concurrent_horizontal_pod_autoscaler_syncs,
            "autoscalers"},
           {"concurrent-endpoint-syncs", &options.concurrent_endpoint_syncs, "services, for their endpoints"},
           {"concurrent-service-endpoint-syncs", &options.concurrent_service_endpoint_syncs,
            "services, for their endpoint slices"},
           {"concurrent-namespace-syncs", &options.concurrent_namespace_syncs, "namespaces that end"},
           {"concurrent-gc-syncs", &options.concurrent_gc_syncs, "objects, by the garbage collector"}}) {
    flags.add(each.name, each.value, std::string("how many are worked on at the same time: ") + each.what);
  }
  flags.add("load-balancer-ip-range", &load_balancer_ip_ranges(),
            "addresses that services of type LoadBalancer get: CIDR or FIRST-LAST (default: the nodes' own)");
  flags.add("load-balancer-announce", &load_balancer_announcement(),
            "how packets for addresses of that range come to a node: layer2 (one node answers for each) or none");
  flags.add("node-monitor-grace-period", &options.node_monitor_grace_period,
            "silence after which a node counts as not ready");
  flags.add("terminated-pod-gc-threshold", &options.terminated_pod_gc_threshold, "finished pods that are kept; 0: all");
  flags.add("cluster-signing-duration", &options.cluster_signing_duration,
            "longest validity of certificates that are signed on request");
  flags.add("legacy-service-account-token-clean-up-period", &options.legacy_service_account_token_clean_up_period,
            "time after which a generated token that is not used is marked as invalid, and then again is deleted");
  flags.add("allocate-node-cidrs", &options.allocate_node_cidrs, "give every node a range of pod addresses");
  flags.add("cluster-cidr", &options.cluster_cidrs, "ranges of all pod addresses, one a family");
  flags.add("node-cidr-mask-size", &options.node_cidr_mask_size_ipv4, "size of a node's range of IPv4 addresses");
  flags.add("node-cidr-mask-size-ipv4", &options.node_cidr_mask_size_ipv4, "the same");
  flags.add("node-cidr-mask-size-ipv6", &options.node_cidr_mask_size_ipv6, "size of a node's range of IPv6 addresses");
  flags.add("resource-quota-sync-period", &options.resource_quota_sync_period,
            "time after which a resource quota is recounted anyway");
  flags.add("horizontal-pod-autoscaler-sync-period", &options.horizontal_pod_autoscaler_sync_period,
            "time between two looks at the metrics of an autoscaler");
  flags.add("horizontal-pod-autoscaler-downscale-stabilization",
            &options.horizontal_pod_autoscaler_downscale_stabilization,
            "time for which the highest recommendation holds back scaling down");
  flags.add("horizontal-pod-autoscaler-tolerance", &options.horizontal_pod_autoscaler_tolerance,
            "deviation of a metric from its target that is left alone");
  flags.add("horizontal-pod-autoscaler-cpu-initialization-period",
            &options.horizontal_pod_autoscaler_cpu_initialization_period,
            "time after a pod's start in which its cpu counts only while it is ready");
  flags.add("horizontal-pod-autoscaler-initial-readiness-delay",
            &options.horizontal_pod_autoscaler_initial_readiness_delay,
            "time after a pod's start in which changes of its readiness are its first");
}

}  // namespace trireme::controllers
