#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "containerd_events.grpc.pb.h"
#include "containerd_events.pb.h"
#include "cri.grpc.pb.h"
#include "kubelet/cri/grpc_convert.h"
#include "kubelet/cri/runtime.h"

namespace trireme::kubelet::cri {
namespace {

namespace events = ::containerd::services::events::v1;

using std::chrono::minutes;
using std::chrono::seconds;

constexpr seconds kCallTimeout{120};   // upstream's --runtime-request-timeout
constexpr minutes kPullTimeout{60};    // a pull without progress is the runtime's to notice
constexpr int kMaxMessage = 32 << 20;  // an exec's output may be 16 MiB each for stdout and stderr
constexpr seconds kStopMargin{60};     // on top of a container's grace period

Status status_of(const grpc::Status& status) {
  if (status.ok()) return {};
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return Status::not_found(status.error_message());
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Status::timeout(status.error_message());
    case grpc::StatusCode::CANCELLED:
      return Status::timeout(status.error_message());
    case grpc::StatusCode::UNAVAILABLE:
      return Status::unavailable(status.error_message());
    case grpc::StatusCode::UNIMPLEMENTED:
      return {Reason::kMethodNotAllowed, status.error_message()};
    default:
      return Status::internal(status.error_message().empty() ? "the runtime gave no message" : status.error_message());
  }
}

/// One call: `invoke(context)` fills the response.
template <typename Response, typename Invoke>
Result<Response> call(Duration timeout, Invoke invoke) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  Response response;
  if (Status status = status_of(invoke(&context, &response)); !status.ok()) return status;
  return response;
}

template <typename Plain, typename Items>
std::vector<Plain> plain_list(const Items& items) {
  std::vector<Plain> result;
  result.reserve(items.size());
  for (const auto& item : items) result.push_back(from_wire(item));
  return result;
}

class GrpcRuntime final : public Runtime {
 public:
  explicit GrpcRuntime(const std::string& endpoint) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessage);
    // A Unix path is no valid :authority for Go servers.
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetServiceConfigJSON("{}");
    channel_ = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
    runtime_ = wire::RuntimeService::NewStub(channel_);
    images_ = wire::ImageService::NewStub(channel_);
    events_ = events::Events::NewStub(channel_);
  }

  Result<VersionInfo> version() override {
    wire::VersionRequest request;
    request.set_version("v1");
    TRY_ASSIGN(auto response, call<wire::VersionResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->Version(context, request, out);
               }));
    return VersionInfo{response.runtime_name(), response.runtime_version()};
  }

  Result<std::vector<RuntimeCondition>> status() override {
    TRY_ASSIGN(auto response, call<wire::StatusResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->Status(context, {}, out);
               }));
    std::vector<RuntimeCondition> result;
    for (const wire::RuntimeCondition& condition : response.status().conditions()) {
      result.push_back({condition.type(), condition.status(), condition.reason(), condition.message()});
    }
    return result;
  }

  Result<std::string> run_sandbox(const SandboxConfig& config) override {
    wire::RunPodSandboxRequest request;
    to_wire(config, request.mutable_config());
    TRY_ASSIGN(auto response, call<wire::RunPodSandboxResponse>(2 * kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->RunPodSandbox(context, request, out);
               }));
    return response.pod_sandbox_id();
  }

  Status stop_sandbox(const std::string& id) override {
    wire::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    return call<wire::StopPodSandboxResponse>(
               kCallTimeout, [&](auto* context, auto* out) { return runtime_->StopPodSandbox(context, request, out); })
        .status();
  }

  Status remove_sandbox(const std::string& id) override {
    wire::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    return call<wire::RemovePodSandboxResponse>(
               kCallTimeout,
               [&](auto* context, auto* out) { return runtime_->RemovePodSandbox(context, request, out); })
        .status();
  }

  Result<SandboxStatus> sandbox_status(const std::string& id) override {
    wire::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    TRY_ASSIGN(auto response, call<wire::PodSandboxStatusResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->PodSandboxStatus(context, request, out);
               }));
    return from_wire(response.status());
  }

  Result<std::vector<Sandbox>> list_sandboxes(const SandboxFilter& filter) override {
    wire::ListPodSandboxRequest request;
    request.mutable_filter()->set_id(filter.id);
    for (const auto& [key, value] : filter.labels) (*request.mutable_filter()->mutable_label_selector())[key] = value;
    TRY_ASSIGN(auto response, call<wire::ListPodSandboxResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->ListPodSandbox(context, request, out);
               }));
    return plain_list<Sandbox>(response.items());
  }

  Result<std::string> create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                       const SandboxConfig& sandbox) override {
    wire::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox_id);
    to_wire(config, request.mutable_config());
    to_wire(sandbox, request.mutable_sandbox_config());
    TRY_ASSIGN(auto response, call<wire::CreateContainerResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->CreateContainer(context, request, out);
               }));
    return response.container_id();
  }

  Status start_container(const std::string& id) override {
    wire::StartContainerRequest request;
    request.set_container_id(id);
    return call<wire::StartContainerResponse>(
               kCallTimeout, [&](auto* context, auto* out) { return runtime_->StartContainer(context, request, out); })
        .status();
  }

  Status stop_container(const std::string& id, seconds grace) override {
    wire::StopContainerRequest request;
    request.set_container_id(id);
    request.set_timeout(grace.count());
    return call<wire::StopContainerResponse>(
               grace + kStopMargin,
               [&](auto* context, auto* out) { return runtime_->StopContainer(context, request, out); })
        .status();
  }

  Status remove_container(const std::string& id) override {
    wire::RemoveContainerRequest request;
    request.set_container_id(id);
    return call<wire::RemoveContainerResponse>(
               kCallTimeout, [&](auto* context, auto* out) { return runtime_->RemoveContainer(context, request, out); })
        .status();
  }

  Result<ContainerStatus> container_status(const std::string& id) override {
    wire::ContainerStatusRequest request;
    request.set_container_id(id);
    TRY_ASSIGN(auto response, call<wire::ContainerStatusResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->ContainerStatus(context, request, out);
               }));
    return from_wire(response.status());
  }

  Result<std::vector<Container>> list_containers(const ContainerFilter& filter) override {
    wire::ListContainersRequest request;
    request.mutable_filter()->set_id(filter.id);
    request.mutable_filter()->set_pod_sandbox_id(filter.sandbox_id);
    for (const auto& [key, value] : filter.labels) (*request.mutable_filter()->mutable_label_selector())[key] = value;
    TRY_ASSIGN(auto response, call<wire::ListContainersResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->ListContainers(context, request, out);
               }));
    return plain_list<Container>(response.containers());
  }

  Status reopen_log(const std::string& id) override {
    wire::ReopenContainerLogRequest request;
    request.set_container_id(id);
    return call<wire::ReopenContainerLogResponse>(
               kCallTimeout,
               [&](auto* context, auto* out) { return runtime_->ReopenContainerLog(context, request, out); })
        .status();
  }

  Result<ExecResult> exec_sync(const std::string& id, const std::vector<std::string>& command,
                               seconds timeout) override {
    wire::ExecSyncRequest request;
    request.set_container_id(id);
    for (const std::string& word : command) request.add_cmd(word);
    request.set_timeout(timeout.count());
    // Zero is the runtime's "no limit"; a hook may run as long as the pod's grace period allows.
    Duration deadline = timeout.count() > 0 ? Duration(timeout + seconds(2)) : Duration(kPullTimeout);
    TRY_ASSIGN(auto response, call<wire::ExecSyncResponse>(deadline, [&](auto* context, auto* out) {
                 return runtime_->ExecSync(context, request, out);
               }));
    return ExecResult{response.stdout(), response.stderr(), response.exit_code()};
  }

  Result<std::vector<ContainerStats>> container_stats(const ContainerFilter& filter) override {
    wire::ListContainerStatsRequest request;
    request.mutable_filter()->set_id(filter.id);
    request.mutable_filter()->set_pod_sandbox_id(filter.sandbox_id);
    for (const auto& [key, value] : filter.labels) (*request.mutable_filter()->mutable_label_selector())[key] = value;
    TRY_ASSIGN(auto response, call<wire::ListContainerStatsResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return runtime_->ListContainerStats(context, request, out);
               }));
    return plain_list<ContainerStats>(response.stats());
  }

  Result<std::vector<Image>> list_images() override {
    TRY_ASSIGN(auto response, call<wire::ListImagesResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return images_->ListImages(context, {}, out);
               }));
    return plain_list<Image>(response.images());
  }

  Result<Image> image_status(const std::string& image) override {
    wire::ImageStatusRequest request;
    request.mutable_image()->set_image(image);
    TRY_ASSIGN(auto response, call<wire::ImageStatusResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return images_->ImageStatus(context, request, out);
               }));
    if (!response.has_image()) return Status::not_found("image \"" + image + "\" is not present");
    return from_wire(response.image());
  }

  Result<std::string> pull_image(const std::string& image, const AuthConfig* auth,
                                 const SandboxConfig* sandbox) override {
    wire::PullImageRequest request;
    request.mutable_image()->set_image(image);
    if (auth != nullptr) to_wire(*auth, request.mutable_auth());
    if (sandbox != nullptr) to_wire(*sandbox, request.mutable_sandbox_config());
    TRY_ASSIGN(auto response, call<wire::PullImageResponse>(kPullTimeout, [&](auto* context, auto* out) {
                 return images_->PullImage(context, request, out);
               }));
    return response.image_ref();
  }

  Status remove_image(const std::string& image) override {
    wire::RemoveImageRequest request;
    request.mutable_image()->set_image(image);
    return call<wire::RemoveImageResponse>(
               kCallTimeout, [&](auto* context, auto* out) { return images_->RemoveImage(context, request, out); })
        .status();
  }

  Result<std::vector<FilesystemUsage>> image_filesystems() override {
    TRY_ASSIGN(auto response, call<wire::ImageFsInfoResponse>(kCallTimeout, [&](auto* context, auto* out) {
                 return images_->ImageFsInfo(context, {}, out);
               }));
    std::vector<FilesystemUsage> result;
    for (const wire::FilesystemUsage& usage : response.image_filesystems()) {
      result.push_back({usage.fs_id().mountpoint(), usage.used_bytes().value(), usage.inodes_used().value()});
    }
    return result;
  }

  Status watch_exits(std::stop_token stop, const std::function<void()>& on_open,
                     const std::function<void(const std::string&)>& on_change) override {
    Status status = watch_containerd(stop, on_open, on_change);
    if (!status.is(Reason::kMethodNotAllowed)) return status;
    return watch_cri(stop, on_open, on_change);
  }

 private:
  /// containerd's own event stream, which every version has (CRI's came with 1.7).
  Status watch_containerd(std::stop_token stop, const std::function<void()>& on_open,
                          const std::function<void(const std::string&)>& on_change) {
    grpc::ClientContext context;
    std::stop_callback cancel(stop, [&] { context.TryCancel(); });
    events::SubscribeRequest request;
    request.add_filters("namespace==k8s.io,topic==\"/tasks/exit\"");
    request.add_filters("namespace==k8s.io,topic==\"/tasks/oom\"");
    auto stream = events_->Subscribe(&context, request);
    on_open();
    events::Envelope envelope;
    while (stream->Read(&envelope)) {
      events::TaskEvent event;
      if (event.ParseFromString(envelope.event().value())) on_change(event.container_id());
    }
    return stream_end(stream->Finish(), stop);
  }

  Status watch_cri(std::stop_token stop, const std::function<void()>& on_open,
                   const std::function<void(const std::string&)>& on_change) {
    grpc::ClientContext context;
    std::stop_callback cancel(stop, [&] { context.TryCancel(); });
    auto stream = runtime_->GetContainerEvents(&context, {});
    on_open();
    wire::ContainerEventResponse event;
    while (stream->Read(&event)) {
      if (event.container_event_type() == wire::CONTAINER_STOPPED_EVENT) on_change(event.container_id());
    }
    return stream_end(stream->Finish(), stop);
  }

  static Status stream_end(const grpc::Status& status, const std::stop_token& stop) {
    return stop.stop_requested() ? Status() : status_of(status);
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<wire::RuntimeService::Stub> runtime_;
  std::unique_ptr<wire::ImageService::Stub> images_;
  std::unique_ptr<events::Events::Stub> events_;
};

}  // namespace

std::shared_ptr<Runtime> grpc_runtime(const std::string& endpoint) { return std::make_shared<GrpcRuntime>(endpoint); }

}  // namespace trireme::kubelet::cri
