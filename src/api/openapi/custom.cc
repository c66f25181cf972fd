#include "api/openapi/custom.h"

#include <fmt/format.h>

#include "api/openapi/paths.h"
#include "api/types/metav1.h"

namespace trireme::api::openapi {
namespace {

std::string_view meta_doc(std::string_view field, const TypeInfo& type) {
  for (const FieldInfo& each : type.fields) {
    if (each.json_name == field) return each.doc;
  }
  return {};
}

Value reference(const TypeInfo& type, Dialect dialect) {
  Value value = Value::object();
  if (dialect == Dialect::kV2) {
    value["$ref"] = schema_reference(type.schema_name, dialect);
    return value;
  }
  // In version 3 nothing may stand beside a reference.
  Value inner = Value::object();
  inner["$ref"] = schema_reference(type.schema_name, dialect);
  value["allOf"] = Value::Array{std::move(inner)};
  value["default"] = Value::object();
  return value;
}

Value text_property(std::string_view description) {
  Value value = Value::object();
  value["type"] = "string";
  value["description"] = description;
  return value;
}

void add_type_meta(Value& properties) {
  const TypeInfo& type = type_info<metav1::APIResourceList>();
  properties["apiVersion"] = text_property(meta_doc("apiVersion", type));
  properties["kind"] = text_property(meta_doc("kind", type));
}

Value group_version_kind(const ResourceInfo& resource, std::string_view kind) {
  Value value = Value::object();
  value["group"] = resource.group;
  value["version"] = resource.version;
  value["kind"] = kind;
  return Value::Array{std::move(value)};
}

/// Version 2 has no alternatives and no null.
void reduce_to_v2(Value& schema) {
  if (!schema.is_object()) return;
  for (const char* name : {"allOf", "anyOf", "oneOf", "not"}) schema.erase(name);
  if (schema.erase("nullable")) {
    for (const char* name : {"type", "properties", "items", "additionalProperties"}) schema.erase(name);
  }
  if (Value* properties = schema.find("properties"); properties != nullptr && properties->is_object()) {
    for (auto& [name, property] : properties->as_object()) reduce_to_v2(property);
  }
  for (const char* name : {"items", "additionalProperties"}) {
    if (Value* inner = schema.find(name)) reduce_to_v2(*inner);
  }
}

}  // namespace

void add_custom_schemas(const CustomSchema& custom, Dialect dialect, SchemaSet& schemas) {
  const ResourceInfo& resource = *custom.resource;
  Value schema = custom.schema.is_object() ? custom.schema : Value::object();
  if (dialect == Dialect::kV2) reduce_to_v2(schema);
  schema["type"] = "object";
  Value& properties = schema["properties"];
  if (!properties.is_object()) properties = Value::object();
  add_type_meta(properties);
  properties["metadata"] = reference(type_info<metav1::ObjectMeta>(), dialect);
  schema["x-kubernetes-group-version-kind"] = group_version_kind(resource, resource.kind);
  schemas.add_text(resource.type->schema_name, to_json(schema));

  Value list = Value::object();
  list["type"] = "object";
  list["description"] = fmt::format("{} is a list of {}", resource.list_type->kind, resource.kind);
  list["required"] = Value::Array{Value("items")};
  Value& list_properties = list["properties"] = Value::object();
  add_type_meta(list_properties);
  list_properties["metadata"] = reference(type_info<metav1::ListMeta>(), dialect);
  Value items = Value::object();
  items["type"] = "array";
  Value item = Value::object();
  item["$ref"] = schema_reference(resource.type->schema_name, dialect);
  items["items"] = std::move(item);
  items["description"] = fmt::format("List of {}.", resource.resource);
  list_properties["items"] = std::move(items);
  list["x-kubernetes-group-version-kind"] = group_version_kind(resource, resource.list_type->kind);
  schemas.add_text(resource.list_type->schema_name, to_json(list));

  schemas.add(type_info<metav1::ObjectMeta>());
  schemas.add(type_info<metav1::ListMeta>());
  for (const TypeInfo* type : subresource_types(resource)) {
    if (type != resource.type) schemas.add(*type);
  }
}

}  // namespace trireme::api::openapi
