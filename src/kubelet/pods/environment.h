#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/result.h"
#include "kubelet/cri/types.h"

/// A container's environment, computed from its spec and what the spec refers to. Pure functions.
namespace trireme::kubelet {

using api::corev1::Container;
using api::corev1::Pod;

/// Replaces `$(NAME)` by its value in `variables`; `$$` stands for one `$`; unknown names stay as written.
/// Source: the API page of Container.command.
std::string expand(std::string_view text, const std::map<std::string, std::string>& variables);

/// What only the node knows about a pod, for `fieldRef` and `resourceFieldRef`.
struct DownwardContext {
  std::vector<std::string> pod_ips;
  std::vector<std::string> host_ips;
  int64_t allocatable_milli_cpu = 0;  ///< What a missing CPU limit means.
  int64_t allocatable_memory = 0;
  int64_t allocatable_ephemeral_storage = 0;
};

/// The text of a pod's field: "metadata.name", "metadata.labels['app']", "status.podIP" and so on.
Result<std::string> field_value(const Pod& pod, std::string_view path, const DownwardContext& context);
/// The value of a container's `limits.cpu`, `requests.memory`, … divided by the selector's divisor, rounded up.
Result<std::string> resource_value(const Container& container, const api::corev1::ResourceFieldSelector& selector,
                                   const DownwardContext& context);
/// The container (init containers included) called `name`; null when there is none.
const Container* find_container(const Pod& pod, std::string_view name);

/// Looks up a config map or secret in the pod's namespace. NotFound tells an absent object from a failed look-up.
struct EnvironmentSources {
  std::function<Result<std::shared_ptr<const api::corev1::ConfigMap>>(std::string_view name)> config_map;
  std::function<Result<std::shared_ptr<const api::corev1::Secret>>(std::string_view name)> secret;
};

/// The variables for services in the form of Docker links (REDIS_MASTER_SERVICE_HOST, …_PORT_6379_TCP_ADDR): those of
/// the pod's own namespace when it asks for them, and always `kubernetes` of namespace default.
std::map<std::string, std::string> service_environment(
    const std::vector<std::shared_ptr<const api::corev1::Service>>& services, std::string_view ns,
    bool enable_service_links);

/// Everything a container sees, in order. A failure is what the container waits with (CreateContainerConfigError).
Result<std::vector<cri::EnvVar>> make_environment(const Pod& pod, const Container& container,
                                                  const std::map<std::string, std::string>& services,
                                                  const DownwardContext& context, const EnvironmentSources& sources);

}  // namespace trireme::kubelet
