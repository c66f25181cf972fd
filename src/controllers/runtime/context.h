#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"

namespace trireme::controllers {

/// The settings of the controllers, by upstream's flag names and with its defaults.
/// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
struct ControllerOptions {
  std::string root_ca_pem;  ///< Published to every namespace as kube-root-ca.crt (--root-ca-file).

  int concurrent_rc_syncs = 5;
  int concurrent_replicaset_syncs = 5;
  int concurrent_deployment_syncs = 5;

  Duration node_monitor_grace_period = std::chrono::seconds(40);
  Duration node_startup_grace_period = std::chrono::seconds(60);
  double node_eviction_rate = 0.1;             ///< Nodes a second that get the NoExecute taint, per zone.
  double secondary_node_eviction_rate = 0.01;  ///< The same in a zone where most nodes are unhealthy.
  double unhealthy_zone_threshold = 0.55;
  int large_cluster_size_threshold = 50;
  int terminated_pod_gc_threshold = 12'500;  ///< Zero or less: never.

  int concurrent_job_syncs = 5;
  int concurrent_cron_job_syncs = 5;
  int concurrent_ttl_after_finished_syncs = 5;
};

/// What a controller is given. Copies share everything.
struct ControllerContext {
  client::Client client;
  std::shared_ptr<client::InformerFactory> informers;
  std::shared_ptr<client::EventBroadcaster> events;
  std::shared_ptr<Clock> clock;
  ControllerOptions options;
  /// Nothing starts a thread; the owner steps controllers, informers (a stepped factory) and events itself.
  bool single_threaded = false;
};

}  // namespace trireme::controllers
