#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"

namespace trireme::controllers {

/// The settings of the controllers, by upstream's flag names and with its defaults.
/// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
struct ControllerOptions {
  std::string root_ca_pem;  ///< Published to every namespace as kube-root-ca.crt (--root-ca-file).

  // Workers: how many keys of a controller are worked on at the same time.
  int concurrent_rc_syncs = 5;
  int concurrent_replicaset_syncs = 5;
  int concurrent_deployment_syncs = 5;
  int concurrent_statefulset_syncs = 5;
  int concurrent_daemonset_syncs = 2;
  int concurrent_job_syncs = 5;
  int concurrent_cron_job_syncs = 5;
  int concurrent_ttl_after_finished_syncs = 5;
  int concurrent_serviceaccount_token_syncs = 5;
  int concurrent_resource_quota_syncs = 5;
  int concurrent_horizontal_pod_autoscaler_syncs = 5;
  int concurrent_endpoint_syncs = 5;
  int concurrent_service_endpoint_syncs = 5;
  int concurrent_namespace_syncs = 10;
  int concurrent_gc_syncs = 20;

  Duration node_monitor_grace_period = std::chrono::seconds(40);
  Duration node_startup_grace_period = std::chrono::seconds(60);
  double node_eviction_rate = 0.1;             ///< Nodes a second that get the NoExecute taint, per zone.
  double secondary_node_eviction_rate = 0.01;  ///< The same in a zone where most nodes are unhealthy.
  double unhealthy_zone_threshold = 0.55;
  int large_cluster_size_threshold = 50;
  int terminated_pod_gc_threshold = 12'500;  ///< Zero or less: never.

  // Certificates. Without an authority nothing is signed.
  std::string cluster_signing_certificate_pem;  ///< --cluster-signing-cert-file
  std::string cluster_signing_key_pem;          ///< --cluster-signing-key-file
  Duration cluster_signing_duration = std::chrono::hours(8760);

  /// Signs the tokens of secrets of type kubernetes.io/service-account-token (--service-account-private-key-file).
  std::string service_account_key_pem;
  /// A generated token that nobody used for so long is marked as invalid, and deleted when that was so long ago.
  Duration legacy_service_account_token_clean_up_period = std::chrono::hours(8760);

  // Addresses of pods.
  bool allocate_node_cidrs = false;
  std::vector<std::string> cluster_cidrs;  ///< One range a family (--cluster-cidr).
  int node_cidr_mask_size_ipv4 = 24;
  int node_cidr_mask_size_ipv6 = 64;

  // Quota and autoscaling.
  Duration resource_quota_sync_period = std::chrono::minutes(5);  ///< Between full recounts.
  Duration horizontal_pod_autoscaler_sync_period = std::chrono::seconds(15);
  Duration horizontal_pod_autoscaler_downscale_stabilization = std::chrono::minutes(5);
  double horizontal_pod_autoscaler_tolerance = 0.1;  ///< Deviation from the target that is left alone.
  /// After a pod's start: its cpu counts only when it was measured while the pod was ready.
  Duration horizontal_pod_autoscaler_cpu_initialization_period = std::chrono::minutes(5);
  /// After a pod's start: becoming unready does not yet mean that it was ready before.
  Duration horizontal_pod_autoscaler_initial_readiness_delay = std::chrono::seconds(30);
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
