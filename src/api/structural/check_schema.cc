#include "api/structural/check_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/structural/resource_members.h"
#include "api/structural/schema.h"
#include "api/structural/validate.h"

namespace trireme::api::structural {
namespace {

using apiextensionsv1::JSONSchemaProps;
using validation::BadValue;
using validation::ErrorList;
using validation::Path;

/// Nested deeper than this are refused: every walk follows the schema's levels.
constexpr int kMaxDepth = 100;

class Checker {
 public:
  explicit Checker(ErrorList& errors) : errors_(errors) {}

  void check(const JSONSchemaProps& schema, const Path& at, bool root, int depth = 0) {
    if (depth > kMaxDepth) return errors_.forbidden(at, fmt::format("nests deeper than {} levels", kMaxDepth));
    check_type(schema, at, root);
    check_forbidden(schema, at);
    check_extensions(schema, at, root);
    check_default(schema, at, root);
    for (const auto& [name, property] : schema.properties) {
      const Path below = at.child("properties").key(name);
      if ((root || schema.x_kubernetes_embedded_resource) && is_resource_member(name)) {
        check_resource_member(name, property, below);
        continue;
      }
      check(property, below, false, depth + 1);
    }
    if (schema.additional_properties && schema.additional_properties->schema) {
      check(*schema.additional_properties->schema, at.child("additionalProperties"), false, depth + 1);
    }
    if (schema.items && schema.items->schema) check(*schema.items->schema, at.child("items"), false, depth + 1);
    each_combination(schema, at, [&](const JSONSchemaProps& part, const Path& below) {
      check_value_validation(part, below, schema.x_kubernetes_int_or_string, depth + 1);
    });
  }

 private:
  template <typename Use>
  static void each_combination(const JSONSchemaProps& schema, const Path& at, Use use) {
    auto list = [&](const std::vector<JSONSchemaProps>& parts, std::string_view name) {
      for (size_t i = 0; i < parts.size(); ++i) use(parts[i], at.child(name).index(i));
    };
    list(schema.all_of, "allOf");
    list(schema.any_of, "anyOf");
    list(schema.one_of, "oneOf");
    if (schema.not_) use(*schema.not_, at.child("not"));
  }

  void check_type(const JSONSchemaProps& schema, const Path& at, bool root) {
    const bool free = schema.x_kubernetes_int_or_string || schema.x_kubernetes_preserve_unknown_fields.value_or(false);
    if (schema.type.empty()) {
      if (root) return;  // reported with the definition's other rules
      if (!free) errors_.required(at.child("type"), "must not be empty for specified object fields");
    } else {
      errors_.check_enum(at.child("type"), schema.type, {"array", "boolean", "integer", "number", "object", "string"});
    }
    if (root && schema.nullable) errors_.forbidden(at.child("nullable"), "nullable cannot be true at the root");
    if (schema.x_kubernetes_int_or_string && !schema.type.empty()) {
      errors_.forbidden(at.child("type"), "must be empty if x-kubernetes-int-or-string is true");
    }
    if (schema.type == "array" && (!schema.items || !schema.items->schema)) {
      errors_.required(at.child("items"), "must be specified");
    }
    if (schema.items && !schema.items->json_schemas.empty()) {
      errors_.forbidden(at.child("items"), "items must be a schema object and not an array");
    }
  }

  void check_forbidden(const JSONSchemaProps& schema, const Path& at) {
    auto refuse = [&](bool used, std::string_view name, std::string_view why = "is not supported") {
      if (used) errors_.forbidden(at.child(name), why);
    };
    refuse(schema.ref.has_value(), "$ref");
    refuse(!schema.definitions.empty(), "definitions");
    refuse(!schema.dependencies.empty(), "dependencies");
    refuse(!schema.pattern_properties.empty(), "patternProperties");
    refuse(schema.additional_items.has_value(), "additionalItems");
    refuse(!schema.id.empty(), "id");
    refuse(schema.unique_items, "uniqueItems",
           "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    if (schema.additional_properties && !schema.properties.empty() &&
        (schema.additional_properties->schema || !schema.additional_properties->allows)) {
      refuse(true, "additionalProperties", "additionalProperties and properties are mutual exclusive");
    }
    if (schema.additional_properties && !schema.additional_properties->schema &&
        !schema.additional_properties->allows) {
      refuse(true, "additionalProperties", "additionalProperties cannot be set to false");
    }
  }

  void check_extensions(const JSONSchemaProps& schema, const Path& at, bool root) {
    if (schema.x_kubernetes_preserve_unknown_fields && !*schema.x_kubernetes_preserve_unknown_fields) {
      errors_.invalid(at.child("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined");
    }
    if (schema.x_kubernetes_embedded_resource) {
      if (root) errors_.forbidden(at.child("x-kubernetes-embedded-resource"), "must not be used at the root");
      if (schema.type != "object") {
        errors_.invalid(at.child("type"), schema.type, "must be object if x-kubernetes-embedded-resource is true");
      }
      if (schema.properties.empty() && !schema.x_kubernetes_preserve_unknown_fields.value_or(false)) {
        errors_.required(at.child("properties"),
                         "must not be empty if x-kubernetes-embedded-resource is true without "
                         "x-kubernetes-preserve-unknown-fields");
      }
    }
    check_list_type(schema, at);
    if (schema.x_kubernetes_map_type) {
      errors_.check_enum(at.child("x-kubernetes-map-type"), *schema.x_kubernetes_map_type, {"atomic", "granular"});
      if (schema.type != "object") {
        errors_.invalid(at.child("type"), schema.type, "must be object if x-kubernetes-map-type is specified");
      }
    }
  }

  void check_list_type(const JSONSchemaProps& schema, const Path& at) {
    const Path keys_at = at.child("x-kubernetes-list-map-keys");
    const auto& keys = schema.x_kubernetes_list_map_keys;
    if (!schema.x_kubernetes_list_type) {
      if (!keys.empty())
        errors_.required(at.child("x-kubernetes-list-type"), "must be map if x-kubernetes-list-map-keys is non-empty");
      return;
    }
    const std::string& type = *schema.x_kubernetes_list_type;
    errors_.check_enum(at.child("x-kubernetes-list-type"), type, {"atomic", "set", "map"});
    if (schema.type != "array") {
      errors_.invalid(at.child("type"), schema.type, "must be array if x-kubernetes-list-type is specified");
    }
    if (type != "map") {
      if (!keys.empty())
        errors_.invalid(at.child("x-kubernetes-list-type"), type,
                        "must be map if x-kubernetes-list-map-keys is non-empty");
      return;
    }
    if (keys.empty()) errors_.required(keys_at, "must not be empty if x-kubernetes-list-type is map");
    if (!schema.items || !schema.items->schema) return;
    const JSONSchemaProps& item = *schema.items->schema;
    if (item.type != "object") {
      errors_.invalid(at.child("items", "type"), item.type,
                      "must be object if parent array's x-kubernetes-list-type is map");
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto property = item.properties.find(keys[i]);
      if (property == item.properties.end()) {
        errors_.invalid(keys_at.index(i), keys[i], "must be an existing property of the item schema");
      } else if (property->second.default_ == std::nullopt &&
                 std::ranges::find(item.required, keys[i]) == item.required.end()) {
        errors_.required(
            at.child("items", "properties").key(keys[i]).child("default"),
            "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property");
      }
    }
  }

  /// What a schema may say of apiVersion, kind and metadata.
  void check_resource_member(std::string_view name, const JSONSchemaProps& property, const Path& at) {
    const std::string_view type = name == "metadata" ? "object" : "string";
    if (property.type != type) errors_.invalid(at.child("type"), property.type, fmt::format("must be {}", type));
    if (name != "metadata") return;
    for (const auto& [member, ignored] : property.properties) {
      if (member != "name" && member != "generateName") {
        errors_.forbidden(
            at, "must not specify anything other than name and generateName, but metadata is implicitly specified");
        return;
      }
    }
  }

  /// Inside allOf, anyOf, oneOf and not only validations may stand: what members there are is said outside.
  void check_value_validation(const JSONSchemaProps& schema, const Path& at, bool int_or_string, int depth) {
    if (depth > kMaxDepth) return errors_.forbidden(at, fmt::format("nests deeper than {} levels", kMaxDepth));
    auto refuse = [&](bool used, std::string_view name, std::string_view why) {
      if (used) errors_.forbidden(at.child(name), why);
    };
    constexpr std::string_view kEmpty = "must be empty to be structural";
    constexpr std::string_view kUndefined = "must be undefined to be structural";
    constexpr std::string_view kFalse = "must be false to be structural";
    refuse(!schema.description.empty(), "description", kEmpty);
    const bool either = int_or_string && (schema.type == "integer" || schema.type == "string");
    refuse(!schema.type.empty() && !either, "type", kEmpty);
    refuse(!schema.title.empty(), "title", kEmpty);
    refuse(schema.default_.has_value(), "default", kUndefined);
    refuse(schema.nullable, "nullable", kFalse);
    refuse(schema.additional_properties.has_value(), "additionalProperties", kUndefined);
    refuse(schema.x_kubernetes_preserve_unknown_fields.has_value(), "x-kubernetes-preserve-unknown-fields", kUndefined);
    refuse(schema.x_kubernetes_embedded_resource, "x-kubernetes-embedded-resource", kFalse);
    refuse(schema.x_kubernetes_int_or_string, "x-kubernetes-int-or-string", kFalse);
    for (const auto& [name, property] : schema.properties) {
      check_value_validation(property, at.child("properties").key(name), false, depth + 1);
    }
    if (schema.items && schema.items->schema) {
      check_value_validation(*schema.items->schema, at.child("items"), false, depth + 1);
    }
    each_combination(schema, at, [&](const JSONSchemaProps& part, const Path& below) {
      check_value_validation(part, below, int_or_string, depth + 1);
    });
  }

  void check_default(const JSONSchemaProps& schema, const Path& at, bool root) {
    const Path place = at.child("default");
    if (!schema.pattern.empty() || !schema.enum_.empty() || schema.default_) {
      if (auto compiled = compile(without_children(schema)); !compiled.ok()) {
        const bool pattern = compiled.status().message().starts_with("pattern: ");
        return errors_.invalid(pattern ? at.child("pattern") : at,
                               pattern ? BadValue(schema.pattern) : BadValue::raw(""), compiled.status().message());
      }
    }
    if (!schema.default_) return;
    if (root) return errors_.forbidden(place, "must not be set at the root");
    auto compiled = compile(schema);
    auto parsed = schema.default_->empty() ? Value() : parse_value(schema.default_->text);
    if (!compiled.ok() || !parsed.ok()) return;  // reported where the fault is
    Value value = std::move(*parsed);
    if (value.is_null() && schema.nullable) return;
    std::vector<std::string> removed;
    prune(value, **compiled, false, &removed);
    for (const std::string& path : removed) {
      errors_.invalid(place, BadValue::raw(schema.default_->text), "must not have unknown fields: " + path);
    }
    validate(value, **compiled, place.str(), errors_);
  }

  static JSONSchemaProps without_children(const JSONSchemaProps& schema) {
    JSONSchemaProps alone = schema;
    alone.properties.clear();
    alone.additional_properties.reset();
    alone.items.reset();
    alone.all_of.clear();
    alone.any_of.clear();
    alone.one_of.clear();
    alone.not_.reset();
    return alone;
  }

  ErrorList& errors_;
};

}  // namespace

void check_schema(const JSONSchemaProps& schema, const Path& at, ErrorList& errors) {
  Checker(errors).check(schema, at, true);
}

bool has_rules(const JSONSchemaProps& schema) {
  if (!schema.x_kubernetes_validations.empty()) return true;
  auto any = [](const std::vector<JSONSchemaProps>& parts) { return std::ranges::any_of(parts, has_rules); };
  return std::ranges::any_of(schema.properties, [](const auto& each) { return has_rules(each.second); }) ||
         (schema.items && schema.items->schema && has_rules(*schema.items->schema)) ||
         (schema.additional_properties && schema.additional_properties->schema &&
          has_rules(*schema.additional_properties->schema)) ||
         any(schema.all_of) || any(schema.any_of) || any(schema.one_of) || (schema.not_ && has_rules(*schema.not_));
}

}  // namespace trireme::api::structural
