#include "kubecfg/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <iterator>
#include <thread>
#include <utility>

#include "api/yaml.h"
#include "kubecfg/table.h"

namespace trireme::kubecfg {
namespace {

using api::Value;

constexpr int kRestorePolls = 60;
constexpr auto kRestorePollInterval = std::chrono::seconds(5);

Status usage(std::string message) { return Status::bad_request(std::move(message) + "; kubecfg -help shows how"); }

std::string text_at(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  return found != nullptr ? std::string(found->string_or_empty()) : std::string();
}

Result<int64_t> whole_number(const std::string& text, std::string_view what) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    return usage(fmt::format("{} must be a number, not \"{}\"", what, text));
  }
  return number;
}

/// "/pods/redis" → {"pods", "redis"}; the id may be empty.
struct Path {
  std::string resource;
  std::string id;
  std::string text() const { return id.empty() ? resource : resource + "/" + net::percent_encode(id); }
};

Path parse_path(std::string text) {
  while (text.starts_with('/')) text.erase(0, 1);
  while (text.ends_with('/')) text.pop_back();
  size_t slash = text.find('/');
  if (slash == std::string::npos) return {text, ""};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

Status check_resource(const Path& path) {
  static constexpr std::string_view kResources[] = {
      "pods", "services", "replicationControllers", "minions", "events", "nodes", "endpoints", "bindings"};
  if (std::find(std::begin(kResources), std::end(kResources), path.resource) != std::end(kResources)) return {};
  return usage(fmt::format("unknown resource \"{}\"; there are pods, services, replicationControllers, minions, events",
                           path.resource));
}

std::string kind_of(std::string_view resource) {
  if (resource == "pods") return "Pod";
  if (resource == "services") return "Service";
  if (resource == "replicationControllers") return "ReplicationController";
  if (resource == "events") return "Event";
  if (resource == "endpoints") return "Endpoints";
  if (resource == "bindings") return "Binding";
  return "Minion";
}

Result<std::string> read_config(const Options& options) {
  const std::string& name = options.config_file;
  if (name.empty()) return usage("the object is missing: give its file with -c");
  if (name == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  if (name.starts_with("http://") || name.starts_with("https://")) {
    size_t slash = name.find('/', name.find("://") + 3);
    net::HttpTransportOptions transport_options;
    transport_options.base_url = name.substr(0, slash);
    TRY_ASSIGN(auto transport, net::http_transport(std::move(transport_options)));
    net::Request request;
    request.target = slash == std::string::npos ? "/" : name.substr(slash);
    TRY_ASSIGN(net::Response response, transport->round_trip(request));
    if (response.status != 200) return Status::not_found(fmt::format("{} answered {}", name, response.status));
    return response.body;
  }
  return read_file(name);
}

Result<Value> read_document(const Options& options) {
  TRY_ASSIGN(std::string text, read_config(options));
  auto json = api::yaml_to_json(text);
  if (!json.ok()) return json.status().with_context(options.config_file);
  TRY_ASSIGN(Value document, api::parse_value(*json));
  if (!document.is_object()) return Status::bad_request(fmt::format("{}: expected an object", options.config_file));
  return document;
}

Result<std::string> print(const Value& document, const Options& options) {
  if (options.json) return api::to_json(document) + "\n";
  if (options.yaml) return api::json_to_yaml(api::to_json(document));
  return print_table(document);
}

std::string query_of(const Options& options) {
  std::string query;
  if (!options.label_selector.empty()) query += "&labels=" + net::percent_encode(options.label_selector);
  if (!options.field_selector.empty()) query += "&fields=" + net::percent_encode(options.field_selector);
  return query;
}

Result<std::string> yaml_of(Result<Value> document) {
  if (!document.ok()) return document.status();
  return api::json_to_yaml(api::to_json(*document));
}

Value labels_of(const std::string& name) {
  Value labels = Value::object();
  labels["name"] = name;
  return labels;
}

/// A controller whose pods run one container, and with -s a service in front of them.
Result<std::string> run_controller(Session& session, const Options& options, const std::vector<std::string>& words) {
  if (words.size() != 4) return usage("usage: kubecfg [-p ports] [-s port] run IMAGE REPLICAS NAME");
  const std::string& image = words[1];
  TRY_ASSIGN(int64_t replicas, whole_number(words[2], "the number of replicas"));
  const std::string& name = words[3];
  TRY_ASSIGN(Value ports, parse_ports(options.port_specification));

  Value container = Value::object();
  container["name"] = name;
  for (char& c : container["name"].as_string()) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  container["image"] = image;
  container["ports"] = ports;
  Value manifest = Value::object();
  manifest["version"] = "v1beta2";
  manifest["containers"] = Value::Array{container};
  Value controller = Value::object();
  controller["kind"] = "ReplicationController";
  controller["apiVersion"] = options.api_version;
  controller["id"] = name;
  controller["labels"] = labels_of(name);
  Value& desired = controller["desiredState"];
  desired["replicas"] = replicas;
  desired["replicaSelector"] = labels_of(name);
  desired["podTemplate"]["labels"] = labels_of(name);
  desired["podTemplate"]["desiredState"]["manifest"] = std::move(manifest);
  TRY_ASSIGN(std::string text, yaml_of(session.send("POST", "replicationControllers", api::to_json(controller))));
  if (options.service_port <= 0) return text;

  Value service = Value::object();
  service["kind"] = "Service";
  service["apiVersion"] = options.api_version;
  service["id"] = name;
  service["port"] = options.service_port;
  service["labels"] = labels_of(name);
  service["selector"] = labels_of(name);
  if (!ports.as_array().empty()) service["containerPort"] = *ports.as_array().front().find("containerPort");
  TRY_ASSIGN(std::string service_text, yaml_of(session.send("POST", "services", api::to_json(service))));
  return text + "---\n" + service_text;
}

Result<std::string> resize(Session& session, const std::string& name, int64_t replicas) {
  std::string path = "replicationControllers/" + net::percent_encode(name);
  TRY_ASSIGN(Value controller, session.send("GET", path));
  Value& desired = controller["desiredState"];
  if (!desired.is_object()) desired = Value::object();
  desired["replicas"] = replicas;
  return yaml_of(session.send("PUT", path, api::to_json(controller)));
}

Result<std::string> remove_controller(Session& session, const std::string& name) {
  std::string path = "replicationControllers/" + net::percent_encode(name);
  TRY_ASSIGN(Value controller, session.send("GET", path));
  const Value* replicas = controller.at_path({"desiredState", "replicas"});
  if (replicas != nullptr && replicas->is_int() && replicas->as_int() != 0) {
    return Status::bad_request(
        fmt::format("controller {} still has {} replicas; first: kubecfg stop {}", name, replicas->as_int(), name));
  }
  auto removed = session.send("DELETE", path);
  if (!removed.ok()) return removed.status();
  return std::string();
}

std::string selector_of(const Value& controller) {
  std::string selector;
  const Value* labels = controller.at_path({"desiredState", "replicaSelector"});
  if (labels == nullptr || !labels->is_object()) return selector;
  for (const auto& [key, value] : labels->as_object()) {
    if (!selector.empty()) selector += ',';
    selector += fmt::format("{}={}", key, value.string_or_empty());
  }
  return selector;
}

Result<std::string> rolling_update(Session& session, const Options& options, const std::string& name) {
  std::string path = "replicationControllers/" + net::percent_encode(name);
  TRY_ASSIGN(Value controller, session.send("GET", path));
  if (!options.image.empty()) {
    Value* containers = nullptr;
    if (const Value* found =
            controller.at_path({"desiredState", "podTemplate", "desiredState", "manifest", "containers"})) {
      containers = const_cast<Value*>(found);
    }
    if (containers == nullptr || !containers->is_array() || containers->as_array().empty()) {
      return Status::bad_request(fmt::format("controller {} has no container whose image could be set", name));
    }
    containers->as_array().front()["image"] = options.image;
    TRY_ASSIGN(controller, session.send("PUT", path, api::to_json(controller)));
  }
  std::string query = "&labels=" + net::percent_encode(selector_of(controller));
  TRY_ASSIGN(Value pods, session.send("GET", "pods", {}, query));
  const Value* items = pods.find("items");
  if (items == nullptr || !items->is_array()) return Status::internal("the server answered no list of pods");
  for (const Value& pod : items->as_array()) {
    auto removed = session.send("DELETE", "pods/" + net::percent_encode(text_at(pod, {"id"})));
    if (!removed.ok() && !removed.status().is(Reason::kNotFound)) return removed.status();
    std::this_thread::sleep_for(options.update_period);
  }
  const Value* wanted = controller.at_path({"desiredState", "replicas"});
  for (int i = 0; i < kRestorePolls && wanted != nullptr && wanted->is_int(); ++i) {
    TRY_ASSIGN(pods, session.send("GET", "pods", {}, query));
    items = pods.find("items");
    auto count = items != nullptr && items->is_array() ? static_cast<int64_t>(items->as_array().size()) : 0;
    if (count == wanted->as_int()) return std::string();
    std::this_thread::sleep_for(kRestorePollInterval);
  }
  return Status::timeout(fmt::format("controller {} has not got all its replicas back", name));
}

Result<std::string> request(Session& session, const Options& options, const std::string& verb, const Path& path) {
  TRY(check_resource(path));
  if (verb == "get") {
    if (path.id.empty()) return usage("get wants one object: get " + path.resource + "/ID");
    TRY_ASSIGN(Value object, session.send("GET", path.text()));
    return print(object, options);
  }
  if (verb == "list") {
    if (!path.id.empty()) return usage("list wants a resource without an id; one object is shown by get");
    TRY_ASSIGN(Value list, session.send("GET", path.text(), {}, query_of(options)));
    return print(list, options);
  }
  if (verb == "delete") {
    if (path.id.empty()) return usage("delete wants one object: delete " + path.resource + "/ID");
    TRY_ASSIGN(Value status, session.send("DELETE", path.text()));
    return print(status, options);
  }
  TRY_ASSIGN(Value document, read_document(options));
  // The kind follows from the resource where the file does not tell.
  if (document.find("kind") == nullptr) document["kind"] = kind_of(path.resource);
  if (document.find("apiVersion") == nullptr) document["apiVersion"] = options.api_version;
  if (verb == "print") return print(document, options);
  if (verb == "create") {
    TRY_ASSIGN(Value created, session.send("POST", path.resource, api::to_json(document)));
    return print(created, options);
  }
  if (path.id.empty()) return usage("update wants one object: update " + path.resource + "/ID");
  TRY_ASSIGN(Value current, session.send("GET", path.text()));
  if (const Value* version = current.find("resourceVersion")) document["resourceVersion"] = *version;
  TRY_ASSIGN(Value updated, session.send("PUT", path.text(), api::to_json(document)));
  return print(updated, options);
}

}  // namespace

Result<Value> Session::send(std::string method, const std::string& path, std::string body, std::string query) {
  net::Request request;
  request.method = std::move(method);
  request.target =
      fmt::format("/api/{}/{}?namespace={}{}", options_.api_version, path, net::percent_encode(connection_.ns), query);
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "kubecfg");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  if (options_.verbose) std::cerr << request.method << " " << request.target << "\n" << body << "\n";
  request.body = std::move(body);
  TRY_ASSIGN(net::Response response, connection_.transport->round_trip(request));
  auto document = api::parse_value(response.body);
  if (response.status >= 200 && response.status < 300) {
    if (document.ok() && document->is_object()) return document;
    return Status::internal("the server answered something that is no JSON object");
  }
  std::string message = document.ok() ? text_at(*document, {"message"}) : response.body;
  std::string reason = document.ok() ? text_at(*document, {"reason"}) : std::string();
  if (message.empty()) message = fmt::format("the server answered {}", response.status);
  return Status(reason_from_string(reason), std::move(message)).with_code(response.status);
}

Result<std::string> Session::get_text(const std::string& target) {
  net::Request request;
  request.target = target;
  TRY_ASSIGN(net::Response response, connection_.transport->round_trip(request));
  if (response.status != 200) return Status::unavailable(fmt::format("{} answered {}", target, response.status));
  return response.body;
}

Result<Value> parse_ports(std::string_view specification) {
  Value ports = Value::array();
  while (!specification.empty()) {
    size_t comma = std::min(specification.find(','), specification.size());
    std::string entry(specification.substr(0, comma));
    specification.remove_prefix(std::min(comma + 1, specification.size()));
    size_t colon = entry.find(':');
    Value port = Value::object();
    TRY_ASSIGN(int64_t container,
               whole_number(colon == std::string::npos ? entry : entry.substr(colon + 1), "a container port"));
    port["containerPort"] = container;
    if (colon != std::string::npos) {
      TRY_ASSIGN(int64_t host, whole_number(entry.substr(0, colon), "a host port"));
      port["hostPort"] = host;
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

Result<std::string> execute(const std::vector<std::string>& words, const Options& options) {
  const std::string& verb = words.at(0);
  if (verb == "ns" && words.size() == 2) {
    TRY(save_namespace(options, words[1]));
    return "Using namespace " + words[1] + "\n";
  }
  if (verb == "print") {
    // Nothing is sent: no server is needed.
    if (words.size() != 2) return usage("usage: kubecfg -c FILE print RESOURCE");
    Session nowhere({}, options);
    return request(nowhere, options, verb, parse_path(words[1]));
  }
  TRY_ASSIGN(Connection connection, connect(options));
  Session session(std::move(connection), options);
  if (verb == "ns") return "Using namespace " + session.ns() + "\n";
  if (verb == "run") return run_controller(session, options, words);
  if (verb == "resize") {
    if (words.size() != 3) return usage("usage: kubecfg resize NAME REPLICAS");
    TRY_ASSIGN(int64_t replicas, whole_number(words[2], "the number of replicas"));
    return resize(session, words[1], replicas);
  }
  if (verb == "stop" || verb == "rm" || verb == "rollingupdate") {
    if (words.size() != 2) return usage(fmt::format("usage: kubecfg {} NAME", verb));
    if (verb == "stop") return resize(session, words[1], 0);
    if (verb == "rm") return remove_controller(session, words[1]);
    return rolling_update(session, options, words[1]);
  }
  if (verb == "get" || verb == "list" || verb == "delete" || verb == "create" || verb == "update") {
    if (words.size() != 2) return usage(fmt::format("usage: kubecfg {} RESOURCE", verb));
    return request(session, options, verb, parse_path(words[1]));
  }
  return usage(fmt::format("unknown verb \"{}\"", verb));
}

}  // namespace trireme::kubecfg
