#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

/// How the words of a policy rule are read, by whoever asks whether a rule allows a request or covers another rule.
/// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
namespace trireme::apiserver::authz {

inline bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

inline bool has_or_all(const std::vector<std::string>& list, std::string_view value) {
  return has(list, "*") || has(list, value);
}

/// A "*" at the end of a path stands for anything that follows.
inline bool has_path(const std::vector<std::string>& patterns, std::string_view path) {
  return std::ranges::any_of(patterns, [&](std::string_view pattern) {
    if (pattern == "*" || pattern == path) return true;
    return pattern.ends_with('*') && path.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

}  // namespace trireme::apiserver::authz
