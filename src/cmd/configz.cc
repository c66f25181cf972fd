#include "cmd/configz.h"

#include <fmt/format.h>

#include "api/time.h"
#include "api/value.h"

namespace trireme::cmd {
namespace {

using api::Value;

std::string text(Duration duration) { return api::GoDuration(duration).to_string(); }

Value texts(const std::vector<std::string>& all) {
  Value out = Value::array();
  for (const std::string& each : all) out.push_back(each);
  return out;
}

Value leader_election(const Leadership& leadership) {
  Value out = Value::object();
  out["LeaderElect"] = leadership.elect;
  out["LeaseDuration"] = text(leadership.options.lease_duration);
  out["RenewDeadline"] = text(leadership.options.renew_deadline);
  out["RetryPeriod"] = text(leadership.options.retry_period);
  out["ResourceLock"] = leadership.resource_lock;
  out["ResourceName"] = leadership.options.name;
  out["ResourceNamespace"] = leadership.options.ns;
  return out;
}

}  // namespace

std::string controllers_configz(const controllers::ControllerOptions& options, const Leadership& leadership,
                                const std::vector<std::string>& selection) {
  Value document = Value::object();
  Value& out = document["kubecontrollermanager.config.k8s.io"];
  out["Generic"]["LeaderElection"] = leader_election(leadership);
  out["Generic"]["Controllers"] = texts(selection);
  Value& shared = out["KubeCloudShared"];
  shared["AllocateNodeCIDRs"] = options.allocate_node_cidrs;
  shared["ClusterCIDR"] = fmt::format("{}", fmt::join(options.cluster_cidrs, ","));
  struct Workers {
    const char* controller;
    const char* field;
    int count;
  };
  const Workers workers[] = {
      {"ReplicationController", "ConcurrentRCSyncs", options.concurrent_rc_syncs},
      {"ReplicaSetController", "ConcurrentRSSyncs", options.concurrent_replicaset_syncs},
      {"DeploymentController", "ConcurrentDeploymentSyncs", options.concurrent_deployment_syncs},
      {"StatefulSetController", "ConcurrentStatefulSetSyncs", options.concurrent_statefulset_syncs},
      {"DaemonSetController", "ConcurrentDaemonSetSyncs", options.concurrent_daemonset_syncs},
      {"JobController", "ConcurrentJobSyncs", options.concurrent_job_syncs},
      {"CronJobController", "ConcurrentCronJobSyncs", options.concurrent_cron_job_syncs},
      {"TTLAfterFinishedController", "ConcurrentTTLSyncs", options.concurrent_ttl_after_finished_syncs},
      {"SAController", "ConcurrentSATokenSyncs", options.concurrent_serviceaccount_token_syncs},
      {"ResourceQuotaController", "ConcurrentResourceQuotaSyncs", options.concurrent_resource_quota_syncs},
      {"HPAController", "ConcurrentHorizontalPodAutoscalerSyncs", options.concurrent_horizontal_pod_autoscaler_syncs},
      {"EndpointController", "ConcurrentEndpointSyncs", options.concurrent_endpoint_syncs},
      {"EndpointSliceController", "ConcurrentServiceEndpointSyncs", options.concurrent_service_endpoint_syncs},
      {"NamespaceController", "ConcurrentNamespaceSyncs", options.concurrent_namespace_syncs},
      {"GarbageCollectorController", "ConcurrentGCSyncs", options.concurrent_gc_syncs},
  };
  for (const Workers& each : workers) out[each.controller][each.field] = int64_t{each.count};
  Value& nodes = out["NodeLifecycleController"];
  nodes["NodeMonitorGracePeriod"] = text(options.node_monitor_grace_period);
  nodes["NodeStartupGracePeriod"] = text(options.node_startup_grace_period);
  nodes["NodeEvictionRate"] = options.node_eviction_rate;
  nodes["SecondaryNodeEvictionRate"] = options.secondary_node_eviction_rate;
  nodes["UnhealthyZoneThreshold"] = options.unhealthy_zone_threshold;
  nodes["LargeClusterSizeThreshold"] = int64_t{options.large_cluster_size_threshold};
  out["PodGCController"]["TerminatedPodGCThreshold"] = int64_t{options.terminated_pod_gc_threshold};
  out["CSRSigningController"]["ClusterSigningDuration"] = text(options.cluster_signing_duration);
  out["LegacySATokenCleaner"]["CleanUpPeriod"] = text(options.legacy_service_account_token_clean_up_period);
  out["ResourceQuotaController"]["ResourceQuotaSyncPeriod"] = text(options.resource_quota_sync_period);
  Value& addresses = out["NodeIPAMController"];
  addresses["NodeCIDRMaskSizeIPv4"] = int64_t{options.node_cidr_mask_size_ipv4};
  addresses["NodeCIDRMaskSizeIPv6"] = int64_t{options.node_cidr_mask_size_ipv6};
  Value& autoscaler = out["HPAController"];
  autoscaler["HorizontalPodAutoscalerSyncPeriod"] = text(options.horizontal_pod_autoscaler_sync_period);
  autoscaler["HorizontalPodAutoscalerDownscaleStabilizationWindow"] =
      text(options.horizontal_pod_autoscaler_downscale_stabilization);
  autoscaler["HorizontalPodAutoscalerTolerance"] = options.horizontal_pod_autoscaler_tolerance;
  autoscaler["HorizontalPodAutoscalerCPUInitializationPeriod"] =
      text(options.horizontal_pod_autoscaler_cpu_initialization_period);
  autoscaler["HorizontalPodAutoscalerInitialReadinessDelay"] =
      text(options.horizontal_pod_autoscaler_initial_readiness_delay);
  return api::to_json(document);
}

std::string proxy_configz(const proxy::Configuration& configuration) {
  Value document = Value::object();
  Value& out = document["kubeproxy.config.k8s.io"];
  out["HostnameOverride"] = configuration.hostname_override;
  out["BindAddress"] = configuration.bind_address;
  out["BindAddressHardFail"] = configuration.bind_address_hard_fail;
  out["HealthzBindAddress"] = configuration.healthz_bind_address;
  out["MetricsBindAddress"] = configuration.metrics_bind_address;
  out["Mode"] = "nftables";
  out["NFTables"]["MasqueradeAll"] = configuration.masquerade_all;
  out["NFTables"]["SyncPeriod"] = text(configuration.sync_period);
  out["NFTables"]["MinSyncPeriod"] = text(configuration.min_sync_period);
  out["ClusterCIDR"] = configuration.cluster_cidr;
  out["DetectLocalMode"] = configuration.detect_local_mode.empty() ? "ClusterCIDR" : configuration.detect_local_mode;
  out["DetectLocal"]["BridgeInterface"] = configuration.bridge_interface;
  out["DetectLocal"]["InterfaceNamePrefix"] = configuration.interface_name_prefix;
  out["NodePortAddresses"] = texts(configuration.nodeport_addresses);
  out["OOMScoreAdj"] = configuration.oom_score_adj;
  Value& conntrack = out["Conntrack"];
  conntrack["MaxPerCore"] = configuration.conntrack.max_per_core;
  conntrack["Min"] = configuration.conntrack.min;
  conntrack["TCPEstablishedTimeout"] = text(configuration.conntrack.tcp_established_timeout);
  conntrack["TCPCloseWaitTimeout"] = text(configuration.conntrack.tcp_close_wait_timeout);
  conntrack["TCPBeLiberal"] = configuration.conntrack.tcp_be_liberal;
  conntrack["UDPTimeout"] = text(configuration.conntrack.udp_timeout);
  conntrack["UDPStreamTimeout"] = text(configuration.conntrack.udp_stream_timeout);
  return api::to_json(document);
}

std::string scheduler_configz(const scheduler::Configuration& configuration, const Leadership& leadership) {
  Value document = Value::object();
  Value& out = document["componentconfig"];
  out["Parallelism"] = int64_t{configuration.parallelism};
  out["LeaderElection"] = leader_election(leadership);
  out["PercentageOfNodesToScore"] = int64_t{configuration.percentage_of_nodes_to_score};
  const auto seconds = [](Duration duration) {
    return int64_t{std::chrono::duration_cast<std::chrono::seconds>(duration).count()};
  };
  out["PodInitialBackoffSeconds"] = seconds(configuration.pod_initial_backoff);
  out["PodMaxBackoffSeconds"] = seconds(configuration.pod_max_backoff);
  out["Profiles"] = Value::array();
  for (const scheduler::ProfileConfig& each : configuration.profiles) {
    Value profile = Value::object();
    profile["SchedulerName"] = each.scheduler_name;
    if (each.percentage_of_nodes_to_score) {
      profile["PercentageOfNodesToScore"] = int64_t{*each.percentage_of_nodes_to_score};
    }
    out["Profiles"].push_back(std::move(profile));
  }
  out["Extenders"] = Value::array();
  for (const scheduler::ExtenderConfig& each : configuration.extenders) {
    Value extender = Value::object();
    extender["URLPrefix"] = each.url_prefix;
    extender["FilterVerb"] = each.filter_verb;
    extender["PrioritizeVerb"] = each.prioritize_verb;
    extender["PreemptVerb"] = each.preempt_verb;
    extender["BindVerb"] = each.bind_verb;
    extender["Weight"] = each.weight;
    extender["HTTPTimeout"] = text(each.timeout);
    extender["NodeCacheCapable"] = each.node_cache_capable;
    extender["Ignorable"] = each.ignorable;
    out["Extenders"].push_back(std::move(extender));
  }
  return api::to_json(document);
}

}  // namespace trireme::cmd
