#include "apiserver/legacy/convert.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "api/names.h"
#include "apiserver/legacy/manifest.h"
#include "apiserver/legacy/status_words.h"

namespace trireme::apiserver::legacy {
namespace {

using api::Value;

constexpr std::array<Kind, 8> kKinds{{
    {"pods", "Pod", "pods", "Pod", true},
    {"replicationControllers", "ReplicationController", "replicationcontrollers", "ReplicationController", true},
    {"services", "Service", "services", "Service", true},
    {"endpoints", "Endpoints", "endpoints", "Endpoints", true},
    {"minions", "Minion", "nodes", "Node", false},
    {"nodes", "Minion", "nodes", "Node", false},
    {"events", "Event", "events", "Event", true},
    {"bindings", "Binding", "bindings", "Binding", true},
}};

bool is(const Kind& kind, std::string_view name) { return kind.kind == name; }

std::string_view text_at(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  return found != nullptr ? found->string_or_empty() : std::string_view();
}

/// Old labels stood beside the other members, today's stand in the metadata.
Value metadata_of(const Value& legacy) {
  Value metadata = Value::object();
  std::string_view id = text_at(legacy, {"id"});
  if (!id.empty()) {
    std::string name = name_of_id(id);
    metadata["name"] = name;
    if (name != id) metadata["annotations"][kIdAnnotation] = id;
  }
  for (std::string_view name : {"namespace", "uid", "labels", "generateName"})
    move_member(legacy, name, metadata, name);
  if (const Value* annotations = legacy.find("annotations"); annotations != nullptr && annotations->is_object()) {
    if (metadata.find("annotations") == nullptr) metadata["annotations"] = Value::object();
    for (const auto& [name, value] : annotations->as_object()) metadata["annotations"][name] = value;
  }
  const Value* version = legacy.find("resourceVersion");
  if (version != nullptr && version->is_int() && version->as_int() != 0) {
    metadata["resourceVersion"] = fmt::format("{}", version->as_int());
  } else if (version != nullptr && version->is_string() && version->as_string() != "0") {
    metadata["resourceVersion"] = *version;
  }
  return metadata;
}

Result<Value> pod_spec(const Value& state, const std::string& path) {
  const Value* manifest = state.find("manifest");
  if (manifest == nullptr || !manifest->is_object()) return Status::bad_request(path + ".manifest: Required value");
  TRY_ASSIGN(Value spec, spec_of_manifest(*manifest, path + ".manifest"));
  std::string_view host = text_at(state, {"host"});
  if (!host.empty()) spec["nodeName"] = name_of_id(host);
  return spec;
}

const Value& member_or_empty(const Value& value, std::string_view name) {
  static const Value empty = Value::object();
  const Value* found = value.find(name);
  return found != nullptr && found->is_object() ? *found : empty;
}

Result<Value> pod_to_v1(const Value& legacy) {
  Value pod = Value::object();
  TRY_ASSIGN(pod["spec"], pod_spec(member_or_empty(legacy, "desiredState"), "desiredState"));
  move_member(legacy, "nodeSelector", pod["spec"], "nodeSelector");
  return pod;
}

Result<Value> controller_to_v1(const Value& legacy) {
  const Value& desired = member_or_empty(legacy, "desiredState");
  const Value& pod = member_or_empty(desired, "podTemplate");
  Value spec = Value::object();
  move_member(desired, "replicas", spec, "replicas");
  move_member(desired, "replicaSelector", spec, "selector");
  Value& pod_template = spec["template"];
  pod_template = Value::object();
  move_member(pod, "labels", pod_template["metadata"], "labels");
  move_member(pod, "annotations", pod_template["metadata"], "annotations");
  TRY_ASSIGN(pod_template["spec"],
             pod_spec(member_or_empty(pod, "desiredState"), "desiredState.podTemplate.desiredState"));
  move_member(pod, "nodeSelector", pod_template["spec"], "nodeSelector");
  if (spec.find("selector") == nullptr) move_member(pod, "labels", spec, "selector");
  Value controller = Value::object();
  controller["spec"] = std::move(spec);
  return controller;
}

/// A port by number, by number as text, or by name; nothing for 0 and "".
bool has_port(const Value* port) {
  if (port == nullptr || port->is_null()) return false;
  if (port->is_number()) return port->as_double() != 0;
  return !port->string_or_empty().empty() && port->string_or_empty() != "0";
}

Value port_value(const Value& port) {
  if (!port.is_string()) return port;
  int64_t number = 0;
  const std::string& text = port.as_string();
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool numeric = error == std::errc() && end == text.data() + text.size();
  return numeric ? Value(number) : port;
}

Value service_port(const Value& source, std::string_view name_member) {
  Value port = Value::object();
  if (const Value* number = source.find("port")) port["port"] = port_value(*number);
  move_member(source, "protocol", port, "protocol");
  move_member(source, name_member, port, "name");
  if (const Value* target = source.find("containerPort"); has_port(target)) port["targetPort"] = port_value(*target);
  return port;
}

Result<Value> service_to_v1(const Value& legacy) {
  Value spec = Value::object();
  Value ports = Value::array();
  const Value* several = legacy.find("ports");
  if (several != nullptr && several->is_array() && !several->as_array().empty()) {
    for (const Value& each : several->as_array()) ports.push_back(service_port(each, "name"));
  } else {
    ports.push_back(service_port(legacy, "portName"));
  }
  spec["ports"] = std::move(ports);
  move_member(legacy, "selector", spec, "selector");
  if (!text_at(legacy, {"portalIP"}).empty()) move_member(legacy, "portalIP", spec, "clusterIP");
  move_member(legacy, "publicIPs", spec, "externalIPs");
  move_member(legacy, "sessionAffinity", spec, "sessionAffinity");
  const Value* balancer = legacy.find("createExternalLoadBalancer");
  if (balancer != nullptr && balancer->is_bool() && balancer->as_bool()) spec["type"] = "LoadBalancer";
  Value service = Value::object();
  service["spec"] = std::move(spec);
  return service;
}

Result<Value> endpoints_to_v1(const Value& legacy) {
  Value subsets = Value::array();
  const Value* list = legacy.find("endpoints");
  if (list != nullptr && list->is_array()) {
    size_t index = 0;
    for (const Value& each : list->as_array()) {
      std::string_view text = each.string_or_empty();
      size_t colon = text.rfind(':');
      int64_t port = 0;
      bool valid =
          colon != std::string_view::npos &&
          std::from_chars(text.data() + colon + 1, text.data() + text.size(), port).ptr == text.data() + text.size();
      if (!valid) return Status::bad_request(fmt::format("endpoints[{}]: \"{}\" is not IP:port", index, text));
      Value address = Value::object();
      address["ip"] = text.substr(0, colon);
      Value number = Value::object();
      number["port"] = port;
      move_member(legacy, "protocol", number, "protocol");
      Value subset = Value::object();
      subset["addresses"] = Value::Array{std::move(address)};
      subset["ports"] = Value::Array{std::move(number)};
      subsets.push_back(std::move(subset));
      ++index;
    }
  }
  Value endpoints = Value::object();
  endpoints["subsets"] = std::move(subsets);
  return endpoints;
}

/// Thousandths of a core, as a number or as text of (fractional) cores; bytes as a number.
Value capacity_of(std::string_view name, const Value& value) {
  if (!value.is_number()) return value;
  std::string amount = api::to_json(value);
  return name == "cpu" ? amount + "m" : amount;
}

Result<Value> minion_to_v1(const Value& legacy) {
  Value node = Value::object();
  node["spec"] = Value::object();
  move_member(legacy, "podCIDR", node["spec"], "podCIDR");
  move_member(legacy, "unschedulable", node["spec"], "unschedulable");
  move_member(legacy, "externalID", node["spec"], "providerID");
  node["status"] = Value::object();
  if (std::string_view address = text_at(legacy, {"hostIP"}); !address.empty()) {
    Value entry = Value::object();
    entry["type"] = "InternalIP";
    entry["address"] = address;
    node["status"]["addresses"] = Value::Array{std::move(entry)};
  }
  const Value* capacity = legacy.at_path({"resources", "capacity"});
  if (capacity != nullptr && capacity->is_object()) {
    for (const auto& [name, value] : capacity->as_object()) node["status"]["capacity"][name] = capacity_of(name, value);
  }
  return node;
}

Result<Value> event_to_v1(const Value& legacy) {
  Value event = Value::object();
  for (std::string_view name : {"involvedObject", "reason", "message", "count", "firstTimestamp", "lastTimestamp"}) {
    move_member(legacy, name, event, name);
  }
  move_member(legacy, "timestamp", event, "firstTimestamp");
  move_member(legacy, "timestamp", event, "lastTimestamp");
  event["source"] = Value::object();
  move_member(legacy, "source", event["source"], "component");
  move_member(legacy, "host", event["source"], "host");
  if (event.find("count") == nullptr) event["count"] = 1;
  return event;
}

Result<Value> binding_to_v1(const Value& legacy) {
  Value binding = Value::object();
  binding["metadata"]["name"] = name_of_id(text_at(legacy, {"podID"}));
  binding["target"]["apiVersion"] = "v1";
  binding["target"]["kind"] = "Node";
  binding["target"]["name"] = name_of_id(text_at(legacy, {"host"}));
  return binding;
}

// ----------------------------------------------------------------------------------------------------------------

Value metadata_from_v1(const Kind& kind, Version version, const Value& object) {
  Value legacy = Value::object();
  legacy["kind"] = kind.kind;
  legacy["apiVersion"] = to_string(version);
  const Value& metadata = member_or_empty(object, "metadata");
  std::string_view name = text_at(metadata, {"name"});
  std::string_view id = text_at(metadata, {"annotations", kIdAnnotation});
  // The annotation may have been copied to another object: it speaks only where it fits the name.
  legacy["id"] = !id.empty() && name_of_id(id) == name ? id : name;
  for (std::string_view member :
       {"uid", "creationTimestamp", "namespace", "labels", "generateName", "deletionTimestamp"}) {
    move_member(metadata, member, legacy, member);
  }
  if (legacy.find("creationTimestamp") == nullptr) legacy["creationTimestamp"] = nullptr;
  if (const Value* annotations = metadata.find("annotations"); annotations != nullptr && annotations->is_object()) {
    Value kept = *annotations;
    kept.erase(kIdAnnotation);
    if (!kept.as_object().empty()) legacy["annotations"] = std::move(kept);
  }
  std::string_view revision = text_at(metadata, {"resourceVersion"});
  int64_t number = 0;
  std::from_chars(revision.data(), revision.data() + revision.size(), number);
  legacy["resourceVersion"] = number;
  legacy["selfLink"] = fmt::format("/api/{}/{}/{}", to_string(version), kind.resource, legacy["id"].as_string());
  if (kind.namespaced) {
    legacy["selfLink"] =
        fmt::format("{}?namespace={}", legacy["selfLink"].as_string(), text_at(metadata, {"namespace"}));
  }
  return legacy;
}

Value container_info(const Value& statuses) {
  Value info = Value::object();
  for (const Value& each : statuses.as_array()) {
    Value entry = Value::object();
    for (std::string_view member : {"restartCount", "image", "imageID", "containerID", "ready"}) {
      move_member(each, member, entry, member);
    }
    for (std::string_view member : {"state", "lastState"}) {
      const Value& state = member_or_empty(each, member);
      move_member(state, "waiting", entry[member], "waiting");
      move_member(state, "running", entry[member], "running");
      move_member(state, "terminated", entry[member], "termination");
      if (entry[member].is_null()) entry[member] = Value::object();
    }
    info[text_at(each, {"name"})] = std::move(entry);
  }
  return info;
}

void pod_from_v1(const Value& object, Version version, Value& legacy) {
  const Value& spec = member_or_empty(object, "spec");
  const Value& status = member_or_empty(object, "status");
  Value manifest = manifest_of_spec(spec, version);
  manifest["id"] = legacy["id"];
  manifest["uuid"] = legacy.find("uid") != nullptr ? legacy["uid"] : Value("");
  Value desired = Value::object();
  desired["manifest"] = std::move(manifest);
  move_member(spec, "nodeName", desired, "host");
  legacy["desiredState"] = std::move(desired);
  move_member(spec, "nodeSelector", legacy, "nodeSelector");

  Value current = Value::object();
  current["manifest"]["version"] = "";
  current["manifest"]["id"] = "";
  current["manifest"]["volumes"] = nullptr;
  current["manifest"]["containers"] = nullptr;
  current["manifest"]["restartPolicy"] = Value::object();
  current["status"] = status_of_phase(text_at(status, {"phase"}));
  for (std::string_view member : {"message", "hostIP", "podIP"}) move_member(status, member, current, member);
  move_member(spec, "nodeName", current, "host");
  const Value* statuses = status.find("containerStatuses");
  if (statuses != nullptr && statuses->is_array()) current["info"] = container_info(*statuses);
  const Value* conditions = status.find("conditions");
  if (conditions != nullptr && conditions->is_array()) {
    Value list = Value::array();
    for (const Value& each : conditions->as_array()) {
      Value condition = Value::object();
      move_member(each, "type", condition, "kind");
      condition["status"] = legacy_condition_status(text_at(each, {"status"}));
      list.push_back(std::move(condition));
    }
    current["Condition"] = std::move(list);
  }
  legacy["currentState"] = std::move(current);
}

void controller_from_v1(const Value& object, Version version, Value& legacy) {
  const Value& spec = member_or_empty(object, "spec");
  const Value& pod_template = member_or_empty(spec, "template");
  Value desired = Value::object();
  move_member(spec, "replicas", desired, "replicas");
  move_member(spec, "selector", desired, "replicaSelector");
  Value pod = Value::object();
  pod["desiredState"]["manifest"] = manifest_of_spec(member_or_empty(pod_template, "spec"), version);
  move_member(member_or_empty(pod_template, "metadata"), "labels", pod, "labels");
  move_member(member_or_empty(pod_template, "metadata"), "annotations", pod, "annotations");
  move_member(member_or_empty(pod_template, "spec"), "nodeSelector", pod, "nodeSelector");
  desired["podTemplate"] = std::move(pod);
  legacy["desiredState"] = std::move(desired);
  legacy["currentState"]["replicas"] = 0;
  move_member(member_or_empty(object, "status"), "replicas", legacy["currentState"], "replicas");
  legacy["currentState"]["podTemplate"]["desiredState"]["manifest"] = Value::object();
}

void service_from_v1(const Value& object, Value& legacy) {
  const Value& spec = member_or_empty(object, "spec");
  const Value* ports = spec.find("ports");
  if (ports != nullptr && ports->is_array()) {
    Value list = Value::array();
    for (const Value& each : ports->as_array()) {
      Value port = Value::object();
      for (std::string_view member : {"name", "protocol", "port"}) move_member(each, member, port, member);
      move_member(each, "targetPort", port, "containerPort");
      list.push_back(std::move(port));
    }
    if (!list.as_array().empty()) {
      const Value& first = list.as_array().front();
      for (std::string_view member : {"port", "protocol", "containerPort"}) move_member(first, member, legacy, member);
      move_member(first, "name", legacy, "portName");
    }
    legacy["ports"] = std::move(list);
  }
  legacy["selector"] = nullptr;
  move_member(spec, "selector", legacy, "selector");
  move_member(spec, "clusterIP", legacy, "portalIP");
  move_member(spec, "externalIPs", legacy, "publicIPs");
  move_member(spec, "sessionAffinity", legacy, "sessionAffinity");
  if (text_at(spec, {"type"}) == "LoadBalancer") legacy["createExternalLoadBalancer"] = true;
}

void endpoints_from_v1(const Value& object, Value& legacy) {
  Value list = Value::array();
  const Value* subsets = object.find("subsets");
  if (subsets != nullptr && subsets->is_array()) {
    for (const Value& subset : subsets->as_array()) {
      const Value* addresses = subset.find("addresses");
      const Value* ports = subset.find("ports");
      if (addresses == nullptr || !addresses->is_array() || ports == nullptr || !ports->is_array()) continue;
      for (const Value& port : ports->as_array()) {
        const Value* number = port.find("port");
        if (number == nullptr || !number->is_int()) continue;
        for (const Value& address : addresses->as_array()) {
          list.push_back(fmt::format("{}:{}", text_at(address, {"ip"}), number->as_int()));
        }
      }
    }
    legacy["subsets"] = *subsets;
  }
  legacy["endpoints"] = std::move(list);
}

void minion_from_v1(const Value& object, Value& legacy) {
  const Value& spec = member_or_empty(object, "spec");
  const Value& status = member_or_empty(object, "status");
  const Value* addresses = status.find("addresses");
  if (addresses != nullptr && addresses->is_array()) {
    for (const Value& each : addresses->as_array()) {
      if (text_at(each, {"type"}) == "InternalIP") legacy["hostIP"] = text_at(each, {"address"});
    }
  }
  legacy["resources"]["capacity"] = Value::object();
  move_member(status, "capacity", legacy["resources"], "capacity");
  move_member(spec, "podCIDR", legacy, "podCIDR");
  move_member(spec, "unschedulable", legacy, "unschedulable");
  move_member(spec, "providerID", legacy, "externalID");
  Value conditions = Value::array();
  if (const Value* list = status.find("conditions"); list != nullptr && list->is_array()) {
    for (const Value& each : list->as_array()) {
      if (!each.is_object()) continue;
      Value condition = each;
      condition.erase("type");
      move_member(each, "type", condition, "kind");
      condition["status"] = legacy_condition_status(text_at(each, {"status"}));
      conditions.push_back(std::move(condition));
    }
  }
  legacy["status"]["conditions"] = std::move(conditions);
}

void event_from_v1(const Value& object, Value& legacy) {
  for (std::string_view member : {"involvedObject", "reason", "message", "count", "firstTimestamp", "lastTimestamp"}) {
    move_member(object, member, legacy, member);
  }
  move_member(object, "firstTimestamp", legacy, "timestamp");
  legacy["source"] = text_at(object, {"source", "component"});
  legacy["host"] = text_at(object, {"source", "host"});
}

/// Replaces the member `name` of `stored` by that of `wanted`; an absent one is removed.
void replace_member(Value& stored, const Value& wanted, std::string_view name) {
  const Value* value = wanted.find(name);
  if (value != nullptr && !value->is_null()) {
    stored[name] = *value;
  } else {
    stored.erase(name);
  }
}

}  // namespace

std::string_view to_string(Version version) { return version == Version::kV1Beta1 ? "v1beta1" : "v1beta2"; }

const Kind* find_kind(std::string_view resource) {
  for (const Kind& kind : kKinds) {
    if (kind.resource == resource) return &kind;
  }
  return nullptr;
}

std::string name_of_id(std::string_view id) {
  std::string name;
  for (char c : id) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    bool valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    name += valid ? c : '-';
  }
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  size_t start = name.find_first_not_of("-.");
  return start == std::string::npos ? std::string() : name.substr(start);
}

Result<Value> to_v1(const Kind& kind, const Value& legacy) {
  if (!legacy.is_object()) return Status::bad_request("the body must be an object");
  if (std::string_view given = text_at(legacy, {"kind"});
      !given.empty() && given != kind.kind && !(is(kind, "Minion") && given == "Node")) {
    return Status::bad_request(fmt::format("the body's kind is {}, but {} were addressed", given, kind.resource));
  }
  Result<Value> converted = Status::internal("unreachable");
  if (is(kind, "Pod")) converted = pod_to_v1(legacy);
  if (is(kind, "ReplicationController")) converted = controller_to_v1(legacy);
  if (is(kind, "Service")) converted = service_to_v1(legacy);
  if (is(kind, "Endpoints")) converted = endpoints_to_v1(legacy);
  if (is(kind, "Minion")) converted = minion_to_v1(legacy);
  if (is(kind, "Event")) converted = event_to_v1(legacy);
  if (is(kind, "Binding")) converted = binding_to_v1(legacy);
  TRY_ASSIGN(Value object, std::move(converted));
  if (!is(kind, "Binding")) object["metadata"] = metadata_of(legacy);
  // Pods and events may come without an id: a unique one is made.
  bool unnamed = text_at(object, {"metadata", "name"}).empty() && text_at(object, {"metadata", "generateName"}).empty();
  if (unnamed && (is(kind, "Pod") || is(kind, "Event"))) {
    object["metadata"]["name"] = api::random_suffix(8) + "-" + api::random_suffix(12);
  } else if (unnamed) {
    return Status::bad_request(is(kind, "Binding") ? "podID: Required value" : "id: Required value");
  }
  object["kind"] = kind.v1_kind;
  object["apiVersion"] = "v1";
  return object;
}

Value from_v1(const Kind& kind, Version version, const Value& object) {
  Value legacy = metadata_from_v1(kind, version, object);
  if (is(kind, "Pod")) pod_from_v1(object, version, legacy);
  if (is(kind, "ReplicationController")) controller_from_v1(object, version, legacy);
  if (is(kind, "Service")) service_from_v1(object, legacy);
  if (is(kind, "Endpoints")) endpoints_from_v1(object, legacy);
  if (is(kind, "Minion")) minion_from_v1(object, legacy);
  if (is(kind, "Event")) event_from_v1(object, legacy);
  return legacy;
}

Value list_from_v1(const Kind& kind, Version version, const Value& list) {
  Value legacy = Value::object();
  legacy["kind"] = std::string(kind.kind) + "List";
  legacy["apiVersion"] = to_string(version);
  legacy["creationTimestamp"] = nullptr;
  legacy["selfLink"] = fmt::format("/api/{}/{}", to_string(version), kind.resource);
  std::string_view revision = text_at(list, {"metadata", "resourceVersion"});
  int64_t number = 0;
  std::from_chars(revision.data(), revision.data() + revision.size(), number);
  legacy["resourceVersion"] = number;
  Value items = Value::array();
  if (const Value* found = list.find("items"); found != nullptr && found->is_array()) {
    for (const Value& each : found->as_array()) items.push_back(from_v1(kind, version, each));
  }
  if (is(kind, "Minion") && version == Version::kV1Beta1) legacy["minions"] = items;
  legacy["items"] = std::move(items);
  return legacy;
}

Value status_from_v1(Version version, const Value& status) {
  Value legacy = Value::object();
  legacy["kind"] = "Status";
  legacy["apiVersion"] = to_string(version);
  legacy["creationTimestamp"] = nullptr;
  for (std::string_view member : {"status", "message", "reason", "code"}) move_member(status, member, legacy, member);
  if (const Value* details = status.find("details"); details != nullptr && details->is_object()) {
    legacy["details"] = Value::object();
    move_member(*details, "name", legacy["details"], "id");
    move_member(*details, "kind", legacy["details"], "kind");
    move_member(*details, "causes", legacy["details"], "causes");
  }
  return legacy;
}

Result<Value> overlay(const Kind& kind, Value stored, const Value& legacy) {
  TRY_ASSIGN(Value wanted, to_v1(kind, legacy));
  Value& metadata = stored["metadata"];
  replace_member(metadata, wanted["metadata"], "labels");
  if (const Value* annotations = wanted["metadata"].find("annotations")) {
    for (const auto& [name, value] : annotations->as_object()) metadata["annotations"][name] = value;
  }
  move_member(wanted["metadata"], "resourceVersion", metadata, "resourceVersion");

  if (is(kind, "Pod")) {
    // Of a pod that exists only images can change; everything else is as the server completed it.
    Value* containers = stored["spec"].find("containers");
    for (const Value& each : wanted["spec"]["containers"].as_array()) {
      if (containers == nullptr || !containers->is_array()) break;
      for (Value& container : containers->as_array()) {
        if (text_at(container, {"name"}) == text_at(each, {"name"})) move_member(each, "image", container, "image");
      }
    }
  } else if (is(kind, "ReplicationController")) {
    for (std::string_view member : {"replicas", "selector", "template"}) {
      move_member(wanted["spec"], member, stored["spec"], member);
    }
  } else if (is(kind, "Service")) {
    for (std::string_view member : {"ports", "selector", "externalIPs"})
      replace_member(stored["spec"], wanted["spec"], member);
    move_member(wanted["spec"], "type", stored["spec"], "type");
    move_member(wanted["spec"], "sessionAffinity", stored["spec"], "sessionAffinity");
  } else if (is(kind, "Endpoints")) {
    replace_member(stored, wanted, "subsets");
  } else if (is(kind, "Minion")) {
    move_member(wanted["spec"], "unschedulable", stored["spec"], "unschedulable");
  }
  return stored;
}

Result<std::string> field_selector_to_v1(const Kind& kind, std::string_view selector) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFields{{
      {"name", "metadata.name"},
      {"id", "metadata.name"},
      {"DesiredState.Host", "spec.nodeName"},
      {"DesiredState.Status", "status.phase"},
      {"currentState.replicas", "status.replicas"},
  }};
  std::string result;
  while (!selector.empty()) {
    size_t comma = std::min(selector.find(','), selector.size());
    std::string_view term = selector.substr(0, comma);
    selector.remove_prefix(std::min(comma + 1, selector.size()));
    size_t operation = term.find_first_of("!=");
    if (operation == std::string_view::npos) {
      return Status::bad_request(fmt::format("fields: \"{}\" is not of the form field=value", term));
    }
    std::string field(term.substr(0, operation));
    bool known = is(kind, "Event");  // events name their fields as v1 does
    for (const auto& [legacy, name] : kFields) {
      if (legacy == field && !known) {
        field = name;
        known = true;
      }
    }
    if (!known) return Status::bad_request(fmt::format("fields: unknown field \"{}\"", field));
    std::string value(term.substr(operation));
    if (field == "status.phase") {
      size_t start = value.find_first_not_of("!=");
      if (start != std::string::npos)
        value = value.substr(0, start) + std::string(phase_of_status(value.substr(start)));
    }
    if (!result.empty()) result += ',';
    result += field + value;
  }
  return result;
}

}  // namespace trireme::apiserver::legacy
