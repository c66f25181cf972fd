#pragma once

#include <stop_token>
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

}  // namespace trireme::client
