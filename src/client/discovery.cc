#include "client/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/custom_resource.h"
#include "api/types/apidiscoveryv2.h"
#include "client/escape.h"

namespace trireme::client {
namespace {

constexpr std::string_view kAccept =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

void add(std::vector<api::ResourceInfo>& out, api::ResourceInfo info) {
  if (const auto* known = api::find_resource(info.group, info.version, info.resource)) {
    info.type = known->type;
    info.list_type = known->list_type;
    info.storage = known->storage;
  }
  out.push_back(std::move(info));
}

void add_aggregated(const api::apidiscoveryv2::APIGroupDiscoveryList& list, DiscoveredResources& out) {
  for (const auto& group : list.items) {
    // Versions come in the order of preference; a later one only adds resources that the earlier ones lack.
    std::set<std::string> seen;
    for (const auto& version : group.versions) {
      if (version.freshness == "Stale") {
        out.incomplete = Status::unavailable("stale discovery of " + group.metadata.name + "/" + version.version);
      }
      for (const auto& resource : version.resources) {
        if (!seen.insert(resource.resource).second) continue;
        api::ResourceInfo info;
        info.group = group.metadata.name;
        info.version = version.version;
        info.resource = resource.resource;
        info.singular = resource.singular_resource;
        if (resource.response_kind) info.kind = resource.response_kind->kind;
        info.namespaced = resource.scope == "Namespaced";
        info.verbs = resource.verbs;
        for (const auto& sub : resource.subresources) info.subresources.push_back(sub.subresource);
        add(out.resources, std::move(info));
      }
    }
  }
}

/// Of an entry of the plain discovery, which names a resource's subresources elsewhere.
api::ResourceInfo info_of(const std::string& group, const std::string& version,
                          const api::metav1::APIResource& resource) {
  api::ResourceInfo info;
  info.group = group;
  info.version = version;
  info.resource = resource.name;
  info.singular = resource.singular_name;
  info.kind = resource.kind;
  info.namespaced = resource.namespaced;
  info.verbs = resource.verbs;
  return info;
}

Status add_plain(RawClient& client, const std::string& group, const std::string& version, std::set<std::string>& seen,
                 DiscoveredResources& out, std::stop_token stop) {
  const std::string path = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  TRY_ASSIGN(const std::string body, client.get_path(path, stop));
  TRY_ASSIGN(const auto list, api::decode_json<api::metav1::APIResourceList>(body));
  for (const auto& resource : list.resources) {
    if (resource.name.find('/') != std::string::npos || !seen.insert(resource.name).second) continue;
    add(out.resources, info_of(group, version, resource));
  }
  return {};
}

bool is_aggregated(const std::string& body) { return body.find("\"APIGroupDiscoveryList\"") != std::string::npos; }

}  // namespace

Result<DiscoveredResources> discover(RawClient& client, std::stop_token stop) {
  DiscoveredResources out;
  TRY_ASSIGN(const std::string core, client.get_path("/api", stop, kAccept));
  if (is_aggregated(core)) {
    TRY_ASSIGN(const auto list, api::decode_json<api::apidiscoveryv2::APIGroupDiscoveryList>(core));
    add_aggregated(list, out);
  } else {
    TRY_ASSIGN(const auto versions, api::decode_json<api::metav1::APIVersions>(core));
    std::set<std::string> seen;
    for (const std::string& version : versions.versions) TRY(add_plain(client, "", version, seen, out, stop));
  }
  TRY_ASSIGN(const std::string groups, client.get_path("/apis", stop, kAccept));
  if (is_aggregated(groups)) {
    TRY_ASSIGN(const auto list, api::decode_json<api::apidiscoveryv2::APIGroupDiscoveryList>(groups));
    add_aggregated(list, out);
    return out;
  }
  TRY_ASSIGN(const auto list, api::decode_json<api::metav1::APIGroupList>(groups));
  for (const auto& group : list.groups) {
    std::set<std::string> seen;
    std::vector<std::string> order{group.preferred_version.version};
    for (const auto& version : group.versions) {
      if (std::ranges::find(order, version.version) == order.end()) order.push_back(version.version);
    }
    for (const std::string& version : order) {
      if (Status status = add_plain(client, group.name, version, seen, out, stop); !status.ok()) {
        out.incomplete = status.with_context(group.name + "/" + version);
      }
    }
  }
  return out;
}

const api::ResourceInfo& custom_resource(api::ResourceInfo info) {
  info.storage = {info.group, info.version};
  info.short_names.clear();
  info.categories.clear();
  const std::string list_kind = info.kind + "List";
  return api::custom_resource(std::move(info), list_kind);
}

Result<const api::ResourceInfo*> resource_of_kind(RawClient& client, const std::string& api_version,
                                                  const std::string& kind, std::stop_token stop) {
  if (const api::ResourceInfo* built_in = api::find_kind(api_version, kind)) return built_in;
  const Status unknown =
      Status::not_found(fmt::format("no matches for kind \"{}\" in version \"{}\"", kind, api_version));
  const size_t slash = api_version.find('/');
  if (slash == std::string::npos) return unknown;
  const auto body = client.get_path("/apis/" + api_version, stop);
  if (body.status().is(Reason::kNotFound)) return unknown;
  TRY(body.status());
  TRY_ASSIGN(const auto list, api::decode_json<api::metav1::APIResourceList>(*body));
  for (const auto& each : list.resources) {
    if (each.kind != kind || each.name.find('/') != std::string::npos) continue;
    return &custom_resource(info_of(api_version.substr(0, slash), api_version.substr(slash + 1), each));
  }
  return unknown;
}

std::string scale_path(const api::ResourceInfo& resource, std::string_view ns, std::string_view name) {
  return fmt::format("{}{}/namespaces/{}/{}/{}/scale",
                     resource.group.empty() ? "/api/" : "/apis/" + resource.group + "/", resource.version, ns,
                     resource.resource, escaped(name));
}

}  // namespace trireme::client
