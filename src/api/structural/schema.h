#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// One level of a schema, ready for use. Immutable after `compile`; thread-safe.
struct Schema {
  std::string type;  ///< "object", "array", "string", "integer", "number", "boolean"; empty: any.
  std::string format;
  bool nullable = false;
  bool int_or_string = false;
  bool embedded_resource = false;
  bool preserve_unknown_fields = false;
  std::optional<Value> default_value;

  std::map<std::string, Schema, std::less<>> properties;
  std::unique_ptr<const Schema> additional_properties;
  bool additional_properties_allowed = false;  ///< Said so, without a schema for them.
  bool additional_properties_refused = false;
  std::unique_ptr<const Schema> items;
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

  /// Whether some level below has a default, so that applying them is worth a walk.
  bool has_defaults = false;
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
