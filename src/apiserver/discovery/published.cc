#include "apiserver/discovery/published.h"

#include <algorithm>

namespace trireme::apiserver {
namespace {

/// By group, then by the versions' priority, then by name.
std::vector<const api::ResourceInfo*> resources_of(const extensions::Served& served) {
  std::vector<const api::ResourceInfo*> resources;
  for (const extensions::DefinitionPointer& definition : served.definitions) {
    for (const extensions::CustomVersion& version : definition->versions) {
      if (version.spec->served) resources.push_back(version.resource);
    }
  }
  std::ranges::stable_sort(resources, [](const api::ResourceInfo* a, const api::ResourceInfo* b) {
    if (a->group != b->group) return a->group < b->group;
    if (a->version != b->version) return extensions::version_before(a->version, b->version);
    return a->resource < b->resource;
  });
  return resources;
}

}  // namespace

Published::Published(std::string server_address, std::shared_ptr<const extensions::Served> served)
    : served_(std::move(served)), discovery_(std::move(server_address), resources_of(*served_)), openapi_(*served_) {}

}  // namespace trireme::apiserver
