#include "apiserver/legacy/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/quantity.h"

namespace trireme::apiserver::legacy {
namespace {

using api::Value;

/// A number that old clients may also send as text ("8080").
Result<Value> number(const Value& value, const std::string& path) {
  if (value.is_number()) return value;
  if (value.is_string()) {
    const std::string& text = value.as_string();
    int64_t parsed = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (error == std::errc() && end == text.data() + text.size()) return Value(parsed);
  }
  return Status::bad_request(fmt::format("{}: \"{}\" is not a number", path, value.string_or_empty()));
}

/// The whole part of a number, within what an int64_t holds.
int64_t whole(const Value& number) {
  constexpr double kLimit = 9e18;
  return number.is_int() ? number.as_int() : static_cast<int64_t>(std::clamp(number.as_double(), -kLimit, kLimit));
}

/// A port by number (also as text) or by name.
Value port_or_name(const Value& value) {
  auto parsed = number(value, "");
  return parsed.ok() ? *parsed : value;
}

std::string lower_policy(std::string_view policy) {
  // PullAlways, PullNever, PullIfNotPresent; in any case.
  std::string text(policy);
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (text == "pullalways" || text == "always") return "Always";
  if (text == "pullnever" || text == "never") return "Never";
  if (text == "pullifnotpresent" || text == "ifnotpresent") return "IfNotPresent";
  return std::string(policy);
}

Value handler_of(const Value& legacy) {
  Value handler = Value::object();
  if (const Value* get = legacy.find("httpGet"); get != nullptr && get->is_object()) {
    Value action = Value::object();
    for (std::string_view name : {"path", "host", "scheme"}) move_member(*get, name, action, name);
    if (const Value* port = get->find("port")) action["port"] = port_or_name(*port);
    handler["httpGet"] = std::move(action);
  }
  if (const Value* socket = legacy.find("tcpSocket"); socket != nullptr && socket->is_object()) {
    Value action = Value::object();
    if (const Value* port = socket->find("port")) action["port"] = port_or_name(*port);
    handler["tcpSocket"] = std::move(action);
  }
  move_member(legacy, "exec", handler, "exec");
  return handler;
}

Value probe_of(const Value& legacy) {
  Value probe = handler_of(legacy);
  move_member(legacy, "initialDelaySeconds", probe, "initialDelaySeconds");
  move_member(legacy, "timeoutSeconds", probe, "timeoutSeconds");
  return probe;
}

Result<Value> env_of(const Value& legacy) {
  Value result = Value::array();
  for (const Value& each : legacy.as_array()) {
    Value variable = Value::object();
    move_member(each, "key", variable, "name");
    move_member(each, "name", variable, "name");
    move_member(each, "value", variable, "value");
    move_member(each, "valueFrom", variable, "valueFrom");
    result.push_back(std::move(variable));
  }
  return result;
}

Value mounts_of(const Value& legacy) {
  Value result = Value::array();
  for (const Value& each : legacy.as_array()) {
    Value mount = Value::object();
    move_member(each, "name", mount, "name");
    move_member(each, "readOnly", mount, "readOnly");
    move_member(each, "path", mount, "mountPath");
    move_member(each, "mountPath", mount, "mountPath");
    result.push_back(std::move(mount));
  }
  return result;
}

Result<Value> ports_of(const Value& legacy, const std::string& path) {
  Value result = Value::array();
  size_t index = 0;
  for (const Value& each : legacy.as_array()) {
    Value port = Value::object();
    for (std::string_view name : {"name", "protocol", "hostIP"}) move_member(each, name, port, name);
    for (std::string_view name : {"hostPort", "containerPort"}) {
      const Value* value = each.find(name);
      if (value == nullptr || value->is_null()) continue;
      TRY_ASSIGN(Value parsed, number(*value, fmt::format("{}[{}].{}", path, index, name)));
      if (parsed.as_double() != 0) port[name] = std::move(parsed);
    }
    result.push_back(std::move(port));
    ++index;
  }
  return result;
}

/// `cpu` in thousandths of a core and `memory` in bytes, as whole numbers.
Status add_limits(const Value& legacy, Value& container, const std::string& path) {
  Value limits = Value::object();
  if (const Value* cpu = legacy.find("cpu"); cpu != nullptr && !cpu->is_null()) {
    TRY_ASSIGN(Value parsed, number(*cpu, path + ".cpu"));
    if (parsed.as_double() > 0) limits["cpu"] = fmt::format("{}m", whole(parsed));
  }
  if (const Value* memory = legacy.find("memory"); memory != nullptr && !memory->is_null()) {
    TRY_ASSIGN(Value parsed, number(*memory, path + ".memory"));
    if (parsed.as_double() > 0) limits["memory"] = fmt::format("{}", whole(parsed));
  }
  if (const Value* resources = legacy.find("resources"); resources != nullptr && resources->is_object()) {
    container["resources"] = *resources;
  }
  if (!limits.as_object().empty()) {
    Value& stored = container["resources"]["limits"];
    if (!stored.is_object()) stored = Value::object();
    for (auto& [name, value] : limits.as_object()) stored[name] = std::move(value);
  }
  return {};
}

void add_security(const Value& legacy, Value& container) {
  const Value* privileged = legacy.find("privileged");
  const Value* capabilities = legacy.find("capabilities");
  if (privileged != nullptr && privileged->is_bool() && privileged->as_bool()) {
    container["securityContext"]["privileged"] = true;
  }
  if (capabilities != nullptr && capabilities->is_object() && !capabilities->as_object().empty()) {
    container["securityContext"]["capabilities"] = *capabilities;
  }
}

Result<Value> container_of(const Value& legacy, const std::string& path) {
  if (!legacy.is_object()) return Status::bad_request(fmt::format("{}: expected an object", path));
  Value container = Value::object();
  for (std::string_view name : {"name", "image", "workingDir", "terminationMessagePath"}) {
    move_member(legacy, name, container, name);
  }
  // Until entrypoint came, `command` replaced the image's CMD, which is what v1 calls args.
  move_member(legacy, "entrypoint", container, "command");
  move_member(legacy, "command", container, "args");
  if (const Value* ports = legacy.find("ports"); ports != nullptr && ports->is_array()) {
    TRY_ASSIGN(container["ports"], ports_of(*ports, path + ".ports"));
  }
  if (const Value* env = legacy.find("env"); env != nullptr && env->is_array()) {
    TRY_ASSIGN(container["env"], env_of(*env));
  }
  if (const Value* mounts = legacy.find("volumeMounts"); mounts != nullptr && mounts->is_array()) {
    container["volumeMounts"] = mounts_of(*mounts);
  }
  TRY(add_limits(legacy, container, path));
  for (std::string_view probe : {"livenessProbe", "readinessProbe"}) {
    if (const Value* value = legacy.find(probe); value != nullptr && value->is_object())
      container[probe] = probe_of(*value);
  }
  if (const Value* lifecycle = legacy.find("lifecycle"); lifecycle != nullptr && lifecycle->is_object()) {
    for (std::string_view hook : {"postStart", "preStop"}) {
      if (const Value* value = lifecycle->find(hook); value != nullptr && value->is_object()) {
        container["lifecycle"][hook] = handler_of(*value);
      }
    }
  }
  if (const Value* policy = legacy.find("imagePullPolicy"); policy != nullptr && !policy->string_or_empty().empty()) {
    container["imagePullPolicy"] = lower_policy(policy->string_or_empty());
  }
  add_security(legacy, container);
  return container;
}

Result<Value> volume_of(const Value& legacy, const std::string& path) {
  if (!legacy.is_object()) return Status::bad_request(fmt::format("{}: expected an object", path));
  Value volume = Value::object();
  move_member(legacy, "name", volume, "name");
  const Value* source = legacy.find("source");
  bool empty = source == nullptr || !source->is_object() || source->as_object().empty();
  if (empty) {
    volume["emptyDir"] = Value::object();
    return volume;
  }
  for (const auto& [name, value] : source->as_object()) {
    if (value.is_null()) continue;
    if (name == "hostDir") {
      volume["hostPath"] = value;
    } else if (name == "persistentDisk") {
      volume["gcePersistentDisk"] = value;
    } else if (name == "secret") {
      const Value* target = value.at_path({"target", "name"});
      if (target == nullptr) target = value.find("secretName");
      if (target == nullptr) return Status::bad_request(path + ".source.secret.target.name: Required value");
      volume["secret"]["secretName"] = *target;
    } else {
      volume[name] = value;
    }
  }
  return volume;
}

// ----------------------------------------------------------------------------------------------------------------
// And back.

Value legacy_env(const Value& env, Version version) {
  Value result = Value::array();
  for (const Value& each : env.as_array()) {
    Value variable = each;
    if (version == Version::kV1Beta1) move_member(each, "name", variable, "key");
    result.push_back(std::move(variable));
  }
  return result;
}

Value legacy_mounts(const Value& mounts, Version version) {
  Value result = Value::array();
  for (const Value& each : mounts.as_array()) {
    Value mount = Value::object();
    for (std::string_view name : {"name", "readOnly", "mountPath"}) move_member(each, name, mount, name);
    if (version == Version::kV1Beta1) move_member(each, "mountPath", mount, "path");
    result.push_back(std::move(mount));
  }
  return result;
}

Value legacy_container(const Value& container, Version version) {
  Value result = Value::object();
  for (std::string_view name : {"name", "image", "workingDir", "ports", "livenessProbe", "readinessProbe", "lifecycle",
                                "terminationMessagePath"}) {
    move_member(container, name, result, name);
  }
  move_member(container, "command", result, "entrypoint");
  move_member(container, "args", result, "command");
  if (const Value* env = container.find("env"); env != nullptr && env->is_array())
    result["env"] = legacy_env(*env, version);
  if (const Value* mounts = container.find("volumeMounts"); mounts != nullptr && mounts->is_array()) {
    result["volumeMounts"] = legacy_mounts(*mounts, version);
  }
  if (const Value* cpu = container.at_path({"resources", "limits", "cpu"})) {
    if (auto parsed = Quantity::parse(cpu->string_or_empty()); parsed.ok()) result["cpu"] = parsed->milli_value();
  }
  if (const Value* memory = container.at_path({"resources", "limits", "memory"})) {
    if (auto parsed = Quantity::parse(memory->string_or_empty()); parsed.ok()) result["memory"] = parsed->value();
  }
  if (const Value* policy = container.find("imagePullPolicy")) {
    result["imagePullPolicy"] = fmt::format("Pull{}", policy->string_or_empty());
  }
  if (const Value* privileged = container.at_path({"securityContext", "privileged"}))
    result["privileged"] = *privileged;
  if (const Value* capabilities = container.at_path({"securityContext", "capabilities"})) {
    result["capabilities"] = *capabilities;
  }
  return result;
}

Value legacy_volume(const Value& volume) {
  Value result = Value::object();
  Value source = Value::object();
  if (!volume.is_object()) return result;
  for (const auto& [name, value] : volume.as_object()) {
    if (name == "name") {
      result["name"] = value;
    } else if (name == "hostPath") {
      Value folder = Value::object();
      move_member(value, "path", folder, "path");
      source["hostDir"] = std::move(folder);
    } else if (name == "gcePersistentDisk") {
      source["persistentDisk"] = value;
    } else if (name == "secret") {
      source["secret"]["target"]["kind"] = "Secret";
      move_member(value, "secretName", source["secret"]["target"], "name");
    } else {
      source[name] = value;
    }
  }
  result["source"] = std::move(source);
  return result;
}

}  // namespace

void move_member(const Value& source, std::string_view from, Value& target, std::string_view to) {
  const Value* value = source.find(from);
  if (value != nullptr && !value->is_null()) target[to] = *value;
}

Result<Value> spec_of_manifest(const Value& manifest, const std::string& path) {
  const Value* version = manifest.find("version");
  std::string text(version != nullptr ? version->string_or_empty() : "");
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (text.empty()) return Status::bad_request(path + ".version: Required value");
  if (text != "v1beta1" && text != "v1beta2") {
    return Status::bad_request(
        fmt::format("{}.version: Unsupported value: \"{}\": supported values: \"v1beta1\", \"v1beta2\"", path, text));
  }

  Value spec = Value::object();
  spec["containers"] = Value::array();
  if (const Value* containers = manifest.find("containers"); containers != nullptr && !containers->is_null()) {
    if (!containers->is_array()) return Status::bad_request(path + ".containers: expected an array");
    size_t index = 0;
    for (const Value& each : containers->as_array()) {
      TRY_ASSIGN(Value container, container_of(each, fmt::format("{}.containers[{}]", path, index++)));
      spec["containers"].push_back(std::move(container));
    }
  }
  if (const Value* volumes = manifest.find("volumes"); volumes != nullptr && !volumes->is_null()) {
    if (!volumes->is_array()) return Status::bad_request(path + ".volumes: expected an array");
    spec["volumes"] = Value::array();
    size_t index = 0;
    for (const Value& each : volumes->as_array()) {
      TRY_ASSIGN(Value volume, volume_of(each, fmt::format("{}.volumes[{}]", path, index++)));
      spec["volumes"].push_back(std::move(volume));
    }
  }
  if (const Value* policy = manifest.find("restartPolicy"); policy != nullptr && policy->is_object()) {
    for (const auto& [legacy, name] :
         {std::pair("always", "Always"), std::pair("onFailure", "OnFailure"), std::pair("never", "Never")}) {
      const Value* chosen = policy->find(legacy);
      if (chosen != nullptr && !chosen->is_null()) spec["restartPolicy"] = name;
    }
  }
  move_member(manifest, "dnsPolicy", spec, "dnsPolicy");
  move_member(manifest, "hostNetwork", spec, "hostNetwork");
  return spec;
}

Value manifest_of_spec(const Value& spec, Version version) {
  Value manifest = Value::object();
  manifest["version"] = "v1beta2";
  manifest["id"] = "";
  manifest["containers"] = Value::array();
  manifest["volumes"] = nullptr;
  if (const Value* containers = spec.find("containers"); containers != nullptr && containers->is_array()) {
    for (const Value& each : containers->as_array()) manifest["containers"].push_back(legacy_container(each, version));
  }
  if (const Value* volumes = spec.find("volumes"); volumes != nullptr && volumes->is_array()) {
    manifest["volumes"] = Value::array();
    for (const Value& each : volumes->as_array()) manifest["volumes"].push_back(legacy_volume(each));
  }
  std::string_view policy;
  if (const Value* found = spec.find("restartPolicy")) policy = found->string_or_empty();
  manifest["restartPolicy"][policy == "Never"       ? "never"
                            : policy == "OnFailure" ? "onFailure"
                                                    : "always"] = Value::object();
  move_member(spec, "dnsPolicy", manifest, "dnsPolicy");
  move_member(spec, "hostNetwork", manifest, "hostNetwork");
  return manifest;
}

}  // namespace trireme::apiserver::legacy
