#include "api/structural/schema.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "api/structural/resource_members.h"

namespace trireme::api::structural {
namespace {

using apiextensionsv1::JSONSchemaProps;
using apiextensionsv1::JSONSchemaPropsOrBool;

/// Memory that one pattern's automata may take.
constexpr int64_t kPatternMemory = 1 << 20;

Result<Value> parse_raw(const RawJson& raw) { return raw.empty() ? Value() : parse_value(raw.text); }

Result<Schema> compile_level(const JSONSchemaProps& props);

Result<std::unique_ptr<const Schema>> compile_child(const JSONSchemaProps& props) {
  TRY_ASSIGN(Schema schema, compile_level(props));
  return std::unique_ptr<const Schema>(std::make_unique<Schema>(std::move(schema)));
}

Result<std::vector<Schema>> compile_all(const std::vector<JSONSchemaProps>& list) {
  std::vector<Schema> compiled;
  for (const JSONSchemaProps& each : list) {
    TRY_ASSIGN(Schema schema, compile_level(each));
    compiled.push_back(std::move(schema));
  }
  return compiled;
}

Status compile_children(const JSONSchemaProps& props, Schema& schema) {
  for (const auto& [name, each] : props.properties) {
    TRY_ASSIGN(Schema property, compile_level(each));
    schema.has_defaults = schema.has_defaults || property.has_defaults || property.default_value != nullptr;
    schema.properties.emplace(name, std::move(property));
  }
  if (const auto& additional = props.additional_properties) {
    if (additional->schema) {
      TRY_ASSIGN(schema.additional_properties, compile_child(*additional->schema));
      schema.has_defaults = schema.has_defaults || schema.additional_properties->has_defaults ||
                            schema.additional_properties->default_value != nullptr;
    } else {
      schema.additional_properties_allowed = additional->allows;
      schema.additional_properties_refused = !additional->allows;
    }
  }
  if (props.items && props.items->schema) {
    TRY_ASSIGN(schema.items, compile_child(*props.items->schema));
    schema.has_defaults = schema.has_defaults || schema.items->has_defaults || schema.items->default_value != nullptr;
  }
  return {};
}

Result<std::shared_ptr<const re2::RE2>> compile_pattern(const std::string& text) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemory);
  auto pattern = std::make_shared<const re2::RE2>(text, options);
  if (!pattern->ok()) return Status::bad_request("pattern: " + pattern->error());
  return pattern;
}

bool has_rules_of_its_own(const JSONSchemaProps& props) {
  return !props.format.empty() || props.x_kubernetes_list_type || !props.required.empty() || !props.enum_.empty() ||
         props.minimum || props.maximum || props.multiple_of || props.min_length || props.max_length ||
         props.min_items || props.max_items || props.min_properties || props.max_properties || !props.pattern.empty() ||
         !props.all_of.empty() || !props.any_of.empty() || !props.one_of.empty() || props.not_;
}

Result<std::unique_ptr<const Rules>> compile_rules(const JSONSchemaProps& props) {
  auto rules = std::make_unique<Rules>();
  rules->format = props.format;
  if (props.x_kubernetes_list_type) rules->list_type = *props.x_kubernetes_list_type;
  rules->list_map_keys = props.x_kubernetes_list_map_keys;
  rules->required = props.required;
  for (const RawJson& each : props.enum_) {
    TRY_ASSIGN(Value value, parse_raw(each));
    rules->enumeration.push_back(std::move(value));
  }
  rules->minimum = props.minimum;
  rules->maximum = props.maximum;
  rules->multiple_of = props.multiple_of;
  rules->exclusive_minimum = props.exclusive_minimum;
  rules->exclusive_maximum = props.exclusive_maximum;
  rules->min_length = props.min_length;
  rules->max_length = props.max_length;
  rules->min_items = props.min_items;
  rules->max_items = props.max_items;
  rules->min_properties = props.min_properties;
  rules->max_properties = props.max_properties;
  if (!props.pattern.empty()) {
    TRY_ASSIGN(rules->pattern, compile_pattern(props.pattern));
    rules->pattern_text = props.pattern;
  }
  TRY_ASSIGN(rules->all_of, compile_all(props.all_of));
  TRY_ASSIGN(rules->any_of, compile_all(props.any_of));
  TRY_ASSIGN(rules->one_of, compile_all(props.one_of));
  if (props.not_) {
    TRY_ASSIGN(rules->negated, compile_child(*props.not_));
  }
  return std::unique_ptr<const Rules>(std::move(rules));
}

constexpr std::string_view kTypeNames[] = {"", "object", "array", "string", "integer", "number", "boolean"};

Result<Schema> compile_level(const JSONSchemaProps& props) {
  Schema schema;
  const auto name = std::ranges::find(kTypeNames, props.type);
  if (name == std::end(kTypeNames)) return Status::bad_request("type: there is no type " + props.type);
  schema.type = static_cast<ValueType>(name - std::begin(kTypeNames));
  schema.nullable = props.nullable;
  schema.int_or_string = props.x_kubernetes_int_or_string;
  schema.embedded_resource = props.x_kubernetes_embedded_resource;
  schema.preserve_unknown_fields = props.x_kubernetes_preserve_unknown_fields.value_or(false);
  if (props.default_) {
    TRY_ASSIGN(Value value, parse_raw(*props.default_));
    schema.default_value = std::make_unique<const Value>(std::move(value));
  }
  TRY(compile_children(props, schema));
  if (has_rules_of_its_own(props)) {
    TRY_ASSIGN(schema.own_rules, compile_rules(props));
  }
  return schema;
}

// Pruning

/// A chain on the stack that becomes text only for what was removed.
struct Place {
  const Place* parent = nullptr;
  std::string_view name;
  size_t index = 0;

  std::string to_string() const {
    std::string text = parent != nullptr ? parent->to_string() : "";
    if (name.empty()) return parent != nullptr ? text + fmt::format("[{}]", index) : text;
    if (!text.empty()) text += '.';
    return text.append(name);
  }
};

class Pruner {
 public:
  explicit Pruner(std::vector<std::string>* removed) : removed_(removed) {}

  void prune(Value& value, const Schema& schema, bool resource, const Place& place) {
    if (value.is_object()) {
      members(value, schema, resource || schema.embedded_resource, place);
    } else if (value.is_array() && schema.items) {
      size_t index = 0;
      for (Value& element : value.as_array()) {
        prune(element, *schema.items, schema.items->embedded_resource, Place{&place, {}, index++});
      }
    } else if (value.is_array() && !schema.preserve_unknown_fields) {
      // Elements that nothing is known of keep no members.
      static const Schema kNothing;
      size_t index = 0;
      for (Value& element : value.as_array()) prune(element, kNothing, false, Place{&place, {}, index++});
    }
  }

 private:
  void members(Value& value, const Schema& schema, bool resource, const Place& place) {
    std::vector<std::string> unknown;
    for (auto& [name, member] : value.as_object()) {
      if (resource && is_resource_member(name)) continue;
      const Place here{&place, name};
      if (const auto known = schema.properties.find(name); known != schema.properties.end()) {
        prune(member, known->second, false, here);
      } else if (schema.additional_properties) {
        prune(member, *schema.additional_properties, false, here);
      } else if (!schema.preserve_unknown_fields && !schema.additional_properties_allowed) {
        if (removed_ != nullptr) removed_->push_back(here.to_string());
        unknown.push_back(name);
      }
    }
    for (const std::string& name : unknown) value.erase(name);
  }

  std::vector<std::string>* removed_;
};

bool must_not_be_null(const Value& value, const Schema& schema) { return value.is_null() && !schema.nullable; }

}  // namespace

std::string_view to_string(ValueType type) { return kTypeNames[static_cast<size_t>(type)]; }

const Rules& Schema::rules() const {
  static const Rules kNone;
  return own_rules ? *own_rules : kNone;
}

Result<std::shared_ptr<const Schema>> compile(const JSONSchemaProps& props) {
  TRY_ASSIGN(Schema schema, compile_level(props));
  return std::shared_ptr<const Schema>(std::make_shared<Schema>(std::move(schema)));
}

void prune(Value& value, const Schema& schema, bool resource, std::vector<std::string>* removed) {
  Pruner(removed).prune(value, schema, resource, Place());
}

void apply_defaults(Value& object, const Schema& schema) {
  if (object.is_object()) {
    std::vector<std::string> nulls;
    for (const auto& [name, property] : schema.properties) {
      Value* member = object.find(name);
      if (property.default_value && (member == nullptr || must_not_be_null(*member, property))) {
        object[name] = *property.default_value;
        member = object.find(name);
      } else if (member != nullptr && must_not_be_null(*member, property)) {
        nulls.push_back(name);
      }
      if (member != nullptr) apply_defaults(*member, property);
    }
    if (schema.additional_properties) {
      const Schema& others = *schema.additional_properties;
      for (auto& [name, member] : object.as_object()) {
        if (schema.properties.contains(name)) continue;
        if (must_not_be_null(member, others)) {
          if (others.default_value) {
            member = *others.default_value;
          } else {
            nulls.push_back(name);
          }
        }
        apply_defaults(member, others);
      }
    }
    for (const std::string& name : nulls) object.erase(name);
  } else if (object.is_array() && schema.items) {
    for (Value& element : object.as_array()) {
      if (must_not_be_null(element, *schema.items) && schema.items->default_value) {
        element = *schema.items->default_value;
      }
      apply_defaults(element, *schema.items);
    }
  }
}

}  // namespace trireme::api::structural
