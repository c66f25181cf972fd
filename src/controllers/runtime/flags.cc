#include "controllers/runtime/flags.h"

namespace trireme::controllers {

void add_flags(FlagSet& flags, ControllerOptions& options) {
  flags.add("node-monitor-grace-period", &options.node_monitor_grace_period,
            "silence after which a node counts as not ready");
  flags.add("terminated-pod-gc-threshold", &options.terminated_pod_gc_threshold, "finished pods that are kept; 0: all");
  flags.add("cluster-signing-duration", &options.cluster_signing_duration,
            "longest validity of certificates that are signed on request");
  flags.add("concurrent-serviceaccount-token-syncs", &options.concurrent_serviceaccount_token_syncs,
            "workers of the service account token controller");
  flags.add("allocate-node-cidrs", &options.allocate_node_cidrs, "give every node a range of pod addresses");
  flags.add("cluster-cidr", &options.cluster_cidrs, "ranges of all pod addresses, one a family");
  flags.add("node-cidr-mask-size", &options.node_cidr_mask_size_ipv4, "size of a node's range of IPv4 addresses");
  flags.add("node-cidr-mask-size-ipv4", &options.node_cidr_mask_size_ipv4, "the same");
  flags.add("node-cidr-mask-size-ipv6", &options.node_cidr_mask_size_ipv6, "size of a node's range of IPv6 addresses");
}

}  // namespace trireme::controllers
