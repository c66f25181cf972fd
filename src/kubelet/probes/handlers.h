#pragma once

#include <string>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "kubelet/cri/runtime.h"

/// Carries out what probes and lifecycle hooks ask for: a command, an HTTP request, a TCP connection, a gRPC check.
namespace trireme::kubelet {

struct HandlerOutcome {
  bool success = false;
  std::string output;  ///< At most 10 KiB: the command's output, the body, or what went wrong.
};

HandlerOutcome run_exec(cri::Runtime& runtime, const std::string& container_id, const api::corev1::ExecAction& action,
                        std::chrono::seconds timeout);
/// Success is any status from 200 to 399. `default_host` serves where the action names no host (the pod's address).
/// Certificates are not verified: a probe asks whether something answers, not who.
HandlerOutcome run_http_get(const api::corev1::HTTPGetAction& action, const api::corev1::Container& container,
                            const std::string& default_host, Duration timeout, const char* user_agent);
HandlerOutcome run_tcp_socket(const api::corev1::TCPSocketAction& action, const api::corev1::Container& container,
                              const std::string& default_host, Duration timeout);
/// grpc.health.v1.Health/Check.
HandlerOutcome run_grpc(const api::corev1::GRPCAction& action, const std::string& default_host, Duration timeout);

/// A probe's port: its number, or the container port of that name. 0 when there is none.
int resolve_port(const api::IntOrString& port, const api::corev1::Container& container);

}  // namespace trireme::kubelet
