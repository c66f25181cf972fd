// Namespaces, replication controllers, config maps, secrets, service accounts, events, limits and quotas.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "api/codec.h"
#include "api/selectors.h"
#include "api/types/eventsv1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/pod.h"
#include "api/validation/resources.h"
#include "api/validation/rules.h"
#include "api/validation/service.h"
#include "api/value.h"

namespace trireme::api::validation {
namespace {

constexpr size_t kMaxSecretSize = 1024 * 1024;
constexpr std::string_view kLocked = "field is immutable when `immutable` is set";

// Namespaces

void namespace_create(const corev1::Namespace& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kLabel, Path("metadata"), errors);
  for (const auto& finalizer : object.spec.finalizers) {
    check_finalizer_name(finalizer, Path("spec.finalizers"), errors);
  }
}

void namespace_update(const corev1::Namespace& updated, const corev1::Namespace& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
}

void namespace_status(const corev1::Namespace& updated, const corev1::Namespace& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const Path phase("status.Phase");
  if (!updated.metadata.deletion_timestamp) {
    if (updated.status.phase != "Active") {
      errors.invalid(phase, updated.status.phase, "may only be 'Active' if `deletionTimestamp` is empty");
    }
  } else if (updated.status.phase != "Terminating") {
    errors.invalid(phase, updated.status.phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
  }
}

// Replication controllers

void controller_spec(const corev1::ReplicationControllerSpec& spec, const Path& at, ErrorList& errors) {
  check_not_negative(spec.min_ready_seconds, at.child("minReadySeconds"), errors);
  if (spec.selector.empty()) errors.required(at.child("selector"));
  check_not_negative(spec.replicas.value_or(0), at.child("replicas"), errors);
  const Path path = at.child("template");
  if (!spec.template_) return errors.required(path);
  const auto& pod = *spec.template_;
  if (!spec.selector.empty() && !LabelSelector::from_map(spec.selector).matches(pod.metadata.labels)) {
    std::string shown = "map[string]string{";
    for (const auto& [key, value] : pod.metadata.labels) {
      if (!shown.ends_with('{')) shown += ", ";
      shown += go_quote(key) + ":" + go_quote(value);
    }
    errors.invalid(path.child("metadata", "labels"), BadValue::raw(shown + "}"),
                   "`selector` does not match template `labels`");
  }
  check_pod_template(pod, path, errors);
  if (pod.spec.restart_policy != "Always") {
    errors.not_supported(path.child("spec", "restartPolicy"), pod.spec.restart_policy, {"Always"});
  }
  if (pod.spec.active_deadline_seconds) {
    errors.forbidden(path.child("spec", "activeDeadlineSeconds"),
                     "activeDeadlineSeconds in ReplicationController is not Supported");
  }
}

void controller_create(const corev1::ReplicationController& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  controller_spec(object.spec, Path("spec"), errors);
}

void controller_update(const corev1::ReplicationController& updated, const corev1::ReplicationController& old,
                       ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  controller_spec(updated.spec, Path("spec"), errors);
}

void controller_status(const corev1::ReplicationController& updated, const corev1::ReplicationController& old,
                       ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const auto& status = updated.status;
  const Path at("status");
  check_not_negative(status.replicas, at.child("replicas"), errors);
  check_not_negative(status.fully_labeled_replicas, at.child("fullyLabeledReplicas"), errors);
  check_not_negative(status.ready_replicas, at.child("readyReplicas"), errors);
  check_not_negative(status.available_replicas, at.child("availableReplicas"), errors);
  check_not_negative(status.observed_generation, at.child("observedGeneration"), errors);
  constexpr std::string_view kTooMany = "cannot be greater than status.replicas";
  if (status.fully_labeled_replicas > status.replicas) {
    errors.invalid(at.child("fullyLabeledReplicas"), status.fully_labeled_replicas, kTooMany);
  }
  if (status.ready_replicas > status.replicas) {
    errors.invalid(at.child("readyReplicas"), status.ready_replicas, kTooMany);
  }
  if (status.available_replicas > status.replicas) {
    errors.invalid(at.child("availableReplicas"), status.available_replicas, kTooMany);
  }
  if (status.available_replicas > status.ready_replicas) {
    errors.invalid(at.child("availableReplicas"), status.available_replicas, "cannot be greater than readyReplicas");
  }
}

// Config maps and secrets

void config_map_create(const corev1::ConfigMap& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  size_t size = 0;
  for (const auto& [key, value] : object.data) {
    const Path path = Path("data").key(key);
    check_config_key(key, path, errors);
    if (object.binary_data.contains(key)) errors.invalid(path, key, "duplicate of key present in binaryData");
    size += value.size();
  }
  for (const auto& [key, value] : object.binary_data) {
    check_config_key(key, Path("binaryData").key(key), errors);
    size += value.size();
  }
  if (size > kMaxSecretSize) errors.too_long(Path(""), kMaxSecretSize);
}

void config_map_update(const corev1::ConfigMap& updated, const corev1::ConfigMap& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (old.immutable.value_or(false)) {
    if (!updated.immutable.value_or(false)) errors.forbidden(Path("immutable"), kLocked);
    if (!(updated.data == old.data)) errors.forbidden(Path("data"), kLocked);
    if (!(updated.binary_data == old.binary_data)) errors.forbidden(Path("binaryData"), kLocked);
  }
  config_map_create(updated, errors);
}

void check_secret_json(const corev1::Secret& secret, std::string_view key, ErrorList& errors) {
  const Path path = Path("data").key(key);
  const auto found = secret.data.find(key);
  if (found == secret.data.end()) return errors.required(path);
  const Result<Value> parsed = parse_value(found->second);
  if (!parsed.ok()) {
    errors.invalid(path, "<secret contents redacted>", parsed.status().message());
  } else if (!parsed->is_object() && !parsed->is_null()) {
    errors.invalid(
        path, "<secret contents redacted>",
        fmt::format("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", parsed->type_name()));
  }
}

void secret_create(const corev1::Secret& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  const Path data("data");
  size_t size = 0;
  for (const auto& [key, value] : object.data) {
    check_config_key(key, data.key(key), errors);
    size += value.size();
  }
  if (size > kMaxSecretSize) errors.too_long(data, kMaxSecretSize);
  auto need = [&](std::string_view key) {
    if (!object.data.contains(key)) errors.required(data.key(key));
  };
  const std::string& type = object.type;
  if (type == corev1::kSecretTypeServiceAccountToken) {
    const auto account = object.metadata.annotations.find(corev1::kServiceAccountNameKey);
    if (account == object.metadata.annotations.end() || account->second.empty()) {
      errors.required(Path("metadata.annotations").key(corev1::kServiceAccountNameKey));
    }
  } else if (type == corev1::kSecretTypeDockercfg) {
    check_secret_json(object, ".dockercfg", errors);
  } else if (type == corev1::kSecretTypeDockerConfigJson) {
    check_secret_json(object, ".dockerconfigjson", errors);
  } else if (type == corev1::kSecretTypeBasicAuth) {
    if (!object.data.contains("username") && !object.data.contains("password")) {
      need("username");
      need("password");
    }
  } else if (type == corev1::kSecretTypeSSHAuth) {
    const auto key = object.data.find("ssh-privatekey");
    if (key == object.data.end() || key->second.empty()) errors.required(data.key("ssh-privatekey"));
  } else if (type == corev1::kSecretTypeTLS) {
    need("tls.crt");
    need("tls.key");
  }
}

void secret_update(const corev1::Secret& updated, const corev1::Secret& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_immutable(updated.type, old.type, Path("type"), errors);
  if (old.immutable.value_or(false)) {
    if (!updated.immutable.value_or(false)) errors.forbidden(Path("immutable"), kLocked);
    if (!(updated.data == old.data)) errors.forbidden(Path("data"), kLocked);
  }
  secret_create(updated, errors);
}

void service_account_create(const corev1::ServiceAccount& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
}

void service_account_update(const corev1::ServiceAccount& updated, const corev1::ServiceAccount& old,
                            ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  service_account_create(updated, errors);
}

// Events: one stored kind behind two APIs, the older one deliberately lenient.

/// The fields of both kinds that validation looks at.
struct EventView {
  const metav1::ObjectMeta& meta;
  const corev1::ObjectReference& about;
  const MicroTime& time;
  const std::string& controller;
  const std::string& instance;
  const std::string& action;
  const std::string& reason;
  const std::string& message;
};

EventView view(const corev1::Event& event) {
  return {event.metadata,           event.involved_object, event.event_time, event.reporting_component,
          event.reporting_instance, event.action,          event.reason,     event.message};
}

EventView view(const eventsv1::Event& event) {
  return {event.metadata,           event.regarding, event.event_time, event.reporting_controller,
          event.reporting_instance, event.action,    event.reason,     event.note};
}

void check_event(const EventView& event, ErrorList& errors) {
  const std::string& about = event.about.namespace_;
  const std::string& own = event.meta.namespace_;
  const Path about_path("involvedObject.namespace");
  constexpr std::string_view kMismatch = "does not match event.namespace";
  auto at_most = [&](const std::string& text, size_t limit, std::string_view field) {
    if (text.size() > limit) errors.invalid(Path(field), "", fmt::format("can have at most {} characters", limit));
  };
  if (!event.time) {
    const bool matches = about.empty() ? own.empty() || own == "default" : own == about;
    if (!matches) errors.invalid(about_path, about, kMismatch);
  } else {
    if (about.empty() && own != "default" && own != "kube-system") errors.invalid(about_path, about, kMismatch);
    if (event.controller.empty()) errors.required(Path("reportingController"));
    check_qualified_name(event.controller, Path("reportingController"), errors);
    if (event.instance.empty()) errors.required(Path("reportingInstance"));
    at_most(event.instance, 128, "reportingInstance");
    if (event.action.empty()) errors.required(Path("action"));
    at_most(event.action, 128, "action");
    if (event.reason.empty()) errors.required(Path("reason"));
    at_most(event.reason, 128, "reason");
    at_most(event.message, 1024, "message");
  }
  check_dns_subdomain(own, Path("namespace"), errors);
}

void check_series(const eventsv1::Event& event, ErrorList& errors) {
  if (!event.series) return;
  if (event.series->count < 2) errors.invalid(Path("series.count"), "", "should be at least 2");
  if (!event.series->last_observed_time) errors.required(Path("series.lastObservedTime"));
}

void core_event_create(const corev1::Event& object, ErrorList& errors) { check_event(view(object), errors); }

void core_event_update(const corev1::Event& updated, const corev1::Event&, ErrorList& errors) {
  check_event(view(updated), errors);
}

void event_create(const eventsv1::Event& object, ErrorList& errors) {
  check_event(view(object), errors);
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_series(object, errors);
  if (!object.event_time) errors.required(Path("eventTime"));
  if (object.type != "Normal" && object.type != "Warning") {
    errors.invalid(Path("type"), "", "has invalid value: " + object.type);
  }
  constexpr std::string_view kUnset = "needs to be unset";
  if (object.deprecated_first_timestamp) errors.invalid(Path("firstTimestamp"), "", kUnset);
  if (object.deprecated_last_timestamp) errors.invalid(Path("lastTimestamp"), "", kUnset);
  if (object.deprecated_count != 0) errors.invalid(Path("count"), "", kUnset);
  if (!object.deprecated_source.component.empty() || !object.deprecated_source.host.empty()) {
    errors.invalid(Path("source"), "", kUnset);
  }
}

void event_update(const eventsv1::Event& updated, const eventsv1::Event& old, ErrorList& errors) {
  check_event(view(updated), errors);
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  const bool same_series = updated.series.has_value() == old.series.has_value() &&
                           (!updated.series || semantic_equal(*updated.series, *old.series));
  if (!same_series) check_series(updated, errors);
  if (!semantic_equal(updated.regarding, old.regarding)) {
    errors.invalid(Path("involvedObject"), BadValue::raw(encode_json(updated.regarding)), kImmutable);
  }
  check_immutable(updated.reason, old.reason, Path("reason"), errors);
  check_immutable(updated.note, old.note, Path("message"), errors);
  check_immutable(updated.type, old.type, Path("type"), errors);
  check_immutable(updated.event_time, old.event_time, Path("eventTime"), errors,
                  BadValue::raw(updated.event_time.to_string()));
  check_immutable(updated.action, old.action, Path("action"), errors);
  check_immutable(updated.reporting_controller, old.reporting_controller, Path("reportingController"), errors);
  check_immutable(updated.reporting_instance, old.reporting_instance, Path("reportingInstance"), errors);
  check_immutable(updated.deprecated_count, old.deprecated_count, Path("count"), errors, updated.deprecated_count);
}

// Limit ranges and quotas

const Quantity* find(const Map<Quantity>& list, const std::string& name) {
  const auto found = list.find(name);
  return found == list.end() ? nullptr : &found->second;
}

/// `text` unless `low` <= `high` (either may be missing).
void check_order(const Quantity* low, const Quantity* high, const Path& at, const Quantity* shown,
                 std::string_view low_name, std::string_view high_name, ErrorList& errors) {
  if (low == nullptr || high == nullptr || *low <= *high) return;
  errors.invalid(
      at, BadValue::raw(shown->to_string()),
      fmt::format("{} value {} is greater than {} value {}", low_name, low->to_string(), high_name, high->to_string()));
}

void check_limit(const corev1::LimitRangeItem& limit, const Path& at, ErrorList& errors) {
  std::set<std::string> names;
  auto check_names = [&](const Map<Quantity>& list, std::string_view field) {
    for (const auto& [name, quantity] : list) {
      const Path path = at.child(field).key(name);
      if (limit.type == "Pod" || limit.type == "Container") {
        check_container_resource_name(name, path, errors);
      } else {
        check_resource_name(name, path, errors);
      }
      names.insert(name);
    }
  };
  check_names(limit.max, "max");
  check_names(limit.min, "min");
  if (limit.type == "Pod") {
    constexpr std::string_view kNotForPods = "may not be specified when `type` is 'Pod'";
    if (!limit.default_.empty()) errors.forbidden(at.child("default"), kNotForPods);
    if (!limit.default_request.empty()) errors.forbidden(at.child("defaultRequest"), kNotForPods);
  } else {
    check_names(limit.default_, "default");
    check_names(limit.default_request, "defaultRequest");
  }
  if (limit.type == "PersistentVolumeClaim" && !find(limit.min, "storage") && !find(limit.max, "storage")) {
    errors.required(at.child("limits"),
                    "either minimum or maximum storage value is required, but neither was provided");
  }
  check_names(limit.max_limit_request_ratio, "maxLimitRequestRatio");
  for (const std::string& name : names) {
    const Quantity* low = find(limit.min, name);
    const Quantity* high = find(limit.max, name);
    const Quantity* fallback = limit.type == "Pod" ? nullptr : find(limit.default_, name);
    const Quantity* request = limit.type == "Pod" ? nullptr : find(limit.default_request, name);
    const Quantity* ratio = find(limit.max_limit_request_ratio, name);
    const Path request_path = at.child("defaultRequest").key(name);
    const Path default_path = at.child("default").key(name);
    check_order(low, high, at.child("min").key(name), low, "min", "max", errors);
    check_order(low, request, request_path, request, "min", "default request", errors);
    check_order(request, high, request_path, request, "default request", "max", errors);
    check_order(request, fallback, request_path, request, "default request", "default limit", errors);
    check_order(low, fallback, default_path, low, "min", "default", errors);
    check_order(fallback, high, default_path, high, "default", "max", errors);
    const Path ratio_path = at.child("maxLimitRequestRatio").key(name);
    if (ratio && *ratio < Quantity::of(1)) {
      errors.invalid(ratio_path, BadValue::raw(ratio->to_string()),
                     fmt::format("ratio {} is less than 1", ratio->to_string()));
    }
    if (ratio && low && high && low->sign() > 0 && ratio->to_double() > high->to_double() / low->to_double()) {
      errors.invalid(ratio_path, BadValue::raw(ratio->to_string()),
                     fmt::format("ratio {} is greater than max/min = {:f}", ratio->to_string(),
                                 high->to_double() / low->to_double()));
    }
    if (!is_overcommit_allowed(name) && fallback && request && *fallback != *request) {
      errors.invalid(request_path, BadValue::raw(request->to_string()),
                     fmt::format("default value {} must equal to defaultRequest value {} in {}", fallback->to_string(),
                                 request->to_string(), name));
    }
  }
}

void limit_range_create(const corev1::LimitRange& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  std::set<std::string_view> types;
  for (size_t i = 0; i < object.spec.limits.size(); ++i) {
    const auto& limit = object.spec.limits[i];
    const Path path = Path("spec.limits").index(i);
    const size_t before = errors.size();
    check_qualified_name(limit.type, path.child("type"), errors);
    if (errors.size() == before && limit.type.find('/') == std::string::npos && limit.type != "Pod" &&
        limit.type != "Container" && limit.type != "PersistentVolumeClaim") {
      errors.invalid(path.child("type"), limit.type, "must be a standard limit type or fully qualified");
    }
    if (!types.insert(limit.type).second) errors.duplicate(path.child("type"), limit.type);
    check_limit(limit, path, errors);
  }
}

void limit_range_update(const corev1::LimitRange& updated, const corev1::LimitRange& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  limit_range_create(updated, errors);
}

bool scope_fits(std::string_view scope, std::string_view resource) {
  if (scope == "BestEffort") return resource == "pods";
  // The other scopes select pods: their compute resources and their number.
  return resource == "pods" || resource == "cpu" || resource == "memory" || resource == "requests.cpu" ||
         resource == "requests.memory" || resource == "limits.cpu" || resource == "limits.memory" ||
         resource == "ephemeral-storage" || resource == "requests.ephemeral-storage" ||
         resource == "limits.ephemeral-storage";
}

void check_scope(std::string_view scope, const Map<Quantity>& hard, const Path& name_path, const Path& at,
                 const BadValue& shown, ErrorList& errors) {
  static constexpr std::string_view kScopes[] = {"Terminating",   "NotTerminating", "BestEffort",
                                                 "NotBestEffort", "PriorityClass",  "CrossNamespacePodAffinity"};
  if (!Supported(kScopes).contains(scope)) errors.invalid(name_path, shown, "unsupported scope");
  for (const auto& [resource, quantity] : hard) {
    if (is_standard_quota_resource(resource) && !scope_fits(scope, resource)) {
      errors.invalid(at, shown, "unsupported scope applied to resource");
    }
  }
}

void check_scope_pairs(const std::set<std::string_view>& scopes, const Path& at, const BadValue& shown,
                       ErrorList& errors) {
  if ((scopes.count("BestEffort") > 0 && scopes.count("NotBestEffort") > 0) ||
      (scopes.count("Terminating") > 0 && scopes.count("NotTerminating") > 0)) {
    errors.invalid(at, shown, "conflicting scopes");
  }
}

void check_amounts(const Map<Quantity>& amounts, const Path& at, ErrorList& errors) {
  for (const auto& [name, quantity] : amounts) {
    check_quota_resource_name(name, at.key(name), errors);
    check_quantity(name, quantity, at.key(name), errors);
  }
}

void check_quota_spec(const corev1::ResourceQuotaSpec& spec, const Path& at, ErrorList& errors) {
  check_amounts(spec.hard, at.child("hard"), errors);
  const Path scopes_path = at.child("scopes");
  std::set<std::string_view> scopes;
  for (const auto& scope : spec.scopes) {
    check_scope(scope, spec.hard, scopes_path, scopes_path, spec.scopes, errors);
    scopes.insert(scope);
  }
  check_scope_pairs(scopes, scopes_path, spec.scopes, errors);
  if (!spec.scope_selector) return;
  const Path path = at.child("scopeSelector", "matchExpressions");
  scopes.clear();
  for (const auto& requirement : spec.scope_selector->match_expressions) {
    const std::string& op = requirement.operator_;
    check_scope(requirement.scope_name, spec.hard, path.child("scopeName"), path, requirement.scope_name, errors);
    if (requirement.scope_name != "PriorityClass" && op != "Exists") {
      errors.invalid(path.child("operator"), op,
                     "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
                     "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort "
                     "or ResourceQuotaScopeCrossNamespacePodAffinity");
    }
    if (op == "In" || op == "NotIn") {
      if (requirement.values.empty()) {
        errors.required(path.child("values"),
                        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
      }
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!requirement.values.empty()) {
        errors.invalid(path.child("values"), requirement.values,
                       "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
      }
    } else {
      errors.invalid(path.child("operator"), op, "not a valid selector operator");
    }
    scopes.insert(requirement.scope_name);
  }
  check_scope_pairs(scopes, path, spec.scopes, errors);
}

void quota_create(const corev1::ResourceQuota& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_quota_spec(object.spec, Path("spec"), errors);
}

void quota_update(const corev1::ResourceQuota& updated, const corev1::ResourceQuota& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_quota_spec(updated.spec, Path("spec"), errors);
  const std::set<std::string> now(updated.spec.scopes.begin(), updated.spec.scopes.end());
  const std::set<std::string> before(old.spec.scopes.begin(), old.spec.scopes.end());
  if (now != before) errors.invalid(Path("spec.scopes"), updated.spec.scopes, kImmutable);
}

void quota_status(const corev1::ResourceQuota& updated, const corev1::ResourceQuota& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_amounts(updated.status.hard, Path("status.hard"), errors);
  check_amounts(updated.status.used, Path("status.used"), errors);
}

void pod_template_create(const corev1::PodTemplate& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_pod_template(object.template_, Path("template"), errors);
}

void pod_template_update(const corev1::PodTemplate& updated, const corev1::PodTemplate& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_pod_template(updated.template_, Path("template"), errors);
}

}  // namespace

std::span<const KindRules> core_rules() {
  static const KindRules kRules[] = {
      kind_rules<corev1::Pod, check_pod_create, check_pod_update, check_pod_status_update>(),
      kind_rules<corev1::Namespace, namespace_create, namespace_update, namespace_status>(),
      kind_rules<corev1::ReplicationController, controller_create, controller_update, controller_status>(),
      kind_rules<corev1::Service, check_service_create, check_service_update, check_service_status_update>(),
      kind_rules<corev1::Endpoints, check_endpoints_create, check_endpoints_update>(),
      kind_rules<corev1::ConfigMap, config_map_create, config_map_update>(),
      kind_rules<corev1::Secret, secret_create, secret_update>(),
      kind_rules<corev1::ServiceAccount, service_account_create, service_account_update>(),
      kind_rules<corev1::Event, core_event_create, core_event_update>(),
      kind_rules<eventsv1::Event, event_create, event_update>(),
      kind_rules<corev1::LimitRange, limit_range_create, limit_range_update>(),
      kind_rules<corev1::ResourceQuota, quota_create, quota_update, quota_status>(),
      kind_rules<corev1::PodTemplate, pod_template_create, pod_template_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
