#include "apiserver/registry/kubelets.h"

#include <fmt/format.h>

#include <array>

namespace trireme::apiserver {

namespace corev1 = api::corev1;

namespace {

constexpr int32_t kKubeletPort = 10250;

}  // namespace

Result<std::string> kubelet_url(const corev1::Node& node) {
  constexpr std::array<std::string_view, 3> kPreferred = {corev1::kNodeInternalIP, corev1::kNodeExternalIP,
                                                          corev1::kNodeHostName};
  int32_t port = node.status.daemon_endpoints.kubelet_endpoint.port;
  if (port == 0) port = kKubeletPort;
  for (std::string_view type : kPreferred) {
    for (const auto& address : node.status.addresses) {
      if (address.type != type) continue;
      bool v6 = address.address.find(':') != std::string::npos;
      return fmt::format(fmt::runtime(v6 ? "https://[{}]:{}" : "https://{}:{}"), address.address, port);
    }
  }
  return Status::internal(fmt::format("no preferred addresses found for node \"{}\"", node.metadata.name));
}

}  // namespace trireme::apiserver
