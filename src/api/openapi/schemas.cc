#include "api/openapi/schemas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/scheme.h"

namespace trireme::api::openapi {
namespace {

/// Scalars of the type tables that OpenAPI knows as schemas of their own.
struct ScalarSchema {
  std::string_view name;
  std::string_view v2;  ///< members besides the description
  std::string_view v3;
  std::string_view doc;
};

constexpr std::string_view kMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
constexpr std::array<ScalarSchema, 9> kScalars{{
    {"io.k8s.apimachinery.pkg.apis.meta.v1.Time", R"("type":"string","format":"date-time")",
     R"("type":"string","format":"date-time")", "A point in time in the form of RFC 3339, to the second."},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", R"("type":"string","format":"date-time")",
     R"("type":"string","format":"date-time")", "A point in time in the form of RFC 3339, with microseconds."},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.Duration", R"("type":"string")", R"("type":"string")",
     "A length of time with units, such as 1h30m or 500ms."},
    {"io.k8s.apimachinery.pkg.api.resource.Quantity", R"("type":"string")",
     R"("oneOf":[{"type":"string"},{"type":"number"}])",
     "An amount: a decimal number with an optional suffix, one of the decimal n, u, m, k, M, G, T, P, E, the binary "
     "Ki, "
     "Mi, Gi, Ti, Pi, Ei, or an exponent such as e3. 1.5 is written as 1500m."},
    {"io.k8s.apimachinery.pkg.util.intstr.IntOrString", R"("type":"string","format":"int-or-string")",
     R"("format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}])",
     "A whole number or a string, such as a port's number or name, or a number or a percentage."},
    {"io.k8s.apimachinery.pkg.runtime.RawExtension", R"("type":"object")", R"("type":"object")",
     "An object of any kind, kept as it was received."},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", R"("type":"object")", R"("type":"object")",
     "A set of fields as a tree: f:<name> is a field, k:<keys> and v:<value> are list elements, i:<index> a position."},
    {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", "", "", "Any JSON value."},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.Patch", R"("type":"object")", R"("type":"object")",
     "A patch in one of the formats that the request's content type names."},
}};

const ScalarSchema* find_scalar(std::string_view name) {
  auto found =
      std::find_if(kScalars.begin(), kScalars.end(), [&](const ScalarSchema& one) { return one.name == name; });
  return found == kScalars.end() ? nullptr : &*found;
}

/// The schema that a field's (or element's) value refers to; empty for plain JSON types.
std::string_view referenced_schema(const TypeInfo& owner, const FieldInfo& field) {
  switch (field.kind) {
    case FieldKind::kStruct:
      return field.type->schema_name;
    case FieldKind::kTime:
      return kScalars[0].name;
    case FieldKind::kMicroTime:
      return kScalars[1].name;
    case FieldKind::kDuration:
      return kScalars[2].name;
    case FieldKind::kQuantity:
      return kScalars[3].name;
    case FieldKind::kIntOrString:
      return kScalars[4].name;
    case FieldKind::kRawJson:
      if (field.json_name == "fieldsV1") return kScalars[6].name;
      return owner.name == "JSONSchemaProps" ? kScalars[7].name : kScalars[5].name;
    default:
      return "";
  }
}

struct PlainType {
  std::string_view type;
  std::string_view format;
  std::string_view zero;
};

PlainType plain_type(FieldKind kind) {
  switch (kind) {
    case FieldKind::kBool:
      return {"boolean", "", "false"};
    case FieldKind::kInt32:
      return {"integer", "int32", "0"};
    case FieldKind::kInt64:
      return {"integer", "int64", "0"};
    case FieldKind::kDouble:
      return {"number", "double", "0"};
    case FieldKind::kBytes:
      return {"string", "byte", ""};
    default:
      return {"string", "", "\"\""};
  }
}

class SchemaWriter {
 public:
  SchemaWriter(Dialect dialect, std::string& out) : dialect_(dialect), json_(out) {}

  void write(const TypeInfo& type) {
    json_.begin_object();
    if (!type.doc.empty()) json_.member("description", type.doc);
    // A union stands for one of its fields; its schema says nothing.
    if (!type.json_union) {
      write_required(type);
      write_properties(type);
      json_.member("type", "object");
    }
    write_group_version_kind(type);
    json_.end_object();
  }

  void write(const ScalarSchema& scalar) {
    json_.begin_object();
    json_.member("description", scalar.doc);
    std::string_view members = dialect_ == Dialect::kV2 ? scalar.v2 : scalar.v3;
    if (!members.empty()) json_.raw(members);
    json_.end_object();
  }

 private:
  struct Property {
    const TypeInfo* owner;
    const FieldInfo* field;
  };

  static void collect(const TypeInfo& type, std::vector<Property>& properties) {
    for (const FieldInfo& field : type.fields) {
      if (field.json_name.empty()) {
        collect(*field.type, properties);
      } else {
        properties.push_back({&type, &field});
      }
    }
  }

  static std::vector<Property> properties_of(const TypeInfo& type) {
    std::vector<Property> properties;
    collect(type, properties);
    return properties;
  }

  void write_required(const TypeInfo& type) {
    bool any = false;
    for (const Property& property : properties_of(type)) {
      if (!property.field->required) continue;
      if (!any) {
        json_.key("required");
        json_.begin_array();
        any = true;
      }
      json_.string(property.field->json_name);
    }
    if (any) json_.end_array();
  }

  void write_properties(const TypeInfo& type) {
    std::vector<Property> properties = properties_of(type);
    if (properties.empty() && type.kind.empty()) return;
    std::sort(properties.begin(), properties.end(),
              [](const Property& a, const Property& b) { return a.field->json_name < b.field->json_name; });
    json_.key("properties");
    json_.begin_object();
    if (!type.kind.empty()) write_type_meta();
    for (const Property& property : properties) {
      json_.key(property.field->json_name);
      write_field(*property.owner, *property.field);
    }
    json_.end_object();
  }

  void write_type_meta() {
    json_.raw_member(
        "apiVersion",
        R"({"description":"The version in which this object is written: GROUP/VERSION, or VERSION alone for )"
        R"(the core group. Servers convert between the versions they serve and refuse others. More info: )"
        R"(https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",)"
        R"("type":"string"})");
    json_.raw_member(
        "kind", R"({"description":"The kind of REST resource that this object represents, in CamelCase. It cannot be )"
                R"(changed. More info: )"
                R"(https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",)"
                R"("type":"string"})");
  }

  void write_field(const TypeInfo& owner, const FieldInfo& field) {
    json_.begin_object();
    if (!field.doc.empty()) json_.member("description", field.doc);
    switch (field.shape) {
      case FieldShape::kPlain:
      case FieldShape::kPointer:
        write_value(owner, field, field.shape == FieldShape::kPlain, field.omit_empty);
        break;
      case FieldShape::kSlice:
        json_.member("type", "array");
        json_.key("items");
        write_element(owner, field);
        break;
      case FieldShape::kMap:
        json_.member("type", "object");
        json_.key("additionalProperties");
        write_element(owner, field);
        break;
      case FieldShape::kMapOfSlices:
        json_.member("type", "object");
        json_.key("additionalProperties");
        json_.begin_object();
        json_.member("type", "array");
        json_.key("items");
        write_element(owner, field);
        json_.end_object();
        break;
    }
    write_extensions(field);
    json_.end_object();
  }

  void write_element(const TypeInfo& owner, const FieldInfo& field) {
    json_.begin_object();
    // The defaults of elements are their zero values, whatever the field's own default says.
    write_type(owner, field);
    if (dialect_ == Dialect::kV3) {
      if (field.kind == FieldKind::kStruct) {
        json_.raw_member("default", "{}");
      } else if (referenced_schema(owner, field).empty() && !plain_type(field.kind).zero.empty()) {
        json_.raw_member("default", plain_type(field.kind).zero);
      }
    }
    json_.end_object();
  }

  void write_value(const TypeInfo& owner, const FieldInfo& field, bool plain, bool omit_empty) {
    write_type(owner, field);
    if (dialect_ == Dialect::kV2) return;
    // OpenAPI v2 goes without defaults: old clients took them for values to set.
    if (!field.default_json.empty()) {
      json_.raw_member("default", field.default_json);
    } else if (plain && field.kind == FieldKind::kStruct) {
      json_.raw_member("default", "{}");
    } else if (plain && !omit_empty && referenced_schema(owner, field).empty() &&
               !plain_type(field.kind).zero.empty()) {
      json_.raw_member("default", plain_type(field.kind).zero);
    }
  }

  void write_type(const TypeInfo& owner, const FieldInfo& field) {
    std::string_view reference = referenced_schema(owner, field);
    if (!reference.empty()) {
      std::string target = schema_reference(reference, dialect_);
      if (dialect_ == Dialect::kV2) {
        json_.member("$ref", target);
      } else {
        // In v3 nothing may stand beside $ref.
        json_.key("allOf");
        json_.begin_array();
        json_.begin_object();
        json_.member("$ref", target);
        json_.end_object();
        json_.end_array();
      }
      return;
    }
    PlainType plain = plain_type(field.kind);
    json_.member("type", plain.type);
    if (!plain.format.empty()) json_.member("format", plain.format);
    if (!field.enum_values.empty()) write_strings("enum", field.enum_values);
  }

  void write_extensions(const FieldInfo& field) {
    if (!field.list_map_keys.empty()) write_strings("x-kubernetes-list-map-keys", field.list_map_keys);
    if (!field.list_type.empty()) json_.member("x-kubernetes-list-type", field.list_type);
    if (!field.map_type.empty()) json_.member("x-kubernetes-map-type", field.map_type);
    if (!field.patch_merge_key.empty()) json_.member("x-kubernetes-patch-merge-key", field.patch_merge_key);
    if (!field.patch_strategy.empty()) json_.member("x-kubernetes-patch-strategy", field.patch_strategy);
  }

  void write_strings(std::string_view name, std::span<const std::string_view> values) {
    json_.key(name);
    json_.begin_array();
    for (std::string_view value : values) json_.string(value);
    json_.end_array();
  }

  void write_group_version_kind(const TypeInfo& type) {
    if (type.kind.empty()) return;
    json_.key("x-kubernetes-group-version-kind");
    json_.begin_array();
    if (type.schema_name.starts_with(kMeta) && (type.kind == "DeleteOptions" || type.kind == "WatchEvent")) {
      // These belong to every group.
      const ResourceInfo* previous = nullptr;
      for (const ResourceInfo& resource : resources()) {
        if (previous == nullptr || previous->group != resource.group || previous->version != resource.version)
          write_kind(resource.group, type.kind, resource.version);
        previous = &resource;
      }
    } else {
      size_t slash = type.api_version.find('/');
      bool core = slash == std::string_view::npos;
      write_kind(core ? "" : type.api_version.substr(0, slash), type.kind,
                 core ? type.api_version : type.api_version.substr(slash + 1));
    }
    json_.end_array();
  }

  void write_kind(std::string_view group, std::string_view kind, std::string_view version) {
    json_.begin_object();
    json_.member("group", group);
    json_.member("kind", kind);
    json_.member("version", version);
    json_.end_object();
  }

  Dialect dialect_;
  JsonWriter json_;
};

}  // namespace

std::string schema_reference(std::string_view schema_name, Dialect dialect) {
  return fmt::format("{}{}", dialect == Dialect::kV2 ? "#/definitions/" : "#/components/schemas/", schema_name);
}

void SchemaSet::add(const TypeInfo& type) {
  if (!schemas_.emplace(type.schema_name, &type).second) return;
  schemas_.emplace(kScalars.back().name, nullptr);  // Patch: a request's body, so that no type refers to it.
  add_references(type);
}

void SchemaSet::add_text(std::string_view name, std::string json) { texts_.emplace(name, std::move(json)); }

void SchemaSet::add_references(const TypeInfo& type) {
  for (const FieldInfo& field : type.fields) {
    if (field.json_name.empty()) {
      add_references(*field.type);
    } else if (field.kind == FieldKind::kStruct) {
      add(*field.type);
    } else if (std::string_view name = referenced_schema(type, field); !name.empty()) {
      schemas_.emplace(name, nullptr);
    }
  }
}

std::vector<std::string_view> SchemaSet::names() const {
  std::vector<std::string_view> names;
  names.reserve(schemas_.size());
  for (const auto& [name, type] : schemas_) names.push_back(name);
  for (const auto& [name, text] : texts_) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

void SchemaSet::append(std::string_view name, Dialect dialect, std::string& out) const {
  if (const auto text = texts_.find(name); text != texts_.end()) {
    out += text->second;
    return;
  }
  const TypeInfo* type = schemas_.at(name);
  SchemaWriter writer(dialect, out);
  if (type != nullptr) {
    writer.write(*type);
  } else {
    writer.write(*find_scalar(name));
  }
}

}  // namespace trireme::api::openapi
