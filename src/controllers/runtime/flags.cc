#include "controllers/runtime/flags.h"

namespace trireme::controllers {

void add_flags(FlagSet& flags, ControllerOptions& options) {
  flags.add("node-monitor-grace-period", &options.node_monitor_grace_period,
            "silence after which a node counts as not ready");
  flags.add("terminated-pod-gc-threshold", &options.terminated_pod_gc_threshold, "finished pods that are kept; 0: all");
}

}  // namespace trireme::controllers
