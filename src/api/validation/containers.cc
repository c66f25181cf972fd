#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/codec.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"
#include "api/validation/resources.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kNoInit = "may not be set for init containers without restartPolicy=Always";
constexpr std::string_view kOneHandler = "may not specify more than 1 handler type";

bool contains(Supported list, std::string_view item) { return list.contains(item); }

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n\v\f");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n\v\f") - first + 1);
}

void check_ports(const std::vector<corev1::ContainerPort>& ports, const Path& at, ErrorList& errors) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const auto& port = ports[i];
    const Path path = at.index(i);
    if (!port.name.empty() && check_port_name(port.name, path.child("name"), errors) &&
        !names.insert(port.name).second) {
      errors.duplicate(path.child("name"), port.name);
    }
    if (port.container_port == 0) {
      errors.required(path.child("containerPort"));
    } else {
      check_port_number(port.container_port, path.child("containerPort"), errors);
    }
    if (port.host_port != 0) check_port_number(port.host_port, path.child("hostPort"), errors);
    errors.check_enum(path.child("protocol"), port.protocol, {"SCTP", "TCP", "UDP"});
  }
}

void check_key_ref(std::string_view name, std::string_view key, const Path& at, ErrorList& errors) {
  check_dns_subdomain(name, at.child("name"), errors);
  if (key.empty()) {
    errors.required(at.child("key"));
  } else {
    check_config_key(key, at.child("key"), errors);
  }
}

void check_env_source(const corev1::EnvVar& variable, const Path& at, ErrorList& errors) {
  const auto& from = *variable.value_from;
  int sources = 0;
  if (from.field_ref) {
    ++sources;
    check_field_ref(*from.field_ref, false, at.child("fieldRef"), errors);
  }
  if (from.resource_field_ref) {
    ++sources;
    check_resource_field_ref(*from.resource_field_ref, false, at.child("resourceFieldRef"), errors);
  }
  if (from.config_map_key_ref) {
    ++sources;
    check_key_ref(from.config_map_key_ref->local_object_reference.name, from.config_map_key_ref->key,
                  at.child("configMapKeyRef"), errors);
  }
  if (from.secret_key_ref) {
    ++sources;
    check_key_ref(from.secret_key_ref->local_object_reference.name, from.secret_key_ref->key, at.child("secretKeyRef"),
                  errors);
  }
  if (sources == 0) {
    errors.invalid(at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  } else if (!variable.value.empty()) {
    errors.invalid(at, "", "may not be specified when `value` is not empty");
  } else if (sources > 1) {
    errors.invalid(at, "", "may not have more than one field specified at a time");
  }
}

void check_env(const std::vector<corev1::EnvVar>& env, const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < env.size(); ++i) {
    const Path path = at.index(i);
    if (env[i].name.empty()) {
      errors.required(path.child("name"));
    } else {
      check_env_name(env[i].name, path.child("name"), errors);
    }
    if (env[i].value_from) check_env_source(env[i], path.child("valueFrom"), errors);
  }
}

void check_env_from(const std::vector<corev1::EnvFromSource>& sources, const Path& at, ErrorList& errors) {
  auto check_ref_name = [&](std::string_view name, const Path& path) {
    if (name.empty()) {
      errors.required(path.child("name"));
    } else {
      errors.invalid_each(path.child("name"), name, name_problems(NameRule::kSubdomain, name, true));
    }
  };
  for (size_t i = 0; i < sources.size(); ++i) {
    const Path path = at.index(i);
    if (!sources[i].prefix.empty()) check_env_name(sources[i].prefix, path.child("prefix"), errors);
    int count = 0;
    if (sources[i].config_map_ref) {
      ++count;
      check_ref_name(sources[i].config_map_ref->local_object_reference.name, path.child("configMapRef"));
    }
    if (sources[i].secret_ref) {
      ++count;
      check_ref_name(sources[i].secret_ref->local_object_reference.name, path.child("secretRef"));
    }
    if (count == 0) {
      errors.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`");
    } else if (count > 1) {
      errors.invalid(at, "", "may not have more than one field specified at a time");
    }
  }
}

template <typename Container>
void check_mount_options(const corev1::VolumeMount& mount, const Container& container, const Path& at,
                         ErrorList& errors) {
  if (mount.mount_propagation) {
    const Path path = at.child("mountPropagation");
    const std::string& propagation = *mount.mount_propagation;
    if (!contains({"Bidirectional", "HostToContainer", "None"}, propagation)) {
      errors.not_supported(path, propagation, {"Bidirectional", "HostToContainer", "None"});
    }
    const bool privileged = container.security_context && container.security_context->privileged.value_or(false);
    if (propagation == "Bidirectional" && !privileged) {
      errors.forbidden(path, "Bidirectional mount propagation is available only to privileged containers");
    }
  }
  if (mount.recursive_read_only && *mount.recursive_read_only != "Disabled") {
    const Path path = at.child("recursiveReadOnly");
    const std::string& mode = *mount.recursive_read_only;
    if (mode == "Enabled" || mode == "IfPossible") {
      if (!mount.read_only) errors.forbidden(path, "may only be specified when readOnly is true");
      if (mount.mount_propagation && *mount.mount_propagation != "None") {
        errors.forbidden(path, "may only be specified when mountPropagation is None or not specified");
      }
    } else {
      errors.not_supported(path, mode, {"Disabled", "Enabled", "IfPossible"});
    }
  }
}

template <typename Container>
void check_mounts(const Container& container, const PodScope& scope, const Path& at, ErrorList& errors) {
  std::set<std::string_view> mount_points;
  const auto& devices = container.volume_devices;
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const auto& mount = container.volume_mounts[i];
    const Path path = at.index(i);
    if (mount.name.empty()) errors.required(path.child("name"));
    const auto volume = scope.volumes.find(mount.name);
    if (volume == scope.volumes.end()) errors.not_found(path.child("name"), mount.name);
    if (mount.mount_path.empty()) errors.required(path.child("mountPath"));
    if (!mount_points.insert(mount.mount_path).second) {
      errors.invalid(path.child("mountPath"), mount.mount_path, "must be unique");
    }
    if (std::any_of(devices.begin(), devices.end(), [&](const auto& device) { return device.name == mount.name; })) {
      errors.invalid(path.child("name"), mount.name, "must not already exist in volumeDevices");
    }
    if (std::any_of(devices.begin(), devices.end(),
                    [&](const auto& device) { return device.device_path == mount.mount_path; })) {
      errors.invalid(path.child("mountPath"), mount.mount_path, "must not already exist as a path in volumeDevices");
    }
    if (volume != scope.volumes.end() && volume->second->image) {
      if (!mount.sub_path.empty()) {
        errors.invalid(path.child("subPath"), mount.sub_path, "not allowed in image volume sources");
      }
      if (!mount.sub_path_expr.empty()) {
        errors.invalid(path.child("subPathExpr"), mount.sub_path_expr, "not allowed in image volume sources");
      }
    }
    if (!mount.sub_path.empty()) check_descending_path(mount.sub_path, at.child("subPath"), errors);
    if (!mount.sub_path_expr.empty()) {
      if (!mount.sub_path.empty()) {
        errors.invalid(path.child("subPathExpr"), mount.sub_path_expr,
                       "subPathExpr and subPath are mutually exclusive");
      }
      check_descending_path(mount.sub_path_expr, at.child("subPathExpr"), errors);
    }
    check_mount_options(mount, container, at, errors);
  }
}

template <typename Container>
void check_devices(const Container& container, const PodScope& scope, const Path& at, ErrorList& errors) {
  std::set<std::string_view> names;
  std::set<std::string_view> paths;
  const auto& mounts = container.volume_mounts;
  for (size_t i = 0; i < container.volume_devices.size(); ++i) {
    const auto& device = container.volume_devices[i];
    const Path path = at.index(i);
    if (device.name.empty()) errors.required(path.child("name"));
    if (names.count(device.name) > 0) errors.invalid(path.child("name"), device.name, "must be unique");
    if (const auto volume = scope.volumes.find(device.name); volume == scope.volumes.end()) {
      errors.not_found(path.child("name"), device.name);
    } else if (!volume->second->persistent_volume_claim && !volume->second->ephemeral) {
      errors.invalid(path.child("name"), device.name,
                     "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
    }
    if (device.device_path.empty()) errors.required(path.child("devicePath"));
    if (paths.count(device.device_path) > 0) {
      errors.invalid(path.child("devicePath"), device.device_path, "must be unique");
    }
    ErrorList backsteps;
    check_no_backsteps(device.device_path, path, backsteps);
    if (!backsteps.empty()) {
      errors.invalid(path.child("devicePath"), device.device_path, "can not contain backsteps ('..')");
    } else {
      paths.insert(device.device_path);
    }
    if (std::any_of(mounts.begin(), mounts.end(), [&](const auto& mount) { return mount.name == device.name; })) {
      errors.invalid(path.child("name"), device.name, "must not already exist in volumeMounts");
    }
    if (std::any_of(mounts.begin(), mounts.end(),
                    [&](const auto& mount) { return mount.mount_path == device.device_path; })) {
      errors.invalid(path.child("devicePath"), device.device_path, "must not already exist as a path in volumeMounts");
    }
    if (!device.name.empty()) names.insert(device.name);
  }
}

/// Counts the handlers of a probe or hook; each after the first is forbidden.
class Handlers {
 public:
  Handlers(const Path& at, ErrorList& errors) : at_(at), errors_(errors) {}

  template <typename Handler, typename Check>
  void add(const Handler& handler, std::string_view name, Check check) {
    if (!handler) return;
    if (count_++ > 0) {
      errors_.forbidden(at_.child(name), kOneHandler);
    } else {
      check(*handler, at_.child(name));
    }
  }
  void finish() {
    if (count_ == 0) errors_.required(at_, "must specify a handler type");
  }

 private:
  const Path& at_;
  ErrorList& errors_;
  int count_ = 0;
};

template <typename Handler>
void check_common_handlers(const Handler& handler, Handlers& handlers, ErrorList& errors) {
  handlers.add(handler.exec, "exec", [&](const corev1::ExecAction& exec, const Path& at) {
    if (exec.command.empty()) errors.required(at.child("command"));
  });
  handlers.add(handler.http_get, "httpGet", [&](const corev1::HTTPGetAction& get, const Path& at) {
    if (get.path.empty()) errors.required(at.child("path"));
    check_port(get.port, at.child("port"), errors);
    if (get.scheme != "HTTP" && get.scheme != "HTTPS") {
      errors.not_supported(at.child("scheme"), get.scheme, {"HTTP", "HTTPS"});
    }
    for (const auto& header : get.http_headers) check_http_header_name(header.name, at.child("httpHeaders"), errors);
  });
  handlers.add(handler.tcp_socket, "tcpSocket", [&](const corev1::TCPSocketAction& socket, const Path& at) {
    check_port(socket.port, at.child("port"), errors);
  });
}

void check_hook(const corev1::LifecycleHandler& handler, const PodScope& scope, const Path& at, ErrorList& errors) {
  Handlers handlers(at, errors);
  check_common_handlers(handler, handlers, errors);
  handlers.add(handler.sleep, "sleep", [&](const corev1::SleepAction& sleep, const Path& path) {
    if (scope.grace_period && (sleep.seconds <= 0 || sleep.seconds > *scope.grace_period)) {
      errors.invalid(path, sleep.seconds,
                     fmt::format("must be greater than 0 and less than terminationGracePeriodSeconds ({}). Enable "
                                 "AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep.",
                                 *scope.grace_period));
    }
  });
  handlers.finish();
}

void check_probe(const corev1::Probe& probe, const Path& at, ErrorList& errors) {
  Handlers handlers(at, errors);
  check_common_handlers(probe.probe_handler, handlers, errors);
  handlers.add(probe.probe_handler.grpc, "grpc", [&](const corev1::GRPCAction& grpc, const Path& path) {
    check_port_number(grpc.port, path.child("port"), errors);
  });
  handlers.finish();
  check_not_negative(probe.initial_delay_seconds, at.child("initialDelaySeconds"), errors);
  check_not_negative(probe.timeout_seconds, at.child("timeoutSeconds"), errors);
  check_not_negative(probe.period_seconds, at.child("periodSeconds"), errors);
  check_not_negative(probe.success_threshold, at.child("successThreshold"), errors);
  check_not_negative(probe.failure_threshold, at.child("failureThreshold"), errors);
  if (probe.termination_grace_period_seconds && *probe.termination_grace_period_seconds <= 0) {
    errors.invalid(at.child("terminationGracePeriodSeconds"), *probe.termination_grace_period_seconds,
                   "must be greater than 0");
  }
}

void check_probes_and_hooks(const corev1::Container& container, const PodScope& scope, const Path& at,
                            ErrorList& errors) {
  if (container.lifecycle) {
    const Path path = at.child("lifecycle");
    if (container.lifecycle->post_start) {
      check_hook(*container.lifecycle->post_start, scope, path.child("postStart"), errors);
    }
    if (container.lifecycle->pre_stop) {
      check_hook(*container.lifecycle->pre_stop, scope, path.child("preStop"), errors);
    }
  }
  auto once = [&](const Box<corev1::Probe>& probe, std::string_view name) {
    if (!probe) return;
    check_probe(*probe, at.child(name), errors);
    if (probe->success_threshold != 1) {
      errors.invalid(at.child(name, "successThreshold"), probe->success_threshold, "must be 1");
    }
  };
  once(container.liveness_probe, "livenessProbe");
  if (container.readiness_probe) {
    const Path path = at.child("readinessProbe");
    check_probe(*container.readiness_probe, path, errors);
    if (container.readiness_probe->termination_grace_period_seconds) {
      errors.invalid(path.child("terminationGracePeriodSeconds"),
                     *container.readiness_probe->termination_grace_period_seconds,
                     "must not be set for readinessProbes");
    }
  }
  once(container.startup_probe, "startupProbe");
}

void check_resize_policies(const std::vector<corev1::ContainerResizePolicy>& policies, std::string_view restart_policy,
                           const Path& at, ErrorList& errors) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < policies.size(); ++i) {
    const auto& policy = policies[i];
    if (!seen.insert(policy.resource_name).second) errors.duplicate(at.index(i), policy.resource_name);
    errors.check_enum(at, policy.resource_name, {"cpu", "memory"});
    errors.check_enum(at, policy.restart_policy, {"NotRequired", "RestartContainer"});
    if (restart_policy == "Never" && policy.restart_policy != "NotRequired") {
      errors.invalid(at, policy.restart_policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
    }
  }
}

void check_claims(const std::vector<corev1::ResourceClaim>& claims, const PodScope& scope, const Path& at,
                  ErrorList& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < claims.size(); ++i) {
    const auto& claim = claims[i];
    if (claim.name.empty()) {
      errors.required(at.index(i));
      continue;
    }
    const std::string key = claim.request.empty() ? claim.name : claim.name + "/" + claim.request;
    if (!claim.request.empty()) check_dns_label(claim.request, at.index(i).child("request"), errors);
    const bool whole = seen.count(claim.name) > 0;
    const bool part = claim.request.empty() && std::any_of(seen.begin(), seen.end(), [&](const std::string& other) {
                        return other.starts_with(claim.name + "/");
                      });
    if (whole || part || seen.count(key) > 0) errors.duplicate(at.index(i), whole || part ? claim.name : key);
    seen.insert(key);
    if (scope.claims.count(claim.name) == 0) {
      std::string detail = "must be one of the names in pod.spec.resourceClaims";
      detail += scope.claims.empty() ? " which is empty" : ": ";
      for (auto it = scope.claims.begin(); it != scope.claims.end(); ++it) {
        if (it != scope.claims.begin()) detail += ", ";
        detail += *it;
      }
      errors.not_found(at.index(i), claim.name, detail);
    }
  }
}

/// What holds for regular, init and ephemeral containers alike.
template <typename Container>
void check_common(const Container& container, const PodScope& scope, const Path& at, ErrorList& errors) {
  if (container.name.empty()) {
    errors.required(at.child("name"));
  } else {
    check_dns_label(container.name, at.child("name"), errors);
  }
  if (container.image.empty()) errors.required(at.child("image"));
  errors.check_enum(at.child("terminationMessagePolicy"), container.termination_message_policy,
                    {"File", "FallbackToLogsOnError"});
  check_ports(container.ports, at.child("ports"), errors);
  check_env(container.env, at.child("env"), errors);
  check_env_from(container.env_from, at.child("envFrom"), errors);
  check_mounts(container, scope, at.child("volumeMounts"), errors);
  check_devices(container, scope, at.child("volumeDevices"), errors);
  errors.check_enum(at.child("imagePullPolicy"), container.image_pull_policy, {"Always", "IfNotPresent", "Never"});
  check_requirements(container.resources.limits, container.resources.requests, at.child("resources"), errors);
  check_claims(container.resources.claims, scope, at.child("resources", "claims"), errors);
  check_resize_policies(container.resize_policy, scope.restart_policy, at.child("resizePolicy"), errors);
  if (container.security_context) {
    check_security_context(*container.security_context, scope.host_users, at.child("securityContext"), errors);
  }
}

void check_host_port_conflicts(const std::vector<corev1::ContainerPort>& ports, std::set<std::string>& used,
                               const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].host_port == 0) continue;
    const std::string key = fmt::format("{}/{}/{}", ports[i].protocol, ports[i].host_ip, ports[i].host_port);
    if (!used.insert(key).second) errors.duplicate(at.index(i).child("hostPort"), key);
  }
}

void check_ephemeral(const corev1::PodSpec& spec, const PodScope& scope, const Path& at, ErrorList& errors) {
  std::set<std::string_view> targets;
  for (const auto& container : spec.containers) targets.insert(container.name);
  for (const auto& container : spec.init_containers) targets.insert(container.name);
  std::set<std::string_view> names = targets;
  constexpr std::string_view kCannotBeSet = "cannot be set for an Ephemeral Container";
  for (size_t i = 0; i < spec.ephemeral_containers.size(); ++i) {
    const auto& common = spec.ephemeral_containers[i].ephemeral_container_common;
    const Path path = at.index(i);
    check_common(common, scope, path, errors);
    if (trimmed(common.image).size() != common.image.size()) {
      errors.invalid(path.child("image"), common.image, "must not have leading or trailing whitespace");
    }
    if (!names.insert(common.name).second) errors.duplicate(path.child("name"), common.name);
    const std::string& target = spec.ephemeral_containers[i].target_container_name;
    if (!target.empty() && targets.count(target) == 0) errors.not_found(path.child("targetContainerName"), target);
    const auto& resources = common.resources;
    const std::pair<std::string_view, bool> set_fields[] = {
        {"ports", !common.ports.empty()},
        {"resources", !resources.limits.empty() || !resources.requests.empty() || !resources.claims.empty()},
        {"resizePolicy", !common.resize_policy.empty()},
        {"restartPolicy", common.restart_policy.has_value()},
        {"livenessProbe", common.liveness_probe.has_value()},
        {"readinessProbe", common.readiness_probe.has_value()},
        {"startupProbe", common.startup_probe.has_value()},
        {"lifecycle", common.lifecycle.has_value()}};
    for (const auto& [name, set] : set_fields) {
      if (set) errors.forbidden(path.child(name), kCannotBeSet);
    }
    for (size_t m = 0; m < common.volume_mounts.size(); ++m) {
      const Path mount = path.child("volumeMounts").index(m);
      if (!common.volume_mounts[m].sub_path.empty()) errors.forbidden(mount.child("subPath"), kCannotBeSet);
      if (!common.volume_mounts[m].sub_path_expr.empty()) errors.forbidden(mount.child("subPathExpr"), kCannotBeSet);
    }
  }
}

}  // namespace

void check_field_ref(const corev1::ObjectFieldSelector& ref, bool volume, const Path& at, ErrorList& errors) {
  if (ref.api_version.empty()) return errors.required(at.child("apiVersion"));
  if (ref.field_path.empty()) return errors.required(at.child("fieldPath"));
  const std::string_view path = ref.field_path;
  if (ref.api_version != "v1") {
    errors.invalid(at.child("fieldPath"), path,
                   fmt::format("error converting fieldPath: unsupported pod version: {}", ref.api_version));
    return;
  }
  static constexpr std::string_view kEnv[] = {
      "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
      "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
  static constexpr std::string_view kVolume[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                                 "metadata.namespace", "metadata.uid"};
  const size_t bracket = path.find('[');
  if (bracket != std::string_view::npos && path.size() > bracket + 3 && path[bracket + 1] == '\'' &&
      path.ends_with("']")) {
    const std::string_view base = path.substr(0, bracket);
    std::string subscript(path.substr(bracket + 2, path.size() - bracket - 4));
    if (base == "metadata.annotations") {
      std::transform(subscript.begin(), subscript.end(), subscript.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      check_qualified_name(subscript, at, errors);
    } else if (base == "metadata.labels") {
      check_qualified_name(subscript, at, errors);
    } else {
      errors.invalid(at.child("fieldPath"), path, "error converting fieldPath: field label does not support subscript");
    }
    return;
  }
  const bool known = contains(kEnv, path) || contains(kVolume, path);
  if (!known) {
    errors.invalid(at.child("fieldPath"), path,
                   fmt::format("error converting fieldPath: field label not supported: {}", path));
  } else if (!contains(volume ? Supported(kVolume) : Supported(kEnv), path)) {
    errors.not_supported(at.child("fieldPath"), path, volume ? Supported(kVolume) : Supported(kEnv));
  }
}

void check_resource_field_ref(const corev1::ResourceFieldSelector& ref, bool volume, const Path& at,
                              ErrorList& errors) {
  static constexpr std::string_view kResources[] = {"limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
                                                    "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
  const std::string& resource = ref.resource;
  const bool hugepages = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
  if (volume && ref.container_name.empty()) {
    errors.required(at.child("containerName"));
  } else if (resource.empty()) {
    errors.required(at.child("resource"));
  } else if (!contains(kResources, resource) && !hugepages) {
    errors.not_supported(at.child("resource"), resource, kResources);
  }
  if (ref.divisor.is_zero()) return;
  static constexpr std::string_view kBytes[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P", "1E",
                                                "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};
  constexpr std::string_view kByteText =
      "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ";
  const std::string divisor = ref.divisor.to_string();
  if (resource.ends_with(".cpu")) {
    if (divisor != "1m" && divisor != "1") {
      errors.invalid(at.child("divisor"), resource,
                     "only divisor's values 1m and 1 are supported with the cpu resource");
    }
  } else if (resource.ends_with(".memory") || resource.ends_with(".ephemeral-storage") || hugepages) {
    const std::string_view what = hugepages                       ? "hugepages"
                                  : resource.ends_with(".memory") ? "memory"
                                                                  : "local ephemeral storage";
    if (!contains(kBytes, divisor)) {
      errors.invalid(at.child("divisor"), resource, fmt::format("{}{} resource", kByteText, what));
    }
  }
}

void check_containers(const corev1::PodSpec& spec, const PodScope& scope, const Path& at, ErrorList& errors) {
  const Path regular = at.child("containers");
  std::set<std::string_view> names;
  if (spec.containers.empty()) errors.required(regular);
  std::set<std::string> host_ports;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const auto& container = spec.containers[i];
    const Path path = regular.index(i);
    check_common(container, scope, path, errors);
    if (!names.insert(container.name).second) errors.duplicate(path.child("name"), container.name);
    check_probes_and_hooks(container, scope, path, errors);
    if (container.restart_policy) {
      errors.forbidden(path.child("restartPolicy"), "may not be set for non-init containers");
    }
  }
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    check_host_port_conflicts(spec.containers[i].ports, host_ports, regular.index(i).child("ports"), errors);
  }

  const Path init = at.child("initContainers");
  for (size_t i = 0; i < spec.init_containers.size(); ++i) {
    const auto& container = spec.init_containers[i];
    const Path path = init.index(i);
    check_common(container, scope, path, errors);
    const bool sidecar = container.restart_policy && *container.restart_policy == "Always";
    if (container.restart_policy && !sidecar) {
      errors.not_supported(path.child("restartPolicy"), *container.restart_policy, {"Always"});
    }
    if (names.count(container.name) > 0) {
      errors.duplicate(path.child("name"), container.name);
    } else if (!container.name.empty()) {
      names.insert(container.name);
    }
    // Init containers run one by one, so each is checked alone.
    std::set<std::string> own_ports;
    check_host_port_conflicts(container.ports, own_ports, path.child("ports"), errors);
    if (sidecar) {
      check_probes_and_hooks(container, scope, path, errors);
    } else {
      if (container.lifecycle) errors.forbidden(path.child("lifecycle"), kNoInit);
      if (container.liveness_probe) errors.forbidden(path.child("livenessProbe"), kNoInit);
      if (container.readiness_probe) errors.forbidden(path.child("readinessProbe"), kNoInit);
      if (container.startup_probe) errors.forbidden(path.child("startupProbe"), kNoInit);
    }
    if (!container.resize_policy.empty() && !sidecar) {
      errors.invalid(path.child("resizePolicy"), BadValue::raw("[]"), "must not be set for init containers");
    }
  }
  check_ephemeral(spec, scope, at.child("ephemeralContainers"), errors);
}

}  // namespace trireme::api::validation
