#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/value.h"
#include "base/result.h"

/// YAML as manifests are written in it. Plain scalars mean what they mean to kubectl: yes/no/on/off (and y/n) are
/// booleans, 0777 and 0o777 octal, 1_000 a number, timestamps strings. Quoted scalars stay strings. Stateless.
namespace trireme::api {

/// The first document; an empty text is null. BadRequest, with the line, for bad syntax, duplicate keys, keys that are
/// no scalars, infinities, and aliases that blow up.
Result<Value> parse_yaml(std::string_view yaml);
/// The same as JSON text. JSON passes through.
Result<std::string> yaml_to_json(std::string_view yaml);

/// The texts between lines that begin with `---`; blank ones are left out.
std::vector<std::string_view> split_yaml_documents(std::string_view yaml);

/// Block style, keys sorted, strings quoted where a reader would take them for something else. Ends with a newline.
std::string to_yaml(const Value& value);
Result<std::string> json_to_yaml(std::string_view json);

}  // namespace trireme::api
