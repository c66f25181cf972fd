#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// The syntax rules of names and label-like strings, and generated names. The rules and their texts are those of
/// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and .../labels/.
namespace trireme::api {

/// What is wrong, in the words clients see; empty when the text is valid.
using NameErrors = std::vector<std::string>;

inline constexpr size_t kDns1123LabelMaxLength = 63;
inline constexpr size_t kDns1123SubdomainMaxLength = 253;

NameErrors check_dns1123_label(std::string_view value);
NameErrors check_dns1123_subdomain(std::string_view value);
NameErrors check_wildcard_dns1123_subdomain(std::string_view value);
NameErrors check_dns1035_label(std::string_view value);
/// A label or annotation key: `[prefix/]name`.
NameErrors check_qualified_name(std::string_view value);
NameErrors check_label_value(std::string_view value);
NameErrors check_c_identifier(std::string_view value);
/// Strict since 1.0; 1.32 accepts what check_relaxed_env_var_name does.
NameErrors check_env_var_name(std::string_view value);
NameErrors check_relaxed_env_var_name(std::string_view value);
/// A key of a ConfigMap or Secret.
NameErrors check_config_map_key(std::string_view value);
NameErrors check_port_name(std::string_view value);
NameErrors check_port_number(int64_t port);
NameErrors check_range(int64_t value, int64_t low, int64_t high);
NameErrors check_http_header_name(std::string_view value);
NameErrors check_percent(std::string_view value);
/// Anything that can stand as one segment of a URL path (roles, bindings).
NameErrors check_path_segment(std::string_view value);

/// IPv4 octets may have leading zeros, read as decimal.
NameErrors check_ip(std::string_view value);
NameErrors check_ipv4(std::string_view value);
NameErrors check_ipv6(std::string_view value);
NameErrors check_cidr(std::string_view value);

inline bool is_dns1123_label(std::string_view value) { return check_dns1123_label(value).empty(); }
inline bool is_dns1123_subdomain(std::string_view value) { return check_dns1123_subdomain(value).empty(); }
inline bool is_ip(std::string_view value) { return check_ip(value).empty(); }

/// `must be no more than 63 characters`
std::string max_length_error(size_t length);

/// A source of random numbers, uniform over uint32_t.
using RandomSource = std::function<uint32_t()>;
/// Seeded by the system, one per thread.
uint32_t system_random();

/// Lower-case letters and digits from which no words can form.
std::string random_suffix(size_t length, const RandomSource& random = system_random);
/// metadata.generateName plus five random characters, the base cut so that a DNS label results.
std::string generate_name(std::string_view base, const RandomSource& random = system_random);

}  // namespace trireme::api
