#include "api/scheme.h"

#include <algorithm>
#include <tuple>

#include "api/kinds.h"
#include "api/types/admissionregistrationv1.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/apiregistrationv1.h"
#include "api/types/appsv1.h"
#include "api/types/authenticationv1.h"
#include "api/types/authorizationv1.h"
#include "api/types/autoscalingv1.h"
#include "api/types/autoscalingv2.h"
#include "api/types/batchv1.h"
#include "api/types/certificatesv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "api/types/discoveryv1.h"
#include "api/types/eventsv1.h"
#include "api/types/flowcontrolv1.h"
#include "api/types/metricsv1beta1.h"
#include "api/types/networkingv1.h"
#include "api/types/nodev1.h"
#include "api/types/policyv1.h"
#include "api/types/rbacv1.h"
#include "api/types/schedulingv1.h"
#include "api/types/storagev1.h"

namespace trireme::api {
namespace {

constexpr std::string_view kAllVerbs = "create,delete,deletecollection,get,list,patch,update,watch";
constexpr std::string_view kNoCollection = "create,delete,get,list,patch,update,watch";
constexpr std::string_view kCreateOnly = "create";
constexpr std::string_view kExtensions = "api-extensions";

/// What upstream's registry says about a resource beyond its type. Lists are comma-separated.
struct Row {
  const TypeInfo& type;
  std::string_view resource;
  std::string_view short_names = {};
  std::string_view categories = {};
  std::string_view subresources = {};
  std::string_view verbs = kAllVerbs;
};

/// By group priority, and by name within a group and version, as discovery lists them.
const Row kRows[] = {
    {type_info<corev1::Binding>(), "bindings", "", "", "", kCreateOnly},
    {type_info<corev1::ComponentStatus>(), "componentstatuses", "cs", "", "", "get,list"},
    {type_info<corev1::ConfigMap>(), "configmaps", "cm"},
    {type_info<corev1::Endpoints>(), "endpoints", "ep"},
    {type_info<corev1::Event>(), "events", "ev"},
    {type_info<corev1::LimitRange>(), "limitranges", "limits"},
    {type_info<corev1::Namespace>(), "namespaces", "ns", "", "finalize,status", kNoCollection},
    {type_info<corev1::Node>(), "nodes", "no", "", "proxy,status"},
    {type_info<corev1::PersistentVolumeClaim>(), "persistentvolumeclaims", "pvc", "", "status"},
    {type_info<corev1::PersistentVolume>(), "persistentvolumes", "pv", "", "status"},
    {type_info<corev1::Pod>(), "pods", "po", "all",
     "attach,binding,ephemeralcontainers,eviction,exec,log,portforward,proxy,status"},
    {type_info<corev1::PodTemplate>(), "podtemplates"},
    {type_info<corev1::ReplicationController>(), "replicationcontrollers", "rc", "all", "scale,status"},
    {type_info<corev1::ResourceQuota>(), "resourcequotas", "quota", "", "status"},
    {type_info<corev1::Secret>(), "secrets"},
    {type_info<corev1::ServiceAccount>(), "serviceaccounts", "sa", "", "token"},
    {type_info<corev1::Service>(), "services", "svc", "all", "proxy,status"},

    {type_info<apiregistrationv1::APIService>(), "apiservices", "", kExtensions, "status"},

    {type_info<appsv1::ControllerRevision>(), "controllerrevisions"},
    {type_info<appsv1::DaemonSet>(), "daemonsets", "ds", "all", "status"},
    {type_info<appsv1::Deployment>(), "deployments", "deploy", "all", "scale,status"},
    {type_info<appsv1::ReplicaSet>(), "replicasets", "rs", "all", "scale,status"},
    {type_info<appsv1::StatefulSet>(), "statefulsets", "sts", "all", "scale,status"},

    {type_info<eventsv1::Event>(), "events", "ev"},

    {type_info<authenticationv1::SelfSubjectReview>(), "selfsubjectreviews", "", "", "", kCreateOnly},
    {type_info<authenticationv1::TokenReview>(), "tokenreviews", "", "", "", kCreateOnly},

    {type_info<authorizationv1::LocalSubjectAccessReview>(), "localsubjectaccessreviews", "", "", "", kCreateOnly},
    {type_info<authorizationv1::SelfSubjectAccessReview>(), "selfsubjectaccessreviews", "", "", "", kCreateOnly},
    {type_info<authorizationv1::SelfSubjectRulesReview>(), "selfsubjectrulesreviews", "", "", "", kCreateOnly},
    {type_info<authorizationv1::SubjectAccessReview>(), "subjectaccessreviews", "", "", "", kCreateOnly},

    {type_info<autoscalingv2::HorizontalPodAutoscaler>(), "horizontalpodautoscalers", "hpa", "all", "status"},
    {type_info<autoscalingv1::HorizontalPodAutoscaler>(), "horizontalpodautoscalers", "hpa", "all", "status"},

    {type_info<batchv1::CronJob>(), "cronjobs", "cj", "all", "status"},
    {type_info<batchv1::Job>(), "jobs", "", "all", "status"},

    {type_info<certificatesv1::CertificateSigningRequest>(), "certificatesigningrequests", "csr", "",
     "approval,status"},

    {type_info<networkingv1::IngressClass>(), "ingressclasses"},
    {type_info<networkingv1::Ingress>(), "ingresses", "ing", "", "status"},
    {type_info<networkingv1::NetworkPolicy>(), "networkpolicies", "netpol"},

    {type_info<policyv1::PodDisruptionBudget>(), "poddisruptionbudgets", "pdb", "", "status"},

    {type_info<rbacv1::ClusterRoleBinding>(), "clusterrolebindings"},
    {type_info<rbacv1::ClusterRole>(), "clusterroles"},
    {type_info<rbacv1::RoleBinding>(), "rolebindings"},
    {type_info<rbacv1::Role>(), "roles"},

    {type_info<storagev1::CSIDriver>(), "csidrivers"},
    {type_info<storagev1::CSINode>(), "csinodes"},
    {type_info<storagev1::CSIStorageCapacity>(), "csistoragecapacities"},
    {type_info<storagev1::StorageClass>(), "storageclasses", "sc"},
    {type_info<storagev1::VolumeAttachment>(), "volumeattachments", "", "", "status"},

    {type_info<admissionregistrationv1::MutatingWebhookConfiguration>(), "mutatingwebhookconfigurations", "",
     kExtensions},
    {type_info<admissionregistrationv1::ValidatingAdmissionPolicy>(), "validatingadmissionpolicies", "", kExtensions,
     "status"},
    {type_info<admissionregistrationv1::ValidatingAdmissionPolicyBinding>(), "validatingadmissionpolicybindings", "",
     kExtensions},
    {type_info<admissionregistrationv1::ValidatingWebhookConfiguration>(), "validatingwebhookconfigurations", "",
     kExtensions},

    {type_info<apiextensionsv1::CustomResourceDefinition>(), "customresourcedefinitions", "crd,crds", kExtensions,
     "status"},

    {type_info<schedulingv1::PriorityClass>(), "priorityclasses", "pc"},

    {type_info<coordinationv1::Lease>(), "leases"},

    {type_info<nodev1::RuntimeClass>(), "runtimeclasses"},

    {type_info<discoveryv1::EndpointSlice>(), "endpointslices"},

    {type_info<flowcontrolv1::FlowSchema>(), "flowschemas", "", "", "status"},
    {type_info<flowcontrolv1::PriorityLevelConfiguration>(), "prioritylevelconfigurations", "", "", "status"},

    // Upstream has an add-on for these; here the server asks the kubelets itself.
    {type_info<metricsv1beta1::NodeMetrics>(), "nodes", "", "", "", "get,list"},
    {type_info<metricsv1beta1::PodMetrics>(), "pods", "", "", "", "get,list"},
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

GroupVersion parse_group_version(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return {"", std::string(api_version)};
  return {std::string(api_version.substr(0, slash)), std::string(api_version.substr(slash + 1))};
}

/// Kinds that are served in several groups or versions live in one of them.
GroupVersion storage_version(const TypeInfo& type) {
  if (&type == &type_info<eventsv1::Event>()) return {"", "v1"};
  if (&type == &type_info<autoscalingv1::HorizontalPodAutoscaler>()) return {"autoscaling", "v2"};
  return parse_group_version(type.api_version);
}

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lowered;
}

ResourceInfo make_resource(const Row& row) {
  ResourceInfo info;
  GroupVersion group_version = parse_group_version(row.type.api_version);
  info.group = std::move(group_version.group);
  info.version = std::move(group_version.version);
  info.resource = row.resource;
  info.kind = row.type.kind;
  info.singular = lower(row.type.kind);
  for (const KindInfo& kind : kinds()) {
    // Upstream's client of Binding hangs below pods; the resource itself is namespaced like most.
    if (kind.type == &row.type) info.namespaced = kind.namespaced;
  }
  info.short_names = split(row.short_names);
  info.categories = split(row.categories);
  info.verbs = split(row.verbs);
  info.subresources = split(row.subresources);
  info.type = &row.type;
  if (std::find(info.verbs.begin(), info.verbs.end(), "list") != info.verbs.end()) {
    info.list_type = find_type(row.type.api_version, info.kind + "List");
  }
  info.storage = storage_version(row.type);
  return info;
}

/// The resources, with indexes for the look-ups. Built once, on first use.
struct Scheme {
  std::vector<ResourceInfo> resources;
  std::vector<const ResourceInfo*> by_name;  // sorted by group, version, resource
  std::vector<const ResourceInfo*> by_type;  // sorted by type

  Scheme() {
    for (const Row& row : kRows) resources.push_back(make_resource(row));
    for (const ResourceInfo& info : resources) {
      by_name.push_back(&info);
      by_type.push_back(&info);
    }
    std::ranges::sort(by_name, {}, name_of);
    std::ranges::sort(by_type, {}, &ResourceInfo::type);
  }
  static std::tuple<std::string_view, std::string_view, std::string_view> name_of(const ResourceInfo* info) {
    return {info->group, info->version, info->resource};
  }
};

const Scheme& scheme() {
  static const Scheme instance;
  return instance;
}

using KindName = std::pair<std::string_view, std::string_view>;
KindName name_of(const TypeInfo* type) { return {type->api_version, type->kind}; }

const std::vector<const TypeInfo*>& types_by_kind() {
  static const std::vector<const TypeInfo*> sorted = [] {
    std::vector<const TypeInfo*> types;
    for (const KindInfo& kind : kinds()) types.push_back(kind.type);
    std::ranges::sort(types, {}, name_of);
    return types;
  }();
  return sorted;
}

const TypeInfo* exact_type(std::string_view api_version, std::string_view kind) {
  const auto& types = types_by_kind();
  const auto at = std::ranges::lower_bound(types, KindName{api_version, kind}, {}, name_of);
  return at != types.end() && name_of(*at) == KindName{api_version, kind} ? *at : nullptr;
}

}  // namespace

std::span<const ResourceInfo> resources() { return scheme().resources; }

const ResourceInfo* find_resource(std::string_view group, std::string_view version, std::string_view resource) {
  const std::tuple name{group, version, resource};
  const auto& sorted = scheme().by_name;
  const auto at = std::ranges::lower_bound(sorted, name, {}, Scheme::name_of);
  return at != sorted.end() && Scheme::name_of(*at) == name ? *at : nullptr;
}

const ResourceInfo* find_kind(std::string_view api_version, std::string_view kind) {
  const TypeInfo* type = exact_type(api_version, kind);
  return type == nullptr ? nullptr : find_type(*type);
}

const ResourceInfo* find_type(const TypeInfo& type) {
  const auto& sorted = scheme().by_type;
  const auto at = std::ranges::lower_bound(sorted, &type, {}, &ResourceInfo::type);
  return at != sorted.end() && (*at)->type == &type ? *at : nullptr;
}

const TypeInfo* find_type(std::string_view api_version, std::string_view kind) {
  if (const TypeInfo* type = exact_type(api_version, kind)) return type;
  // Options are kinds of every group and version, and meta.k8s.io/v1 has all the kinds of meta/v1.
  if (kind.ends_with("Options") || api_version == "meta.k8s.io/v1") {
    const TypeInfo* type = exact_type("v1", kind);
    if (type != nullptr && type->schema_name.starts_with("io.k8s.apimachinery.pkg.apis.meta.")) return type;
  }
  return nullptr;
}

}  // namespace trireme::api
