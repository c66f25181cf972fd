#include "api/structural/validate.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "api/object.h"
#include "api/structural/resource_members.h"
#include "api/types/metav1.h"

namespace trireme::api::structural {
namespace {

using validation::BadValue;
using validation::ErrorList;
using validation::Path;

std::string number_text(double number) {
  std::string text;
  append_json_double(number, text);
  return text;
}

/// "integer" for 1 and 1.0, as upstream tells them.
std::string_view type_of(const Value& value) {
  if (value.is_null()) return "null";
  if (value.is_bool()) return "boolean";
  if (value.is_string()) return "string";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return value.is_int() || std::trunc(value.as_double()) == value.as_double() ? "integer" : "number";
}

/// Characters, of which a byte that continues one is none.
int64_t length_of(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

BadValue shown(const Value& value) {
  if (value.is_string()) return value.as_string();
  return BadValue::raw(to_json(value));
}

class Validator {
 public:
  explicit Validator(ErrorList& errors) : errors_(errors) {}

  void check(const Value& value, const Schema& schema, const std::string& at) {
    if (value.is_null() && (schema.nullable || (schema.type == ValueType::kAny && !schema.int_or_string))) return;
    if (!check_type(value, schema, at)) return;
    const Rules& rules = schema.rules();
    if (!rules.enumeration.empty()) check_enumeration(value, rules, at);
    if (value.is_number()) check_number(value, rules, at);
    if (value.is_string()) check_string(value.as_string(), rules, at);
    if (value.is_array()) check_array(value.as_array(), schema, rules, at);
    if (value.is_object()) check_object(value, schema, rules, at);
    check_combinations(value, rules, at);
  }

 private:
  void type_error(const Value& value, const std::string& at, std::string_view type) {
    std::string_view given = type_of(value);
    errors_.type_invalid(Path(at), value.is_string() ? shown(value) : BadValue(std::string(given)),
                         fmt::format("{} in body must be of type {}: \"{}\"", at, type, given));
  }
  void invalid(const Value& value, const std::string& at, std::string_view detail) {
    errors_.invalid(Path(at), shown(value), fmt::format("{} in body {}", at, detail));
  }

  bool check_type(const Value& value, const Schema& schema, const std::string& at) {
    std::string_view given = type_of(value);
    if (schema.int_or_string) {
      if (given == "integer" || given == "string") return true;
      type_error(value, at, "integer,string");
      return false;
    }
    if (schema.type == ValueType::kAny || given == to_string(schema.type) ||
        (schema.type == ValueType::kNumber && given == "integer")) {
      return true;
    }
    type_error(value, at, to_string(schema.type));
    return false;
  }

  void check_enumeration(const Value& value, const Rules& rules, const std::string& at) {
    if (std::ranges::find(rules.enumeration, value) != rules.enumeration.end()) return;
    std::vector<std::string> texts;
    for (const Value& each : rules.enumeration) texts.push_back(each.is_string() ? each.as_string() : to_json(each));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    errors_.not_supported(Path(at), shown(value), validation::Supported(std::span(views)));
  }

  void check_number(const Value& value, const Rules& rules, const std::string& at) {
    const double number = value.as_double();
    if (rules.maximum && (rules.exclusive_maximum ? number >= *rules.maximum : number > *rules.maximum)) {
      invalid(value, at,
              fmt::format("should be less than {}{}", rules.exclusive_maximum ? "" : "or equal to ",
                          number_text(*rules.maximum)));
    }
    if (rules.minimum && (rules.exclusive_minimum ? number <= *rules.minimum : number < *rules.minimum)) {
      invalid(value, at,
              fmt::format("should be greater than {}{}", rules.exclusive_minimum ? "" : "or equal to ",
                          number_text(*rules.minimum)));
    }
    if (rules.multiple_of && *rules.multiple_of > 0) {
      const double quotient = number / *rules.multiple_of;
      if (std::abs(quotient - std::round(quotient)) > 1e-9) {
        invalid(value, at, "should be a multiple of " + number_text(*rules.multiple_of));
      }
    }
    constexpr double kLowest = std::numeric_limits<int32_t>::min();
    constexpr double kHighest = std::numeric_limits<int32_t>::max();
    if (rules.format == "int32" && (number < kLowest || number > kHighest)) {
      invalid(value, at, fmt::format("must be of type int32: \"{}\"", type_of(value)));
    }
  }

  void check_string(const std::string& text, const Rules& rules, const std::string& at) {
    if (rules.max_length && length_of(text) > *rules.max_length) {
      errors_.too_long(Path(at), static_cast<size_t>(std::max<int64_t>(*rules.max_length, 0)));
    }
    if (rules.min_length && length_of(text) < *rules.min_length) {
      invalid(text, at, fmt::format("should be at least {} chars long", *rules.min_length));
    }
    if (rules.pattern && !re2::RE2::PartialMatch(text, *rules.pattern)) {
      invalid(text, at, fmt::format("should match '{}'", rules.pattern_text));
    }
    if (!rules.format.empty() && !has_format(rules.format, text)) {
      errors_.type_invalid(Path(at), BadValue(text),
                           fmt::format("{} in body must be of type {}: {}", at, rules.format, go_quote(text)));
    }
  }

  void check_array(const Value::Array& array, const Schema& schema, const Rules& rules, const std::string& at) {
    const auto size = static_cast<int64_t>(array.size());
    if (rules.max_items && size > *rules.max_items) {
      errors_.too_many(Path(at), array.size(), static_cast<size_t>(std::max<int64_t>(*rules.max_items, 0)));
    }
    if (rules.min_items && size < *rules.min_items) {
      errors_.invalid(Path(at), BadValue(size),
                      fmt::format("{} in body should have at least {} items", at, *rules.min_items));
    }
    if (schema.items) {
      for (size_t i = 0; i < array.size(); ++i) check(array[i], *schema.items, fmt::format("{}[{}]", at, i));
    }
    if (rules.list_type == "set" || rules.list_type == "map") check_unique(array, rules, at);
  }

  /// Elements of a set, or of a map by its keys, that are there twice.
  void check_unique(const Value::Array& array, const Rules& rules, const std::string& at) {
    std::set<std::string> seen;
    for (size_t i = 0; i < array.size(); ++i) {
      Value identity = array[i];
      if (rules.list_type == "map") {
        if (!array[i].is_object()) continue;
        identity = Value::object();
        for (const std::string& key : rules.list_map_keys) {
          if (const Value* part = array[i].find(key)) identity[key] = *part;
        }
      }
      if (!seen.insert(to_json(identity)).second) errors_.duplicate(Path(at).index(i), shown(identity));
    }
  }

  void check_object(const Value& object, const Schema& schema, const Rules& rules, const std::string& at) {
    const Value::Map& members = object.as_object();
    const auto size = static_cast<int64_t>(members.size());
    if (rules.max_properties && size > *rules.max_properties) {
      errors_.too_many(Path(at), members.size(), static_cast<size_t>(std::max<int64_t>(*rules.max_properties, 0)));
    }
    if (rules.min_properties && size < *rules.min_properties) {
      errors_.invalid(Path(at), BadValue(size),
                      fmt::format("{} in body should have at least {} properties", at, *rules.min_properties));
    }
    const Path path(at);
    for (const std::string& name : rules.required) {
      if (object.find(name) == nullptr) errors_.required(path.child(name));
    }
    for (const auto& [name, member] : members) {
      if (const auto known = schema.properties.find(name); known != schema.properties.end()) {
        check(member, known->second, path.child(name).str());
      } else if (schema.additional_properties) {
        check(member, *schema.additional_properties, path.child(name).str());
      } else if (schema.additional_properties_refused) {
        errors_.invalid(path, BadValue::raw(""), fmt::format("{} is a forbidden property", path.child(name).str()));
      }
    }
    if (schema.embedded_resource) check_embedded(object, path);
  }

  void check_embedded(const Value& object, const Path& path) {
    for (const char* name : {"apiVersion", "kind"}) {
      const Value* text = object.find(name);
      if (text == nullptr || text->string_or_empty().empty()) {
        errors_.required(path.child(name), "must not be empty");
      }
    }
    if (const Value* metadata = object.find("metadata")) {
      if (auto typed = from_value(type_info<metav1::ObjectMeta>(), *metadata); !typed.ok()) {
        errors_.invalid(path.child("metadata"), shown(*metadata), typed.status().message());
      }
    }
  }

  static bool meets(const Value& value, const Schema& schema, const std::string& at) {
    ErrorList ignored;
    Validator(ignored).check(value, schema, at);
    return ignored.empty();
  }

  void check_combinations(const Value& value, const Rules& rules, const std::string& at) {
    auto refuse = [&](std::string_view detail) {
      errors_.invalid(Path(at), shown(value), fmt::format("\"{}\" must {}", at, detail));
    };
    auto count = [&](const std::vector<Schema>& list) {
      return std::ranges::count_if(list, [&](const Schema& each) { return meets(value, each, at); });
    };
    for (const Schema& each : rules.all_of) check(value, each, at);
    if (!rules.any_of.empty() && count(rules.any_of) == 0) {
      for (const Schema& each : rules.any_of) {
        ErrorList closest;
        Validator(closest).check(value, each, at);
        errors_.append(std::move(closest));
        break;
      }
      refuse("validate at least one schema (anyOf)");
    }
    if (!rules.one_of.empty()) {
      const auto valid = count(rules.one_of);
      if (valid != 1) {
        refuse(valid == 0
                   ? std::string("validate one and only one schema (oneOf). Found none valid")
                   : fmt::format("validate one and only one schema (oneOf). Found {} valid alternatives", valid));
      }
    }
    if (rules.negated && meets(value, *rules.negated, at)) refuse("not validate the schema (not)");
  }

  ErrorList& errors_;
};

}  // namespace

void validate(const Value& value, const Schema& schema, const std::string& at, ErrorList& errors) {
  Validator(errors).check(value, schema, at);
}

}  // namespace trireme::api::structural
