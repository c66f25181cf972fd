#include "api/validation/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/validation/meta.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kHugePages = "hugepages-";
constexpr std::string_view kNativeDomain = "kubernetes.io/";

template <size_t N>
bool one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 3> kContainerResources = {"cpu", "memory", "ephemeral-storage"};
constexpr std::array<std::string_view, 18> kQuotaResources = {"cpu",
                                                              "memory",
                                                              "ephemeral-storage",
                                                              "requests.cpu",
                                                              "requests.memory",
                                                              "requests.storage",
                                                              "requests.ephemeral-storage",
                                                              "limits.cpu",
                                                              "limits.memory",
                                                              "limits.ephemeral-storage",
                                                              "pods",
                                                              "resourcequotas",
                                                              "services",
                                                              "replicationcontrollers",
                                                              "secrets",
                                                              "persistentvolumeclaims",
                                                              "configmaps",
                                                              "services.nodeports"};
constexpr std::array<std::string_view, 9> kIntegerResources = {
    "pods",       "resourcequotas",         "services",           "replicationcontrollers", "secrets",
    "configmaps", "persistentvolumeclaims", "services.nodeports", "services.loadbalancers"};

bool is_standard_resource(std::string_view name) {
  return is_standard_quota_resource(name) || name == "storage" || is_hugepage_resource(name) ||
         name.starts_with("requests.hugepages-");
}

bool is_integer_resource(std::string_view name) {
  return one_of(name, kIntegerResources) || is_extended_resource(name) || name.starts_with("count/");
}

void check_hugepages(std::string_view name, const Quantity& quantity, const Path& at, ErrorList& errors) {
  Result<Quantity> size = Quantity::parse(name.substr(kHugePages.size()));
  if (!size.ok() || size->value() <= 0 || quantity.value() % size->value() != 0) {
    errors.invalid(at, quantity.to_string(),
                   fmt::format("{} is not positive integer multiple of {}", quantity.to_string(), name));
  }
}

}  // namespace

bool is_hugepage_resource(std::string_view name) { return name.starts_with(kHugePages); }

bool is_native_resource(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find(kNativeDomain) != std::string_view::npos;
}

bool is_extended_resource(std::string_view name) {
  if (is_native_resource(name) || name.starts_with("requests.")) return false;
  ErrorList problems;
  check_qualified_name("requests." + std::string(name), Path(), problems);
  return problems.empty();
}

bool is_overcommit_allowed(std::string_view name) { return is_native_resource(name) && !is_hugepage_resource(name); }

bool is_standard_quota_resource(std::string_view name) {
  return one_of(name, kQuotaResources) || name == "services.loadbalancers" || name.starts_with(kHugePages) ||
         name.starts_with("requests.hugepages-");
}

void check_resource_name(std::string_view name, const Path& at, ErrorList& errors) {
  const size_t before = errors.size();
  check_qualified_name(name, at, errors);
  if (errors.size() != before) return;
  if (name.find('/') == std::string_view::npos && !is_standard_resource(name)) {
    errors.invalid(at, name, "must be a standard resource type or fully qualified");
  }
}

void check_container_resource_name(std::string_view name, const Path& at, ErrorList& errors) {
  check_resource_name(name, at, errors);
  if (name.find('/') == std::string_view::npos) {
    if (!one_of(name, kContainerResources) && !is_hugepage_resource(name)) {
      errors.invalid(at, name, "must be a standard resource for containers");
    }
  } else if (!is_native_resource(name) && !is_extended_resource(name)) {
    errors.invalid(at, name, "doesn't follow extended resource name standard");
  }
}

void check_quota_resource_name(std::string_view name, const Path& at, ErrorList& errors) {
  check_resource_name(name, at, errors);
  if (name.find('/') == std::string_view::npos && !is_standard_quota_resource(name)) {
    errors.invalid(at, name, "must be a standard resource for quota");
  }
}

void check_not_negative(const Quantity& quantity, const Path& at, ErrorList& errors) {
  if (quantity.sign() < 0) errors.invalid(at, quantity.to_string(), kNotNegative);
}

void check_positive(const Quantity& quantity, const Path& at, ErrorList& errors) {
  if (quantity.sign() <= 0) errors.invalid(at, quantity.to_string(), "must be greater than zero");
}

void check_quantity(std::string_view name, const Quantity& quantity, const Path& at, ErrorList& errors) {
  check_not_negative(quantity, at, errors);
  if (is_integer_resource(name) && quantity.milli_value() % 1000 != 0) {
    errors.invalid(at, BadValue::raw(quantity.to_string()), "must be an integer");
  }
}

void check_requirements(const Map<Quantity>& limits, const Map<Quantity>& requests, const Path& at, ErrorList& errors) {
  const Path limits_path = at.child("limits");
  const Path requests_path = at.child("requests");
  bool compute = false;
  bool hugepages = false;
  for (const auto& [name, quantity] : limits) {
    const Path path = limits_path.key(name);
    check_container_resource_name(name, path, errors);
    check_quantity(name, quantity, path, errors);
    if (is_hugepage_resource(name)) {
      hugepages = true;
      check_hugepages(name, quantity, path, errors);
    }
    compute |= name == "cpu" || name == "memory";
  }
  for (const auto& [name, quantity] : requests) {
    const Path path = requests_path.key(name);
    check_container_resource_name(name, path, errors);
    check_quantity(name, quantity, path, errors);
    if (auto limit = limits.find(name); limit != limits.end()) {
      const auto order = quantity <=> limit->second;
      if (order != 0 && !is_overcommit_allowed(name)) {
        errors.invalid(requests_path, quantity.to_string(),
                       fmt::format("must be equal to {} limit of {}", name, limit->second.to_string()));
      } else if (order > 0) {
        errors.invalid(requests_path, quantity.to_string(),
                       fmt::format("must be less than or equal to {} limit of {}", name, limit->second.to_string()));
      }
    } else if (!is_overcommit_allowed(name)) {
      errors.required(limits_path, "Limit must be set for non overcommitable resources");
    }
    if (is_hugepage_resource(name)) {
      hugepages = true;
      check_hugepages(name, quantity, path, errors);
    }
    compute |= name == "cpu" || name == "memory";
  }
  if (hugepages && !compute) errors.forbidden(at, "HugePages require cpu or memory");
}

}  // namespace trireme::api::validation
