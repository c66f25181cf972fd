#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"

namespace trireme::apiserver {

/// One subresource as discovery shows it: what kind it answers with and which verbs it has.
struct Subresource {
  std::string name;
  std::string group;
  std::string version;
  std::string kind;
  std::vector<std::string> verbs;  ///< As in discovery: create get patch update …
};

/// The subresources of `resource` in the order of their names; only those that exist upstream.
std::vector<Subresource> subresources_of(const api::ResourceInfo& resource);

}  // namespace trireme::apiserver
