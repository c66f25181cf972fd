#include "api/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <random>
#include <utility>

namespace trireme::api {
namespace {

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_lower(c) || is_digit(c); }
bool is_alnum(char c) { return is_lower_alnum(c) || is_upper(c); }

template <typename Predicate>
bool all_of(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

constexpr std::string_view kDns1123LabelFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kDns1035LabelFormat = "[a-z]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kQualifiedNameFormat = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr std::string_view kDns1123SubdomainFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

bool label_shape(std::string_view text) {
  return !text.empty() && is_lower_alnum(text.front()) && is_lower_alnum(text.back()) &&
         all_of(text, [](char c) { return is_lower_alnum(c) || c == '-'; });
}

bool subdomain_shape(std::string_view text) {
  for (size_t start = 0;;) {
    size_t dot = text.find('.', start);
    if (!label_shape(text.substr(start, dot - start))) return false;
    if (dot == std::string_view::npos) return true;
    start = dot + 1;
  }
}

bool qualified_name_shape(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

/// `what (e.g. 'a',  or 'b', regex used for validation is 'format')`: upstream's wording, commas included.
std::string format_error(std::string_view what, std::string_view format,
                         std::initializer_list<std::string_view> examples = {}) {
  if (examples.size() == 0) return fmt::format("{} (regex used for validation is '{}')", what, format);
  std::string text = fmt::format("{} (e.g. ", what);
  bool first = true;
  for (std::string_view example : examples) {
    if (!std::exchange(first, false)) text += " or ";
    text += fmt::format("'{}', ", example);
  }
  return text + fmt::format("regex used for validation is '{}')", format);
}

void check_length(std::string_view value, size_t limit, NameErrors& errors) {
  if (value.size() > limit) errors.push_back(max_length_error(limit));
}

/// Names that would climb out of the directory they become files in.
void check_directory_escape(std::string_view value, NameErrors& errors) {
  if (value == ".") {
    errors.push_back("must not be '.'");
  } else if (value == "..") {
    errors.push_back("must not be '..'");
  } else if (value.starts_with("..")) {
    errors.push_back("must not start with '..'");
  }
}

bool ipv4_shape(std::string_view text) {
  for (int octet = 0; octet < 4; ++octet) {
    size_t dot = octet < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    std::string_view digits = text.substr(0, dot);
    if (digits.empty() || !all_of(digits, is_digit)) return false;
    unsigned number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || number > 255) return false;
    text.remove_prefix(octet < 3 ? dot + 1 : dot);
  }
  return true;
}

bool ipv6_shape(std::string_view text) {
  in6_addr address;
  return text.size() < INET6_ADDRSTRLEN && inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool is_v4_mapped(std::string_view text) {
  in6_addr address;
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1 && IN6_IS_ADDR_V4MAPPED(&address);
}

}  // namespace

std::string max_length_error(size_t length) { return fmt::format("must be no more than {} characters", length); }

NameErrors check_dns1123_label(std::string_view value) {
  NameErrors errors;
  check_length(value, kDns1123LabelMaxLength, errors);
  if (!label_shape(value)) {
    if (subdomain_shape(value)) {
      errors.push_back("must not contain dots");
    } else {
      errors.push_back(format_error(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
          "end with an alphanumeric character",
          kDns1123LabelFormat, {"my-name", "123-abc"}));
    }
  }
  return errors;
}

NameErrors check_dns1123_subdomain(std::string_view value) {
  NameErrors errors;
  check_length(value, kDns1123SubdomainMaxLength, errors);
  if (!subdomain_shape(value)) {
    errors.push_back(format_error(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character",
        kDns1123SubdomainFormat, {"example.com"}));
  }
  return errors;
}

NameErrors check_wildcard_dns1123_subdomain(std::string_view value) {
  NameErrors errors;
  check_length(value, kDns1123SubdomainMaxLength, errors);
  if (!value.starts_with("*.") || !subdomain_shape(value.substr(2))) {
    errors.push_back(format_error(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        "\\*\\." + std::string(kDns1123SubdomainFormat), {"*.example.com"}));
  }
  return errors;
}

NameErrors check_dns1035_label(std::string_view value) {
  NameErrors errors;
  check_length(value, kDns1123LabelMaxLength, errors);
  if (!label_shape(value) || !is_lower(value.front())) {
    errors.push_back(format_error(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, and end with an alphanumeric character",
        kDns1035LabelFormat, {"my-name", "abc-123"}));
  }
  return errors;
}

NameErrors check_qualified_name(std::string_view value) {
  static const std::string shape_error = format_error(
      "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      kQualifiedNameFormat, {"MyName", "my.name", "123-abc"});
  NameErrors errors;
  std::string_view name = value;
  if (size_t slash = value.find('/'); slash != std::string_view::npos) {
    std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      return {"a qualified name " + shape_error +
              " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
    }
    if (prefix.empty()) {
      errors.push_back("prefix part must be non-empty");
    } else {
      for (const std::string& error : check_dns1123_subdomain(prefix)) errors.push_back("prefix part " + error);
    }
  }
  if (name.empty()) {
    errors.push_back("name part must be non-empty");
  } else if (name.size() > 63) {
    errors.push_back("name part " + max_length_error(63));
  }
  if (!qualified_name_shape(name)) errors.push_back("name part " + shape_error);
  return errors;
}

NameErrors check_label_value(std::string_view value) {
  NameErrors errors;
  check_length(value, 63, errors);
  if (!value.empty() && !qualified_name_shape(value)) {
    errors.push_back(format_error(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character",
        fmt::format("({})?", kQualifiedNameFormat), {"MyValue", "my_value", "12345"}));
  }
  return errors;
}

NameErrors check_c_identifier(std::string_view value) {
  if (!value.empty() && !is_digit(value.front()) && all_of(value, [](char c) { return is_alnum(c) || c == '_'; }))
    return {};
  return {format_error(
      "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
      "characters or '_'",
      "[A-Za-z_][A-Za-z0-9_]*", {"my_name", "MY_NAME", "MyName"})};
}

NameErrors check_env_var_name(std::string_view value) {
  NameErrors errors;
  auto allowed = [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; };
  if (value.empty() || is_digit(value.front()) || !all_of(value, allowed)) {
    errors.push_back(format_error(
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must "
        "not start with a digit",
        "[-._a-zA-Z][-._a-zA-Z0-9]*", {"my.env-name", "MY_ENV.NAME", "MyEnvName1"}));
  }
  check_directory_escape(value, errors);
  return errors;
}

NameErrors check_relaxed_env_var_name(std::string_view value) {
  if (value.empty()) return {"environment variable name must be non-empty"};
  if (all_of(value, [](char c) { return c >= ' ' && c < 0x7f && c != '='; })) return {};
  return {"a valid environment variable name must consist only of printable ASCII characters other than '='"};
}

NameErrors check_config_map_key(std::string_view value) {
  NameErrors errors;
  check_length(value, kDns1123SubdomainMaxLength, errors);
  if (value.empty() || !all_of(value, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; })) {
    errors.push_back(format_error("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                                  "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  }
  check_directory_escape(value, errors);
  return errors;
}

NameErrors check_port_name(std::string_view value) {
  NameErrors errors;
  check_length(value, 15, errors);
  if (value.empty() || !all_of(value, [](char c) { return is_lower_alnum(c) || c == '-'; }))
    errors.push_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (std::none_of(value.begin(), value.end(), is_lower)) errors.push_back("must contain at least one letter (a-z)");
  if (value.find("--") != std::string_view::npos) errors.push_back("must not contain consecutive hyphens");
  if (!value.empty() && (value.front() == '-' || value.back() == '-'))
    errors.push_back("must not begin or end with a hyphen");
  return errors;
}

NameErrors check_range(int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return {fmt::format("must be between {} and {}, inclusive", low, high)};
}

NameErrors check_port_number(int64_t port) { return check_range(port, 1, 65535); }

NameErrors check_http_header_name(std::string_view value) {
  if (!value.empty() && all_of(value, [](char c) { return is_alnum(c) || c == '-'; })) return {};
  return {format_error("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                       {"X-Header-Name"})};
}

NameErrors check_percent(std::string_view value) {
  if (value.size() >= 2 && value.back() == '%' && all_of(value.substr(0, value.size() - 1), is_digit)) return {};
  return {format_error("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%",
                       {"1%", "93%"})};
}

NameErrors check_path_segment(std::string_view value) {
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  NameErrors errors;
  for (char forbidden : {'/', '%'}) {
    if (value.find(forbidden) != std::string_view::npos)
      errors.push_back(fmt::format("may not contain '{}'", forbidden));
  }
  return errors;
}

NameErrors check_ip(std::string_view value) {
  if (ipv4_shape(value) || ipv6_shape(value)) return {};
  return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
}

NameErrors check_ipv4(std::string_view value) {
  // An IPv4-mapped IPv6 address counts as IPv4, as in Go.
  if (ipv4_shape(value) || (ipv6_shape(value) && is_v4_mapped(value))) return {};
  return {"must be a valid IPv4 address"};
}

NameErrors check_ipv6(std::string_view value) {
  if (ipv6_shape(value) && !is_v4_mapped(value)) return {};
  return {"must be a valid IPv6 address"};
}

NameErrors check_cidr(std::string_view value) {
  size_t slash = value.find('/');
  if (slash != std::string_view::npos) {
    std::string_view address = value.substr(0, slash);
    std::string_view bits = value.substr(slash + 1);
    unsigned length = 0;
    auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), length);
    if (!bits.empty() && error == std::errc() && end == bits.data() + bits.size() &&
        ((ipv4_shape(address) && length <= 32) || (ipv6_shape(address) && length <= 128)))
      return {};
  }
  return {"must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"};
}

uint32_t system_random() {
  thread_local std::mt19937 engine{std::random_device{}()};
  return static_cast<uint32_t>(engine());
}

std::string random_suffix(size_t length, const RandomSource& random) {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  text.reserve(length);
  for (size_t i = 0; i < length; ++i) text += kAlphabet[random() % kAlphabet.size()];
  return text;
}

std::string generate_name(std::string_view base, const RandomSource& random) {
  constexpr size_t kSuffix = 5;
  return std::string(base.substr(0, kDns1123LabelMaxLength - kSuffix)) + random_suffix(kSuffix, random);
}

}  // namespace trireme::api
