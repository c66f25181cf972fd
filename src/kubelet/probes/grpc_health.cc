#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "health.grpc.pb.h"
#include "health.pb.h"
#include "kubelet/probes/handlers.h"

namespace trireme::kubelet {

HandlerOutcome run_grpc(const api::corev1::GRPCAction& action, const std::string& default_host, Duration timeout) {
  namespace health = ::grpc::health::v1;
  std::string target = default_host.find(':') == std::string::npos
                           ? fmt::format("ipv4:{}:{}", default_host, action.port)
                           : fmt::format("ipv6:[{}]:{}", default_host, action.port);
  grpc::ChannelArguments arguments;
  // Every probe connects anew, so that it tells about now.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  auto stub = health::Health::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  health::HealthCheckRequest request;
  request.set_service(action.service.value_or(""));
  health::HealthCheckResponse response;
  grpc::Status status = stub->Check(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return {false, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"};
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return {false, fmt::format("timeout: health rpc did not complete within {}ms",
                               std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count())};
  }
  if (!status.ok()) return {false, "error: health rpc probe failed: " + status.error_message()};
  if (response.status() == health::HealthCheckResponse::SERVING) return {true, "service healthy"};
  return {false, fmt::format("service unhealthy (responded with \"{}\")", static_cast<int>(response.status()))};
}

}  // namespace trireme::kubelet
