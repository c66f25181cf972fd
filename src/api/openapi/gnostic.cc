#include "api/openapi/gnostic.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>

namespace trireme::api::openapi {
namespace {

void append_varint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

void append_bool(int number, bool value, std::string& out) {
  append_varint(static_cast<uint64_t>(number) << 3, out);
  out += value ? '\1' : '\0';
}

/// Any: the YAML (here always JSON) text of a value.
std::string any(const Value& value) {
  std::string out;
  append_proto_field(2, to_json(value), out);
  return out;
}

/// How a member of a JSON object becomes a field of the message.
enum class Form { kText, kTexts, kBool, kAny, kAnys };

struct Row {
  std::string_view member;
  int number;
  Form form;
};

bool append_row(const Row& row, const Value& value, std::string& out) {
  switch (row.form) {
    case Form::kText:
      append_proto_field(row.number, value.string_or_empty(), out);
      return true;
    case Form::kBool:
      append_bool(row.number, value.is_bool() && value.as_bool(), out);
      return true;
    case Form::kAny:
      append_proto_field(row.number, any(value), out);
      return true;
    case Form::kTexts:
    case Form::kAnys:
      if (!value.is_array()) return false;
      for (const Value& element : value.as_array()) {
        append_proto_field(row.number, row.form == Form::kTexts ? std::string(element.string_or_empty()) : any(element),
                           out);
      }
      return true;
  }
  return false;
}

/// Appends the members that `rows` know, and extensions as field `extensions`; hands the rest to `other`.
template <typename Rows, typename Other>
std::string message(const Value& object, const Rows& rows, int extensions, Other other) {
  std::string out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.as_object()) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return one.member == key; });
    if (row != rows.end()) {
      append_row(*row, value, out);
    } else if (key.starts_with("x-")) {
      append_proto_named(extensions, key, any(value), out);
    } else {
      other(key, value, out);
    }
  }
  return out;
}

/// A message that only wraps another: the `oneof`s and the lists of one.
std::string wrapped(int number, std::string_view bytes) {
  std::string out;
  append_proto_field(number, bytes, out);
  return out;
}

constexpr std::array kSchemaRows{
    Row{"$ref", 1, Form::kText},         Row{"format", 2, Form::kText},     Row{"title", 3, Form::kText},
    Row{"description", 4, Form::kText},  Row{"default", 5, Form::kAny},     Row{"pattern", 13, Form::kText},
    Row{"uniqueItems", 16, Form::kBool}, Row{"required", 19, Form::kTexts}, Row{"enum", 20, Form::kAnys}};
constexpr std::array kOperationRows{Row{"tags", 1, Form::kTexts},       Row{"summary", 2, Form::kText},
                                    Row{"description", 3, Form::kText}, Row{"operationId", 5, Form::kText},
                                    Row{"produces", 6, Form::kTexts},   Row{"consumes", 7, Form::kTexts},
                                    Row{"schemes", 10, Form::kTexts},   Row{"deprecated", 11, Form::kBool}};
constexpr std::array kBodyRows{Row{"description", 1, Form::kText}, Row{"name", 2, Form::kText},
                               Row{"in", 3, Form::kText}, Row{"required", 4, Form::kBool}};
// The same but for the numbers: a query parameter can also be allowed to be empty.
constexpr std::array kQueryRows{Row{"required", 1, Form::kBool},    Row{"in", 2, Form::kText},
                                Row{"description", 3, Form::kText}, Row{"name", 4, Form::kText},
                                Row{"type", 6, Form::kText},        Row{"format", 7, Form::kText},
                                Row{"uniqueItems", 20, Form::kBool}};
constexpr std::array kPathRows{Row{"required", 1, Form::kBool},    Row{"in", 2, Form::kText},
                               Row{"description", 3, Form::kText}, Row{"name", 4, Form::kText},
                               Row{"type", 5, Form::kText},        Row{"format", 6, Form::kText},
                               Row{"uniqueItems", 19, Form::kBool}};
constexpr std::array kResponseRows{Row{"description", 1, Form::kText}};
constexpr std::array<Row, 0> kNoRows{};

constexpr auto kNothing = [](const std::string&, const Value&, std::string&) {};

std::string parameter(const Value& value) {
  const Value* in = value.find("in");
  std::string_view place = in == nullptr ? std::string_view() : in->string_or_empty();
  // ParametersItem > Parameter > BodyParameter, or NonBodyParameter and its kind.
  if (place == "body") {
    std::string body = message(value, kBodyRows, 6, [](const std::string& key, const Value& member, std::string& out) {
      if (key == "schema") append_proto_field(5, gnostic_schema(member), out);
    });
    return wrapped(1, wrapped(1, body));
  }
  std::string inner = place == "path" ? wrapped(4, message(value, kPathRows, 22, kNothing))
                                      : wrapped(3, message(value, kQueryRows, 23, kNothing));
  return wrapped(1, wrapped(2, inner));
}

void append_parameters(int number, const Value& list, std::string& out) {
  if (!list.is_array()) return;
  for (const Value& one : list.as_array()) append_proto_field(number, parameter(one), out);
}

std::string responses(const Value& object) {
  return message(object, kNoRows, 2, [](const std::string& code, const Value& value, std::string& out) {
    std::string response =
        message(value, kResponseRows, 5, [](const std::string& key, const Value& member, std::string& to) {
          if (key == "schema") append_proto_field(2, wrapped(1, gnostic_schema(member)), to);
        });
    append_proto_named(1, code, wrapped(1, response), out);
  });
}

std::string operation(const Value& object) {
  return message(object, kOperationRows, 13, [](const std::string& key, const Value& value, std::string& out) {
    if (key == "parameters") append_parameters(8, value, out);
    if (key == "responses") append_proto_field(9, responses(value), out);
  });
}

}  // namespace

void append_proto_field(int number, std::string_view bytes, std::string& out) {
  append_varint(static_cast<uint64_t>(number) << 3 | 2, out);
  append_varint(bytes.size(), out);
  out += bytes;
}

void append_proto_named(int number, std::string_view name, std::string_view value, std::string& out) {
  std::string named;
  append_proto_field(1, name, named);
  append_proto_field(2, value, named);
  append_proto_field(number, named, out);
}

std::string gnostic_schema(const Value& schema) {
  return message(schema, kSchemaRows, 31, [](const std::string& key, const Value& value, std::string& out) {
    if (key == "additionalProperties") {
      append_proto_field(21, wrapped(1, gnostic_schema(value)), out);
    } else if (key == "type") {
      append_proto_field(22, wrapped(1, value.string_or_empty()), out);
    } else if (key == "items") {
      append_proto_field(23, wrapped(1, gnostic_schema(value)), out);
    } else if (key == "properties" && value.is_object()) {
      std::string properties;
      for (const auto& [name, property] : value.as_object())
        append_proto_named(1, name, gnostic_schema(property), properties);
      append_proto_field(25, properties, out);
    }
  });
}

std::string gnostic_path_item(const Value& item) {
  static constexpr std::array<std::pair<std::string_view, int>, 7> kMethods{
      {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"options", 6}, {"head", 7}, {"patch", 8}}};
  return message(item, kNoRows, 10, [](const std::string& key, const Value& value, std::string& out) {
    if (key == "parameters") append_parameters(9, value, out);
    for (const auto& [method, number] : kMethods) {
      if (key == method) append_proto_field(number, operation(value), out);
    }
  });
}

}  // namespace trireme::api::openapi
