#include "apiserver/legacy/handler.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/status_convert.h"
#include "api/value.h"
#include "api/yaml.h"
#include "apiserver/legacy/convert.h"
#include "apiserver/legacy/translating_exchange.h"

namespace trireme::apiserver::legacy {
namespace {

using api::Value;

constexpr std::string_view kProtocolJson = "application/json";

/// What a URL of the old API asks for.
struct Target {
  Version version = Version::kV1Beta1;
  bool watch = false;
  std::string resource;
  std::string id;
  std::optional<std::string> ns;
  std::string labels;
  std::string fields;
  std::string resource_version;
};

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> result;
  while (!path.empty()) {
    size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) result.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return result;
}

void answer(net::Exchange& exchange, int code, const Value& body) {
  net::Headers headers;
  headers.set("Content-Type", std::string(kProtocolJson));
  exchange.respond(code, std::move(headers), api::to_json(body));
}

void fail(net::Exchange& exchange, Version version, const Status& status) {
  auto body = api::parse_value(api::status_json(status));
  answer(exchange, status.code(), body.ok() ? status_from_v1(version, *body) : Value::object());
}

Status unknown_path() { return Status::not_found("the server could not find the requested resource"); }

/// The verbs of that API. Today's others are refused: above all a DELETE without an id, which would now delete all.
Status check_verb(const Target& target, std::string_view method) {
  bool one = !target.id.empty();
  bool known = method == "GET" || (method == "POST" && !one) || ((method == "PUT" || method == "DELETE") && one);
  if (known && !(target.watch && method != "GET")) return {};
  return {Reason::kMethodNotAllowed, "the server does not allow this method on the requested resource"};
}

class Handler final : public PathHandler {
 public:
  explicit Handler(ApiServer& server) : server_(server) {}

  void handle(Call call) override {
    Target target;
    Status status = serve(call, target);
    if (!status.ok()) fail(*call.exchange, target.version, status);
  }

 private:
  Status serve(Call& call, Target& target) {
    const net::Request& request = call.exchange->request();
    TRY(parse(request, target));
    if (target.resource == "operations") {
      if (!target.id.empty()) return api::not_found({"", "operations"}, target.id);
      Value list = Value::object();
      list["kind"] = "ServerOpList";
      list["apiVersion"] = to_string(target.version);
      list["items"] = Value::array();
      answer(*call.exchange, 200, list);
      return {};
    }
    const Kind* kind = find_kind(target.resource);
    if (kind == nullptr) return unknown_path();
    TRY(check_verb(target, request.method));
    // An id that leaves no name can name nothing, and must not address the whole collection.
    if (!target.id.empty() && name_of_id(target.id).empty()) return api::not_found({"", target.resource}, target.id);
    TRY_ASSIGN(net::Request translated, translate(request, *kind, target));
    if (request.method == "POST" || request.method == "PUT") {
      TRY(translate_body(call, *kind, target, translated));
    } else if (request.method == "DELETE" && kind->kind == "ReplicationController") {
      // A controller that was deleted left its pods alone.
      translated.headers.set("Content-Type", std::string(kProtocolJson));
      translated.body = R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"})";
    }
    server_.dispatch(translating_exchange(call.exchange, std::move(translated), *kind, target.version), call.user);
    return {};
  }

  static Status parse(const net::Request& request, Target& target) {
    std::vector<std::string> path = segments(request.path());
    if (path.size() < 2) return unknown_path();
    if (path[1] == "v1beta2") target.version = Version::kV1Beta2;
    path.erase(path.begin(), path.begin() + 2);
    for (const auto& [name, value] : net::parse_query(request.query())) {
      if (name == "namespace" && !value.empty()) target.ns = value;
      if (name == "labels") target.labels = value;
      if (name == "fields") target.fields = value;
      if (name == "resourceVersion") target.resource_version = value;
      if (name == "watch") target.watch = value != "false" && value != "0";
    }
    if (!path.empty() && path[0] == "watch") {
      target.watch = true;
      path.erase(path.begin());
    }
    // v1beta3-style URLs were understood late in that API's life.
    if (path.size() >= 3 && path[0] == "ns") {
      target.ns = path[1];
      path.erase(path.begin(), path.begin() + 2);
    }
    if (path.empty() || path.size() > 2) return unknown_path();
    target.resource = path[0];
    if (path.size() == 2) {
      TRY_ASSIGN(target.id, net::percent_decode(path[1]));
    }
    return {};
  }

  static Result<net::Request> translate(const net::Request& request, const Kind& kind, const Target& target) {
    net::Request translated;
    translated.method = request.method;
    translated.peer = request.peer;
    translated.headers.set("Accept", std::string(kProtocolJson));
    if (auto agent = request.headers.get("User-Agent"); !agent.empty()) {
      translated.headers.set("User-Agent", std::string(agent));
    }
    std::string path = "/api/v1";
    // Without a namespace lists and watches see all of them; everything else means "default".
    bool whole = request.method == "GET" && target.id.empty();
    if (kind.namespaced && !(whole && !target.ns)) {
      path += "/namespaces/" + net::percent_encode(target.ns.value_or("default"));
    }
    path += fmt::format("/{}", kind.v1_resource);
    std::string fields;
    if (!target.fields.empty()) {
      TRY_ASSIGN(fields, field_selector_to_v1(kind, target.fields));
    }
    if (std::string name = name_of_id(target.id); !name.empty() && target.watch) {
      // Today one object is watched as a list of one.
      fields += (fields.empty() ? "metadata.name=" : ",metadata.name=") + name;
    } else if (!name.empty()) {
      path += "/" + net::percent_encode(name);
    }
    std::vector<std::string> query;
    if (!target.labels.empty()) query.push_back("labelSelector=" + net::percent_encode(target.labels));
    if (!fields.empty()) query.push_back("fieldSelector=" + net::percent_encode(fields));
    if (target.watch) query.emplace_back("watch=true");
    if (!target.resource_version.empty() && target.resource_version != "0") {
      query.push_back("resourceVersion=" + net::percent_encode(target.resource_version));
    }
    translated.target = path;
    if (!query.empty()) translated.target += fmt::format("?{}", fmt::join(query, "&"));
    return translated;
  }

  /// Converts the body; an update is laid over what is stored, so that what the old API cannot say is kept.
  Status translate_body(Call& call, const Kind& kind, const Target& target, net::Request& translated) {
    TRY_ASSIGN(std::string json, api::yaml_to_json(call.exchange->take_body()));
    TRY_ASSIGN(Value legacy, api::parse_value(json));
    if (!legacy.is_object()) return Status::bad_request("the body must be an object");
    Value object;
    if (translated.method == "PUT") {
      net::Request get;
      get.target = translated.target;
      get.headers.set("Accept", std::string(kProtocolJson));
      net::Response stored = server_.call(std::move(get), call.user);
      if (stored.status != 200) {
        return api::parse_status(stored.status, stored.body, "get", {"", kind.v1_resource}, name_of_id(target.id));
      }
      TRY_ASSIGN(Value current, api::parse_value(stored.body));
      TRY_ASSIGN(object, overlay(kind, std::move(current), legacy));
    } else {
      TRY_ASSIGN(object, to_v1(kind, legacy));
      if (kind.namespaced && !target.ns) {
        const Value* ns = object.at_path({"metadata", "namespace"});
        if (ns != nullptr && !ns->string_or_empty().empty() && kind.kind != "Binding") {
          translated.target =
              fmt::format("/api/v1/namespaces/{}/{}", net::percent_encode(ns->as_string()), kind.v1_resource);
        }
      }
    }
    translated.headers.set("Content-Type", std::string(kProtocolJson));
    translated.body = api::to_json(object);
    return {};
  }

  ApiServer& server_;
};

}  // namespace

std::shared_ptr<PathHandler> make_handler(ApiServer& server) { return std::make_shared<Handler>(server); }

}  // namespace trireme::apiserver::legacy
