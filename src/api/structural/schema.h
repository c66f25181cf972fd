#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/map.h"
#include "api/types/apiextensionsv1.h"
#include "api/value.h"
#include "base/result.h"

namespace re2 {
class RE2;
}

/// What a CustomResourceDefinition's OpenAPI schema says about objects: which members they have, what is filled in, and
/// what is allowed.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
namespace trireme::api::structural {

struct Schema;

/// What values must meet besides their type. Most levels of a schema have nothing of it.
struct Rules {
  std::string format;
  std::string list_type;  ///< "atomic", "set", "map"
  std::vector<std::string> list_map_keys;
  std::vector<std::string> required;
  std::vector<Value> enumeration;
  std::optional<double> minimum, maximum, multiple_of;
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<int64_t> min_length, max_length, min_items, max_items, min_properties, max_properties;
  std::string pattern_text;
  std::shared_ptr<const re2::RE2> pattern;
  std::vector<Schema> all_of, any_of, one_of;
  std::unique_ptr<const Schema> negated;
};

enum class ValueType : uint8_t { kAny, kObject, kArray, kString, kInteger, kNumber, kBoolean };
/// "object"; empty for any.
std::string_view to_string(ValueType type);

/// One level of a schema, ready for use, as small as can be: definitions have tens of thousands. Immutable after
/// `compile`; thread-safe.
struct Schema {
  ValueType type = ValueType::kAny;
  bool nullable : 1 = false;
  bool int_or_string : 1 = false;
  bool embedded_resource : 1 = false;
  bool preserve_unknown_fields : 1 = false;
  bool additional_properties_allowed : 1 = false;  ///< Said so, without a schema for them.
  bool additional_properties_refused : 1 = false;
  /// Whether some level below has a default, so that applying them is worth a walk.
  bool has_defaults : 1 = false;
  std::unique_ptr<const Value> default_value;
  Map<Schema> properties;
  std::unique_ptr<const Schema> additional_properties;
  std::unique_ptr<const Schema> items;
  std::unique_ptr<const Rules> own_rules;

  const Rules& rules() const;
};

/// Fails for a pattern that is no regular expression and for a default or enumerated value that is no JSON: such a
/// definition does not pass `check_schema`.
Result<std::shared_ptr<const Schema>> compile(const apiextensionsv1::JSONSchemaProps& props);

/// Removes the members that `schema` does not specify, as upstream prunes objects of structural schemas. The paths
/// of what was removed are added to `removed` ("spec.foo", "spec.list[2].bar"), when it is not null. With `resource`
/// the value is a whole resource, whose apiVersion, kind and metadata stay.
void prune(Value& value, const Schema& schema, bool resource, std::vector<std::string>* removed);

/// Fills in defaults, also where a field that may not be null is null; other nulls that may not be are removed.
void apply_defaults(Value& object, const Schema& schema);

}  // namespace trireme::api::structural
