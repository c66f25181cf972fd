#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>

#include "api/custom_resource.h"
#include "api/openapi/custom.h"
#include "api/openapi/gnostic.h"
#include "api/openapi/openapi.h"
#include "api/openapi/paths.h"
#include "api/openapi/schemas.h"
#include "api/scheme.h"
#include "api/types/metav1.h"

namespace trireme::api {
namespace {

using namespace openapi;  // NOLINT: the parts of this folder

constexpr std::string_view kTitle = "Kubernetes";
constexpr std::string_view kSecurity = R"([{"BearerToken":[]}])";
constexpr std::string_view kBearer = "Bearer Token authentication";

bool in(const ResourceInfo& resource, std::string_view group, std::string_view version) {
  return resource.group == group && resource.version == version;
}

/// Calls `use` with every resource, built-in ones first.
template <typename Use>
void each_resource(CustomSchemas custom, Use use) {
  for (const ResourceInfo& resource : resources()) use(resource);
  for (const CustomSchema& each : custom) use(*each.resource);
}

void add_schemas(const ResourceInfo& resource, SchemaSet& schemas) {
  schemas.add(*resource.type);
  if (resource.list_type != nullptr) schemas.add(*resource.list_type);
  for (const TypeInfo* type : subresource_types(resource)) schemas.add(*type);
}

/// What every document has besides its resources.
void add_common_schemas(SchemaSet& schemas) {
  schemas.add(type_info<metav1::DeleteOptions>());
  schemas.add(type_info<metav1::Status>());
  schemas.add(type_info<metav1::APIResourceList>());
  schemas.add(type_info<metav1::APIGroup>());
}

SchemaSet all_schemas(CustomSchemas custom) {
  SchemaSet schemas;
  add_common_schemas(schemas);
  schemas.add(type_info<metav1::APIGroupList>());
  schemas.add(type_info<metav1::APIVersions>());
  for (const ResourceInfo& resource : resources()) add_schemas(resource, schemas);
  for (const CustomSchema& each : custom) add_custom_schemas(each, Dialect::kV2, schemas);
  return schemas;
}

void write_info(JsonWriter& json, std::string_view server_version) {
  json.key("info");
  json.begin_object();
  json.member("title", kTitle);
  json.member("version", server_version);
  json.end_object();
}

}  // namespace

std::string openapi_v2_json(std::string_view server_version, CustomSchemas custom) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("swagger", "2.0");
  write_info(json, server_version);
  json.key("paths");
  json.begin_object();
  each_resource(custom, [&](const ResourceInfo& resource) {
    each_path(resource, Dialect::kV2,
              [&](const std::string& path, const std::string& item) { json.raw_member(path, item); });
  });
  json.end_object();
  json.key("definitions");
  json.begin_object();
  const SchemaSet schemas = all_schemas(custom);
  for (std::string_view name : schemas.names()) {
    json.key(name);
    schemas.append(name, Dialect::kV2, out);
  }
  json.end_object();
  json.raw_member(
      "securityDefinitions",
      fmt::format(R"({{"BearerToken":{{"description":"{}","type":"apiKey","name":"authorization","in":"header"}}}})",
                  kBearer));
  json.raw_member("security", kSecurity);
  json.end_object();
  return out;
}

std::string openapi_v2_proto(std::string_view server_version, CustomSchemas custom) {
  // Each part is written as JSON and translated by itself, so that only the result grows.
  auto translate = [](const std::string& part, std::string (*to_proto)(const Value&)) {
    auto value = parse_value(part);
    return value.ok() ? to_proto(*value) : std::string();
  };
  std::string out;
  append_proto_field(1, "2.0", out);
  std::string info;
  append_proto_field(1, kTitle, info);
  append_proto_field(2, server_version, info);
  append_proto_field(2, info, out);
  {
    std::string paths;
    each_resource(custom, [&](const ResourceInfo& resource) {
      each_path(resource, Dialect::kV2, [&](const std::string& path, const std::string& item) {
        append_proto_named(2, path, translate(item, gnostic_path_item), paths);
      });
    });
    append_proto_field(8, paths, out);
  }
  {
    std::string definitions;
    const SchemaSet schemas = all_schemas(custom);
    for (std::string_view name : schemas.names()) {
      std::string schema;
      schemas.append(name, Dialect::kV2, schema);
      append_proto_named(1, name, translate(schema, gnostic_schema), definitions);
    }
    append_proto_field(9, definitions, out);
  }
  // security: one requirement that names the definition below with no scopes.
  std::string requirement;
  append_proto_named(1, "BearerToken", "", requirement);
  append_proto_field(12, requirement, out);
  std::string key;
  append_proto_field(1, "apiKey", key);
  append_proto_field(2, "authorization", key);
  append_proto_field(3, "header", key);
  append_proto_field(4, kBearer, key);
  std::string item;
  append_proto_field(2, key, item);
  std::string security;
  append_proto_named(1, "BearerToken", item, security);
  append_proto_field(13, security, out);
  return out;
}

std::vector<OpenApiGroupVersion> openapi_v3_group_versions(CustomSchemas custom) {
  std::vector<OpenApiGroupVersion> found;
  each_resource(custom, [&](const ResourceInfo& resource) {
    const bool known = std::ranges::any_of(
        found, [&](const OpenApiGroupVersion& each) { return in(resource, each.group, each.version); });
    if (known) return;
    found.push_back({(resource.group.empty() ? "api/" : "apis/" + resource.group + "/") + resource.version,
                     resource.group, resource.version});
  });
  return found;
}

std::string openapi_v3(std::string_view group, std::string_view version, std::string_view server_version,
                       CustomSchemas custom) {
  std::string out;
  JsonWriter json(out);
  SchemaSet schemas;
  json.begin_object();
  json.member("openapi", "3.0.0");
  write_info(json, server_version);
  json.key("paths");
  json.begin_object();
  bool served = false;
  each_resource(custom, [&](const ResourceInfo& resource) {
    if (!in(resource, group, version)) return;
    served = true;
    if (!is_custom(*resource.type)) add_schemas(resource, schemas);
    each_path(resource, Dialect::kV3,
              [&](const std::string& path, const std::string& item) { json.raw_member(path, item); });
  });
  for (const CustomSchema& each : custom) {
    if (in(*each.resource, group, version)) add_custom_schemas(each, Dialect::kV3, schemas);
  }
  if (!served) return "";
  json.end_object();
  json.key("components");
  json.begin_object();
  json.key("schemas");
  json.begin_object();
  add_common_schemas(schemas);
  for (std::string_view name : schemas.names()) {
    json.key(name);
    schemas.append(name, Dialect::kV3, out);
  }
  json.end_object();
  json.raw_member(
      "securitySchemes",
      fmt::format(R"({{"BearerToken":{{"type":"apiKey","description":"{}","name":"authorization","in":"header"}}}})",
                  kBearer));
  json.end_object();
  json.raw_member("security", kSecurity);
  json.end_object();
  return out;
}

std::string openapi_hash(std::string_view document) {
  // FNV-1a: the hash tells versions of a document apart in clients' caches; nobody gains by a collision.
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : document) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016X}", hash);
}

std::string openapi_v3_index(std::string_view server_version, CustomSchemas custom) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("paths");
  json.begin_object();
  for (const OpenApiGroupVersion& one : openapi_v3_group_versions(custom)) {
    std::string hash = openapi_hash(openapi_v3(one.group, one.version, server_version, custom));
    json.key(one.path);
    json.begin_object();
    json.member("serverRelativeURL", fmt::format("/openapi/v3/{}?hash={}", one.path, hash));
    json.end_object();
  }
  json.end_object();
  json.end_object();
  return out;
}

}  // namespace trireme::api
