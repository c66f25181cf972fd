#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/status_convert.h"
#include "api/types/corev1.h"
#include "apiserver/registry/kubelets.h"
#include "apiserver/registry/registry.h"
#include "base/log.h"

namespace trireme::apiserver {

namespace {

namespace corev1 = api::corev1;

/// The query parameters of pods/log that the kubelet understands.
constexpr std::array<std::string_view, 8> kForwarded = {"follow",     "previous",  "sinceSeconds", "sinceTime",
                                                        "timestamps", "tailLines", "limitBytes",   "stream"};

template <typename Containers>
void add_names(const Containers& containers, std::vector<std::string>& names) {
  for (const auto& container : containers) names.push_back(container.name);
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

Result<std::string> choose_container(const corev1::Pod& pod, const std::string& asked) {
  std::vector<std::string> names;
  std::vector<std::string> init;
  add_names(pod.spec.containers, names);
  add_names(pod.spec.init_containers, init);
  std::vector<std::string> all = names;
  all.insert(all.end(), init.begin(), init.end());
  for (const auto& container : pod.spec.ephemeral_containers) {
    all.push_back(container.ephemeral_container_common.name);
  }
  if (!asked.empty()) {
    if (std::find(all.begin(), all.end(), asked) != all.end()) return asked;
    return Status::bad_request(fmt::format("container {} is not valid for pod {}", asked, pod.metadata.name));
  }
  if (names.size() == 1 && init.empty()) return names.front();
  auto preferred = pod.metadata.annotations.find("kubectl.kubernetes.io/default-container");
  if (preferred != pod.metadata.annotations.end() &&
      std::find(names.begin(), names.end(), preferred->second) != names.end()) {
    return preferred->second;
  }
  if (names.size() == 1) return names.front();
  std::string message =
      fmt::format("a container name must be specified for pod {}, choose one of: [{}]", pod.metadata.name, join(names));
  if (!init.empty()) message += fmt::format(" or one of the init containers: [{}]", join(init));
  return Status::bad_request(std::move(message));
}

Status check_log_options(const Query& query) {
  std::vector<StatusCause> causes;
  auto check = [&](std::string_view name, int64_t least, std::string_view words) -> Status {
    auto number = query.number(name);
    TRY(number.status());
    if (*number && **number < least) causes.push_back(api::field_error::invalid(name, **number, words));
    return {};
  };
  TRY(check("tailLines", 0, "must be greater than or equal to 0"));
  TRY(check("limitBytes", 1, "must be greater than 0"));
  TRY(check("sinceSeconds", 1, "must be greater than 0"));
  if (query.has("sinceSeconds") && query.has("sinceTime")) {
    causes.push_back(api::field_error::forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  }
  return causes.empty() ? Status() : api::invalid("", "PodLogOptions", "", std::move(causes));
}

/// Passes the kubelet's answer on, as fast as the client reads.
void stream(const std::shared_ptr<RequestContext>& context, net::Transport& transport, const net::Request& request,
            std::stop_token stop) {
  std::stop_source gone;
  std::stop_callback on_stop(stop, [&gone] { gone.request_stop(); });
  context->exchange()->on_closed([gone]() mutable { gone.request_stop(); });
  auto answer = transport.open(request, gone.get_token());
  if (!answer.ok()) {
    return context->fail(Status::internal("Get \"" + request.target + "\": " + answer.status().message()));
  }
  net::ResponseStream& body = **answer;
  if (body.status() >= 400) {
    std::string text;
    for (auto part = body.read(gone.get_token()); part.ok() && !part->empty() && text.size() < 4096;
         part = body.read(gone.get_token())) {
      text += *part;
    }
    while (text.ends_with('\n')) text.pop_back();
    Reason reason = body.status() == 404   ? Reason::kNotFound
                    : body.status() == 400 ? Reason::kBadRequest
                                           : Reason::kInternalError;
    return context->fail(Status(reason, text.empty() ? "the kubelet refused the request" : text));
  }
  context->start_stream(200, "text/plain");
  // The client may have gone before this replaced the callback above; then the first write ends it.
  PacedWriter writer(context->exchange(), gone);
  for (;;) {
    auto part = body.read(gone.get_token());
    if (!part.ok()) {
      if (!gone.stop_requested())
        log::warning("A log stream broke off", {{"path", request.target}, {"error", part.status()}});
      return context->exchange()->abort();
    }
    if (part->empty()) return context->exchange()->finish();
    if (!writer.write(std::move(*part), gone.get_token())) return context->exchange()->abort();
  }
}

}  // namespace

void Registry::pod_log(const Context& context) {
  if (!options_.kubelet_transport) {
    return context->fail(Status(Reason::kMethodNotAllowed, "this server has no way to reach kubelets").with_code(501));
  }
  std::shared_ptr<net::Transport> transport;
  net::Request request;
  auto prepare = [&]() -> Status {
    TRY(check_log_options(context->query));
    TRY_ASSIGN(auto pod, options_.caches->get<corev1::Pod>(context->info.ns, context->info.name));
    TRY_ASSIGN(std::string container, choose_container(*pod, context->query.get("container")));
    if (pod->spec.node_name.empty()) return {};
    TRY_ASSIGN(auto node, options_.caches->get<corev1::Node>("", pod->spec.node_name));
    TRY_ASSIGN(std::string url, kubelet_url(*node));
    TRY_ASSIGN(transport, options_.kubelet_transport(url));
    request.target = fmt::format("/containerLogs/{}/{}/{}", net::percent_encode(pod->metadata.namespace_),
                                 net::percent_encode(pod->metadata.name), net::percent_encode(container));
    char separator = '?';
    for (std::string_view name : kForwarded) {
      if (!context->query.has(name)) continue;
      request.target += fmt::format("{}{}={}", separator, name, net::percent_encode(context->query.get(name)));
      separator = '&';
    }
    return {};
  };
  if (Status status = prepare(); !status.ok()) return context->fail(status);
  // Not scheduled yet: nothing has been logged.
  if (!transport) return context->respond(200, "text/plain", std::string());
  Status started = streams_.start(
      [context, transport, request](std::stop_token stop) { stream(context, *transport, request, stop); });
  if (!started.ok()) context->fail(started);
}

}  // namespace trireme::apiserver
