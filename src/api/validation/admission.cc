// Webhooks and admission policies, flow control, custom resource definitions and API services.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/codec.h"
#include "api/conditions.h"
#include "api/names.h"
#include "api/structural/check_schema.h"
#include "api/structural/json_path.h"
#include "api/types/admissionregistrationv1.h"
#include "api/types/apiextensionsv1.h"
#include "api/types/apiregistrationv1.h"
#include "api/types/flowcontrolv1.h"
#include "api/validation/meta.h"
#include "api/validation/rules.h"

namespace trireme::api::validation {
namespace {

namespace admission = admissionregistrationv1;

constexpr size_t kMaxMatchConditions = 64;

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// A domain of at least `segments` segments.
void check_qualified_domain(const std::string& name, ptrdiff_t segments, const Path& at, ErrorList& errors) {
  if (name.empty()) return errors.required(at);
  const NameErrors problems = check_dns1123_subdomain(name);
  if (!problems.empty()) return errors.invalid(at, name, problems.front());
  if (std::count(name.begin(), name.end(), '.') + 1 < segments) {
    errors.invalid(at, name, "should be a domain with at least three segments separated by dots");
  }
}

// Rules

void check_rule(const admission::RuleWithOperations& rule, const Path& at, ErrorList& errors) {
  auto check_wildcard = [&](const std::vector<std::string>& list, std::string_view field) {
    if (list.empty()) errors.required(at.child(field));
    if (list.size() > 1 && contains(list, "*")) {
      errors.invalid(
          at.child(field), list,
          "if '*' is present, must not specify other " + std::string(field == "apiGroups"     ? "API groups"
                                                                     : field == "apiVersions" ? "API versions"
                                                                                              : "operations"));
    }
  };
  check_wildcard(rule.operations, "operations");
  for (size_t i = 0; i < rule.operations.size(); ++i) {
    static constexpr std::string_view kOperations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE"};
    if (!Supported(kOperations).contains(rule.operations[i])) {
      errors.not_supported(at.child("operations").index(i), rule.operations[i], kOperations);
    }
  }
  check_wildcard(rule.rule.api_groups, "apiGroups");
  check_wildcard(rule.rule.api_versions, "apiVersions");
  for (size_t i = 0; i < rule.rule.api_versions.size(); ++i) {
    if (rule.rule.api_versions[i].empty()) errors.required(at.child("apiVersions").index(i));
  }
  if (rule.rule.resources.empty()) errors.required(at.child("resources"));
  for (size_t i = 0; i < rule.rule.resources.size(); ++i) {
    if (rule.rule.resources[i].empty()) errors.required(at.child("resources").index(i));
  }
  if (const auto& scope = rule.rule.scope; scope && *scope != "*" && *scope != "Cluster" && *scope != "Namespaced") {
    errors.not_supported(at.child("scope"), *scope, {"*", "Cluster", "Namespaced"});
  }
}

void check_conditions(const std::vector<admission::MatchCondition>& conditions, const Path& at, ErrorList& errors) {
  if (conditions.size() > kMaxMatchConditions) errors.too_many(at, conditions.size(), kMaxMatchConditions);
  std::set<std::string_view> names;
  for (size_t i = 0; i < conditions.size(); ++i) {
    if (conditions[i].name.empty()) {
      errors.required(at.index(i).child("name"));
    } else {
      check_qualified_name(conditions[i].name, at.index(i).child("name"), errors);
    }
    if (conditions[i].expression.empty()) errors.required(at.index(i).child("expression"));
    if (!names.insert(conditions[i].name).second) errors.duplicate(at.index(i).child("name"), conditions[i].name);
  }
}

// Webhooks

/// A service that a webhook, a conversion or an API is reached through.
template <typename Service>
void check_service_reference(const Service& service, const Path& at, ErrorList& errors) {
  if (service.namespace_.empty()) errors.required(at.child("namespace"), "service namespace is required");
  if (service.name.empty()) errors.required(at.child("name"), "service name is required");
  if (const int32_t port = service.port.value_or(443); port < 1 || port > 65535) {
    errors.invalid(at.child("port"), port, "port is not valid: must be between 1 and 65535, inclusive");
  }
}

void check_url(const std::string& url, const Path& at, ErrorList& errors) {
  constexpr std::string_view kForm = "; desired format: https://host[/path]";
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) {
    errors.invalid(at, url.substr(0, std::min(url.find(':'), url.size())),
                   fmt::format("'https' is the only allowed URL scheme{}", kForm));
    return;
  }
  const std::string host = url.substr(kScheme.size(), url.find('/', kScheme.size()) - kScheme.size());
  if (host.empty()) errors.invalid(at, host, fmt::format("host must be specified{}", kForm));
  if (host.find('@') != std::string::npos) errors.invalid(at, host, "user information is not permitted in the URL");
  if (const size_t hash = url.find('#'); hash != std::string::npos) {
    errors.invalid(at, url.substr(hash + 1), "fragments are not permitted in the URL");
  }
  if (const size_t query = url.find('?'); query != std::string::npos) {
    errors.invalid(at, url.substr(query + 1), "query parameters are not permitted in the URL");
  }
}

/// A ValidatingWebhook or a MutatingWebhook.
template <typename Webhook>
void check_webhook(const Webhook& hook, const Path& at, ErrorList& errors) {
  check_qualified_domain(hook.name, 3, at.child("name"), errors);
  const Path versions = at.child("admissionReviewVersions");
  if (hook.admission_review_versions.empty()) {
    errors.required(versions, "must specify one of v1, v1beta1");
  } else {
    std::set<std::string_view> seen;
    for (size_t i = 0; i < hook.admission_review_versions.size(); ++i) {
      const std::string& version = hook.admission_review_versions[i];
      if (!seen.insert(version).second) errors.invalid(versions.index(i), version, "duplicate version");
      errors.invalid_each(versions.index(i), version, check_dns1035_label(version));
    }
    if (seen.count("v1") == 0 && seen.count("v1beta1") == 0) {
      errors.invalid(versions, hook.admission_review_versions, "must include at least one of v1, v1beta1");
    }
  }
  for (size_t i = 0; i < hook.rules.size(); ++i) check_rule(hook.rules[i], at.child("rules").index(i), errors);
  auto check_option = [&](const Box<std::string>& value, std::string_view field, Supported supported) {
    if (value && !supported.contains(*value)) errors.not_supported(at.child(field), *value, supported);
  };
  check_option(hook.failure_policy, "failurePolicy", {"Fail", "Ignore"});
  check_option(hook.match_policy, "matchPolicy", {"Equivalent", "Exact"});
  if (!hook.side_effects) {
    errors.required(at.child("sideEffects"), "must specify one of None, NoneOnDryRun");
  } else {
    check_option(hook.side_effects, "sideEffects", {"None", "NoneOnDryRun"});
  }
  if (hook.timeout_seconds && (*hook.timeout_seconds < 1 || *hook.timeout_seconds > 30)) {
    errors.invalid(at.child("timeoutSeconds"), *hook.timeout_seconds,
                   "the timeout value must be between 1 and 30 seconds");
  }
  if (hook.namespace_selector) check_selector(*hook.namespace_selector, at.child("namespaceSelector"), errors);
  if (hook.object_selector) check_selector(*hook.object_selector, at.child("objectSelector"), errors);
  const Path client = at.child("clientConfig");
  if (hook.client_config.url.has_value() == hook.client_config.service.has_value()) {
    errors.required(client, "exactly one of url or service is required");
  } else if (hook.client_config.url) {
    check_url(*hook.client_config.url, client.child("url"), errors);
  } else {
    check_service_reference(*hook.client_config.service, client.child("service"), errors);
  }
  check_conditions(hook.match_conditions, at.child("matchConditions"), errors);
}

template <typename Configuration>
void check_webhooks(const Configuration& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  const Path at("webhooks");
  std::set<std::string_view> names;
  for (size_t i = 0; i < object.webhooks.size(); ++i) {
    check_webhook(object.webhooks[i], at.index(i), errors);
    const std::string& name = object.webhooks[i].name;
    if (!name.empty() && !names.insert(name).second) errors.duplicate(at.index(i).child("name"), name);
  }
}

void validating_create(const admission::ValidatingWebhookConfiguration& object, ErrorList& errors) {
  check_webhooks(object, errors);
}

void validating_update(const admission::ValidatingWebhookConfiguration& updated,
                       const admission::ValidatingWebhookConfiguration& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_webhooks(updated, errors);
}

void mutating_create(const admission::MutatingWebhookConfiguration& object, ErrorList& errors) {
  check_webhooks(object, errors);
  for (size_t i = 0; i < object.webhooks.size(); ++i) {
    const auto& policy = object.webhooks[i].reinvocation_policy;
    if (policy && *policy != "Never" && *policy != "IfNeeded") {
      errors.not_supported(Path("webhooks").index(i).child("reinvocationPolicy"), *policy, {"IfNeeded", "Never"});
    }
  }
}

void mutating_update(const admission::MutatingWebhookConfiguration& updated,
                     const admission::MutatingWebhookConfiguration& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  mutating_create(updated, errors);
}

// Admission policies. Expressions are compiled where they are evaluated.

void check_match_resources(const admission::MatchResources& match, const Path& at, ErrorList& errors) {
  if (!match.match_policy) {
    errors.required(at.child("matchPolicy"));
  } else if (*match.match_policy != "Equivalent" && *match.match_policy != "Exact") {
    errors.not_supported(at.child("matchPolicy"), *match.match_policy, {"Equivalent", "Exact"});
  }
  if (match.namespace_selector) check_selector(*match.namespace_selector, at.child("namespaceSelector"), errors);
  if (match.object_selector) check_selector(*match.object_selector, at.child("objectSelector"), errors);
  for (size_t i = 0; i < match.resource_rules.size(); ++i) {
    check_rule(match.resource_rules[i].rule_with_operations, at.child("resourceRules").index(i), errors);
  }
  for (size_t i = 0; i < match.exclude_resource_rules.size(); ++i) {
    check_rule(match.exclude_resource_rules[i].rule_with_operations, at.child("excludeResourceRules").index(i), errors);
  }
}

void policy_create(const admission::ValidatingAdmissionPolicy& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  if (!spec.failure_policy) {
    errors.required(at.child("failurePolicy"));
  } else {
    errors.check_enum(at.child("failurePolicy"), *spec.failure_policy, {"Fail", "Ignore"});
  }
  if (spec.param_kind) {
    if (spec.param_kind->api_version.empty()) errors.required(at.child("paramKind", "apiVersion"));
    if (spec.param_kind->kind.empty()) errors.required(at.child("paramKind", "kind"));
  }
  if (!spec.match_constraints) {
    errors.required(at.child("matchConstraints"));
  } else {
    if (spec.match_constraints->resource_rules.empty()) errors.required(at.child("matchConstraints", "resourceRules"));
    check_match_resources(*spec.match_constraints, at.child("matchConstraints"), errors);
  }
  check_conditions(spec.match_conditions, at.child("matchConditions"), errors);
  if (spec.validations.empty() && spec.audit_annotations.empty()) {
    errors.required(at.child("validations"), "validations or auditAnnotations must contain at least one item");
  }
  for (size_t i = 0; i < spec.validations.size(); ++i) {
    const Path path = at.child("validations").index(i);
    const auto& validation = spec.validations[i];
    if (validation.expression.find_first_not_of(" \t\n") == std::string::npos) {
      errors.required(path.child("expression"), "expression is not specified");
    }
    if (validation.reason) {
      static constexpr std::string_view kReasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"};
      if (!Supported(kReasons).contains(*validation.reason)) {
        errors.not_supported(path.child("reason"), *validation.reason, kReasons);
      }
    }
  }
}

void policy_update(const admission::ValidatingAdmissionPolicy& updated, const admission::ValidatingAdmissionPolicy& old,
                   ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  policy_create(updated, errors);
}

void policy_binding_create(const admission::ValidatingAdmissionPolicyBinding& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.policy_name.empty()) {
    errors.required(at.child("policyName"));
  } else {
    check_name(NameRule::kSubdomain, spec.policy_name, at.child("policyName"), errors);
  }
  if (spec.param_ref && spec.param_ref->name.empty() == !spec.param_ref->selector.has_value()) {
    errors.required(at.child("paramRef"), "one of name or selector must be specified");
  }
  if (spec.match_resources) check_match_resources(*spec.match_resources, at.child("matchResouces"), errors);
  const Path actions = at.child("validationActions");
  if (spec.validation_actions.empty()) errors.required(actions, "at least one validation action is required");
  std::set<std::string_view> seen;
  for (const auto& action : spec.validation_actions) {
    if (action != "Deny" && action != "Warn" && action != "Audit") {
      errors.not_supported(actions, action, {"Audit", "Deny", "Warn"});
    }
    if (!seen.insert(action).second) errors.duplicate(actions, action);
  }
  if (seen.count("Deny") > 0 && seen.count("Warn") > 0) {
    errors.invalid(actions, spec.validation_actions, "must not contain both Deny and Warn");
  }
}

void policy_binding_update(const admission::ValidatingAdmissionPolicyBinding& updated,
                           const admission::ValidatingAdmissionPolicyBinding& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  policy_binding_create(updated, errors);
}

// Flow control

void flow_schema_create(const flowcontrolv1::FlowSchema& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.matching_precedence <= 0) {
    errors.invalid(at.child("matchingPrecedence"), spec.matching_precedence, "must be a positive value");
  }
  if (spec.matching_precedence > 10000) {
    errors.invalid(at.child("matchingPrecedence"), spec.matching_precedence, "must not be greater than 10000");
  }
  if (spec.distinguisher_method) {
    errors.check_enum(at.child("distinguisherMethod"), spec.distinguisher_method->type, {"ByNamespace", "ByUser"});
  }
  const Path level = at.child("priorityLevelConfiguration", "name");
  if (spec.priority_level_configuration.name.empty()) {
    errors.required(level, "must reference a priority level");
  } else {
    check_name(NameRule::kSubdomain, spec.priority_level_configuration.name, level, errors);
  }
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const Path path = at.child("rules").index(i);
    if (spec.rules[i].subjects.empty()) {
      errors.required(path.child("subjects"), "subjects must contain at least one value");
    }
    if (spec.rules[i].resource_rules.empty() && spec.rules[i].non_resource_rules.empty()) {
      errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
  }
}

void flow_schema_update(const flowcontrolv1::FlowSchema& updated, const flowcontrolv1::FlowSchema& old,
                        ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  flow_schema_create(updated, errors);
}

void priority_level_create(const flowcontrolv1::PriorityLevelConfiguration& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  if (spec.type == "Exempt") {
    if (spec.limited) {
      errors.forbidden(at.child("limited"), "must be nil if the type is not Limited");
    }
  } else if (spec.type == "Limited") {
    if (spec.exempt) errors.forbidden(at.child("exempt"), "must be nil if the type is Limited");
    if (!spec.limited) {
      errors.required(at.child("limited"), "must not be empty when type is Limited");
    } else {
      const auto& limited = *spec.limited;
      const Path path = at.child("limited");
      if (limited.nominal_concurrency_shares.value_or(0) < 0) {
        errors.invalid(path.child("nominalConcurrencyShares"), *limited.nominal_concurrency_shares,
                       "must be a non-negative integer");
      }
      if (limited.lendable_percent && (*limited.lendable_percent < 0 || *limited.lendable_percent > 100)) {
        errors.invalid(path.child("lendablePercent"), *limited.lendable_percent,
                       "must be between 0 and 100, inclusive");
      }
      const Path response = path.child("limitResponse");
      if (limited.limit_response.type == "Queue") {
        if (!limited.limit_response.queuing) {
          errors.required(response.child("queuing"), "must not be empty if limitResponse.type is Limited");
        } else {
          const auto& queuing = *limited.limit_response.queuing;
          const Path queue = response.child("queuing");
          auto positive = [&](int32_t value, std::string_view field) {
            if (value <= 0) errors.invalid(queue.child(field), value, "must be positive");
          };
          positive(queuing.queue_length_limit, "queueLengthLimit");
          positive(queuing.queues, "queues");
          positive(queuing.hand_size, "handSize");
          if (queuing.hand_size > queuing.queues) {
            errors.invalid(queue.child("handSize"), queuing.hand_size,
                           fmt::format("should not be greater than queues ({})", queuing.queues));
          }
        }
      } else if (limited.limit_response.type == "Reject") {
        if (limited.limit_response.queuing) {
          errors.forbidden(response.child("queuing"), "must be nil if limited.limitResponse.type is not Limited");
        }
      } else {
        errors.not_supported(response.child("type"), limited.limit_response.type, {"Queue", "Reject"});
      }
    }
  } else {
    errors.not_supported(at.child("type"), spec.type, {"Exempt", "Limited"});
  }
}

void priority_level_update(const flowcontrolv1::PriorityLevelConfiguration& updated,
                           const flowcontrolv1::PriorityLevelConfiguration& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  priority_level_create(updated, errors);
}

// Custom resource definitions: their frame. Schemas are checked where they are compiled.

void check_definition_names(const apiextensionsv1::CustomResourceDefinitionNames& names, const Path& at,
                            ErrorList& errors) {
  auto check_label = [&](const std::string& name, const Path& path) {
    std::string lowered = name;
    std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    errors.invalid_each(path, name, check_dns1035_label(lowered));
  };
  errors.invalid_each(at.child("plural"), names.plural, check_dns1035_label(names.plural));
  if (!names.singular.empty()) {
    errors.invalid_each(at.child("singular"), names.singular, check_dns1035_label(names.singular));
  }
  check_label(names.kind, at.child("kind"));
  if (!names.list_kind.empty()) {
    check_label(names.list_kind, at.child("listKind"));
    if (names.list_kind == names.kind) {
      errors.invalid(at.child("listKind"), names.list_kind, "kind and listKind may not be the same");
    }
  }
  for (size_t i = 0; i < names.short_names.size(); ++i) {
    errors.invalid_each(at.child("shortNames").index(i), names.short_names[i],
                        check_dns1035_label(names.short_names[i]));
  }
  for (size_t i = 0; i < names.categories.size(); ++i) {
    errors.invalid_each(at.child("categories").index(i), names.categories[i], check_dns1035_label(names.categories[i]));
  }
}

void check_json_path(const std::string& text, bool simple, const Path& at, ErrorList& errors) {
  if (text.empty()) return errors.required(at);
  auto path = structural::JsonPath::parse(text);
  if (!path.ok()) return errors.invalid(at, text, "is an invalid path: " + path.status().message());
  if (!text.starts_with('.')) return errors.invalid(at, text, "must be a json path starting with .");
  if (simple && !path->is_simple()) {
    errors.invalid(at, text, "should be a simple json path of member names only");
  }
}

/// The paths into objects that a version names: printed columns, selectable fields, the numbers of the scale.
void check_version_paths(const apiextensionsv1::CustomResourceDefinitionVersion& version, const Path& at,
                         ErrorList& errors) {
  for (size_t i = 0; i < version.additional_printer_columns.size(); ++i) {
    const auto& column = version.additional_printer_columns[i];
    const Path path = at.child("additionalPrinterColumns").index(i);
    if (column.name.empty()) errors.required(path.child("name"));
    errors.check_enum(path.child("type"), column.type, {"boolean", "date", "integer", "number", "string"});
    check_json_path(column.json_path, false, path.child("jsonPath"), errors);
  }
  constexpr size_t kMaxSelectable = 8;
  if (version.selectable_fields.size() > kMaxSelectable) {
    errors.too_many(at.child("selectableFields"), version.selectable_fields.size(), kMaxSelectable);
  }
  for (size_t i = 0; i < version.selectable_fields.size(); ++i) {
    const std::string& text = version.selectable_fields[i].json_path;
    const Path path = at.child("selectableFields").index(i).child("jsonPath");
    check_json_path(text, true, path, errors);
    if (text.starts_with(".metadata")) errors.invalid(path, text, "must not point to fields in metadata");
  }
  if (!version.subresources || !version.subresources->scale) return;
  const auto& scale = *version.subresources->scale;
  const Path path = at.child("subresources", "scale");
  auto check = [&](const std::string& text, std::string_view name, std::string_view below) {
    check_json_path(text, true, path.child(name), errors);
    if (!text.empty() && !text.starts_with(below)) {
      errors.invalid(path.child(name), text, fmt::format("should be a json path under {}", below));
    }
  };
  check(scale.spec_replicas_path, "specReplicasPath", ".spec.");
  check(scale.status_replicas_path, "statusReplicasPath", ".status.");
  if (scale.label_selector_path && !scale.label_selector_path->empty()) {
    check_json_path(*scale.label_selector_path, true, path.child("labelSelectorPath"), errors);
  }
}

/// Groups of the Kubernetes project need its approval (KEP-2337).
void check_approval(const apiextensionsv1::CustomResourceDefinition& object, ErrorList& errors) {
  const std::string& group = object.spec.group;
  const bool is_protected =
      group == "k8s.io" || group.ends_with(".k8s.io") || group == "kubernetes.io" || group.ends_with(".kubernetes.io");
  if (!is_protected) return;
  const Path at = Path("metadata.annotations").key(apiextensionsv1::kKubeAPIApprovedAnnotation);
  const auto approval = object.metadata.annotations.find(apiextensionsv1::kKubeAPIApprovedAnnotation);
  if (approval == object.metadata.annotations.end()) {
    errors.required(at,
                    "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
                    "https://github.com/kubernetes/enhancements/pull/1111");
  } else if (!approval->second.starts_with("http") && !approval->second.starts_with("unapproved")) {
    errors.invalid(at, approval->second,
                   "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or "
                   "a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111");
  }
}

void definition_create(const apiextensionsv1::CustomResourceDefinition& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  const std::string wanted = spec.names.plural + "." + spec.group;
  if (object.metadata.name != wanted) {
    errors.invalid(Path("metadata.name"), object.metadata.name, "must be spec.names.plural+\".\"+spec.group");
  }
  if (spec.group.empty()) {
    errors.required(at.child("group"));
  } else {
    check_dns_subdomain(spec.group, at.child("group"), errors);
    if (spec.group.find('.') == std::string::npos) {
      errors.invalid(at.child("group"), spec.group, "should be a domain with at least one dot");
    }
  }
  errors.check_enum(at.child("scope"), spec.scope, {"Cluster", "Namespaced"});
  size_t storage = 0;
  std::set<std::string_view> versions;
  for (size_t i = 0; i < spec.versions.size(); ++i) {
    const auto& version = spec.versions[i];
    const Path path = at.child("versions").index(i);
    if (version.storage) ++storage;
    if (!versions.insert(version.name).second) {
      errors.invalid(at.child("versions"), BadValue::raw("[]"), "must contain unique version names");
    }
    errors.invalid_each(path.child("name"), version.name, check_dns1035_label(version.name));
    if (version.deprecation_warning && !version.deprecated) {
      errors.invalid(path.child("deprecationWarning"), *version.deprecation_warning,
                     "can only be set for deprecated versions");
    }
    if (!version.schema || !version.schema->open_apiv_3_schema) {
      errors.required(path.child("schema", "openAPIV3Schema"), "schemas are required");
    } else if (version.schema->open_apiv_3_schema->type != "object") {
      errors.required(path.child("schema", "openAPIV3Schema", "type"), "must not be empty at the root");
    } else {
      structural::check_schema(*version.schema->open_apiv_3_schema, path.child("schema", "openAPIV3Schema"), errors);
    }
    check_version_paths(version, path, errors);
  }
  if (storage != 1) {
    errors.invalid(at.child("versions"), BadValue::raw("[]"),
                   "must have exactly one version marked as storage version");
  }
  if (spec.preserve_unknown_fields) {
    errors.invalid(at.child("preserveUnknownFields"), true,
                   "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                   "spec.versions[*].schema instead");
  }
  check_approval(object, errors);
  check_definition_names(spec.names, at.child("names"), errors);
  if (spec.names.plural.empty()) errors.required(at.child("names", "plural"));
  if (spec.names.kind.empty()) errors.required(at.child("names", "kind"));
  if (spec.names.list_kind.empty()) errors.required(at.child("names", "listKind"));
  if (spec.conversion) {
    const Path path = at.child("conversion");
    errors.check_enum(path.child("strategy"), spec.conversion->strategy, {"None", "Webhook"});
    if (spec.conversion->strategy == "Webhook") {
      const auto& webhook = spec.conversion->webhook;
      if (!webhook || !webhook->client_config) {
        errors.required(path.child("webhookClientConfig"), "required when strategy is set to Webhook");
      } else if (webhook->client_config->url.has_value() == webhook->client_config->service.has_value()) {
        errors.required(path.child("webhookClientConfig"), "exactly one of url or service is required");
      }
      if (!webhook || webhook->conversion_review_versions.empty()) {
        errors.required(path.child("conversionReviewVersions"));
      }
    } else if (spec.conversion->webhook) {
      errors.forbidden(path.child("webhookClientConfig"), "should not be set when strategy is not set to Webhook");
    }
  }
}

void definition_update(const apiextensionsv1::CustomResourceDefinition& updated,
                       const apiextensionsv1::CustomResourceDefinition& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  definition_create(updated, errors);
  const Path at("spec");
  if (is_condition_true(old.status.conditions, apiextensionsv1::kEstablished)) {
    check_immutable(updated.spec.scope, old.spec.scope, at.child("scope"), errors);
    check_immutable(updated.spec.names.kind, old.spec.names.kind, at.child("names", "kind"), errors);
  }
  check_immutable(updated.spec.group, old.spec.group, at.child("group"), errors);
  check_immutable(updated.spec.names.plural, old.spec.names.plural, at.child("names", "plural"), errors);
  for (size_t i = 0; i < old.status.stored_versions.size(); ++i) {
    const std::string& stored = old.status.stored_versions[i];
    const bool listed = std::any_of(updated.spec.versions.begin(), updated.spec.versions.end(),
                                    [&](const auto& version) { return version.name == stored; });
    if (!listed) {
      errors.invalid(Path("status.storedVersions").index(i), stored,
                     "missing from spec.versions; " + stored +
                         " was previously a storage version, and must remain in "
                         "spec.versions until a storage migration ensures no data remains persisted in " +
                         stored + " and removes " + stored + " from status.storedVersions");
    }
  }
}

void definition_status(const apiextensionsv1::CustomResourceDefinition& updated,
                       const apiextensionsv1::CustomResourceDefinition& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (updated.status.stored_versions.empty()) {
    errors.invalid(Path("status.storedVersions"), updated.status.stored_versions,
                   "must have at least one stored version");
  }
}

// API services

void api_service_create(const apiregistrationv1::APIService& object, ErrorList& errors) {
  const Path at("spec");
  const auto& spec = object.spec;
  check_object_meta(object.metadata, false, NameRule::kPathSegment, Path("metadata"), errors);
  const std::string wanted = spec.version + "." + spec.group;
  if (object.metadata.name != wanted) {
    errors.invalid(Path("metadata.name"), object.metadata.name,
                   "must be `spec.version+\".\"+spec.group`: " + go_quote(wanted));
  }
  if (!spec.group.empty()) check_dns_subdomain(spec.group, at.child("group"), errors);
  errors.invalid_each(at.child("version"), spec.version, check_dns1035_label(spec.version));
  if (spec.group_priority_minimum <= 0 || spec.group_priority_minimum > 20000) {
    errors.invalid(at.child("groupPriorityMinimum"), spec.group_priority_minimum,
                   "must be positive and less than 20000");
  }
  if (spec.version_priority <= 0 || spec.version_priority > 1000) {
    errors.invalid(at.child("versionPriority"), spec.version_priority, "must be positive and less than 1000");
  }
  if (!spec.service) {
    if (!spec.ca_bundle.empty()) {
      errors.invalid(at.child("caBundle"), BadValue::raw(fmt::format("{} bytes", spec.ca_bundle.size())),
                     "local APIServices may not have a caBundle");
    }
    if (spec.insecure_skip_tls_verify) {
      errors.invalid(at.child("insecureSkipTLSVerify"), true, "local APIServices may not have insecureSkipTLSVerify");
    }
    return;
  }
  check_service_reference(*spec.service, at.child("service"), errors);
  if (spec.insecure_skip_tls_verify && !spec.ca_bundle.empty()) {
    errors.invalid(at.child("insecureSkipTLSVerify"), true, "may not be true if caBundle is present");
  }
}

void api_service_update(const apiregistrationv1::APIService& updated, const apiregistrationv1::APIService& old,
                        ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  api_service_create(updated, errors);
}

}  // namespace

std::span<const KindRules> admission_rules() {
  static const KindRules kRules[] = {
      kind_rules<admission::ValidatingWebhookConfiguration, validating_create, validating_update>(),
      kind_rules<admission::MutatingWebhookConfiguration, mutating_create, mutating_update>(),
      kind_rules<admission::ValidatingAdmissionPolicy, policy_create, policy_update>(),
      kind_rules<admission::ValidatingAdmissionPolicyBinding, policy_binding_create, policy_binding_update>(),
      kind_rules<flowcontrolv1::FlowSchema, flow_schema_create, flow_schema_update>(),
      kind_rules<flowcontrolv1::PriorityLevelConfiguration, priority_level_create, priority_level_update>(),
      kind_rules<apiextensionsv1::CustomResourceDefinition, definition_create, definition_update, definition_status>(),
      kind_rules<apiregistrationv1::APIService, api_service_create, api_service_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
