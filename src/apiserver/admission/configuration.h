#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/result.h"

/// Which admission plugins run, and their settings: the flags --enable-admission-plugins and
/// --disable-admission-plugins, and the file --admission-control-config-file.
/// https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/
namespace trireme::apiserver::admission {

/// A resource that may be consumed only where a quota limits it.
/// https://kubernetes.io/docs/concepts/policy/resource-quotas/#limit-priority-class-consumption-by-default
struct LimitedResource {
  std::string api_group;
  std::string resource;
  /// Substrings of the names of what is consumed ("requests.storage").
  std::vector<std::string> match_contains;
  /// Pods that one of these selects need a quota with the same scope.
  std::vector<api::corev1::ScopedResourceSelectorRequirement> match_scopes;
};

/// As the flags give it.
struct Flags {
  std::vector<std::string> enable;
  std::vector<std::string> disable;
  std::string config_file;  ///< Empty: none.
};

struct Configuration {
  std::set<std::string, std::less<>> disabled;  ///< Names of plugins.
  std::vector<LimitedResource> limited_resources;
};

/// Reads the file, and those that it names (relative to its own folder). BadRequest in upstream's words for unknown
/// plugins; also where a plugin of upstream's is asked for that this server does not have, so that nobody relies on
/// what does not run.
Result<Configuration> read_configuration(const Flags& flags);

/// A ResourceQuotaConfiguration as YAML or JSON.
Result<std::vector<LimitedResource>> parse_limited_resources(std::string_view text);

}  // namespace trireme::apiserver::admission
