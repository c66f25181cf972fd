#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "api/types/apidiscoveryv2.h"
#include "api/types/metav1.h"
#include "apiserver/http/context.h"

namespace trireme::apiserver {

/// Which groups, versions and resources there are: /api, /apis and below, plain and aggregated.
/// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
/// Immutable; thread-safe.
class Discovery {
 public:
  /// `server_address` is "host:port", for clients of old. `custom` comes after the built-in resources, in the order of
  /// groups and of versions in them.
  explicit Discovery(std::string server_address, const std::vector<const api::ResourceInfo*>& custom = {});

  /// Answers `/api`, `/apis`, `/api/v1`, `/apis/GROUP`, `/apis/GROUP/VERSION`; false when the path is none of them.
  bool serve(RequestContext& context) const;
  /// Every discovery path, for the list at `/`.
  std::vector<std::string> paths() const;

 private:
  void add(const api::ResourceInfo& info);

  struct Version {
    std::string group;
    std::string version;
    api::metav1::APIResourceList resources;
  };
  void serve_aggregated(RequestContext& context, const api::apidiscoveryv2::APIGroupDiscoveryList& document,
                        std::string_view version) const;

  api::metav1::APIVersions core_;
  api::metav1::APIGroupList groups_;
  std::vector<Version> versions_;
  api::apidiscoveryv2::APIGroupDiscoveryList aggregated_core_;
  api::apidiscoveryv2::APIGroupDiscoveryList aggregated_groups_;
};

}  // namespace trireme::apiserver
