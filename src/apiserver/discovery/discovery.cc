#include "apiserver/discovery/discovery.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <optional>

#include "api/codec.h"
#include "api/scheme.h"
#include "apiserver/registry/subresources.h"

namespace trireme::apiserver {

namespace {

namespace metav1 = api::metav1;
namespace apidiscoveryv2 = api::apidiscoveryv2;

std::string sha256_hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02X}", digest[i]);
  return hex;
}

metav1::APIResource entry_of(const api::ResourceInfo& info) {
  metav1::APIResource entry;
  entry.name = info.resource;
  entry.singular_name = info.singular;
  entry.namespaced = info.namespaced;
  entry.kind = info.kind;
  entry.verbs = info.verbs;
  entry.short_names = info.short_names;
  entry.categories = info.categories;
  return entry;
}

metav1::APIResource entry_of(const api::ResourceInfo& info, const Subresource& sub) {
  metav1::APIResource entry;
  entry.name = info.resource + "/" + sub.name;
  entry.namespaced = info.namespaced;
  entry.kind = sub.kind;
  if (sub.kind != info.kind) {
    entry.group = sub.group;
    entry.version = sub.version;
  }
  entry.verbs = sub.verbs;
  return entry;
}

Box<metav1::GroupVersionKind> kind_of(std::string group, std::string version, std::string kind) {
  metav1::GroupVersionKind gvk;
  gvk.group = std::move(group);
  gvk.version = std::move(version);
  gvk.kind = std::move(kind);
  return gvk;
}

apidiscoveryv2::APIResourceDiscovery aggregated_entry(const api::ResourceInfo& info,
                                                      const std::vector<Subresource>& subresources) {
  apidiscoveryv2::APIResourceDiscovery entry;
  entry.resource = info.resource;
  entry.response_kind = kind_of(info.group, info.version, info.kind);
  entry.scope = info.namespaced ? apidiscoveryv2::kScopeNamespace : apidiscoveryv2::kScopeCluster;
  entry.singular_resource = info.singular;
  entry.verbs = info.verbs;
  entry.short_names = info.short_names;
  entry.categories = info.categories;
  for (const Subresource& sub : subresources) {
    apidiscoveryv2::APISubresourceDiscovery each;
    each.subresource = sub.name;
    each.response_kind = kind_of(sub.group, sub.version, sub.kind);
    each.verbs = sub.verbs;
    entry.subresources.push_back(std::move(each));
  }
  return entry;
}

/// The last element that `matches`, or a new one. (What belongs together mostly comes in a row.)
template <typename T, typename Matches>
T& last_or_new(std::vector<T>& list, Matches matches) {
  const auto found = std::find_if(list.rbegin(), list.rend(), matches);
  return found != list.rend() ? *found : list.emplace_back();
}

}  // namespace

Discovery::Discovery(std::string server_address, const std::vector<const api::ResourceInfo*>& custom) {
  metav1::ServerAddressByClientCIDR address;
  address.client_cidr = "0.0.0.0/0";
  address.server_address = std::move(server_address);
  core_.versions = {"v1"};
  core_.server_address_by_client_cidrs.push_back(std::move(address));
  for (const api::ResourceInfo& info : api::resources()) add(info);
  for (const api::ResourceInfo* info : custom) add(*info);
}

void Discovery::add(const api::ResourceInfo& info) {
  const std::vector<Subresource> subresources = subresources_of(info);
  Version& plain = last_or_new(
      versions_, [&](const Version& each) { return each.group == info.group && each.version == info.version; });
  if (plain.version.empty()) {
    plain.group = info.group;
    plain.version = info.version;
    plain.resources.group_version = info.api_version();
  }
  plain.resources.resources.push_back(entry_of(info));
  for (const Subresource& sub : subresources) plain.resources.resources.push_back(entry_of(info, sub));

  auto& document = info.group.empty() ? aggregated_core_ : aggregated_groups_;
  auto& aggregated = last_or_new(document.items, [&](const auto& each) { return each.metadata.name == info.group; });
  aggregated.metadata.name = info.group;
  auto& version = last_or_new(aggregated.versions, [&](const auto& each) { return each.version == info.version; });
  version.version = info.version;
  version.freshness = apidiscoveryv2::kDiscoveryFreshnessCurrent;
  version.resources.push_back(aggregated_entry(info, subresources));

  if (info.group.empty()) return;
  metav1::APIGroup& group = last_or_new(groups_.groups, [&](const auto& each) { return each.name == info.group; });
  group.name = info.group;
  metav1::GroupVersionForDiscovery& served =
      last_or_new(group.versions, [&](const auto& each) { return each.version == info.version; });
  served.group_version = info.api_version();
  served.version = info.version;
  group.preferred_version = group.versions.front();
}

void Discovery::serve_aggregated(RequestContext& context, const apidiscoveryv2::APIGroupDiscoveryList& document,
                                 std::string_view version) const {
  std::string json = api::encode_json(document);
  if (version == "v2beta1") {
    constexpr std::string_view current = "\"apidiscovery.k8s.io/v2\"";
    if (size_t at = json.find(current); at != std::string::npos) {
      json.replace(at, current.size(), "\"apidiscovery.k8s.io/v2beta1\"");
    }
  }
  std::string etag = "\"" + sha256_hex(json) + "\"";
  net::Headers headers{{"ETag", etag}, {"Vary", "Accept"}, {"Cache-Control", "public"}};
  std::string type = fmt::format("application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList", version);
  if (context.request().headers.get("If-None-Match") == etag) {
    return context.respond(304, type, std::vector<SharedBytes>(), std::move(headers));
  }
  context.respond(200, type, {share(std::move(json))}, std::move(headers));
}

bool Discovery::serve(RequestContext& context) const {
  std::string_view path = context.info.path;
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  bool root = path == "/api" || path == "/apis";
  std::string_view accept = context.request().headers.get("Accept");
  if (root) {
    for (const AcceptClause& clause : parse_accept(accept)) {
      if (!matches(clause, "application/json")) continue;
      bool aggregated = clause.as == "APIGroupDiscoveryList" && clause.group == "apidiscovery.k8s.io" &&
                        (clause.version == "v2" || clause.version == "v2beta1");
      if (aggregated) {
        serve_aggregated(context, path == "/api" ? aggregated_core_ : aggregated_groups_, clause.version);
        return true;
      }
      if (clause.as.empty()) break;
    }
  }
  auto answer = [&](const auto& document) {
    auto accepted = negotiate(accept, {});
    if (!accepted.ok()) {
      context.fail(accepted.status());
    } else {
      context.accepted = *accepted;
      context.respond_kind(200, document);
    }
    return true;
  };
  if (path == "/api") return answer(core_);
  if (path == "/apis") return answer(groups_);
  for (const Version& version : versions_) {
    std::string prefix = version.group.empty() ? "/api/" : "/apis/" + version.group + "/";
    if (path == prefix + version.version) return answer(version.resources);
  }
  for (const metav1::APIGroup& group : groups_.groups) {
    if (path == "/apis/" + group.name) return answer(group);
  }
  return false;
}

std::vector<std::string> Discovery::paths() const {
  std::vector<std::string> all = {"/api", "/apis"};
  for (const Version& version : versions_) {
    all.push_back(version.group.empty() ? "/api/v1" : "/apis/" + version.group + "/" + version.version);
  }
  for (const metav1::APIGroup& group : groups_.groups) all.push_back("/apis/" + group.name);
  return all;
}

}  // namespace trireme::apiserver
