#include "controllers/all.h"

#include "api/types/appsv1.h"
#include "controllers/attachdetach/attach_detach_controller.h"
#include "controllers/bootstrap/bootstrap_controllers.h"
#include "controllers/certificates/certificate_controllers.h"
#include "controllers/certificates/serving_approver.h"
#include "controllers/clusterroleaggregation/cluster_role_aggregation_controller.h"
#include "controllers/cronjob/cron_job_controller.h"
#include "controllers/daemonset/daemon_set_controller.h"
#include "controllers/deployment/deployment_controller.h"
#include "controllers/disruption/disruption_controller.h"
#include "controllers/endpoints/endpoint_slice_controller.h"
#include "controllers/endpoints/endpoints_controller.h"
#include "controllers/endpointslicemirroring/mirroring_controller.h"
#include "controllers/ephemeral/ephemeral_volume_controller.h"
#include "controllers/expand/volume_expand_controller.h"
#include "controllers/garbagecollector/garbage_collector.h"
#include "controllers/job/job_controller.h"
#include "controllers/localpath/local_path_provisioner.h"
#include "controllers/namespace/namespace_controller.h"
#include "controllers/nodeipam/node_ipam_controller.h"
#include "controllers/nodelifecycle/node_lifecycle_controller.h"
#include "controllers/nodelifecycle/taint_eviction_controller.h"
#include "controllers/persistentvolume/persistent_volume_binder.h"
#include "controllers/podautoscaler/horizontal_controller.h"
#include "controllers/podgc/pod_gc_controller.h"
#include "controllers/replicas/replica_controller.h"
#include "controllers/resourcequota/resource_quota_controller.h"
#include "controllers/serviceaccount/legacy_token_cleaner.h"
#include "controllers/serviceaccount/service_account_controller.h"
#include "controllers/serviceaccount/token_controller.h"
#include "controllers/servicelb/service_lb_controller.h"
#include "controllers/statefulset/stateful_set_controller.h"
#include "controllers/ttl/ttl_controller.h"
#include "controllers/ttlafterfinished/ttl_after_finished_controller.h"
#include "controllers/volumeprotection/volume_protection.h"

namespace trireme::controllers {
namespace {

template <typename C>
std::unique_ptr<Controller> make(const ControllerContext& context) {
  return std::make_unique<C>(context);
}

template <typename T>
auto make_replicas(const char* name, const char* component) {
  return [=](const ControllerContext& context) -> std::unique_ptr<Controller> {
    return std::make_unique<ReplicaController<T>>(context, name, component);
  };
}

}  // namespace

std::span<const ControllerDescriptor> all_controllers() {
  static const ControllerDescriptor all[] = {
      {"namespace-controller", "namespace", make<NamespaceController>},
      {"serviceaccount-controller", "serviceaccount", make<ServiceAccountController>},
      {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher", make<RootCaPublisher>},
      {"serviceaccount-token-controller", "serviceaccount-token", make<ServiceAccountTokenController>},
      {"legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner",
       make<LegacyTokenCleanerController>},
      {"bootstrap-signer-controller", "bootstrapsigner", make<BootstrapSignerController>},
      {"token-cleaner-controller", "tokencleaner", make<TokenCleanerController>},
      {"certificatesigningrequest-approving-controller", "csrapproving", make<CsrApprovingController>},
      {"kubelet-serving-approving-controller", "", make<ServingApprovingController>},
      {"certificatesigningrequest-signing-controller", "csrsigning", make<CsrSigningController>},
      {"certificatesigningrequest-cleaner-controller", "csrcleaner", make<CsrCleanerController>},
      {"ttl-controller", "ttl", make<TtlController>},
      {"node-ipam-controller", "nodeipam", make<NodeIpamController>},
      {"replicationcontroller-controller", "replicationcontroller",
       make_replicas<api::corev1::ReplicationController>("replicationcontroller-controller", "replication-controller")},
      {"replicaset-controller", "replicaset",
       make_replicas<api::appsv1::ReplicaSet>("replicaset-controller", "replicaset-controller")},
      {"deployment-controller", "deployment", make<DeploymentController>},
      {"statefulset-controller", "statefulset", make<StatefulSetController>},
      {"daemonset-controller", "daemonset", make<DaemonSetController>},
      {"job-controller", "job", make<JobController>},
      {"cronjob-controller", "cronjob", make<CronJobController>},
      {"ttl-after-finished-controller", "ttl-after-finished", make<TtlAfterFinishedController>},
      {"service-lb-controller", "", make<ServiceLbController>},
      {"endpoints-controller", "endpoint", make<EndpointsController>},
      {"endpointslice-controller", "endpointslice", make<EndpointSliceController>},
      {"endpointslice-mirroring-controller", "endpointslicemirroring", make<EndpointSliceMirroringController>},
      {"node-lifecycle-controller", "nodelifecycle", make<NodeLifecycleController>},
      {"taint-eviction-controller", "", make<TaintEvictionController>},
      {"pod-garbage-collector-controller", "podgc", make<PodGcController>},
      {"persistentvolume-binder-controller", "persistentvolume-binder", make<PersistentVolumeBinder>},
      {"persistentvolumeclaim-protection-controller", "pvc-protection", make<ClaimProtectionController>},
      {"persistentvolume-protection-controller", "pv-protection", make<VolumeProtectionController>},
      {"persistentvolume-attach-detach-controller", "attachdetach", make<AttachDetachController>},
      {"persistentvolume-expander-controller", "persistentvolume-expander", make<VolumeExpandController>},
      {"ephemeral-volume-controller", "ephemeral-volume", make<EphemeralVolumeController>},
      {"local-path-provisioner-controller", "", make<LocalPathProvisioner>},
      {"clusterrole-aggregation-controller", "clusterrole-aggregation", make<ClusterRoleAggregationController>},
      {"disruption-controller", "disruption", make<DisruptionController>},
      {"horizontal-pod-autoscaler-controller", "horizontalpodautoscaling", make<HorizontalController>},
      // These two follow objects of every kind: last, so that they share what the others read whole.
      {"resourcequota-controller", "resourcequota", make<ResourceQuotaController>},
      {"garbage-collector-controller", "garbagecollector", make<GarbageCollector>},
  };
  return all;
}

}  // namespace trireme::controllers
