#include "apiserver/registry/subresources.h"

#include <array>

namespace trireme::apiserver {

namespace {

/// Subresources whose kind or verbs are not those of a status. An empty kind stands for the resource's own.
struct Special {
  std::string_view resource;  ///< Empty: any.
  std::string_view name;
  std::string_view group;
  std::string_view version;
  std::string_view kind;
  std::string_view verbs;  ///< Space-separated.
};
constexpr std::string_view kConnect = "create delete get patch update";
constexpr std::array<Special, 16> kSpecial = {{
    {"pods", "attach", "", "v1", "PodAttachOptions", "create get"},
    {"pods", "binding", "", "v1", "Binding", "create"},
    {"pods", "eviction", "policy", "v1", "Eviction", "create"},
    {"pods", "exec", "", "v1", "PodExecOptions", "create get"},
    {"pods", "log", "", "", "", "get"},
    {"pods", "portforward", "", "v1", "PodPortForwardOptions", "create get"},
    {"pods", "proxy", "", "v1", "PodProxyOptions", kConnect},
    {"services", "proxy", "", "v1", "ServiceProxyOptions", kConnect},
    {"nodes", "proxy", "", "v1", "NodeProxyOptions", kConnect},
    {"serviceaccounts", "token", "authentication.k8s.io", "v1", "TokenRequest", "create"},
    {"namespaces", "finalize", "", "", "", "update"},
    {"", "scale", "autoscaling", "v1", "Scale", "get patch update"},
    {"", "status", "", "", "", "get patch update"},
    {"", "approval", "", "", "", "get patch update"},
    {"", "ephemeralcontainers", "", "", "", "get patch update"},
    {"", "resize", "", "", "", "get patch update"},
}};

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    size_t space = text.find(' ');
    out.emplace_back(text.substr(0, space));
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  return out;
}

}  // namespace

std::vector<Subresource> subresources_of(const api::ResourceInfo& resource) {
  std::vector<Subresource> found;
  for (const std::string& name : resource.subresources) {
    for (const Special& special : kSpecial) {
      if (special.name != name || (!special.resource.empty() && special.resource != resource.resource)) continue;
      Subresource subresource{name, std::string(special.group), std::string(special.version), std::string(special.kind),
                              words(special.verbs)};
      if (special.kind.empty()) {
        subresource.group = resource.group;
        subresource.version = resource.version;
        subresource.kind = resource.kind;
      }
      found.push_back(std::move(subresource));
      break;
    }
  }
  return found;
}

}  // namespace trireme::apiserver
