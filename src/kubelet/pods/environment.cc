#include "kubelet/pods/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

namespace trireme::kubelet {
namespace {

using api::corev1::EnvVar;
using api::corev1::Service;

std::string joined(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ",")); }

/// "metadata.labels['app']" into "metadata.labels" and "app".
struct FieldPath {
  std::string_view path;
  std::optional<std::string_view> subscript;
};

FieldPath split_subscript(std::string_view path) {
  size_t open = path.find("['");
  if (open == std::string_view::npos || !path.ends_with("']")) return {path, std::nullopt};
  return {path.substr(0, open), path.substr(open + 2, path.size() - open - 4)};
}

/// One `key="value"` a line, quoted as Go's %q does for plain text: the form of a downward API file.
std::string format_map(const api::Map<std::string>& map) {
  std::string result;
  for (const auto& [key, value] : map) {
    if (!result.empty()) result += '\n';
    result += key;
    result += "=\"";
    for (char c : value) {
      switch (c) {
        case '"':
          result += "\\\"";
          break;
        case '\\':
          result += "\\\\";
          break;
        case '\n':
          result += "\\n";
          break;
        case '\t':
          result += "\\t";
          break;
        case '\r':
          result += "\\r";
          break;
        default:
          result += c;
      }
    }
    result += '"';
  }
  return result;
}

std::string env_prefix(std::string_view service) {
  std::string result(service);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return result;
}

void add_links(const Service& service, std::map<std::string, std::string>& out) {
  const auto& spec = service.spec;
  std::string prefix = env_prefix(service.metadata.name);
  out[prefix + "_SERVICE_HOST"] = spec.cluster_ip;
  out[prefix + "_SERVICE_PORT"] = fmt::to_string(spec.ports[0].port);
  for (const auto& port : spec.ports) {
    if (!port.name.empty()) out[prefix + "_SERVICE_PORT_" + env_prefix(port.name)] = fmt::to_string(port.port);
  }
  std::string host = spec.cluster_ip.find(':') == std::string::npos ? spec.cluster_ip : "[" + spec.cluster_ip + "]";
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const auto& port = spec.ports[i];
    std::string upper = port.protocol.empty() ? "TCP" : port.protocol;
    std::string lower = upper;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string url = fmt::format("{}://{}:{}", lower, host, port.port);
    if (i == 0) out[prefix + "_PORT"] = url;
    std::string link = fmt::format("{}_PORT_{}_{}", prefix, port.port, upper);
    out[link] = url;
    out[link + "_PROTO"] = lower;
    out[link + "_PORT"] = fmt::to_string(port.port);
    out[link + "_ADDR"] = spec.cluster_ip;
  }
}

/// `amount` (in `unit_per_one`ths) divided by the divisor, rounded up.
std::string divided(int64_t amount, int64_t divisor) {
  if (divisor <= 0) divisor = 1;
  return fmt::to_string((amount + divisor - 1) / divisor);
}

bool is_env_name(std::string_view name) { return !name.empty() && name.find('=') == std::string_view::npos; }

/// Values of the variables whose source is `value_from`; absent when an optional reference has no target.
Result<std::optional<std::string>> referenced_value(const Pod& pod, const Container& container,
                                                    const api::corev1::EnvVarSource& from,
                                                    const DownwardContext& context, const EnvironmentSources& sources) {
  if (from.field_ref) {
    TRY_ASSIGN(std::string value, field_value(pod, from.field_ref->field_path, context));
    return std::optional(std::move(value));
  }
  if (from.resource_field_ref) {
    const std::string& name = from.resource_field_ref->container_name;
    const Container* target = name.empty() ? &container : find_container(pod, name);
    if (target == nullptr) return Status::not_found(fmt::format("container {} not found", name));
    TRY_ASSIGN(std::string value, resource_value(*target, *from.resource_field_ref, context));
    return std::optional(std::move(value));
  }
  if (from.config_map_key_ref) {
    const auto& ref = *from.config_map_key_ref;
    const std::string& name = ref.local_object_reference.name;
    bool optional = ref.optional.value_or(false);
    auto map = sources.config_map(name);
    if (!map.ok()) {
      if (optional && map.status().is(Reason::kNotFound)) return std::optional<std::string>();
      return map.status();
    }
    if (auto entry = (*map)->data.find(ref.key); entry != (*map)->data.end()) return std::optional(entry->second);
    if (optional) return std::optional<std::string>();
    return Status::not_found(
        fmt::format("couldn't find key {} in ConfigMap {}/{}", ref.key, pod.metadata.namespace_, name));
  }
  if (from.secret_key_ref) {
    const auto& ref = *from.secret_key_ref;
    const std::string& name = ref.local_object_reference.name;
    bool optional = ref.optional.value_or(false);
    auto secret = sources.secret(name);
    if (!secret.ok()) {
      if (optional && secret.status().is(Reason::kNotFound)) return std::optional<std::string>();
      return secret.status();
    }
    if (auto entry = (*secret)->data.find(ref.key); entry != (*secret)->data.end()) {
      return std::optional<std::string>(entry->second);
    }
    if (optional) return std::optional<std::string>();
    return Status::not_found(
        fmt::format("couldn't find key {} in Secret {}/{}", ref.key, pod.metadata.namespace_, name));
  }
  return std::optional(std::string());
}

}  // namespace

std::string expand(std::string_view text, const std::map<std::string, std::string>& variables) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      result += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      result += '$';
      ++i;
      continue;
    }
    size_t close = text[i + 1] == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (close == std::string_view::npos) {
      result += '$';
      continue;
    }
    std::string name(text.substr(i + 2, close - i - 2));
    auto variable = variables.find(name);
    if (variable != variables.end()) {
      result += variable->second;
    } else {
      result.append("$(").append(name).append(")");
    }
    i = close;
  }
  return result;
}

const Container* find_container(const Pod& pod, std::string_view name) {
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers}) {
    for (const Container& container : *list) {
      if (container.name == name) return &container;
    }
  }
  return nullptr;
}

Result<std::string> field_value(const Pod& pod, std::string_view path, const DownwardContext& context) {
  FieldPath field = split_subscript(path);
  const auto& metadata = pod.metadata;
  if (field.subscript) {
    std::string key(*field.subscript);
    const auto* map = field.path == "metadata.labels"        ? &metadata.labels
                      : field.path == "metadata.annotations" ? &metadata.annotations
                                                             : nullptr;
    if (map == nullptr) return Status::bad_request(fmt::format("fieldPath \"{}\" does not support subscript", path));
    auto entry = map->find(key);
    return entry == map->end() ? std::string() : entry->second;
  }
  if (path == "metadata.name") return metadata.name;
  if (path == "metadata.namespace") return metadata.namespace_;
  if (path == "metadata.uid") return metadata.uid;
  if (path == "metadata.labels") return format_map(metadata.labels);
  if (path == "metadata.annotations") return format_map(metadata.annotations);
  if (path == "spec.nodeName") return pod.spec.node_name;
  if (path == "spec.serviceAccountName") return pod.spec.service_account_name;
  if (path == "status.hostIP") return context.host_ips.empty() ? std::string() : context.host_ips[0];
  if (path == "status.hostIPs") return joined(context.host_ips);
  if (path == "status.podIP") return context.pod_ips.empty() ? std::string() : context.pod_ips[0];
  if (path == "status.podIPs") return joined(context.pod_ips);
  return Status::bad_request(fmt::format("unsupported fieldPath: {}", path));
}

Result<std::string> resource_value(const Container& container, const api::corev1::ResourceFieldSelector& selector,
                                   const DownwardContext& context) {
  const std::string& path = selector.resource;
  size_t dot = path.find('.');
  if (dot == std::string::npos) return Status::bad_request("unsupported container resource : " + path);
  bool limits = path.compare(0, dot, "limits") == 0;
  std::string name = path.substr(dot + 1);
  const auto& list = limits ? container.resources.limits : container.resources.requests;
  auto entry = list.find(name);
  bool set = entry != list.end();
  if (name == "cpu") {
    int64_t milli = set ? entry->second.milli_value() : (limits ? context.allocatable_milli_cpu : 0);
    int64_t divisor = selector.divisor.milli_value();
    return divided(milli, divisor == 0 ? 1000 : divisor);
  }
  int64_t amount = 0;
  if (set) {
    amount = entry->second.value();
  } else if (limits && name == "memory") {
    amount = context.allocatable_memory;
  } else if (limits && name == "ephemeral-storage") {
    amount = context.allocatable_ephemeral_storage;
  }
  return divided(amount, selector.divisor.value());
}

std::map<std::string, std::string> service_environment(const std::vector<std::shared_ptr<const Service>>& services,
                                                       std::string_view ns, bool enable_service_links) {
  std::map<std::string, std::string> result;
  for (const auto& service : services) {
    const std::string& ip = service->spec.cluster_ip;
    if (ip.empty() || ip == "None" || service->spec.ports.empty()) continue;
    bool master = service->metadata.namespace_ == "default" && service->metadata.name == "kubernetes";
    if (master || (enable_service_links && service->metadata.namespace_ == ns)) {
      // A service of the pod's own namespace called "kubernetes" wins over the master's.
      if (master && ns != "default" && enable_service_links && result.contains("KUBERNETES_SERVICE_HOST")) continue;
      add_links(*service, result);
    }
  }
  return result;
}

Result<std::vector<cri::EnvVar>> make_environment(const Pod& pod, const Container& container,
                                                  const std::map<std::string, std::string>& services,
                                                  const DownwardContext& context, const EnvironmentSources& sources) {
  std::vector<std::string> order;
  std::map<std::string, std::string> values;
  auto set = [&](const std::string& name, std::string value) {
    if (!values.contains(name)) order.push_back(name);
    values[name] = std::move(value);
  };

  for (const auto& from : container.env_from) {
    if (from.config_map_ref) {
      const auto& ref = *from.config_map_ref;
      auto map = sources.config_map(ref.local_object_reference.name);
      if (!map.ok()) {
        if (ref.optional.value_or(false) && map.status().is(Reason::kNotFound)) continue;
        return map.status();
      }
      for (const auto& [key, value] : (*map)->data) {
        if (is_env_name(from.prefix + key)) set(from.prefix + key, value);
      }
    } else if (from.secret_ref) {
      const auto& ref = *from.secret_ref;
      auto secret = sources.secret(ref.local_object_reference.name);
      if (!secret.ok()) {
        if (ref.optional.value_or(false) && secret.status().is(Reason::kNotFound)) continue;
        return secret.status();
      }
      for (const auto& [key, value] : (*secret)->data) {
        if (is_env_name(from.prefix + key)) set(from.prefix + key, std::string(value));
      }
    }
  }
  // References see the variables before them, envFrom's and the services'; own variables win over services'.
  std::map<std::string, std::string> visible = services;
  for (const auto& [name, value] : values) visible[name] = value;
  for (const EnvVar& variable : container.env) {
    std::string value;
    if (variable.value_from) {
      TRY_ASSIGN(auto found, referenced_value(pod, container, *variable.value_from, context, sources));
      if (!found) continue;
      value = std::move(*found);
    } else {
      value = expand(variable.value, visible);
    }
    visible[variable.name] = value;
    set(variable.name, std::move(value));
  }
  std::vector<cri::EnvVar> result;
  for (const std::string& name : order) result.push_back({name, values[name]});
  for (const auto& [name, value] : services) {
    if (!values.contains(name)) result.push_back({name, value});
  }
  return result;
}

}  // namespace trireme::kubelet
