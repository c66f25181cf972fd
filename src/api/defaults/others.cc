// Networking, discovery, access control, storage, admission, flow control, scheduling and the extension APIs.

#include <algorithm>
#include <cctype>

#include "api/defaults/groups.h"
#include "api/types/admissionregistrationv1.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/apiregistrationv1.h"
#include "api/types/discoveryv1.h"
#include "api/types/flowcontrolv1.h"
#include "api/types/networkingv1.h"
#include "api/types/rbacv1.h"
#include "api/types/schedulingv1.h"
#include "api/types/storagev1.h"

namespace trireme::api::defaults {
namespace {

constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";
constexpr int32_t kHttpsPort = 443;

void default_network_policy(networkingv1::NetworkPolicy& policy) {
  auto default_ports = [](std::vector<networkingv1::NetworkPolicyPort>& ports) {
    for (auto& port : ports) set(port.protocol, corev1::kProtocolTCP);
  };
  for (auto& rule : policy.spec.ingress) default_ports(rule.ports);
  for (auto& rule : policy.spec.egress) default_ports(rule.ports);
  if (policy.spec.policy_types.empty()) {
    policy.spec.policy_types = {"Ingress"};
    if (!policy.spec.egress.empty()) policy.spec.policy_types.push_back("Egress");
  }
}

void default_ingress_class(networkingv1::IngressClass& ingress_class) {
  if (ingress_class.spec.parameters) set(ingress_class.spec.parameters->scope, "Cluster");
}

void default_endpoint_slice(discoveryv1::EndpointSlice& slice) {
  for (auto& port : slice.ports) {
    set(port.name, "");
    set(port.protocol, corev1::kProtocolTCP);
  }
}

void default_subjects(std::vector<rbacv1::Subject>& subjects) {
  for (auto& subject : subjects) {
    if (subject.kind == rbacv1::kUserKind || subject.kind == rbacv1::kGroupKind) set(subject.api_group, kRbacGroup);
  }
}

void default_role_binding(rbacv1::RoleBinding& binding) {
  set(binding.role_ref.api_group, kRbacGroup);
  default_subjects(binding.subjects);
}

void default_cluster_role_binding(rbacv1::ClusterRoleBinding& binding) {
  set(binding.role_ref.api_group, kRbacGroup);
  default_subjects(binding.subjects);
}

void default_storage_class(storagev1::StorageClass& storage_class) {
  set(storage_class.reclaim_policy, corev1::kPersistentVolumeReclaimDelete);
  set(storage_class.volume_binding_mode, "Immediate");
}

void default_csi_driver(storagev1::CSIDriver& driver) {
  auto& spec = driver.spec;
  set(spec.attach_required, true);
  set(spec.pod_info_on_mount, false);
  set(spec.storage_capacity, false);
  set(spec.fs_group_policy, "ReadWriteOnceWithFSType");
  if (spec.volume_lifecycle_modes.empty()) spec.volume_lifecycle_modes = {"Persistent"};
  set(spec.requires_republish, false);
  set(spec.se_linux_mount, false);
}

void default_priority_class(schedulingv1::PriorityClass& priority_class) {
  set(priority_class.preemption_policy, corev1::kPreemptLowerPriority);
}

/// A ValidatingWebhook or a MutatingWebhook.
template <typename Webhook>
void default_webhook(Webhook& webhook) {
  set(webhook.failure_policy, "Fail");
  set(webhook.match_policy, "Equivalent");
  webhook.namespace_selector.ensure();
  webhook.object_selector.ensure();
  set(webhook.timeout_seconds, 10);
  for (auto& rule : webhook.rules) set(rule.rule.scope, "*");
  if (webhook.client_config.service) set(webhook.client_config.service->port, kHttpsPort);
}

void default_validating_webhooks(admissionregistrationv1::ValidatingWebhookConfiguration& configuration) {
  for (auto& webhook : configuration.webhooks) default_webhook(webhook);
}

void default_mutating_webhooks(admissionregistrationv1::MutatingWebhookConfiguration& configuration) {
  for (auto& webhook : configuration.webhooks) {
    default_webhook(webhook);
    set(webhook.reinvocation_policy, "Never");
  }
}

void default_match_resources(admissionregistrationv1::MatchResources& match) {
  set(match.match_policy, "Equivalent");
  match.namespace_selector.ensure();
  match.object_selector.ensure();
  for (auto* rules : {&match.resource_rules, &match.exclude_resource_rules}) {
    for (auto& rule : *rules) set(rule.rule_with_operations.rule.scope, "*");
  }
}

void default_admission_policy(admissionregistrationv1::ValidatingAdmissionPolicy& policy) {
  set(policy.spec.failure_policy, "Fail");
  if (policy.spec.match_constraints) default_match_resources(*policy.spec.match_constraints);
}

void default_admission_binding(admissionregistrationv1::ValidatingAdmissionPolicyBinding& binding) {
  if (binding.spec.match_resources) default_match_resources(*binding.spec.match_resources);
}

void default_flow_schema(flowcontrolv1::FlowSchema& schema) {
  if (schema.spec.matching_precedence == 0) schema.spec.matching_precedence = 1000;
}

void default_priority_level(flowcontrolv1::PriorityLevelConfiguration& level) {
  if (auto& limited = level.spec.limited; limited) {
    set(limited->nominal_concurrency_shares, 30);
    set(limited->lendable_percent, 0);
    if (auto& queuing = limited->limit_response.queuing; queuing) {
      if (queuing->hand_size == 0) queuing->hand_size = 8;
      if (queuing->queues == 0) queuing->queues = 64;
      if (queuing->queue_length_limit == 0) queuing->queue_length_limit = 50;
    }
  }
  if (auto& exempt = level.spec.exempt; exempt) {
    set(exempt->nominal_concurrency_shares, 0);
    set(exempt->lendable_percent, 0);
  }
}

void default_definition(apiextensionsv1::CustomResourceDefinition& definition) {
  auto& spec = definition.spec;
  if (spec.names.singular.empty()) {
    spec.names.singular = spec.names.kind;
    std::transform(spec.names.singular.begin(), spec.names.singular.end(), spec.names.singular.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  if (spec.names.list_kind.empty() && !spec.names.kind.empty()) spec.names.list_kind = spec.names.kind + "List";
  set(spec.conversion.ensure().strategy, apiextensionsv1::kNoneConverter);
  auto& webhook = spec.conversion->webhook;
  if (webhook && webhook->client_config && webhook->client_config->service) {
    set(webhook->client_config->service->port, kHttpsPort);
  }
}

void default_api_service(apiregistrationv1::APIService& service) {
  if (service.spec.service) set(service.spec.service->port, kHttpsPort);
}

}  // namespace

std::span<const Defaulter> others() {
  using namespace admissionregistrationv1;  // NOLINT: its names are too long for the table
  static const Defaulter kAll[] = {
      defaulter<networkingv1::NetworkPolicy, default_network_policy>(),
      defaulter<networkingv1::IngressClass, default_ingress_class>(),
      defaulter<discoveryv1::EndpointSlice, default_endpoint_slice>(),
      defaulter<rbacv1::RoleBinding, default_role_binding>(),
      defaulter<rbacv1::ClusterRoleBinding, default_cluster_role_binding>(),
      defaulter<storagev1::StorageClass, default_storage_class>(),
      defaulter<storagev1::CSIDriver, default_csi_driver>(),
      defaulter<schedulingv1::PriorityClass, default_priority_class>(),
      defaulter<ValidatingWebhookConfiguration, default_validating_webhooks>(),
      defaulter<MutatingWebhookConfiguration, default_mutating_webhooks>(),
      defaulter<ValidatingAdmissionPolicy, default_admission_policy>(),
      defaulter<ValidatingAdmissionPolicyBinding, default_admission_binding>(),
      defaulter<flowcontrolv1::FlowSchema, default_flow_schema>(),
      defaulter<flowcontrolv1::PriorityLevelConfiguration, default_priority_level>(),
      defaulter<apiextensionsv1::CustomResourceDefinition, default_definition>(),
      defaulter<apiregistrationv1::APIService, default_api_service>(),
  };
  return kAll;
}

}  // namespace trireme::api::defaults
