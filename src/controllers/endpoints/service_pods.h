#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "client/informer.h"
#include "controllers/support/pods.h"

/// Which pods stand behind a service, and through which of their ports: common to Endpoints and EndpointSlices.
namespace trireme::controllers {

/// Whether the pod belongs into a service's endpoints at all: it has an address and has not finished; one that is being
/// deleted only with `with_terminating`.
bool has_endpoint(const api::corev1::Pod& pod, bool with_terminating);

/// The pod's port that the service port points at, by number or by name and protocol; nothing when it has none.
std::optional<int32_t> target_port(const api::corev1::Pod& pod, const api::corev1::ServicePort& port);

/// The pod's ports behind the service's, in the service's order; `Port` is the EndpointPort of Endpoints or of slices.
template <typename Port>
std::vector<Port> endpoint_ports(const api::corev1::Pod& pod, const api::corev1::Service& service) {
  std::vector<Port> ports;
  for (const auto& service_port : service.spec.ports) {
    const std::optional<int32_t> number = target_port(pod, service_port);
    if (!number) continue;
    Port& port = ports.emplace_back();
    port.name = service_port.name;
    port.port = *number;
    port.protocol = service_port.protocol;
    port.app_protocol = service_port.app_protocol;
  }
  return ports;
}

/// The name under which a headless service makes the pod known; empty for none.
std::string endpoint_hostname(const api::corev1::Pod& pod, const api::corev1::Service& service);

/// "IPv4" or "IPv6".
std::string_view family_of(std::string_view address);
/// The pod's address of a family, "IPv4" or "IPv6"; empty when it has none.
std::string pod_address(const api::corev1::Pod& pod, std::string_view family);
/// The families the service is served in, the first being its primary.
std::vector<std::string> families_of(const api::corev1::Service& service);

api::corev1::ObjectReference pod_reference(const api::corev1::Pod& pod);
bool is_headless(const api::corev1::Service& service);
/// A service without a selector is filled by somebody else.
bool selects_pods(const api::corev1::Service& service);
/// The pods the service's selector matches, in the order of their names.
std::vector<PodPointer> pods_of(const api::corev1::Service& service, const client::Informer<api::corev1::Pod>& pods);

/// Calls `enqueue` with the keys of the services that a change of pods concerns, and does nothing for changes that no
/// endpoint shows.
void follow_pods(client::Informer<api::corev1::Pod>& pods, client::Informer<api::corev1::Service>& services,
                 std::function<void(std::string)> enqueue);

}  // namespace trireme::controllers
