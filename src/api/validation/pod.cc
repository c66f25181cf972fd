#include "api/validation/pod.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/codec.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"
#include "api/validation/resources.h"

namespace trireme::api::validation {
namespace {

constexpr int64_t kMaxInt32 = 2147483647;
constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
constexpr std::string_view kDeletionCost = "controller.kubernetes.io/pod-deletion-cost";
constexpr std::string_view kAppArmor = "container.apparmor.security.beta.kubernetes.io/";
constexpr size_t kMaxNameservers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchChars = 2048;

bool padded(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  return !text.empty() &&
         (kSpace.find(text.front()) != std::string_view::npos || kSpace.find(text.back()) != std::string_view::npos);
}

bool is_int32(std::string_view text) {
  if (text.empty()) return false;
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Go's form: no leading zeros or plus sign, which a round trip finds.
  return error == std::errc() && end == text.data() + text.size() && std::to_string(value) == text;
}

void check_pod_annotations(const Map<std::string>& annotations, const corev1::PodSpec& spec, const Path& at,
                           ErrorList& errors) {
  if (const auto mirror = annotations.find(std::string(kMirror));
      mirror != annotations.end() && spec.node_name.empty()) {
    errors.invalid(at.key(kMirror), mirror->second, "must set spec.nodeName if mirror pod annotation is set");
  }
  if (const auto cost = annotations.find(std::string(kDeletionCost));
      cost != annotations.end() && !is_int32(cost->second)) {
    errors.invalid(at.key(kDeletionCost), cost->second, "must be a 32bit integer");
  }
  check_profile_annotations(annotations, spec, at, errors);
}

void check_annotation_updates(const corev1::Pod& updated, const corev1::Pod& old, const Path& at, ErrorList& errors) {
  const auto& now = updated.metadata.annotations;
  for (const auto& [key, value] : old.metadata.annotations) {
    if (const auto found = now.find(key); found != now.end() && found->second == value) continue;
    if (key.starts_with(kAppArmor)) errors.forbidden(at.key(key), "may not remove or update AppArmor annotations");
    if (key == kMirror) errors.forbidden(at.key(key), "may not remove or update mirror pod annotation");
  }
  for (const auto& [key, value] : now) {
    if (old.metadata.annotations.count(key) > 0) continue;
    if (key.starts_with(kAppArmor)) errors.forbidden(at.key(key), "may not add AppArmor annotations");
    if (key == kMirror) errors.forbidden(at.key(key), "may not add mirror pod annotation");
  }
  check_pod_annotations(now, updated.spec, at, errors);
}

void check_dns(const corev1::PodSpec& spec, const Path& at, ErrorList& errors) {
  if (spec.dns_policy == "None") {
    if (!spec.dns_config) return errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
    if (spec.dns_config->nameservers.empty()) {
      return errors.required(at.child("nameservers"),
                             "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
  }
  if (!spec.dns_config) return;
  const auto& dns = *spec.dns_config;
  if (dns.nameservers.size() > kMaxNameservers) {
    errors.invalid(at.child("nameservers"), dns.nameservers, "must not have more than 3 nameservers");
  }
  for (size_t i = 0; i < dns.nameservers.size(); ++i) {
    check_ip(dns.nameservers[i], at.child("nameservers").index(i), errors);
  }
  if (dns.searches.size() > kMaxSearches) {
    errors.invalid(at.child("searches"), dns.searches, "must not have more than 32 search paths");
  }
  size_t chars = dns.searches.empty() ? 0 : dns.searches.size() - 1;
  for (const auto& search : dns.searches) chars += search.size();
  if (chars > kMaxSearchChars) {
    errors.invalid(at.child("searches"), dns.searches,
                   "must not have more than 2048 characters (including spaces) in the search list");
  }
  for (size_t i = 0; i < dns.searches.size(); ++i) {
    std::string_view search = dns.searches[i];
    if (search.ends_with('.')) search.remove_suffix(1);
    check_dns_subdomain(search, at.child("searches").index(i), errors);
  }
  for (size_t i = 0; i < dns.options.size(); ++i) {
    if (dns.options[i].name.empty()) errors.required(at.child("options").index(i), "must not be empty");
  }
}

void check_resource_claims(const std::vector<corev1::PodResourceClaim>& claims, const Path& at, ErrorList& errors) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < claims.size(); ++i) {
    const auto& claim = claims[i];
    const Path path = at.index(i);
    if (claim.name.empty()) {
      errors.required(path.child("name"));
    } else if (!names.insert(claim.name).second) {
      errors.duplicate(path.child("name"), claim.name);
    } else {
      check_dns_label(claim.name, path.child("name"), errors);
    }
    const BadValue shown = BadValue::raw(encode_json(claim));
    if (claim.resource_claim_name && claim.resource_claim_template_name) {
      errors.invalid(path, shown, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
    }
    if (!claim.resource_claim_name && !claim.resource_claim_template_name) {
      errors.invalid(path, shown, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
    }
    if (claim.resource_claim_name) {
      check_dns_subdomain(*claim.resource_claim_name, path.child("resourceClaimName"), errors);
    }
    if (claim.resource_claim_template_name) {
      check_dns_subdomain(*claim.resource_claim_template_name, path.child("resourceClaimTemplateName"), errors);
    }
  }
}

void check_host_network_ports(const corev1::PodSpec& spec, bool is_pod, const Path& at, ErrorList& errors) {
  if (!spec.host_network) return;
  for (size_t c = 0; c < spec.containers.size(); ++c) {
    for (size_t p = 0; p < spec.containers[c].ports.size(); ++p) {
      const auto& port = spec.containers[c].ports[p];
      if ((is_pod || port.host_port != 0) && port.host_port != port.container_port) {
        errors.invalid(at.child("containers").index(c).child("ports").index(p).child("hostPort"), port.host_port,
                       "must match `containerPort` when `hostNetwork` is true");
      }
    }
  }
}

void check_meta_and_spec(const corev1::Pod& pod, ErrorList& errors) {
  const Path meta("metadata");
  const Path spec("spec");
  check_object_meta(pod.metadata, true, NameRule::kSubdomain, meta, errors);
  check_pod_annotations(pod.metadata.annotations, pod.spec, meta.child("annotations"), errors);
  check_pod_spec(pod.spec, &pod.metadata, spec, errors);
  if (pod.spec.service_account_name.empty()) {
    for (size_t v = 0; v < pod.spec.volumes.size(); ++v) {
      const auto& projected = pod.spec.volumes[v].volume_source.projected;
      if (!projected) continue;
      for (size_t s = 0; s < projected->sources.size(); ++s) {
        if (!projected->sources[s].service_account_token) continue;
        errors.forbidden(
            spec.child("volumes").index(v).child("projected", "sources").index(s).child("serviceAccountToken"),
            "must not be specified when serviceAccountName is not set");
      }
    }
  }
  auto check_images = [&](const std::vector<corev1::Container>& containers, const Path& at) {
    for (size_t i = 0; i < containers.size(); ++i) {
      if (padded(containers[i].image)) {
        errors.invalid(at.index(i).child("image"), containers[i].image, "must not have leading or trailing whitespace");
      }
    }
  };
  check_images(pod.spec.containers, spec.child("containers"));
  check_images(pod.spec.init_containers, spec.child("initContainers"));
}

/// False when containers were added or removed, which makes further comparison pointless.
bool check_container_updates(const std::vector<corev1::Container>& updated, const std::vector<corev1::Container>& old,
                             const Path& at, ErrorList& errors) {
  if (updated.size() != old.size()) {
    errors.forbidden(at, "pod updates may not add or remove containers");
    return false;
  }
  for (size_t i = 0; i < updated.size(); ++i) {
    if (updated[i].image.empty()) errors.required(at.index(i).child("image"));
    if (padded(updated[i].image)) {
      errors.invalid(at.index(i).child("image"), updated[i].image, "must not have leading or trailing whitespace");
    }
  }
  return true;
}

/// False when the value is out of the question.
bool check_deadline_update(const corev1::PodSpec& updated, const corev1::PodSpec& old, const Path& at,
                           ErrorList& errors) {
  if (updated.active_deadline_seconds) {
    const int64_t value = *updated.active_deadline_seconds;
    if (value < 0 || value > kMaxInt32) {
      errors.invalid(at, value, "must be between 0 and 2147483647, inclusive");
      return false;
    }
    if (old.active_deadline_seconds && *old.active_deadline_seconds < value) {
      errors.invalid(at, value, "must be less than or equal to previous value");
      return false;
    }
  } else if (old.active_deadline_seconds) {
    errors.invalid(at, BadValue::raw("null"), "must not update from a positive integer to nil value");
  }
  return true;
}

void check_only_added_tolerations(const std::vector<corev1::Toleration>& updated,
                                  const std::vector<corev1::Toleration>& old, const Path& at, ErrorList& errors) {
  for (const auto& before : old) {
    const bool kept = std::any_of(updated.begin(), updated.end(), [&](const auto& now) {
      return now.key == before.key && now.operator_ == before.operator_ && now.value == before.value &&
             now.effect == before.effect;
    });
    if (!kept) {
      errors.forbidden(at, "existing toleration can not be modified except its tolerationSeconds");
      return;
    }
  }
  check_tolerations(updated, at, errors);
}

void check_only_deleted_gates(const corev1::PodSpec& updated, const corev1::PodSpec& old, const Path& at,
                              ErrorList& errors) {
  for (size_t i = 0; i < updated.scheduling_gates.size(); ++i) {
    const std::string& name = updated.scheduling_gates[i].name;
    const bool known = std::any_of(old.scheduling_gates.begin(), old.scheduling_gates.end(),
                                   [&](const auto& gate) { return gate.name == name; });
    if (!known) {
      errors.forbidden(at.index(i).child("name"),
                       fmt::format("only deletion is allowed, but found new scheduling gate '{}'", name));
    }
  }
}

/// While gated, nodeSelector and node affinity may be narrowed (KEP-3838). Copies the checked parts of `old` over
/// `munged`, so that the comparison of the whole spec ignores them.
void check_gated_update(corev1::PodSpec& munged, const corev1::PodSpec& old, const Path& at, ErrorList& errors) {
  for (const auto& [key, value] : old.node_selector) {
    const auto found = munged.node_selector.find(key);
    if (found == munged.node_selector.end() || found->second != value) {
      errors.invalid(at.child("nodeSelector"), BadValue::raw("map"),
                     "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
      break;
    }
  }
  munged.node_selector = old.node_selector;

  const bool had = old.affinity && old.affinity->node_affinity;
  const bool has = munged.affinity && munged.affinity->node_affinity;
  if (had) {
    const auto& before = old.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
    const Path path =
        at.child("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms");
    if (before) {
      const auto* after = has && munged.affinity->node_affinity->required_during_scheduling_ignored_during_execution
                              ? &*munged.affinity->node_affinity->required_during_scheduling_ignored_during_execution
                              : nullptr;
      if (!after || after->node_selector_terms.size() != before->node_selector_terms.size()) {
        errors.invalid(path, BadValue::raw("[]"),
                       "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
      } else {
        for (size_t i = 0; i < before->node_selector_terms.size(); ++i) {
          const auto& was = before->node_selector_terms[i];
          const auto& now = after->node_selector_terms[i];
          const bool empty = was.match_expressions.empty() && was.match_fields.empty();
          auto kept = [](const auto& terms, const auto& longer) {
            if (longer.size() < terms.size()) return false;
            for (size_t t = 0; t < terms.size(); ++t) {
              if (!semantic_equal(terms[t], longer[t])) return false;
            }
            return true;
          };
          if (empty
                  ? !semantic_equal(was, now)
                  : !kept(was.match_expressions, now.match_expressions) || !kept(was.match_fields, now.match_fields)) {
            errors.invalid(path.index(i), BadValue::raw(encode_json(now)),
                           "only additions are allowed (no mutations or deletions)");
          }
        }
      }
    }
  }
  if (had) {
    if (!munged.affinity) munged.affinity.emplace();
    munged.affinity->node_affinity = old.affinity->node_affinity;
  } else if (has) {
    munged.affinity->node_affinity.reset();
    if (!old.affinity && !munged.affinity->pod_affinity && !munged.affinity->pod_anti_affinity) {
      munged.affinity.reset();
    }
  }
}

void check_transitions(const std::vector<corev1::ContainerStatus>& updated,
                       const std::vector<corev1::ContainerStatus>& old, std::string_view restart_policy,
                       const std::vector<corev1::Container>* init_containers, const Path& at, ErrorList& errors) {
  if (restart_policy == "Always") return;
  for (size_t i = 0; i < old.size(); ++i) {
    if (!old[i].state.terminated) continue;
    if (old[i].state.terminated->exit_code != 0 && restart_policy == "OnFailure") continue;
    if (init_containers) {
      const bool sidecar = std::any_of(init_containers->begin(), init_containers->end(), [&](const auto& container) {
        return container.name == old[i].name && container.restart_policy.value_or("") == "Always";
      });
      if (sidecar) continue;
    }
    for (const auto& now : updated) {
      if (now.name == old[i].name && !now.state.terminated) {
        errors.forbidden(at.index(i).child("state"), "may not be transitioned to non-terminated state");
      }
    }
  }
}

template <typename Address>
void check_addresses(const std::vector<Address>& addresses, const Path& at, ErrorList& errors) {
  std::set<std::string_view> seen;
  bool v4 = false;
  bool v6 = false;
  for (size_t i = 0; i < addresses.size(); ++i) {
    check_ip(addresses[i].ip, at.index(i), errors);
    (is_ipv6(addresses[i].ip) ? v6 : v4) = true;
    if (addresses.size() > 1 && !seen.insert(addresses[i].ip).second) {
      errors.duplicate(at.index(i), BadValue::raw(encode_json(addresses[i])));
    }
  }
  if (addresses.size() > 1 && (!v4 || !v6 || addresses.size() > 2)) {
    errors.invalid(at, BadValue::raw("[]"), "may specify no more than one IP for each IP family");
  }
}

/// Copies the processor and memory values of `old`, so that only other differences remain.
void restore_compute(Map<Quantity>& list, const Map<Quantity>& old) {
  for (const char* name : {"cpu", "memory"}) {
    list.erase(name);
    if (const auto found = old.find(name); found != old.end()) list[name] = found->second;
  }
}

bool any_removed(const Map<Quantity>& updated, const Map<Quantity>& old) {
  return std::any_of(old.begin(), old.end(), [&](const auto& entry) { return updated.count(entry.first) == 0; });
}

void check_container_resize(const corev1::Container& updated, const corev1::Container& old, const Path& at,
                            ErrorList& errors) {
  const auto& now = updated.resources;
  const auto& before = old.resources;
  if (any_removed(now.requests, before.requests)) {
    errors.forbidden(at.child("requests"), "resource requests cannot be removed");
  }
  if (any_removed(now.limits, before.limits)) {
    errors.forbidden(at.child("limits"), "resource limits cannot be removed");
  }
}

}  // namespace

void check_pod_spec(const corev1::PodSpec& spec, const metav1::ObjectMeta* pod_meta, const Path& at,
                    ErrorList& errors) {
  if (!spec.termination_grace_period_seconds) errors.required(at.child("terminationGracePeriodSeconds"));
  PodScope scope;
  scope.grace_period = spec.termination_grace_period_seconds;
  scope.restart_policy = spec.restart_policy;
  scope.host_users = spec.host_users.value_or(true);
  for (const auto& claim : spec.resource_claims) {
    if (!claim.name.empty()) scope.claims.insert(claim.name);
  }
  check_volumes(spec.volumes, pod_meta ? std::string_view(pod_meta->name) : std::string_view(), at.child("volumes"),
                scope, errors);
  check_resource_claims(spec.resource_claims, at.child("resourceClaims"), errors);
  check_containers(spec, scope, at, errors);
  check_host_network_ports(spec, pod_meta != nullptr, at, errors);
  errors.check_enum(at.child("restartPolicy"), spec.restart_policy, {"Always", "OnFailure", "Never"});
  errors.check_enum(at.child("dnsPolicy"), spec.dns_policy,
                    {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"});
  check_labels(spec.node_selector, at.child("nodeSelector"), errors);
  if (spec.security_context) {
    check_pod_security_context(*spec.security_context, spec, at.child("securityContext"), errors);
  }
  if (spec.affinity) check_affinity(*spec.affinity, at.child("affinity"), errors);
  check_dns(spec, at.child("dnsConfig"), errors);
  for (size_t i = 0; i < spec.readiness_gates.size(); ++i) {
    check_qualified_name(spec.readiness_gates[i].condition_type,
                         at.child("readinessGates").index(i).child("conditionType"), errors);
  }
  std::set<std::string_view> gates;
  for (size_t i = 0; i < spec.scheduling_gates.size(); ++i) {
    const Path path = at.child("schedulingGates").index(i);
    check_qualified_name(spec.scheduling_gates[i].name, path, errors);
    if (!gates.insert(spec.scheduling_gates[i].name).second) errors.duplicate(path, spec.scheduling_gates[i].name);
  }
  check_spread_constraints(spec.topology_spread_constraints, at.child("topologySpreadConstraints"), errors);
  check_pod_os(spec, at, errors);
  auto subdomain = [&](std::string_view value, std::string_view field) {
    if (!value.empty()) check_name(NameRule::kSubdomain, value, at.child(field), errors);
  };
  subdomain(spec.service_account_name, "serviceAccountName");
  subdomain(spec.node_name, "nodeName");
  if (spec.active_deadline_seconds &&
      (*spec.active_deadline_seconds < 1 || *spec.active_deadline_seconds > kMaxInt32)) {
    errors.invalid(at.child("activeDeadlineSeconds"), *spec.active_deadline_seconds,
                   "must be between 1 and 2147483647, inclusive");
  }
  if (!spec.hostname.empty()) check_dns_label(spec.hostname, at.child("hostname"), errors);
  if (!spec.subdomain.empty()) check_dns_label(spec.subdomain, at.child("subdomain"), errors);
  check_tolerations(spec.tolerations, at.child("tolerations"), errors);
  for (size_t i = 0; i < spec.host_aliases.size(); ++i) {
    const Path path = at.child("hostAliases").index(i);
    check_ip(spec.host_aliases[i].ip, path.child("ip"), errors);
    for (size_t h = 0; h < spec.host_aliases[i].hostnames.size(); ++h) {
      check_dns_subdomain(spec.host_aliases[i].hostnames[h], path.child("hostnames").index(h), errors);
    }
  }
  subdomain(spec.priority_class_name, "priorityClassName");
  if (spec.runtime_class_name) {
    check_name(NameRule::kSubdomain, *spec.runtime_class_name, at.child("runtimeClassName"), errors);
  }
  if (spec.preemption_policy) {
    errors.check_enum(at.child("preemptionPolicy"), *spec.preemption_policy, {"PreemptLowerPriority", "Never"});
  }
  if (!spec.overhead.empty()) check_requirements(spec.overhead, {}, at.child("overhead"), errors);
}

void check_pod_template(const corev1::PodTemplateSpec& pod_template, const Path& at, ErrorList& errors) {
  const auto& spec = pod_template.spec;
  check_labels(pod_template.metadata.labels, at.child("labels"), errors);
  check_annotations(pod_template.metadata.annotations, at.child("annotations"), errors);
  check_pod_annotations(pod_template.metadata.annotations, spec, at.child("annotations"), errors);
  check_pod_spec(spec, nullptr, at.child("spec"), errors);
  check_profiles_match(pod_template.metadata.annotations, spec, at.child("spec"), errors);
  if (!spec.ephemeral_containers.empty()) {
    errors.forbidden(at.child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template");
  }
}

void check_pod_create(const corev1::Pod& pod, ErrorList& errors) {
  check_meta_and_spec(pod, errors);
  const Path spec("spec");
  if (!pod.spec.ephemeral_containers.empty()) {
    errors.forbidden(spec.child("ephemeralContainers"), "cannot be set on create");
  }
  if (!pod.spec.node_name.empty() && !pod.spec.scheduling_gates.empty()) {
    errors.forbidden(spec.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
  }
  check_profiles_match(pod.metadata.annotations, pod.spec, spec, errors);
}

void check_pod_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors) {
  const Path meta("metadata");
  const Path spec("spec");
  check_object_meta_update(updated.metadata, old.metadata, meta, errors);
  check_meta_and_spec(updated, errors);
  check_annotation_updates(updated, old, meta.child("annotations"), errors);
  if (!check_container_updates(updated.spec.containers, old.spec.containers, spec.child("containers"), errors)) return;
  if (!check_container_updates(updated.spec.init_containers, old.spec.init_containers, spec.child("initContainers"),
                               errors)) {
    return;
  }
  if (!check_deadline_update(updated.spec, old.spec, spec.child("activeDeadlineSeconds"), errors)) return;
  check_only_added_tolerations(updated.spec.tolerations, old.spec.tolerations, spec.child("tolerations"), errors);
  check_only_deleted_gates(updated.spec, old.spec, spec.child("schedulingGates"), errors);
  if (semantic_equal(updated.spec, old.spec)) return;

  corev1::PodSpec munged = updated.spec;
  for (size_t i = 0; i < munged.containers.size(); ++i) munged.containers[i].image = old.spec.containers[i].image;
  for (size_t i = 0; i < munged.init_containers.size(); ++i) {
    munged.init_containers[i].image = old.spec.init_containers[i].image;
  }
  munged.active_deadline_seconds = old.spec.active_deadline_seconds;
  munged.scheduling_gates = old.spec.scheduling_gates;
  munged.tolerations = old.spec.tolerations;
  if (old.spec.termination_grace_period_seconds.value_or(0) < 0 &&
      munged.termination_grace_period_seconds.value_or(0) == 1) {
    munged.termination_grace_period_seconds = old.spec.termination_grace_period_seconds;
  }
  if (!old.spec.scheduling_gates.empty()) check_gated_update(munged, old.spec, spec, errors);
  if (!semantic_equal(munged, old.spec)) {
    errors.forbidden(
        spec,
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n" +
            describe_changes(type_info<corev1::PodSpec>(), &old.spec, &munged));
  }
}

void check_pod_status_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors) {
  const Path meta("metadata");
  const Path status("status");
  check_object_meta_update(updated.metadata, old.metadata, meta, errors);
  check_annotation_updates(updated, old, meta.child("annotations"), errors);
  for (size_t i = 0; i < updated.status.conditions.size(); ++i) {
    const std::string& type = updated.status.conditions[i].type;
    if (type == "PodScheduled" || type == "Ready" || type == "Initialized") continue;
    check_qualified_name(type, meta.child("conditions").index(i).child("Type"), errors);
  }
  if (updated.spec.node_name != old.spec.node_name) {
    errors.forbidden(status.child("nodeName"), "may not be changed directly");
  }
  const std::string& nominated = updated.status.nominated_node_name;
  if (nominated != old.status.nominated_node_name && !nominated.empty()) {
    check_name(NameRule::kSubdomain, nominated, status.child("nominatedNodeName"), errors);
  }
  if (!old.status.qos_class.empty()) {
    check_immutable(updated.status.qos_class, old.status.qos_class, status.child("qosClass"), errors);
  }
  check_transitions(updated.status.container_statuses, old.status.container_statuses, old.spec.restart_policy, nullptr,
                    status.child("containerStatuses"), errors);
  check_transitions(updated.status.init_container_statuses, old.status.init_container_statuses, old.spec.restart_policy,
                    &old.spec.init_containers, status.child("initContainerStatuses"), errors);
  check_transitions(updated.status.ephemeral_container_statuses, old.status.ephemeral_container_statuses, "Never",
                    nullptr, status.child("ephemeralContainerStatuses"), errors);
  check_addresses(updated.status.pod_ips, status.child("podIPs"), errors);
  if (!updated.status.host_ips.empty() && updated.status.host_ip != updated.status.host_ips[0].ip) {
    errors.invalid(status.child("hostIPs").index(0).child("ip"), updated.status.host_ips[0].ip,
                   "must be equal to `hostIP`");
  }
  check_addresses(updated.status.host_ips, status.child("hostIPs"), errors);
}

void check_ephemeral_containers_update(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors) {
  const Path meta("metadata");
  check_object_meta_update(updated.metadata, old.metadata, meta, errors);
  check_meta_and_spec(updated, errors);
  check_annotation_updates(updated, old, meta.child("annotations"), errors);
  if (old.metadata.annotations.count(std::string(kMirror)) > 0) {
    errors = ErrorList();
    errors.forbidden(Path(""), "static pods do not support ephemeral containers");
    return;
  }
  const Path path("spec.ephemeralContainers");
  for (const auto& before : old.spec.ephemeral_containers) {
    const std::string& name = before.ephemeral_container_common.name;
    const auto& now = updated.spec.ephemeral_containers;
    const auto found = std::find_if(now.begin(), now.end(),
                                    [&](const auto& each) { return each.ephemeral_container_common.name == name; });
    if (found == now.end()) {
      errors.forbidden(path, fmt::format("existing ephemeral containers {} may not be removed\n", go_quote(name)));
    } else if (!semantic_equal(before, *found)) {
      errors.forbidden(path, fmt::format("existing ephemeral containers {} may not be changed\n{}", go_quote(name),
                                         describe_changes(type_info<corev1::EphemeralContainer>(), &before, &*found)));
    }
  }
}

void check_pod_resize(const corev1::Pod& updated, const corev1::Pod& old, ErrorList& errors) {
  const Path spec("spec");
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_meta_and_spec(updated, errors);
  if (old.metadata.annotations.count(std::string(kMirror)) > 0) {
    errors = ErrorList();
    return errors.forbidden(Path(""), "static pods cannot be resized");
  }
  if (old.spec.os && old.spec.os->name == "windows") {
    errors = ErrorList();
    return errors.forbidden(Path(""), "windows pods cannot be resized");
  }
  if (!check_container_updates(updated.spec.containers, old.spec.containers, spec.child("containers"), errors)) return;
  corev1::PodSpec munged = updated.spec;
  for (size_t i = 0; i < old.spec.containers.size(); ++i) {
    const Path path = spec.child("containers").index(i).child("resources");
    check_container_resize(updated.spec.containers[i], old.spec.containers[i], path, errors);
    restore_compute(munged.containers[i].resources.limits, old.spec.containers[i].resources.limits);
    restore_compute(munged.containers[i].resources.requests, old.spec.containers[i].resources.requests);
  }
  if (!semantic_equal(munged, old.spec)) errors.forbidden(spec, "only cpu and memory resources are mutable");
}

void check_binding(const corev1::Binding& binding, ErrorList& errors) {
  const Path target("target");
  if (!binding.target.kind.empty() && binding.target.kind != "Node") {
    errors.not_supported(target.child("kind"), binding.target.kind, {"Node", "<empty>"});
  }
  if (binding.target.name.empty()) errors.required(target.child("name"));
}

}  // namespace trireme::api::validation
