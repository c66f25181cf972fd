#include "policy/slim_pod.h"

#include <utility>
#include <vector>

#include "api/types/corev1.h"

namespace trireme::policy {

namespace corev1 = api::corev1;

void slim_pod(corev1::Pod& pod) {
  corev1::Pod kept;
  kept.metadata.name = std::move(pod.metadata.name);
  kept.metadata.namespace_ = std::move(pod.metadata.namespace_);
  kept.metadata.uid = std::move(pod.metadata.uid);
  kept.metadata.resource_version = std::move(pod.metadata.resource_version);
  kept.metadata.labels = std::move(pod.metadata.labels);
  kept.metadata.deletion_timestamp = std::move(pod.metadata.deletion_timestamp);
  kept.spec.node_name = std::move(pod.spec.node_name);
  kept.spec.host_network = pod.spec.host_network;
  kept.spec.hostname = std::move(pod.spec.hostname);
  kept.spec.subdomain = std::move(pod.spec.subdomain);
  auto keep_ports = [](std::vector<corev1::Container>& from, std::vector<corev1::Container>& to) {
    for (corev1::Container& container : from) {
      if (container.ports.empty()) continue;
      corev1::Container& slim = to.emplace_back();
      slim.name = std::move(container.name);
      slim.ports = std::move(container.ports);
      slim.restart_policy = std::move(container.restart_policy);
    }
  };
  keep_ports(pod.spec.containers, kept.spec.containers);
  keep_ports(pod.spec.init_containers, kept.spec.init_containers);
  kept.status.phase = std::move(pod.status.phase);
  kept.status.pod_ip = std::move(pod.status.pod_ip);
  kept.status.pod_ips = std::move(pod.status.pod_ips);
  pod = std::move(kept);
}

}  // namespace trireme::policy
