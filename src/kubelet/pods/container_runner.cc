#include "kubelet/pods/container_runner.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "kubelet/pods/resources.h"
#include "kubelet/probes/handlers.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::Pod;
using std::chrono::seconds;

constexpr seconds kMinimumStopGrace{2};  // what a container gets after its preStop hook took all
constexpr seconds kHookHttpTimeout{30};
constexpr const char* kHookUserAgent = "kube-lifecycle/1.32";

HandlerOutcome run_hook(NodeServices& node, const api::corev1::LifecycleHandler& handler, const Container& container,
                        const std::string& container_id, const std::string& host, seconds limit) {
  if (handler.exec) return run_exec(*node.runtime, container_id, *handler.exec, limit);
  if (handler.http_get) {
    Duration timeout = limit.count() > 0 ? std::min(limit, kHookHttpTimeout) : kHookHttpTimeout;
    return run_http_get(*handler.http_get, container, host, timeout, kHookUserAgent);
  }
  if (handler.sleep) {
    seconds duration(handler.sleep->seconds);
    if (limit.count() > 0) duration = std::min(duration, limit);
    node.clock->sleep_for(duration, {});
    return {true, {}};
  }
  return {true, {}};
}

std::string host_of(const NodeServices& node, const Pod& pod, const std::vector<std::string>& pod_ips) {
  if (!host_network(pod) && !pod_ips.empty()) return pod_ips[0];
  const std::vector<std::string> addresses = node.host_ips.get();
  return addresses.empty() ? "127.0.0.1" : addresses[0];
}

std::string hook_detail(const api::corev1::LifecycleHandler& handler) {
  return handler.exec ? fmt::format("Exec lifecycle hook ({})", fmt::join(handler.exec->command, " "))
                      : std::string("HTTP lifecycle hook");
}

/// Tools look for logs under /var/log/containers by these names.
void link_log(const NodeServices& node, const StartRequest& request, const std::string& container_id,
              const std::string& log_path) {
  if (node.options.container_logs_dir.empty()) return;
  if (!linux::make_dirs(node.options.container_logs_dir).ok()) return;
  std::string link = fmt::format("{}/{}_{}_{}-{}.log", node.options.container_logs_dir, request.pod.metadata.name,
                                 request.pod.metadata.namespace_, request.container.name, container_id);
  [[maybe_unused]] int ignored = ::symlink(log_path.c_str(), link.c_str());
}

StartFailure failure(std::string reason, std::string message, Duration retry = seconds(10)) {
  return {{std::move(reason), std::move(message)}, retry};
}

}  // namespace

NodeContext node_context(const NodeServices& node, const Pod& pod) {
  NodeContext context = node.node;
  // Read for each pod: what a network manager writes later counts for the pods after.
  if (node.options.resolv_conf.empty()) {
    context.host_dns = {{"127.0.0.1"}, {"."}, {}};
  } else if (auto text = linux::read_file(node.options.resolv_conf); text.ok()) {
    context.host_dns = parse_resolv_conf(*text);
  }
  if (node.cgroups) context.cgroup_parent = pod_cgroup(node.options.cgroup_root, pod);
  return context;
}

DownwardContext downward_context(const NodeServices& node, const Pod& pod, const std::vector<std::string>& pod_ips) {
  DownwardContext context = node.downward;
  context.host_ips = node.host_ips.get();
  context.pod_ips = host_network(pod) ? context.host_ips : pod_ips;
  return context;
}

std::vector<api::corev1::Secret> pull_secrets(NodeServices& node, const Pod& pod) {
  std::vector<api::corev1::Secret> secrets;
  for (const auto& reference : pod.spec.image_pull_secrets) {
    auto secret = node.objects.secret(pod.metadata.uid, pod.metadata.namespace_, reference.name);
    if (secret.ok()) {
      secrets.push_back(**secret);
    } else {
      node.events->warning(client::reference_to(pod), "FailedToRetrieveImagePullSecret",
                           fmt::format("Unable to retrieve some image pull secrets ({}); attempting to pull the image "
                                       "may not succeed.",
                                       reference.name));
    }
  }
  return secrets;
}

std::optional<StartFailure> start_container(NodeServices& node, const StartRequest& request) {
  const Pod& pod = request.pod;
  const Container& container = request.container;
  auto reference = container_reference(pod, container);
  auto config_error = [&](const Status& status) {
    node.events->warning(reference, "Failed", "Error: " + status.message());
    return failure("CreateContainerConfigError", status.message());
  };

  EnvironmentSources sources;
  sources.config_map = [&](std::string_view name) {
    return node.objects.config_map(pod.metadata.uid, pod.metadata.namespace_, std::string(name));
  };
  sources.secret = [&](std::string_view name) {
    return node.objects.secret(pod.metadata.uid, pod.metadata.namespace_, std::string(name));
  };
  std::map<std::string, std::string> service_variables;
  if (node.services != nullptr) {
    service_variables = service_environment(node.services->list(), pod.metadata.namespace_,
                                            pod.spec.enable_service_links.value_or(true));
  }
  auto environment =
      make_environment(pod, container, service_variables, downward_context(node, pod, request.pod_ips), sources);
  if (!environment.ok()) return config_error(environment.status());
  auto mounts = node.volumes.container_mounts(pod, container, request.attempt, request.volumes, *environment);
  if (!mounts.ok()) return config_error(mounts.status());

  ContainerInputs inputs{pod,
                         container,
                         request.attempt,
                         request.sandbox_id,
                         request.image.image,
                         request.image.ref,
                         std::move(*environment),
                         std::move(*mounts),
                         {}};
  auto config = make_container_config(inputs, node_context(node, pod));
  if (!config.ok()) return config_error(config.status());
  std::string log_path = request.sandbox.log_directory + "/" + config->log_path;
  if (Status status = linux::make_dirs(log_path.substr(0, log_path.find_last_of('/'))); !status.ok()) {
    return config_error(status);
  }

  auto id = node.runtime->create_container(request.sandbox_id, *config, request.sandbox);
  if (!id.ok()) {
    node.events->warning(reference, "Failed", "Error: " + id.status().message());
    return failure("CreateContainerError", id.status().message());
  }
  node.events->normal(reference, "Created", fmt::format("Created container: {}", container.name));
  if (Status status = node.runtime->start_container(*id); !status.ok()) {
    node.events->warning(reference, "Failed", "Error: " + status.message());
    return failure("RunContainerError", status.message());
  }
  node.events->normal(reference, "Started", fmt::format("Started container {}", container.name));
  link_log(node, request, *id, log_path);

  if (container.lifecycle && container.lifecycle->post_start) {
    HandlerOutcome outcome = run_hook(node, *container.lifecycle->post_start, container, *id,
                                      host_of(node, pod, request.pod_ips), seconds(0));
    if (!outcome.success) {
      std::string message = fmt::format("{} for Container \"{}\" in Pod \"{}_{}({})\" failed - error: {}",
                                        hook_detail(*container.lifecycle->post_start), container.name,
                                        pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid, outcome.output);
      node.events->warning(reference, "FailedPostStartHook", "PostStartHook failed");
      kill_container(node, &pod, &container, *id, seconds(pod.spec.termination_grace_period_seconds.value_or(30)),
                     "FailedPostStartHook", request.pod_ips);
      return failure("PostStartHookError", message);
    }
  }
  return std::nullopt;
}

void kill_container(NodeServices& node, const Pod* pod, const Container* container, const std::string& container_id,
                    seconds grace, const std::string& message, const std::vector<std::string>& pod_ips) {
  if (pod != nullptr && container != nullptr) {
    node.events->normal(container_reference(*pod, *container), "Killing", message);
  }
  Duration started = node.clock->monotonic();
  if (container != nullptr && container->lifecycle && container->lifecycle->pre_stop && grace.count() > 0) {
    HandlerOutcome outcome =
        run_hook(node, *container->lifecycle->pre_stop, *container, container_id, host_of(node, *pod, pod_ips), grace);
    if (!outcome.success) {
      node.events->warning(container_reference(*pod, *container), "FailedPreStopHook", "PreStopHook failed");
    }
    auto used = std::chrono::duration_cast<seconds>(node.clock->monotonic() - started);
    grace = std::max(grace - used, kMinimumStopGrace);
  }
  Status status = node.runtime->stop_container(container_id, grace);
  if (!status.ok() && !status.is(Reason::kNotFound)) {
    log::warning("Could not stop container", {{"container", container_id}, {"error", status}});
  }
}

}  // namespace trireme::kubelet
