#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/types/metav1.h"
#include "api/validation/field.h"

/// Rules that every kind shares: object metadata, names, labels, selectors, addresses and ports.
namespace trireme::api::validation {

/// What a kind's names must look like.
enum class NameRule {
  kSubdomain,    ///< RFC 1123 subdomain: most kinds
  kLabel,        ///< RFC 1123 label: namespaces
  kLabel1035,    ///< RFC 1035 label: services
  kPathSegment,  ///< Anything that fits one URL path segment: RBAC, CSRs' signers, webhooks
};

/// What is wrong with `name`, empty when nothing is. `prefix` allows a trailing dash (generateName).
std::vector<std::string> name_problems(NameRule rule, std::string_view name, bool prefix = false);
std::vector<std::string> label_value_problems(std::string_view value);

void check_name(NameRule rule, std::string_view name, const Path& at, ErrorList& errors);
void check_dns_label(std::string_view value, const Path& at, ErrorList& errors);
void check_dns_subdomain(std::string_view value, const Path& at, ErrorList& errors);
void check_qualified_name(std::string_view value, const Path& at, ErrorList& errors);
void check_config_key(std::string_view key, const Path& at, ErrorList& errors);
/// An environment variable's name: printable ASCII without '=' (KEP-4369, on by default since 1.32).
void check_env_name(std::string_view name, const Path& at, ErrorList& errors);
void check_http_header_name(std::string_view name, const Path& at, ErrorList& errors);
void check_port_number(int64_t port, const Path& at, ErrorList& errors);
/// False when `name` is no valid port name (errors added).
bool check_port_name(std::string_view name, const Path& at, ErrorList& errors);
void check_port(const IntOrString& port, const Path& at, ErrorList& errors);
bool check_ip(std::string_view ip, const Path& at, ErrorList& errors);
void check_cidr(std::string_view cidr, const Path& at, ErrorList& errors);
/// Refuses unspecified, loopback and link-local addresses.
void check_non_special_ip(std::string_view ip, const Path& at, ErrorList& errors);
bool is_ipv6(std::string_view ip);

void check_not_negative(int64_t value, const Path& at, ErrorList& errors);
void check_labels(const Map<std::string>& labels, const Path& at, ErrorList& errors);
void check_annotations(const Map<std::string>& annotations, const Path& at, ErrorList& errors);
void check_selector(const metav1::LabelSelector& selector, const Path& at, ErrorList& errors);
void check_condition_list(const std::vector<metav1::Condition>& conditions, const Path& at, ErrorList& errors);
/// A namespace's or object's finalizer: qualified, or one of the standard short names.
void check_finalizer_name(std::string_view name, const Path& at, ErrorList& errors);

void check_object_meta(const metav1::ObjectMeta& meta, bool namespaced, NameRule rule, const Path& at,
                       ErrorList& errors);
void check_object_meta_update(const metav1::ObjectMeta& updated, const metav1::ObjectMeta& old, const Path& at,
                              ErrorList& errors);

/// `field is immutable` unless both are equal.
template <typename T>
void check_immutable(const T& updated, const T& old, const Path& at, ErrorList& errors, const BadValue& shown) {
  if (!(updated == old)) errors.invalid(at, shown, kImmutable);
}
inline void check_immutable(const std::string& updated, const std::string& old, const Path& at, ErrorList& errors) {
  check_immutable(updated, old, at, errors, BadValue(updated));
}

}  // namespace trireme::api::validation
