// Networking, access control, storage, scheduling, certificates, admission, flow control and the extension APIs.

#include <fmt/format.h>

#include <algorithm>

#include "api/pod_resources.h"
#include "api/types/admissionregistrationv1.h"
#include "api/types/apiregistrationv1.h"
#include "api/types/certificatesv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/discoveryv1.h"
#include "api/types/flowcontrolv1.h"
#include "api/types/metricsv1beta1.h"
#include "api/types/networkingv1.h"
#include "api/types/nodev1.h"
#include "api/types/rbacv1.h"
#include "api/types/schedulingv1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "apiserver/printers/row.h"

namespace trireme::apiserver::printers {
namespace {

using namespace api;  // NOLINT: kinds of many groups
namespace admission = admissionregistrationv1;

std::string or_unset(const Box<std::string>& text) { return text.value_or("<unset>"); }

// Networking and discovery

constexpr Column kIngressColumns[] = {
    {"Name"},
    {"Class", "string", 0, "The name of the IngressClass resource that should be used for additional configuration"},
    {"Hosts", "string", 0, "Hosts that incoming requests are matched against before the ingress rule"},
    {"Address", "string", 0, "Address is a list containing ingress points for the load-balancer"},
    {"Ports", "string", 0, "Ports of TLS configurations that open"},
    {"Age"}};

void print_ingress(const networkingv1::Ingress& object, Row& row) {
  std::vector<std::string> hosts;
  for (const auto& rule : object.spec.rules) {
    if (!rule.host.empty()) hosts.push_back(rule.host);
  }
  std::vector<std::string> addresses;
  for (const auto& each : object.status.load_balancer.ingress) {
    if (const auto& address = each.ip.empty() ? each.hostname : each.ip; !address.empty()) addresses.push_back(address);
  }
  row.text(object.metadata.name)
      .text(object.spec.ingress_class_name.value_or("<none>"))
      .text(hosts.empty() ? "*" : first_three(hosts, hosts.size()))
      .text(load_balancer_addresses(addresses))
      .text(object.spec.tls.empty() ? "80" : "80, 443")
      .age(object.metadata);
}

constexpr Column kIngressClassColumns[] = {
    {"Name"},
    {"Controller", "string", 0, "Controller that is responsible for handling this class"},
    {"Parameters", "string", 0, "A reference to a resource with additional parameters"},
    {"Age"}};

void print_ingress_class(const networkingv1::IngressClass& object, Row& row) {
  std::string parameters = "<none>";
  if (const auto& reference = object.spec.parameters; reference) {
    parameters = reference->kind;
    if (reference->api_group) parameters += "." + *reference->api_group;
    parameters += "/" + reference->name;
  }
  row.text(object.metadata.name).text(object.spec.controller).text(parameters).age(object.metadata);
}

constexpr Column kNetworkPolicyColumns[] = {
    {"Name"}, {"Pod-Selector", "string", 0, "The pods that the policy applies to."}, {"Age"}};

void print_network_policy(const networkingv1::NetworkPolicy& object, Row& row) {
  row.text(object.metadata.name).text(format_selector(object.spec.pod_selector)).age(object.metadata);
}

constexpr Column kSliceColumns[] = {{"Name"},
                                    {"AddressType", "string", 0, "The type of address carried by this EndpointSlice."},
                                    {"Ports", "string", 0, "The ports exposed by each endpoint."},
                                    {"Endpoints", "string", 0, "The addresses of the endpoints."},
                                    {"Age"}};

void print_slice(const discoveryv1::EndpointSlice& object, Row& row) {
  std::vector<std::string> ports;
  for (const auto& port : object.ports) {
    ports.push_back(port.port ? std::to_string(*port.port) : port.name.value_or("*"));
  }
  std::vector<std::string> addresses;
  for (const auto& endpoint : object.endpoints) {
    addresses.insert(addresses.end(), endpoint.addresses.begin(), endpoint.addresses.end());
  }
  auto list = [](const std::vector<std::string>& all) {
    std::string out = first_three(all, all.size());
    return out.empty() ? "<unset>" : out;
  };
  row.text(object.metadata.name).text(object.address_type).text(list(ports)).text(list(addresses)).age(object.metadata);
}

// Access control

constexpr Column kBindingColumns[] = {{"Name"},
                                      {"Role", "string", 0, "The role that is granted."},
                                      {"Age"},
                                      {"Users", "string", 1, "Users in the roleBinding"},
                                      {"Groups", "string", 1, "Groups in the roleBinding"},
                                      {"ServiceAccounts", "string", 1, "ServiceAccounts in the roleBinding"}};

/// A RoleBinding or a ClusterRoleBinding.
template <typename Binding>
void print_binding(const Binding& object, Row& row) {
  std::string users;
  std::string groups;
  std::string accounts;
  for (const auto& subject : object.subjects) {
    std::string& list = subject.kind == rbacv1::kUserKind    ? users
                        : subject.kind == rbacv1::kGroupKind ? groups
                                                             : accounts;
    if (!list.empty()) list += ", ";
    list += subject.kind == rbacv1::kServiceAccountKind ? subject.namespace_ + "/" + subject.name : subject.name;
  }
  row.text(object.metadata.name)
      .text(object.role_ref.kind + "/" + object.role_ref.name)
      .age(object.metadata)
      .text(users)
      .text(groups)
      .text(accounts);
}

// Certificates

constexpr Column kRequestColumns[] = {{"Name"},
                                      {"Age"},
                                      {"SignerName", "string", 0, "The signer that the request is for."},
                                      {"Requestor", "string", 0, "The user that created the request."},
                                      {"RequestedDuration", "string", 0, "How long the certificate shall be valid."},
                                      {"Condition", "string", 0, "Whether the request is approved and issued."}};

void print_signing_request(const certificatesv1::CertificateSigningRequest& object, Row& row) {
  bool approved = false;
  bool denied = false;
  bool failed = false;
  for (const auto& condition : object.status.conditions) {
    approved |= condition.type == certificatesv1::kCertificateApproved;
    denied |= condition.type == certificatesv1::kCertificateDenied;
    failed |= condition.type == certificatesv1::kCertificateFailed;
  }
  std::string condition = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) condition += ",Failed";
  if (!object.status.certificate.empty()) condition += ",Issued";
  const auto& seconds = object.spec.expiration_seconds;
  row.text(object.metadata.name)
      .age(object.metadata)
      .text_or_none(object.spec.signer_name)
      .text(object.spec.username)
      .text(seconds ? human_duration(std::chrono::seconds(*seconds)) : "<none>")
      .text(condition);
}

// Coordination, nodes, scheduling

constexpr Column kUsageColumns[] = {{"Name"}, {"cpu"}, {"memory"}, {"Window"}};

void print_usage(const std::string& name, const Map<Quantity>& usage, Duration window, Row& row) {
  row.text(name);
  row.text(usage.get(corev1::kResourceCPU).to_string());
  row.text(usage.get(corev1::kResourceMemory).to_string());
  row.text(GoDuration(window).to_string());
}

void print_node_metrics(const metricsv1beta1::NodeMetrics& object, Row& row) {
  print_usage(object.metadata.name, object.usage, object.window.value(), row);
}

void print_pod_metrics(const metricsv1beta1::PodMetrics& object, Row& row) {
  ResourceList total;
  for (const auto& container : object.containers) add_resources(total, container.usage);
  print_usage(object.metadata.name, total, object.window.value(), row);
}

constexpr Column kLeaseColumns[] = {
    {"Name"}, {"Holder", "string", 0, "The identity of the holder of the lease."}, {"Age"}};

void print_lease(const coordinationv1::Lease& object, Row& row) {
  row.text(object.metadata.name).text(object.spec.holder_identity.value_or("")).age(object.metadata);
}

constexpr Column kRuntimeClassColumns[] = {
    {"Name"}, {"Handler", "string", 0, "The configuration of the container runtime that is used."}, {"Age"}};

void print_runtime_class(const nodev1::RuntimeClass& object, Row& row) {
  row.text(object.metadata.name).text(object.handler).age(object.metadata);
}

constexpr Column kPriorityClassColumns[] = {
    {"Name"},
    {"Value", "integer", 0, "The priority that pods of this class get."},
    {"Global-Default", "boolean", 0, "Whether pods without a class are of this one."},
    {"Age"},
    {"PreemptionPolicy", "string", 0, "Whether pods of this class may preempt others."}};

void print_priority_class(const schedulingv1::PriorityClass& object, Row& row) {
  row.text(object.metadata.name)
      .number(object.value)
      .flag(object.global_default)
      .age(object.metadata)
      .text(or_unset(object.preemption_policy));
}

// Storage

constexpr Column kStorageClassColumns[] = {
    {"Name"},
    {"Provisioner", "string", 0, "The type of the provisioner."},
    {"ReclaimPolicy", "string", 0, "What happens to volumes without their claims."},
    {"VolumeBindingMode", "string", 0, "When volumes are provisioned and bound."},
    {"AllowVolumeExpansion", "string", 0, "Whether volumes may be expanded."},
    {"Age"}};

void print_storage_class(const storagev1::StorageClass& object, Row& row) {
  row.text(object.metadata.name + (api::is_default_class(object) ? " (default)" : ""))
      .text(object.provisioner)
      .text(object.reclaim_policy.value_or("Delete"))
      .text(object.volume_binding_mode.value_or("Immediate"))
      .flag(object.allow_volume_expansion.value_or(false))
      .age(object.metadata);
}

constexpr Column kAttachmentColumns[] = {{"Name"},
                                         {"Attacher", "string", 0, "The driver that handles the request."},
                                         {"PV", "string", 0, "The volume to attach."},
                                         {"Node", "string", 0, "The node the volume is attached to."},
                                         {"Attached", "boolean", 0, "Whether the volume is attached."},
                                         {"Age"}};

void print_attachment(const storagev1::VolumeAttachment& object, Row& row) {
  row.text(object.metadata.name)
      .text(object.spec.attacher)
      .text(object.spec.source.persistent_volume_name.value_or(""))
      .text(object.spec.node_name)
      .flag(object.status.attached)
      .age(object.metadata);
}

constexpr Column kCsiNodeColumns[] = {
    {"Name"}, {"Drivers", "integer", 0, "Drivers indicates the number of CSI drivers registered on the node"}, {"Age"}};

void print_csi_node(const storagev1::CSINode& object, Row& row) {
  row.text(object.metadata.name).number(static_cast<int64_t>(object.spec.drivers.size())).age(object.metadata);
}

constexpr Column kCsiDriverColumns[] = {
    {"Name"},
    {"AttachRequired", "boolean", 0, "Whether volumes must be attached before they are mounted."},
    {"PodInfoOnMount", "boolean", 0, "Whether the driver is told about the pod."},
    {"StorageCapacity", "boolean", 0, "Whether the scheduler considers published capacity."},
    {"TokenRequests", "string", 0, "Audiences of the tokens that the driver gets."},
    {"RequiresRepublish", "boolean", 0, "Whether mounts are refreshed periodically."},
    {"Modes", "string", 0, "The lifecycles of volumes that the driver supports."},
    {"Age"}};

void print_csi_driver(const storagev1::CSIDriver& object, Row& row) {
  const auto& spec = object.spec;
  std::vector<std::string> audiences;
  for (const auto& request : spec.token_requests) audiences.push_back(request.audience);
  row.text(object.metadata.name)
      .flag(spec.attach_required.value_or(true))
      .flag(spec.pod_info_on_mount.value_or(false))
      .flag(spec.storage_capacity.value_or(false))
      .text(audiences.empty() ? "<unset>" : join(audiences))
      .flag(spec.requires_republish.value_or(false))
      .text(spec.volume_lifecycle_modes.empty() ? "<none>" : join(spec.volume_lifecycle_modes))
      .age(object.metadata);
}

constexpr Column kCapacityColumns[] = {{"Name"},
                                       {"StorageClassName", "string", 0, "The class that the capacity is for."},
                                       {"Capacity", "string", 0, "How much can be provisioned."}};

void print_capacity(const storagev1::CSIStorageCapacity& object, Row& row) {
  row.text(object.metadata.name)
      .text(object.storage_class_name)
      .text(object.capacity ? object.capacity->to_string() : "<unset>");
}

// Admission

constexpr Column kWebhookColumns[] = {
    {"Name"},
    {"Webhooks", "integer", 0, "Webhooks indicates the number of webhooks registered in this configuration"},
    {"Age"}};

template <typename Configuration>
void print_webhooks(const Configuration& object, Row& row) {
  row.text(object.metadata.name).number(static_cast<int64_t>(object.webhooks.size())).age(object.metadata);
}

constexpr Column kPolicyColumns[] = {
    {"Name"},
    {"Validations", "integer", 0, "Validations indicates the number of validation rules defined in this configuration"},
    {"ParamKind", "string", 0, "ParamKind specifies the kind of resources used to parameterize this policy"},
    {"Age"}};

void print_policy(const admission::ValidatingAdmissionPolicy& object, Row& row) {
  const auto& kind = object.spec.param_kind;
  row.text(object.metadata.name)
      .number(static_cast<int64_t>(object.spec.validations.size()))
      .text(kind ? kind->api_version + "/" + kind->kind : "<unset>")
      .age(object.metadata);
}

constexpr Column kPolicyBindingColumns[] = {
    {"Name"},
    {"PolicyName", "string", 0, "PolicyName indicates the policy definition which the policy binding binded to"},
    {"ParamRef", "string", 0, "ParamRef indicates the param resource which sets the configration param"},
    {"Age"}};

void print_policy_binding(const admission::ValidatingAdmissionPolicyBinding& object, Row& row) {
  std::string parameters = "<unset>";
  if (const auto& reference = object.spec.param_ref; reference) {
    if (!reference->name.empty()) {
      parameters =
          reference->namespace_.empty() ? "*/" + reference->name : reference->namespace_ + "/" + reference->name;
    } else if (reference->selector) {
      parameters = format_selector(reference->selector);
    }
  }
  row.text(object.metadata.name).text(object.spec.policy_name).text(parameters).age(object.metadata);
}

// Flow control

constexpr Column kFlowSchemaColumns[] = {
    {"Name"},
    {"PriorityLevel", "string", 0, "The priority level that matching requests get."},
    {"MatchingPrecedence", "string", 0, "Schemas with lower numbers are tried first."},
    {"DistinguisherMethod", "string", 0, "How requests are told apart into flows."},
    {"Age"},
    {"MissingPL", "string", 0, "references a broken or non-existent PriorityLevelConfiguration"}};

void print_flow_schema(const flowcontrolv1::FlowSchema& object, Row& row) {
  std::string missing = "?";
  for (const auto& condition : object.status.conditions) {
    if (condition.type == "Dangling") missing = condition.status;
  }
  row.text(object.metadata.name)
      .text(object.spec.priority_level_configuration.name)
      .number(object.spec.matching_precedence)
      .text(object.spec.distinguisher_method ? object.spec.distinguisher_method->type : "<none>")
      .age(object.metadata)
      .text(missing);
}

constexpr Column kPriorityLevelColumns[] = {
    {"Name"},
    {"Type", "string", 0, "Whether the level is limited."},
    {"NominalConcurrencyShares", "string", 0, "The level's part of the server's concurrency."},
    {"Queues", "string", 0, "The number of queues."},
    {"HandSize", "string", 0, "How many queues a flow may use."},
    {"QueueLengthLimit", "string", 0, "How many requests may wait in one queue."},
    {"Age"}};

void print_priority_level(const flowcontrolv1::PriorityLevelConfiguration& object, Row& row) {
  std::string shares = "<none>";
  std::string queues = "<none>";
  std::string hand = "<none>";
  std::string length = "<none>";
  if (const auto& limited = object.spec.limited; limited) {
    shares = std::to_string(limited->nominal_concurrency_shares.value_or(0));
    if (const auto& queuing = limited->limit_response.queuing; queuing) {
      queues = std::to_string(queuing->queues);
      hand = std::to_string(queuing->hand_size);
      length = std::to_string(queuing->queue_length_limit);
    }
  } else if (object.spec.exempt) {
    shares = std::to_string(object.spec.exempt->nominal_concurrency_shares.value_or(0));
  }
  row.text(object.metadata.name)
      .text(object.spec.type)
      .text(shares)
      .text(queues)
      .text(hand)
      .text(length)
      .age(object.metadata);
}

// API services

constexpr Column kApiServiceColumns[] = {
    {"Name"},
    {"Service", "string", 0, "The reference to the service that hosts this API endpoint."},
    {"Available", "string", 0, "Whether this service is available."},
    {"Age"}};

void print_api_service(const apiregistrationv1::APIService& object, Row& row) {
  const auto& service = object.spec.service;
  std::string available = "Unknown";
  for (const auto& condition : object.status.conditions) {
    if (condition.type != "Available") continue;
    available = condition.status;
    if (condition.status != "True") available += " (" + condition.reason + ")";
  }
  row.text(object.metadata.name)
      .text(service ? service->namespace_ + "/" + service->name : "Local")
      .text(available)
      .age(object.metadata);
}

}  // namespace

std::span<const Printer> other_printers() {
  static const Printer kAll[] = {
      printer<networkingv1::Ingress, print_ingress>(kIngressColumns),
      printer<networkingv1::IngressClass, print_ingress_class>(kIngressClassColumns),
      printer<networkingv1::NetworkPolicy, print_network_policy>(kNetworkPolicyColumns),
      printer<discoveryv1::EndpointSlice, print_slice>(kSliceColumns),
      printer<rbacv1::RoleBinding, print_binding>(kBindingColumns),
      printer<rbacv1::ClusterRoleBinding, print_binding>(kBindingColumns),
      printer<certificatesv1::CertificateSigningRequest, print_signing_request>(kRequestColumns),
      printer<coordinationv1::Lease, print_lease>(kLeaseColumns),
      printer<metricsv1beta1::NodeMetrics, print_node_metrics>(kUsageColumns),
      printer<metricsv1beta1::PodMetrics, print_pod_metrics>(kUsageColumns),
      printer<nodev1::RuntimeClass, print_runtime_class>(kRuntimeClassColumns),
      printer<schedulingv1::PriorityClass, print_priority_class>(kPriorityClassColumns),
      printer<storagev1::StorageClass, print_storage_class>(kStorageClassColumns),
      printer<storagev1::VolumeAttachment, print_attachment>(kAttachmentColumns),
      printer<storagev1::CSINode, print_csi_node>(kCsiNodeColumns),
      printer<storagev1::CSIDriver, print_csi_driver>(kCsiDriverColumns),
      printer<storagev1::CSIStorageCapacity, print_capacity>(kCapacityColumns),
      printer<admission::ValidatingWebhookConfiguration, print_webhooks>(kWebhookColumns),
      printer<admission::MutatingWebhookConfiguration, print_webhooks>(kWebhookColumns),
      printer<admission::ValidatingAdmissionPolicy, print_policy>(kPolicyColumns),
      printer<admission::ValidatingAdmissionPolicyBinding, print_policy_binding>(kPolicyBindingColumns),
      printer<flowcontrolv1::FlowSchema, print_flow_schema>(kFlowSchemaColumns),
      printer<flowcontrolv1::PriorityLevelConfiguration, print_priority_level>(kPriorityLevelColumns),
      printer<apiregistrationv1::APIService, print_api_service>(kApiServiceColumns),
  };
  return kAll;
}

}  // namespace trireme::apiserver::printers
