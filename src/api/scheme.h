#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/type_info.h"

/// Which kinds are served, under which names: the static part of discovery and of URL routing.
namespace trireme::api {

struct GroupVersion {
  std::string group;  ///< "" for the core group.
  std::string version;
  std::string to_string() const { return group.empty() ? version : group + "/" + version; }
  auto operator<=>(const GroupVersion&) const = default;
};

struct ResourceInfo {
  std::string group;
  std::string version;
  std::string resource;  ///< Plural: "pods".
  std::string singular;
  std::string kind;
  bool namespaced = false;
  std::vector<std::string> short_names;
  std::vector<std::string> categories;
  std::vector<std::string> verbs;         ///< As discovery lists them, sorted.
  std::vector<std::string> subresources;  ///< "status", "scale", "log", …
  const TypeInfo* type = nullptr;
  const TypeInfo* list_type = nullptr;  ///< Null where the resource cannot be listed (reviews).
  GroupVersion storage;                 ///< The version it is stored in.

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

/// Every resource that 1.32 serves by default, in discovery order (groups by priority, core first).
std::span<const ResourceInfo> resources();
/// Null when there is none.
const ResourceInfo* find_resource(std::string_view group, std::string_view version, std::string_view resource);
const ResourceInfo* find_kind(std::string_view api_version, std::string_view kind);
const ResourceInfo* find_type(const TypeInfo& type);
/// Every type that has a kind (lists, options and reviews too), for decoding by kind.
const TypeInfo* find_type(std::string_view api_version, std::string_view kind);

template <typename T>
const ResourceInfo& resource_of() {
  static const ResourceInfo* const found = find_type(type_info<T>());
  return *found;
}

}  // namespace trireme::api
