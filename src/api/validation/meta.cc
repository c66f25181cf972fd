#include "api/validation/meta.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "api/codec.h"
#include "api/names.h"

namespace trireme::api::validation {
namespace {

constexpr size_t kMaxAnnotationsSize = 256 * 1024;
constexpr size_t kMaxFieldManager = 128;
constexpr size_t kMaxSubresource = 256;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// A generated name's prefix may end in a dash: what the generator appends makes it whole.
std::string mask_trailing_dash(std::string_view name) {
  if (name.size() > 1 && name.back() == '-') return std::string(name.substr(0, name.size() - 2)) + "a";
  return std::string(name);
}

/// As check_path_segment, but a prefix may still become something else than "." or "..".
std::vector<std::string> path_segment_problems(std::string_view name, bool prefix) {
  if (prefix && (name == "." || name == "..")) return {};
  return check_path_segment(name);
}

void check_owner_references(const std::vector<metav1::OwnerReference>& owners, const Path& at, ErrorList& errors) {
  std::string controller;
  for (const auto& owner : owners) {
    const size_t slash = owner.api_version.find('/');
    const std::string_view version = slash == std::string::npos ? std::string_view(owner.api_version)
                                                                : std::string_view(owner.api_version).substr(slash + 1);
    if (version.empty()) errors.invalid(at.child("apiVersion"), owner.api_version, "version must not be empty");
    if (owner.kind.empty()) errors.invalid(at.child("kind"), owner.kind, "kind must not be empty");
    if (owner.name.empty()) errors.invalid(at.child("name"), owner.name, "name must not be empty");
    if (owner.uid.empty()) errors.invalid(at.child("uid"), owner.uid, "uid must not be empty");
    if (owner.api_version == "v1" && owner.kind == "Event") {
      errors.invalid(at, BadValue::raw(encode_json(owner)), "/v1, Kind=Event is disallowed from being an owner");
    }
    if (owner.controller.value_or(false)) {
      const std::string current = owner.kind + "/" + owner.name;
      if (controller.empty()) {
        controller = current;
      } else {
        std::string all = "[";
        for (const auto& each : owners) {
          if (all.size() > 1) all += ",";
          append_json(type_info<metav1::OwnerReference>(), &each, all);
        }
        errors.invalid(at, BadValue::raw(all + "]"),
                       fmt::format("Only one reference can have Controller set to true. Found \"true\" in references "
                                   "for {} and {}",
                                   controller, current));
      }
    }
  }
}

void check_managed_fields(const std::vector<metav1::ManagedFieldsEntry>& entries, const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    const Path path = at.index(i);
    if (entry.operation != "Apply" && entry.operation != "Update") {
      errors.invalid(path.child("operation"), entry.operation, "must be `Apply` or `Update`");
    }
    if (!entry.fields_type.empty() && entry.fields_type != "FieldsV1") {
      errors.invalid(path.child("fieldsType"), entry.fields_type, "must be `FieldsV1`");
    }
    if (entry.manager.size() > kMaxFieldManager) errors.too_long(path.child("manager"), kMaxFieldManager);
    if (entry.subresource.size() > kMaxSubresource) errors.too_long(path.child("subresource"), kMaxSubresource);
  }
}

void check_finalizers(const std::vector<std::string>& finalizers, const Path& at, ErrorList& errors) {
  bool orphan = false;
  bool foreground = false;
  for (const auto& finalizer : finalizers) {
    check_qualified_name(finalizer, at, errors);
    orphan |= finalizer == "orphan";
    foreground |= finalizer == "foregroundDeletion";
  }
  if (orphan && foreground) {
    errors.invalid(at, finalizers, "finalizer orphan and foregroundDeletion cannot be both set");
  }
}

void check_kube_finalizer(std::string_view name, const Path& at, ErrorList& errors) {
  if (name.find('/') != std::string_view::npos) return;
  if (name != "kubernetes" && name != "orphan" && name != "foregroundDeletion") {
    errors.invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified");
  }
}

struct ParsedIp {
  bool valid = false;
  bool v6 = false;
  unsigned char bytes[16] = {};
};

ParsedIp parse_ip(std::string_view text) {
  ParsedIp ip;
  const std::string copy(text);
  if (inet_pton(AF_INET, copy.c_str(), ip.bytes) == 1) {
    ip.valid = true;
  } else if (inet_pton(AF_INET6, copy.c_str(), ip.bytes) == 1) {
    ip.valid = ip.v6 = true;
  }
  return ip;
}

}  // namespace

std::vector<std::string> name_problems(NameRule rule, std::string_view name, bool prefix) {
  const std::string masked = prefix ? mask_trailing_dash(name) : std::string(name);
  switch (rule) {
    case NameRule::kSubdomain:
      return api::check_dns1123_subdomain(masked);
    case NameRule::kLabel:
      return api::check_dns1123_label(masked);
    case NameRule::kLabel1035:
      return api::check_dns1035_label(masked);
    case NameRule::kPathSegment:
      return path_segment_problems(name, prefix);
  }
  return {};
}

std::vector<std::string> label_value_problems(std::string_view value) { return api::check_label_value(value); }

void check_name(NameRule rule, std::string_view name, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, name, name_problems(rule, name));
}

void check_dns_label(std::string_view value, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, value, api::check_dns1123_label(value));
}

void check_dns_subdomain(std::string_view value, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, value, api::check_dns1123_subdomain(value));
}

void check_qualified_name(std::string_view value, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, value, api::check_qualified_name(value));
}

void check_config_key(std::string_view key, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, key, api::check_config_map_key(key));
}

void check_env_name(std::string_view name, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, name, check_relaxed_env_var_name(name));
}

void check_http_header_name(std::string_view name, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, name, api::check_http_header_name(name));
}

void check_port_number(int64_t port, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, port, api::check_port_number(port));
}

bool check_port_name(std::string_view name, const Path& at, ErrorList& errors) {
  const std::vector<std::string> problems = api::check_port_name(name);
  errors.invalid_each(at, name, problems);
  return problems.empty();
}

void check_port(const IntOrString& port, const Path& at, ErrorList& errors) {
  if (port.is_string()) {
    check_port_name(port.string_value(), at, errors);
  } else {
    check_port_number(port.int_value(), at, errors);
  }
}

bool check_ip(std::string_view ip, const Path& at, ErrorList& errors) {
  const NameErrors problems = api::check_ip(ip);
  errors.invalid_each(at, ip, problems);
  return problems.empty();
}

void check_cidr(std::string_view cidr, const Path& at, ErrorList& errors) {
  errors.invalid_each(at, cidr, api::check_cidr(cidr));
}

void check_non_special_ip(std::string_view text, const Path& at, ErrorList& errors) {
  const ParsedIp ip = parse_ip(text);
  if (!ip.valid) {
    errors.invalid(at, text, "must be a valid IP address");
    return;
  }
  const unsigned char* b = ip.bytes;
  const size_t length = ip.v6 ? 16 : 4;
  const bool all_zero = std::all_of(b, b + length, [](unsigned char c) { return c == 0; });
  const bool v6_loopback = ip.v6 && std::all_of(b, b + 15, [](unsigned char c) { return c == 0; }) && b[15] == 1;
  if (all_zero) errors.invalid(at, text, fmt::format("may not be unspecified ({})", text));
  if (ip.v6 ? v6_loopback : b[0] == 127) {
    errors.invalid(at, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
  }
  if (ip.v6 ? b[0] == 0xfe && (b[1] & 0xc0) == 0x80 : b[0] == 169 && b[1] == 254) {
    errors.invalid(at, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  }
  if (ip.v6 ? b[0] == 0xff && (b[1] & 0x0f) == 0x02 : b[0] == 224 && b[1] == 0 && b[2] == 0) {
    errors.invalid(at, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  }
}

bool is_ipv6(std::string_view ip) { return parse_ip(ip).v6; }

void check_not_negative(int64_t value, const Path& at, ErrorList& errors) {
  if (value < 0) errors.invalid(at, value, kNotNegative);
}

void check_labels(const Map<std::string>& labels, const Path& at, ErrorList& errors) {
  for (const auto& [key, value] : labels) {
    check_qualified_name(key, at, errors);
    errors.invalid_each(at, value, api::check_label_value(value));
  }
}

void check_annotations(const Map<std::string>& annotations, const Path& at, ErrorList& errors) {
  size_t size = 0;
  for (const auto& [key, value] : annotations) {
    errors.invalid_each(at, key, api::check_qualified_name(lower(key)));
    size += key.size() + value.size();
  }
  if (size > kMaxAnnotationsSize) errors.too_long(at, kMaxAnnotationsSize);
}

void check_selector(const metav1::LabelSelector& selector, const Path& at, ErrorList& errors) {
  check_labels(selector.match_labels, at.child("matchLabels"), errors);
  for (size_t i = 0; i < selector.match_expressions.size(); ++i) {
    const auto& requirement = selector.match_expressions[i];
    const Path path = at.child("matchExpressions").index(i);
    if (requirement.operator_ == "In" || requirement.operator_ == "NotIn") {
      if (requirement.values.empty()) {
        errors.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (requirement.operator_ == "Exists" || requirement.operator_ == "DoesNotExist") {
      if (!requirement.values.empty()) {
        errors.forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else {
      errors.invalid(path.child("operator"), requirement.operator_, "not a valid selector operator");
    }
    check_qualified_name(requirement.key, path.child("key"), errors);
    for (size_t v = 0; v < requirement.values.size(); ++v) {
      errors.invalid_each(path.child("values").index(v), requirement.values[v],
                          api::check_label_value(requirement.values[v]));
    }
  }
}

void check_condition_list(const std::vector<metav1::Condition>& conditions, const Path& at, ErrorList& errors) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < conditions.size(); ++i) {
    const auto& condition = conditions[i];
    const Path path = at.index(i);
    if (!seen.insert(condition.type).second) errors.duplicate(path.child("type"), condition.type);
    check_qualified_name(condition.type, path.child("type"), errors);
    if (condition.status != "True" && condition.status != "False" && condition.status != "Unknown") {
      errors.not_supported(path.child("status"), condition.status, {"False", "True", "Unknown"});
    }
    if (condition.reason.empty()) errors.required(path.child("reason"), "must be set");
  }
}

void check_finalizer_name(std::string_view name, const Path& at, ErrorList& errors) {
  check_qualified_name(name, at, errors);
  check_kube_finalizer(name, at, errors);
}

void check_object_meta(const metav1::ObjectMeta& meta, bool namespaced, NameRule rule, const Path& at,
                       ErrorList& errors) {
  if (!meta.generate_name.empty()) {
    errors.invalid_each(at.child("generateName"), meta.generate_name, name_problems(rule, meta.generate_name, true));
  }
  if (meta.name.empty()) {
    errors.required(at.child("name"), "name or generateName is required");
  } else {
    errors.invalid_each(at.child("name"), meta.name, name_problems(rule, meta.name));
  }
  if (namespaced) {
    if (meta.namespace_.empty()) {
      errors.required(at.child("namespace"));
    } else {
      check_dns_label(meta.namespace_, at.child("namespace"), errors);
    }
  } else if (!meta.namespace_.empty()) {
    errors.forbidden(at.child("namespace"), "not allowed on this type");
  }
  check_not_negative(meta.generation, at.child("generation"), errors);
  check_labels(meta.labels, at.child("labels"), errors);
  check_annotations(meta.annotations, at.child("annotations"), errors);
  check_owner_references(meta.owner_references, at.child("ownerReferences"), errors);
  check_finalizers(meta.finalizers, at.child("finalizers"), errors);
  check_managed_fields(meta.managed_fields, at.child("managedFields"), errors);
  for (size_t i = 0; i < meta.finalizers.size(); ++i) {
    check_kube_finalizer(meta.finalizers[i], at.child("finalizers").index(i), errors);
  }
}

void check_object_meta_update(const metav1::ObjectMeta& updated, const metav1::ObjectMeta& old, const Path& at,
                              ErrorList& errors) {
  if (old.deletion_timestamp) {
    std::vector<std::string> extra;
    for (const auto& finalizer : updated.finalizers) {
      if (std::find(old.finalizers.begin(), old.finalizers.end(), finalizer) == old.finalizers.end()) {
        extra.push_back(finalizer);
      }
    }
    std::sort(extra.begin(), extra.end());
    if (!extra.empty()) {
      errors.forbidden(at.child("finalizers"),
                       "no new finalizers can be added if the object is being deleted, found new finalizers " +
                           BadValue(extra).text());
    }
  }
  if (updated.resource_version.empty()) {
    errors.invalid(at.child("resourceVersion"), updated.resource_version, "must be specified for an update");
  }
  if (updated.generation < old.generation) {
    errors.invalid(at.child("generation"), updated.generation, "must not be decremented");
  }
  check_immutable(updated.name, old.name, at.child("name"), errors);
  check_immutable(updated.namespace_, old.namespace_, at.child("namespace"), errors);
  check_immutable(updated.uid, old.uid, at.child("uid"), errors);
  check_immutable(updated.creation_timestamp, old.creation_timestamp, at.child("creationTimestamp"), errors,
                  BadValue::raw(updated.creation_timestamp.to_string()));
  check_immutable(updated.deletion_timestamp, old.deletion_timestamp, at.child("deletionTimestamp"), errors,
                  BadValue::raw(updated.deletion_timestamp ? updated.deletion_timestamp->to_string() : "null"));
  check_immutable(
      updated.deletion_grace_period_seconds, old.deletion_grace_period_seconds, at.child("deletionGracePeriodSeconds"),
      errors,
      BadValue::raw(updated.deletion_grace_period_seconds ? std::to_string(*updated.deletion_grace_period_seconds)
                                                          : "null"));
  check_labels(updated.labels, at.child("labels"), errors);
  check_annotations(updated.annotations, at.child("annotations"), errors);
  check_owner_references(updated.owner_references, at.child("ownerReferences"), errors);
  check_managed_fields(updated.managed_fields, at.child("managedFields"), errors);
  for (size_t i = 0; i < updated.finalizers.size(); ++i) {
    check_kube_finalizer(updated.finalizers[i], at.child("finalizers").index(i), errors);
  }
}

}  // namespace trireme::api::validation
