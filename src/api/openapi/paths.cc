#include "api/openapi/paths.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "api/openapi/schemas.h"
#include "api/types/authenticationv1.h"
#include "api/types/autoscalingv1.h"
#include "api/types/corev1.h"
#include "api/types/metav1.h"
#include "api/types/policyv1.h"

namespace trireme::api::openapi {
namespace {

struct Parameter {
  std::string_view name;
  std::string_view type;
  std::string_view description;
};

constexpr Parameter kPretty{"pretty", "string", "If 'true', the answer is indented."};
constexpr Parameter kDryRun{"dryRun", "string",
                            "'All' processes the request fully, admission included, but stores nothing."};
constexpr std::array kListParameters{
    Parameter{"allowWatchBookmarks", "boolean",
              "Asks a watch for bookmark events, which only tell the resource version."},
    Parameter{"continue", "string", "The token of the previous page of a list."},
    Parameter{"fieldSelector", "string", "Restricts the answer to objects whose fields have these values."},
    Parameter{"labelSelector", "string", "Restricts the answer to objects with these labels."},
    Parameter{"limit", "integer", "The largest number of objects in one answer; a longer list comes in pages."},
    Parameter{"resourceVersion", "string", "The version to list at or to watch from."},
    Parameter{"resourceVersionMatch", "string", "How resourceVersion applies to a list: Exact or NotOlderThan."},
    Parameter{"sendInitialEvents", "boolean", "Begins a watch with the objects there are, then a bookmark."},
    Parameter{"timeoutSeconds", "integer", "Ends the list or watch after this time."},
    Parameter{"watch", "boolean", "Streams changes instead of listing."},
};
constexpr std::array kWriteParameters{
    kDryRun,
    Parameter{"fieldManager", "string", "The name of who makes the change, for managed fields."},
    Parameter{"fieldValidation", "string", "What unknown and duplicate fields do: Ignore, Warn or Strict."},
};
constexpr Parameter kForce{"force", "boolean", "Lets an apply take over fields that others manage."};
constexpr std::array kDeleteParameters{
    kDryRun,
    Parameter{"gracePeriodSeconds", "integer", "The time before the object is removed; zero removes it at once."},
    Parameter{"orphanDependents", "boolean", "Deprecated; use propagationPolicy."},
    Parameter{"propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."},
};

constexpr std::string_view kPatchSchema = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
constexpr std::array<std::string_view, 1> kAnyType{"*/*"};
constexpr std::array<std::string_view, 3> kMediaTypes{"application/json", "application/yaml",
                                                      "application/vnd.kubernetes.protobuf"};
constexpr std::array<std::string_view, 5> kListTypes{
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch"};
constexpr std::array<std::string_view, 4> kPatchTypes{"application/json-patch+json", "application/merge-patch+json",
                                                      "application/strategic-merge-patch+json",
                                                      "application/apply-patch+yaml"};
constexpr std::array<std::string_view, 1> kText{"text/plain"};

/// The kind that an operation names in x-kubernetes-group-version-kind.
struct Kind {
  std::string_view group;
  std::string_view version;
  std::string_view kind;
};

Kind kind_of(const ResourceInfo& resource) { return {resource.group, resource.version, resource.kind}; }

Kind kind_of(const TypeInfo& type) {
  size_t slash = type.api_version.find('/');
  if (slash == std::string_view::npos) return {"", type.api_version, type.kind};
  return {type.api_version.substr(0, slash), type.api_version.substr(slash + 1), type.kind};
}

struct Operation {
  std::string_view method;
  std::string_view action;
  std::string id;
  std::string description;
  Kind kind;
  std::span<const Parameter> parameters;
  bool force = false;
  std::string_view body;  ///< schema name
  bool body_required = true;
  std::span<const std::string_view> consumes = kAnyType;
  std::string_view answer;  ///< schema name; empty: a string
  std::span<const std::string_view> produces = kMediaTypes;
  std::vector<std::pair<std::string_view, std::string_view>> codes = {{"200", "OK"}};
};

std::string capital(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

/// "Core", "RbacAuthorization": a group's name in operationIds.
std::string group_name(std::string_view group) {
  if (group.empty()) return "Core";
  if (group.ends_with(".k8s.io")) group.remove_suffix(7);
  std::string name;
  while (!group.empty()) {
    size_t dot = std::min(group.find('.'), group.size());
    name += capital(group.substr(0, dot));
    group.remove_prefix(std::min(dot + 1, group.size()));
  }
  return name;
}

class PathWriter {
 public:
  PathWriter(Dialect dialect, std::string& out) : dialect_(dialect), json_(out) {}

  void write(const std::string& path, const std::vector<Operation>& operations, std::string_view tag) {
    json_.begin_object();
    for (const Operation& operation : operations) {
      json_.key(operation.method);
      write_operation(operation, tag);
    }
    json_.key("parameters");
    json_.begin_array();
    for (std::string_view name : {"name", "namespace", "path"}) {
      if (path.find(fmt::format("{{{}}}", name)) == std::string::npos) continue;
      write_parameter({name, "string", path_parameter(name)}, "path");
    }
    write_parameter(kPretty, "query");
    json_.end_array();
    json_.end_object();
  }

 private:
  static std::string_view path_parameter(std::string_view name) {
    if (name == "namespace") return "object name and auth scope, such as for teams and projects";
    return name == "path" ? "path to the resource" : "The object's name.";
  }

  void write_operation(const Operation& operation, std::string_view tag) {
    json_.begin_object();
    json_.member("description", operation.description);
    json_.member("operationId", operation.id);
    json_.key("tags");
    json_.begin_array();
    json_.string(tag);
    json_.end_array();
    if (dialect_ == Dialect::kV2) {
      write_strings("consumes", operation.consumes);
      write_strings("produces", operation.produces);
      json_.raw_member("schemes", R"(["https"])");
    }
    write_parameters(operation);
    if (dialect_ == Dialect::kV3 && !operation.body.empty()) {
      json_.key("requestBody");
      json_.begin_object();
      write_content(operation.consumes, operation.body);
      if (operation.body_required) json_.raw_member("required", "true");
      json_.end_object();
    }
    write_responses(operation);
    json_.member("x-kubernetes-action", operation.action);
    json_.key("x-kubernetes-group-version-kind");
    json_.begin_object();
    json_.member("group", operation.kind.group);
    json_.member("kind", operation.kind.kind);
    json_.member("version", operation.kind.version);
    json_.end_object();
    json_.end_object();
  }

  void write_parameters(const Operation& operation) {
    bool body = dialect_ == Dialect::kV2 && !operation.body.empty();
    if (operation.parameters.empty() && !body) return;
    json_.key("parameters");
    json_.begin_array();
    if (body) {
      json_.begin_object();
      json_.member("in", "body");
      json_.member("name", "body");
      if (operation.body_required) json_.raw_member("required", "true");
      write_schema(operation.body);
      json_.end_object();
    }
    for (const Parameter& parameter : operation.parameters) write_parameter(parameter, "query");
    if (operation.force) write_parameter(kForce, "query");
    json_.end_array();
  }

  void write_parameter(const Parameter& parameter, std::string_view in) {
    json_.begin_object();
    json_.member("name", parameter.name);
    json_.member("in", in);
    if (!parameter.description.empty()) json_.member("description", parameter.description);
    if (in == "path") json_.raw_member("required", "true");
    if (dialect_ == Dialect::kV3) {
      json_.key("schema");
      json_.begin_object();
    }
    json_.member("type", parameter.type);
    json_.raw_member("uniqueItems", "true");
    if (dialect_ == Dialect::kV3) json_.end_object();
    json_.end_object();
  }

  void write_responses(const Operation& operation) {
    json_.key("responses");
    json_.begin_object();
    for (const auto& [code, meaning] : operation.codes) {
      json_.key(code);
      json_.begin_object();
      json_.member("description", meaning);
      if (dialect_ == Dialect::kV2) {
        write_schema(operation.answer);
      } else {
        write_content(operation.produces, operation.answer);
      }
      json_.end_object();
    }
    json_.raw_member("401", R"({"description":"Unauthorized"})");
    json_.end_object();
  }

  void write_content(std::span<const std::string_view> types, std::string_view schema) {
    json_.key("content");
    json_.begin_object();
    for (std::string_view type : types) {
      json_.key(type);
      json_.begin_object();
      write_schema(schema);
      json_.end_object();
    }
    json_.end_object();
  }

  void write_schema(std::string_view schema) {
    json_.key("schema");
    json_.begin_object();
    if (schema.empty()) {
      json_.member("type", "string");
    } else {
      json_.member("$ref", schema_reference(schema, dialect_));
    }
    json_.end_object();
  }

  void write_strings(std::string_view name, std::span<const std::string_view> values) {
    json_.key(name);
    json_.begin_array();
    for (std::string_view value : values) json_.string(value);
    json_.end_array();
  }

  Dialect dialect_;
  JsonWriter json_;
};

/// The query parameters of a connecting subresource are the fields of its options.
std::vector<Parameter> parameters_of(const TypeInfo& options) {
  std::vector<Parameter> parameters;
  for (const FieldInfo& field : options.fields) {
    std::string_view type = "string";
    if (field.kind == FieldKind::kBool) type = "boolean";
    if (field.kind == FieldKind::kInt32 || field.kind == FieldKind::kInt64) type = "integer";
    parameters.push_back({field.json_name, type, field.doc});
  }
  return parameters;
}

const TypeInfo& subresource_type(const ResourceInfo& resource, std::string_view name) {
  if (name == "scale") return type_info<autoscalingv1::Scale>();
  if (name == "eviction") return type_info<policyv1::Eviction>();
  if (name == "binding") return type_info<corev1::Binding>();
  if (name == "token") return type_info<authenticationv1::TokenRequest>();
  return *resource.type;
}

/// What one resource's paths are made of.
class ResourcePaths {
 public:
  using Visit = std::function<void(const std::string&, const std::string&)>;

  ResourcePaths(const ResourceInfo& resource, Dialect dialect, const Visit& visit)
      : resource_(resource),
        dialect_(dialect),
        visit_(visit),
        tag_(group_version_tag(resource.group, resource.version)),
        group_(group_name(resource.group) + capital(resource.version)),
        scope_(resource.namespaced ? "Namespaced" : ""),
        base_((resource.group.empty() ? "/api/" : "/apis/" + resource.group + "/") + resource.version),
        collection_(base_ + (resource.namespaced ? "/namespaces/{namespace}/" : "/") + resource.resource),
        item_(collection_ + "/{name}") {}

  void write() {
    write_collection();
    write_item();
    if (resource_.namespaced && has("list")) {
      Operation list = list_operation();
      list.id = fmt::format("list{}{}ForAllNamespaces", group_, resource_.kind);
      emit(base_ + "/" + resource_.resource, {std::move(list)});
    }
    for (const std::string& name : resource_.subresources) write_subresource(name);
  }

 private:
  bool has(std::string_view verb) const {
    return std::find(resource_.verbs.begin(), resource_.verbs.end(), verb) != resource_.verbs.end();
  }

  void emit(const std::string& path, std::vector<Operation> operations) {
    if (operations.empty()) return;
    std::string item;
    PathWriter(dialect_, item).write(path, operations, tag_);
    visit_(path, item);
  }

  std::string id(std::string_view verb, std::string_view suffix = "") const {
    return fmt::format("{}{}{}{}{}", verb, group_, scope_, resource_.kind, suffix);
  }

  Operation list_operation() const {
    Operation list{"get", "list", id("list"), fmt::format("list or watch objects of kind {}", resource_.kind),
                   kind_of(resource_)};
    list.parameters = kListParameters;
    list.answer = resource_.list_type->schema_name;
    list.produces = kListTypes;
    return list;
  }

  Operation read(std::string id, std::string description, const TypeInfo& type, const Kind& kind) const {
    Operation operation{"get", "get", std::move(id), std::move(description), kind};
    operation.answer = type.schema_name;
    return operation;
  }

  Operation write_operation(std::string_view method, std::string id, std::string description, const TypeInfo& type,
                            const Kind& kind) const {
    Operation operation{method, method, std::move(id), std::move(description), kind};
    operation.parameters = kWriteParameters;
    operation.body = type.schema_name;
    operation.answer = type.schema_name;
    operation.codes.push_back({"201", "Created"});
    if (method == "post") operation.codes.push_back({"202", "Accepted"});
    if (method == "patch") {
      operation.body = kPatchSchema;
      operation.consumes = kPatchTypes;
      operation.force = true;
    }
    return operation;
  }

  Operation delete_operation(std::string_view action, std::string id, std::string description) const {
    Operation operation{"delete", action, std::move(id), std::move(description), kind_of(resource_)};
    operation.parameters = kDeleteParameters;
    operation.body = type_info<metav1::DeleteOptions>().schema_name;
    operation.body_required = false;
    operation.answer = type_info<metav1::Status>().schema_name;
    return operation;
  }

  void write_collection() {
    std::vector<Operation> operations;
    if (has("list")) operations.push_back(list_operation());
    if (has("create")) {
      operations.push_back(
          write_operation("post", id("create"), "create a " + resource_.kind, *resource_.type, kind_of(resource_)));
    }
    if (has("deletecollection")) {
      operations.push_back(delete_operation("deletecollection",
                                            fmt::format("delete{}Collection{}{}", group_, scope_, resource_.kind),
                                            "delete collection of " + resource_.kind));
    }
    emit(collection_, std::move(operations));
  }

  void write_item() {
    std::vector<Operation> operations;
    const Kind kind = kind_of(resource_);
    if (has("get"))
      operations.push_back(read(id("read"), "read the specified " + resource_.kind, *resource_.type, kind));
    if (has("update"))
      operations.push_back(
          write_operation("put", id("replace"), "replace the specified " + resource_.kind, *resource_.type, kind));
    if (has("delete")) {
      Operation remove = delete_operation("delete", id("delete"), "delete a " + resource_.kind);
      remove.codes.push_back({"202", "Accepted"});
      operations.push_back(std::move(remove));
    }
    if (has("patch"))
      operations.push_back(write_operation("patch", id("patch"), "partially update the specified " + resource_.kind,
                                           *resource_.type, kind));
    emit(item_, std::move(operations));
  }

  void write_subresource(const std::string& name) {
    const std::string path = item_ + "/" + name;
    const std::string suffix = capital(name);
    if (name == "binding" || name == "eviction" || name == "token") {
      const TypeInfo& type = subresource_type(resource_, name);
      emit(path, {write_operation("post", id("create", suffix), fmt::format("create {} of a {}", name, resource_.kind),
                                  type, kind_of(type))});
    } else if (name == "log") {
      Operation log =
          read(id("read", "Log"), "read log of the specified " + resource_.kind, *resource_.type, kind_of(resource_));
      std::vector<Parameter> parameters = parameters_of(type_info<corev1::PodLogOptions>());
      log.parameters = parameters;
      log.answer = "";
      log.produces = kText;
      emit(path, {std::move(log)});
    } else if (name == "exec") {
      write_connect(path, suffix, type_info<corev1::PodExecOptions>(), {"get", "post"});
    } else if (name == "attach") {
      write_connect(path, suffix, type_info<corev1::PodAttachOptions>(), {"get", "post"});
    } else if (name == "portforward") {
      write_connect(path, suffix, type_info<corev1::PodPortForwardOptions>(), {"get", "post"});
    } else if (name == "proxy") {
      const TypeInfo& options = resource_.kind == "Node"      ? type_info<corev1::NodeProxyOptions>()
                                : resource_.kind == "Service" ? type_info<corev1::ServiceProxyOptions>()
                                                              : type_info<corev1::PodProxyOptions>();
      const std::vector<std::string_view> methods{"get", "put", "post", "delete", "options", "head", "patch"};
      write_connect(path, suffix, options, methods);
      write_connect(path + "/{path}", suffix + "WithPath", options, methods);
    } else {
      write_part(path, name, suffix);
    }
  }

  void write_connect(const std::string& path, const std::string& suffix, const TypeInfo& options,
                     const std::vector<std::string_view>& methods) {
    std::vector<Parameter> parameters = parameters_of(options);
    std::vector<Operation> operations;
    for (std::string_view method : methods) {
      Operation operation{
          method, "connect", fmt::format("connect{}{}{}{}{}", group_, capital(method), scope_, resource_.kind, suffix),
          fmt::format("connect {} requests to {} of {}", method, suffix, resource_.kind), kind_of(options)};
      operation.parameters = parameters;
      operation.produces = kAnyType;
      operations.push_back(std::move(operation));
    }
    emit(path, std::move(operations));
  }

  /// status, scale and the like: a part of the object (or a view of it) that is read and written alone.
  void write_part(const std::string& path, const std::string& name, const std::string& suffix) {
    const TypeInfo& type = subresource_type(resource_, name);
    const Kind kind = &type == resource_.type ? kind_of(resource_) : kind_of(type);
    const std::string of = fmt::format("{} of the specified {}", name, resource_.kind);
    std::vector<Operation> operations;
    if (name != "finalize") operations.push_back(read(id("read", suffix), "read " + of, type, kind));
    operations.push_back(write_operation("put", id("replace", suffix), "replace " + of, type, kind));
    if (name != "finalize")
      operations.push_back(write_operation("patch", id("patch", suffix), "partially update " + of, type, kind));
    emit(path, std::move(operations));
  }

  const ResourceInfo& resource_;
  Dialect dialect_;
  const Visit& visit_;
  std::string tag_;
  std::string group_;
  std::string scope_;
  std::string base_;
  std::string collection_;
  std::string item_;
};

}  // namespace

std::string group_version_tag(std::string_view group, std::string_view version) {
  std::string name = group_name(group);
  name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name + "_" + std::string(version);
}

void each_path(const ResourceInfo& resource, Dialect dialect,
               const std::function<void(const std::string& path, const std::string& item)>& visit) {
  ResourcePaths(resource, dialect, visit).write();
}

std::vector<const TypeInfo*> subresource_types(const ResourceInfo& resource) {
  std::vector<const TypeInfo*> types;
  for (const std::string& name : resource.subresources) types.push_back(&subresource_type(resource, name));
  return types;
}

}  // namespace trireme::api::openapi
