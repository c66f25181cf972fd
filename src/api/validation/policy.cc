// Disruption budgets, autoscalers and certificate signing requests.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "api/codec.h"
#include "api/types/autoscalingv2.h"
#include "api/types/certificatesv1.h"
#include "api/types/policyv1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/rules.h"
#include "api/validation/workload.h"

namespace trireme::api::validation {
namespace {

// Disruption budgets

void budget_create(const policyv1::PodDisruptionBudget& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.min_available && spec.max_unavailable) {
    errors.invalid(at, BadValue::raw(encode_json(spec)), "minAvailable and maxUnavailable cannot be both set");
  }
  auto check_amount = [&](const std::optional<IntOrString>& amount, std::string_view field) {
    if (!amount) return;
    check_int_or_percent(*amount, at.child(field), errors);
    check_at_most_all(*amount, at.child(field), errors);
  };
  check_amount(spec.min_available, "minAvailable");
  check_amount(spec.max_unavailable, "maxUnavailable");
  if (spec.selector) check_selector(*spec.selector, at.child("selector"), errors);
  if (const auto& policy = spec.unhealthy_pod_eviction_policy;
      policy && *policy != "AlwaysAllow" && *policy != "IfHealthyBudget") {
    errors.not_supported(at.child("unhealthyPodEvictionPolicy"), *policy, {"AlwaysAllow", "IfHealthyBudget"});
  }
}

void budget_update(const policyv1::PodDisruptionBudget& updated, const policyv1::PodDisruptionBudget& old,
                   ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  budget_create(updated, errors);
}

void budget_status(const policyv1::PodDisruptionBudget& updated, const policyv1::PodDisruptionBudget& old,
                   ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const Path at("status");
  check_condition_list(updated.status.conditions, at.child("conditions"), errors);
  check_not_negative(updated.status.disruptions_allowed, at.child("disruptionsAllowed"), errors);
  check_not_negative(updated.status.current_healthy, at.child("currentHealthy"), errors);
  check_not_negative(updated.status.desired_healthy, at.child("desiredHealthy"), errors);
  check_not_negative(updated.status.expected_pods, at.child("expectedPods"), errors);
}

// Autoscalers

void check_reference(const autoscalingv2::CrossVersionObjectReference& reference, const Path& at, ErrorList& errors) {
  auto check_part = [&](const std::string& text, std::string_view field) {
    if (text.empty()) {
      errors.required(at.child(field));
    } else {
      check_name(NameRule::kPathSegment, text, at.child(field), errors);
    }
  };
  check_part(reference.kind, "kind");
  check_part(reference.name, "name");
}

void check_target(const autoscalingv2::MetricTarget& target, const Path& at, ErrorList& errors) {
  if (target.type.empty()) {
    errors.required(at.child("type"), "must specify a metric target type");
  } else if (target.type != "Utilization" && target.type != "Value" && target.type != "AverageValue") {
    errors.invalid(at.child("type"), target.type, "must be either Utilization, Value, or AverageValue");
  }
  if (target.value && target.value->sign() != 1) {
    errors.invalid(at.child("value"), BadValue::raw(target.value->to_string()), "must be positive");
  }
  if (target.average_value && target.average_value->sign() != 1) {
    errors.invalid(at.child("averageValue"), BadValue::raw(target.average_value->to_string()), "must be positive");
  }
  if (target.average_utilization && *target.average_utilization < 1) {
    errors.invalid(at.child("averageUtilization"), *target.average_utilization, "must be greater than 0");
  }
}

/// A resource's target is an average: of the use or of its part of the request.
void check_resource_target(const autoscalingv2::MetricTarget& target, const Path& at, ErrorList& errors) {
  check_target(target, at.child("target"), errors);
  if (!target.average_utilization && !target.average_value) {
    errors.required(at.child("target", "averageUtilization"),
                    "must set either a target raw value or a target utilization");
  }
  if (target.average_utilization && target.average_value) {
    errors.forbidden(at.child("target", "averageValue"),
                     "may not set both a target raw value and a target utilization");
  }
}

void check_metric(const autoscalingv2::MetricSpec& metric, const Path& at, ErrorList& errors) {
  if (metric.type.empty()) errors.required(at.child("type"), "must specify a metric source type");
  const std::tuple<bool, std::string_view, std::string_view> sources[] = {
      {metric.object.has_value(), "Object", "object"},
      {metric.pods.has_value(), "Pods", "pods"},
      {metric.resource.has_value(), "Resource", "resource"},
      {metric.container_resource.has_value(), "ContainerResource", "containerResource"},
      {metric.external.has_value(), "External", "external"}};
  bool known = false;
  for (const auto& [set, type, field] : sources) {
    if (type == metric.type) {
      known = true;
      if (!set) errors.required(at.child(field), "must populate information for the given metric source");
    } else if (set && !metric.type.empty()) {
      errors.forbidden(at.child(field), "must populate the given metric source only");
    }
  }
  if (!known && !metric.type.empty()) {
    errors.not_supported(at.child("type"), metric.type,
                         {"ContainerResource", "External", "Object", "Pods", "Resource"});
  }
  auto check_identifier = [&](const autoscalingv2::MetricIdentifier& identifier, const Path& path) {
    if (identifier.name.empty()) {
      errors.required(path.child("name"));
    } else {
      check_name(NameRule::kPathSegment, identifier.name, path.child("name"), errors);
    }
  };
  if (metric.object) {
    check_reference(metric.object->described_object, at.child("object", "describedObject"), errors);
    check_identifier(metric.object->metric, at.child("object", "metric"));
    check_target(metric.object->target, at.child("object", "target"), errors);
    if (!metric.object->target.value && !metric.object->target.average_value) {
      errors.required(at.child("object", "target", "averageValue"), "must set either a target value or averageValue");
    }
  }
  if (metric.pods) {
    check_identifier(metric.pods->metric, at.child("pods", "metric"));
    check_target(metric.pods->target, at.child("pods", "target"), errors);
    if (!metric.pods->target.average_value) {
      errors.required(at.child("pods", "target", "averageValue"), "must specify a positive target averageValue");
    }
  }
  if (metric.resource) {
    if (metric.resource->name.empty()) errors.required(at.child("resource", "name"), "must specify a resource name");
    check_resource_target(metric.resource->target, at.child("resource"), errors);
  }
  if (metric.container_resource) {
    const Path path = at.child("containerResource");
    if (metric.container_resource->name.empty()) errors.required(path.child("name"), "must specify a resource name");
    if (metric.container_resource->container.empty()) {
      errors.required(path.child("container"), "must specify a container");
    }
    check_resource_target(metric.container_resource->target, path, errors);
  }
  if (metric.external) {
    check_identifier(metric.external->metric, at.child("external", "metric"));
    check_target(metric.external->target, at.child("external", "target"), errors);
    const auto& target = metric.external->target;
    if (!target.value && !target.average_value) {
      errors.required(at.child("external", "target", "averageValue"),
                      "must set either a target value for metric or a per-pod target");
    }
    if (target.value && target.average_value) {
      errors.forbidden(at.child("external", "target", "value"),
                       "may not set both a target value for metric and a per-pod target");
    }
  }
}

void check_scaling(const Box<autoscalingv2::HPAScalingRules>& rules, const Path& at, ErrorList& errors) {
  if (!rules) return;
  if (const auto& window = rules->stabilization_window_seconds) {
    const Path path = at.child("stabilizationWindowSeconds");
    if (*window < 0) errors.invalid(path, *window, "must be greater than or equal to zero");
    if (*window > 3600) errors.invalid(path, *window, "must be less than or equal to 3600");
  }
  if (rules->select_policy)
    errors.check_enum(at.child("selectPolicy"), *rules->select_policy, {"Disabled", "Max", "Min"});
  if (rules->policies.empty()) errors.required(at.child("policies"), "must specify at least one Policy");
  for (size_t i = 0; i < rules->policies.size(); ++i) {
    const auto& policy = rules->policies[i];
    const Path path = at.child("policies").index(i);
    if (policy.type != "Pods" && policy.type != "Percent") {
      errors.not_supported(path.child("type"), policy.type, {"Percent", "Pods"});
    }
    if (policy.value <= 0) errors.invalid(path.child("value"), policy.value, "must be greater than zero");
    if (policy.period_seconds <= 0) {
      errors.invalid(path.child("periodSeconds"), policy.period_seconds, "must be greater than zero");
    }
    if (policy.period_seconds > 1800) {
      errors.invalid(path.child("periodSeconds"), policy.period_seconds, "must be less than or equal to 1800");
    }
  }
}

void autoscaler_create(const autoscalingv2::HorizontalPodAutoscaler& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.min_replicas && *spec.min_replicas < 1) {
    errors.invalid(at.child("minReplicas"), *spec.min_replicas, "must be greater than or equal to 1");
  }
  if (spec.max_replicas < 1) errors.invalid(at.child("maxReplicas"), spec.max_replicas, "must be greater than 0");
  if (spec.min_replicas && spec.max_replicas < *spec.min_replicas) {
    errors.invalid(at.child("maxReplicas"), spec.max_replicas, "must be greater than or equal to `minReplicas`");
  }
  check_reference(spec.scale_target_ref, at.child("scaleTargetRef"), errors);
  for (size_t i = 0; i < spec.metrics.size(); ++i) check_metric(spec.metrics[i], at.child("metrics").index(i), errors);
  if (spec.behavior) {
    check_scaling(spec.behavior->scale_up, at.child("behavior", "scaleUp"), errors);
    check_scaling(spec.behavior->scale_down, at.child("behavior", "scaleDown"), errors);
  }
}

void autoscaler_update(const autoscalingv2::HorizontalPodAutoscaler& updated,
                       const autoscalingv2::HorizontalPodAutoscaler& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  autoscaler_create(updated, errors);
}

void autoscaler_status(const autoscalingv2::HorizontalPodAutoscaler& updated,
                       const autoscalingv2::HorizontalPodAutoscaler& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_not_negative(updated.status.current_replicas, Path("status.currentReplicas"), errors);
  check_not_negative(updated.status.desired_replicas, Path("status.desiredReplicas"), errors);
}

// Certificate signing requests

void check_signer_name(const std::string& name, const Path& at, ErrorList& errors) {
  if (name.empty()) return errors.required(at);
  const size_t slash = name.find('/');
  if (slash == std::string::npos || name.find('/', slash + 1) != std::string::npos) {
    return errors.invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
  }
  const std::string domain = name.substr(0, slash);
  check_dns_subdomain(domain, at, errors);
  if (domain.find('.') == std::string::npos) {
    errors.invalid(at, domain, "should be a domain with at least two segments separated by dots");
  }
  check_dns_subdomain(name.substr(slash + 1), at, errors);
  if (name.size() > 571) errors.too_long(at, 571);
}

void request_create(const certificatesv1::CertificateSigningRequest& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kPathSegment, Path("metadata"), errors);
  if (spec.request.find("-----BEGIN CERTIFICATE REQUEST-----") == std::string::npos) {
    errors.invalid(at.child("request"), "<request>", "PEM block type must be CERTIFICATE REQUEST");
  }
  if (spec.usages.empty()) errors.required(at.child("usages"));
  static constexpr std::string_view kUsages[] = {"any",
                                                 "cert sign",
                                                 "client auth",
                                                 "code signing",
                                                 "content commitment",
                                                 "crl sign",
                                                 "data encipherment",
                                                 "decipher only",
                                                 "digital signature",
                                                 "email protection",
                                                 "encipher only",
                                                 "ipsec end system",
                                                 "ipsec tunnel",
                                                 "ipsec user",
                                                 "key agreement",
                                                 "key encipherment",
                                                 "microsoft sgc",
                                                 "netscape sgc",
                                                 "ocsp signing",
                                                 "s/mime",
                                                 "server auth",
                                                 "signing",
                                                 "timestamping"};
  std::set<std::string_view> seen;
  for (size_t i = 0; i < spec.usages.size(); ++i) {
    const Path path = at.child("usages").index(i);
    if (!Supported(kUsages).contains(spec.usages[i])) errors.not_supported(path, spec.usages[i], kUsages);
    if (!seen.insert(spec.usages[i]).second) errors.duplicate(path, spec.usages[i]);
  }
  check_signer_name(spec.signer_name, at.child("signerName"), errors);
  if (spec.expiration_seconds && *spec.expiration_seconds < 600) {
    errors.invalid(at.child("expirationSeconds"), *spec.expiration_seconds,
                   "may not specify a duration less than 600 seconds (10 minutes)");
  }
}

void request_update(const certificatesv1::CertificateSigningRequest& updated,
                    const certificatesv1::CertificateSigningRequest& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (!semantic_equal(updated.spec, old.spec)) {
    errors.invalid(Path("spec"), BadValue::raw(encode_json(updated.spec)), kImmutable);
  }
}

void request_status(const certificatesv1::CertificateSigningRequest& updated,
                    const certificatesv1::CertificateSigningRequest& old, ErrorList& errors) {
  request_update(updated, old, errors);
  const Path at("status.conditions");
  bool approved = false;
  bool denied = false;
  std::set<std::string_view> seen;
  for (size_t i = 0; i < updated.status.conditions.size(); ++i) {
    const auto& condition = updated.status.conditions[i];
    const Path path = at.index(i);
    if (condition.type.empty()) errors.required(path.child("type"));
    approved |= condition.type == certificatesv1::kCertificateApproved;
    denied |= condition.type == certificatesv1::kCertificateDenied;
    const bool decision = condition.type == certificatesv1::kCertificateApproved ||
                          condition.type == certificatesv1::kCertificateDenied ||
                          condition.type == certificatesv1::kCertificateFailed;
    if (condition.status.empty()) {
      errors.required(path.child("status"));
    } else if (decision && condition.status != "True") {
      errors.not_supported(path.child("status"), condition.status, {"True"});
    } else if (condition.status != "True" && condition.status != "False" && condition.status != "Unknown") {
      errors.not_supported(path.child("status"), condition.status, {"False", "True", "Unknown"});
    }
    if (!seen.insert(condition.type).second) errors.duplicate(path.child("type"), condition.type);
  }
  if (approved && denied) errors.invalid(at, "Denied", "Approved and Denied conditions are mutually exclusive");
  for (const auto& before : old.status.conditions) {
    const bool decision = before.type == certificatesv1::kCertificateApproved ||
                          before.type == certificatesv1::kCertificateDenied ||
                          before.type == certificatesv1::kCertificateFailed;
    if (decision && seen.count(before.type) == 0) {
      errors.forbidden(at, fmt::format("updates may not remove a condition of type {}", go_quote(before.type)));
    }
  }
  if (!old.status.certificate.empty() && updated.status.certificate != old.status.certificate) {
    errors.forbidden(Path("status.certificate"), "updates may not set or modify existing certificate content");
  }
}

}  // namespace

std::span<const KindRules> policy_rules() {
  static const KindRules kRules[] = {
      kind_rules<policyv1::PodDisruptionBudget, budget_create, budget_update, budget_status>(),
      kind_rules<autoscalingv2::HorizontalPodAutoscaler, autoscaler_create, autoscaler_update, autoscaler_status>(),
      kind_rules<certificatesv1::CertificateSigningRequest, request_create, request_update, request_status>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
