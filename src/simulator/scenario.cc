#include "simulator/scenario.h"

namespace trireme::simulator {

std::span<const ScenarioDescriptor> scenarios() {
  static constexpr ScenarioDescriptor kAll[] = {
      {"fill", "an empty cluster is filled with pods at a steady rate", make_fill},
      {"node-failures", "nodes crash or lose their network; some come back, the others are removed",
       make_node_failures},
      {"zone-loss", "a whole zone loses its network for ten minutes", make_zone_loss},
      {"rollouts", "every Deployment gets new templates, some in the middle of a rollout; some are rolled back",
       make_rollouts},
      {"drain", "nodes are drained one after the other, under disruption budgets", make_drain},
      {"sets", "StatefulSets and DaemonSets are scaled and rolled out, lose pods, and nodes fail under them",
       make_sets},
      {"jobs", "Jobs and CronJobs whose pods fail, are deleted, suspended, or lose their nodes", make_jobs},
      {"mixed",
       "apps, sets and jobs under everything at once: rollouts, scaling, failing nodes, a lost zone, dying components",
       make_mixed},
  };
  return kAll;
}

}  // namespace trireme::simulator
