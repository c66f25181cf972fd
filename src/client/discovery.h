#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "client/client.h"

namespace trireme::client {

/// What a server serves.
struct DiscoveredResources {
  /// One entry per group and resource, in the version the server prefers. Kinds that this program does not know have
  /// no `type`; RawClient reaches them all the same.
  std::vector<api::ResourceInfo> resources;
  /// Groups that could not be asked (an aggregated server that is away); empty text when none.
  Status incomplete;
};

/// Asks the server's aggregated discovery (two requests); the plain one where that is not served.
/// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
Result<DiscoveredResources> discover(RawClient& client, std::stop_token stop = {});

/// A resource that is not built in, as everybody in this process knows it: one for each kind, so that informers of it
/// can be shared. Short names and categories are for people and left out; the list's kind is of no importance here.
/// Lives as long as the process.
const api::ResourceInfo& custom_resource(api::ResourceInfo info);

/// The resource of a kind, built-in or custom. Asks the server about what is not built in. NotFound in upstream's
/// words: `no matches for kind "Widget" in version "example.com/v1"`. What it returns lives as long as the process.
Result<const api::ResourceInfo*> resource_of_kind(RawClient& client, const std::string& api_version,
                                                  const std::string& kind, std::stop_token stop = {});
/// The path of a namespaced object's scale subresource.
std::string scale_path(const api::ResourceInfo& resource, std::string_view ns, std::string_view name);

}  // namespace trireme::client
