#include "kubelet/pods/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "api/node_matching.h"
#include "api/pod_resources.h"

namespace trireme::kubelet {
namespace {

namespace corev1 = api::corev1;
using corev1::Pod;

struct HostPort {
  std::string_view address;  ///< Empty: all.
  std::string_view protocol;
  int32_t port;
};

std::vector<HostPort> host_ports(const Pod& pod) {
  std::vector<HostPort> out;
  const auto add = [&](const corev1::Container& container) {
    for (const auto& port : container.ports) {
      if (port.host_port <= 0) continue;
      const bool all = port.host_ip.empty() || port.host_ip == "0.0.0.0" || port.host_ip == "::";
      // The views must not be of temporaries, which a choice between a text and a string would make.
      const std::string_view address = port.host_ip, protocol = port.protocol;
      out.push_back({all ? "" : address, protocol.empty() ? "TCP" : protocol, port.host_port});
    }
  };
  for (const auto& container : pod.spec.containers) add(container);
  // Of init containers only sidecars keep their ports.
  for (const auto& container : pod.spec.init_containers) {
    if (container.restart_policy == corev1::kContainerRestartPolicyAlways) add(container);
  }
  return out;
}

bool clash(const HostPort& a, const HostPort& b) {
  return a.port == b.port && a.protocol == b.protocol &&
         (a.address.empty() || b.address.empty() || a.address == b.address);
}

PodFailure failure(std::string reason, std::string_view message) {
  return {std::move(reason), fmt::format("Pod was rejected: {}", message)};
}

std::optional<PodFailure> lacking_resource(const Pod& pod, std::span<const std::shared_ptr<const Pod>> others,
                                           const corev1::Node& node) {
  const auto& allocatable = node.status.allocatable;
  api::ResourceList used;
  for (const auto& other : others) api::add_resources(used, api::pod_requests(other->spec));
  used.insert_or_assign(corev1::kResourcePods, Quantity::of(static_cast<int64_t>(others.size())));
  api::ResourceList requested = api::pod_requests(pod.spec);
  requested.insert_or_assign(corev1::kResourcePods, Quantity::of(1));
  for (const auto& [name, amount] : requested) {
    const auto room = allocatable.find(name);
    // What the node does not tell of is not refused: it may be about to.
    if (amount.is_zero() || room == allocatable.end() || used.get(name) + amount <= room->second) continue;
    const auto number = [milli = name == corev1::kResourceCPU](const Quantity& quantity) {
      return milli ? quantity.milli_value() : quantity.value();
    };
    return failure("OutOf" + name,
                   fmt::format("Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}", name,
                               number(amount), number(used.get(name)), number(room->second)));
  }
  return std::nullopt;
}

}  // namespace

bool awaits_admission(const Pod& pod) {
  const auto& status = pod.status;
  return !pod.metadata.deletion_timestamp && !status.start_time && status.container_statuses.empty() &&
         (status.phase.empty() || status.phase == corev1::kPodPending);
}

std::optional<PodFailure> refusal(const Pod& pod, std::span<const std::shared_ptr<const Pod>> others,
                                  const corev1::Node* node) {
  if (node != nullptr) {
    if (auto lacking = lacking_resource(pod, others, *node)) return lacking;
    if (!api::matches_required_node_affinity(pod.spec, *node)) {
      return failure("NodeAffinity",
                     "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
    }
  }
  const std::vector<HostPort> wanted = host_ports(pod);
  if (wanted.empty()) return std::nullopt;
  for (const auto& other : others) {
    for (const HostPort& taken : host_ports(*other)) {
      if (std::ranges::none_of(wanted, [&](const HostPort& port) { return clash(port, taken); })) continue;
      return failure("NodePorts",
                     "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports");
    }
  }
  return std::nullopt;
}

}  // namespace trireme::kubelet
