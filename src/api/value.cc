#include "api/value.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "api/codec.h"
#include "api/object.h"

namespace trireme::api {
namespace {

namespace ondemand = simdjson::ondemand;

Status malformed(std::string_view what) { return Status::bad_request("invalid JSON: " + std::string(what)); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// simdjson hands out number tokens unchecked; this is the grammar of RFC 8259 section 6.
bool is_json_number(std::string_view text, bool& integral) {
  size_t i = 0;
  auto digits = [&] {
    size_t start = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i > start;
  };
  if (i < text.size() && text[i] == '-') ++i;
  if (i < text.size() && text[i] == '0') {
    ++i;
  } else if (!digits()) {
    return false;
  }
  integral = i == text.size();
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == text.size();
}

Result<Value> number(std::string_view token) {
  while (!token.empty() &&
         (token.back() == ' ' || token.back() == '\t' || token.back() == '\n' || token.back() == '\r'))
    token.remove_suffix(1);
  bool integral = false;
  if (!is_json_number(token, integral)) return malformed("bad number \"" + std::string(token.substr(0, 64)) + "\"");
  const char* end = token.data() + token.size();
  if (integral) {
    int64_t whole = 0;
    if (auto [at, error] = std::from_chars(token.data(), end, whole); error == std::errc() && at == end)
      return Value(whole);
  }
  double real = 0;
  auto [at, error] = std::from_chars(token.data(), end, real);
  // Too small is zero to Go; too large it refuses. from_chars does not tell which.
  if (error == std::errc::result_out_of_range && std::abs(std::strtod(std::string(token).c_str(), nullptr)) < 1)
    return Value(0.0);
  if (error != std::errc() || at != end) return malformed("number out of range");
  return Value(real);
}

class Parser {
 public:
  Status parse(ondemand::value json, int depth, Value& out) {
    ondemand::json_type type;
    if (auto error = json.type().get(type)) return failed(error);
    switch (type) {
      case ondemand::json_type::object:
        return parse_object(json, depth, out);
      case ondemand::json_type::array:
        return parse_array(json, depth, out);
      case ondemand::json_type::string: {
        std::string_view text;
        if (auto error = json.get_string().get(text)) return failed(error);
        out = Value(text);
        return {};
      }
      case ondemand::json_type::number: {
        TRY_ASSIGN(out, number(json.raw_json_token()));
        // raw_json_token peeks; this steps over the token.
        return {};
      }
      case ondemand::json_type::boolean: {
        bool flag = false;
        if (auto error = json.get_bool().get(flag)) return failed(error);
        out = Value(flag);
        return {};
      }
      case ondemand::json_type::null: {
        std::string_view token = json.raw_json_token();
        if (token.substr(0, 4) != "null" || token.find_first_not_of(" \t\r\n", 4) != std::string_view::npos)
          return malformed("bad literal");
        out = Value();
        return {};
      }
      default:
        return malformed("unexpected character");
    }
  }

 private:
  static Status failed(simdjson::error_code error) { return malformed(simdjson::error_message(error)); }

  Status parse_object(ondemand::value& json, int depth, Value& out) {
    if (depth >= kMaxJsonDepth) return malformed("nested too deeply");
    ondemand::object object;
    if (auto error = json.get_object().get(object)) return failed(error);
    Value::Map members;
    for (auto entry : object) {
      ondemand::field field;
      if (auto error = std::move(entry).get(field)) return failed(error);
      std::string_view raw_key;
      if (auto error = field.unescaped_key().get(raw_key)) return failed(error);
      std::string key(raw_key);
      TRY(parse(field.value(), depth + 1, members[std::move(key)]));
    }
    out = Value(std::move(members));
    return {};
  }

  Status parse_array(ondemand::value& json, int depth, Value& out) {
    if (depth >= kMaxJsonDepth) return malformed("nested too deeply");
    ondemand::array array;
    if (auto error = json.get_array().get(array)) return failed(error);
    Value::Array elements;
    for (auto entry : array) {
      ondemand::value element;
      if (auto error = std::move(entry).get(element)) return failed(error);
      TRY(parse(element, depth + 1, elements.emplace_back()));
    }
    out = Value(std::move(elements));
    return {};
  }
};

/// The length of the well-formed UTF-8 sequence at the front of `text`, or 0.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and code points beyond U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
      (lead == 0xF4 && byte(1) > 0x8F))
    return 0;
  return length;
}

}  // namespace

Value::Value(const Value& other) {
  if (other.is_object()) {
    data_ = std::make_unique<Map>(other.as_object());
  } else {
    std::visit(
        [this](const auto& held) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(held)>, std::unique_ptr<Map>>) data_ = held;
        },
        other.data_);
  }
}

Value& Value::operator=(const Value& other) {
  if (this != &other) *this = Value(other);
  return *this;
}

Value& Value::operator=(Value&& other) noexcept {
  // By way of a temporary: `other` may be a part of this value.
  Data taken = std::exchange(other.data_, Data());
  data_ = std::move(taken);
  return *this;
}

std::string_view Value::type_name() const {
  static constexpr std::array<std::string_view, 7> kNames{"null",   "bool",  "number", "number",
                                                          "string", "array", "object"};
  return kNames[data_.index()];
}

const Value* Value::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  auto found = as_object().find(key);
  return found == as_object().end() ? nullptr : &found->second;
}

const Value* Value::at_path(std::initializer_list<std::string_view> path) const {
  const Value* at = this;
  for (std::string_view step : path) {
    if (at->is_array()) {
      size_t index = 0;
      auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error != std::errc() || end != step.data() + step.size() || index >= at->as_array().size()) return nullptr;
      at = &at->as_array()[index];
    } else {
      at = at->find(step);
      if (at == nullptr) return nullptr;
    }
  }
  return at;
}

Value& Value::operator[](std::string_view key) {
  if (is_null()) *this = object();
  Map& members = as_object();
  auto found = members.lower_bound(key);
  if (found == members.end() || found->first != key) found = members.emplace_hint(found, std::string(key), Value());
  return found->second;
}

bool Value::erase(std::string_view key) {
  if (!is_object()) return false;
  auto found = as_object().find(key);
  if (found == as_object().end()) return false;
  as_object().erase(found);
  return true;
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is_int() && other.is_int()) return as_int() == other.as_int();
    return as_double() == other.as_double();
  }
  if (data_.index() != other.data_.index()) return false;
  return is_object() ? as_object() == other.as_object() : data_ == other.data_;
}

Result<Value> parse_value(std::string_view json) {
  // Standing in an array, every document (scalars too) is read by the same code.
  std::string wrapped;
  wrapped.reserve(json.size() + 2 + simdjson::SIMDJSON_PADDING);
  wrapped += '[';
  wrapped += json;
  wrapped += ']';
  ondemand::parser parser;
  if (auto error = parser.allocate(wrapped.size(), kMaxJsonDepth + 8)) return malformed(simdjson::error_message(error));
  ondemand::document document;
  if (auto error = parser.iterate(wrapped.data(), wrapped.size(), wrapped.capacity()).get(document))
    return malformed(simdjson::error_message(error));
  ondemand::array array;
  if (auto error = document.get_array().get(array)) return malformed(simdjson::error_message(error));
  Value result;
  int count = 0;
  for (auto entry : array) {
    ondemand::value element;
    if (auto error = std::move(entry).get(element)) return malformed(simdjson::error_message(error));
    if (++count > 1) return malformed("unexpected data after the document");
    TRY(Parser().parse(element, 0, result));
  }
  if (count == 0) return malformed("unexpected end of JSON input");
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return malformed("unexpected data after the document");
  return result;
}

void append_json_double(double number, std::string& out) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  double magnitude = std::abs(number);
  bool exponent = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  std::array<char, 400> buffer;
  auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                    exponent || magnitude >= 0x1p53 ? std::chars_format::scientific : std::chars_format::fixed);
  std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  if (!exponent && magnitude < 0x1p53) {
    out += text;
  } else if (exponent) {
    // Go writes e-7 where C++ writes e-07.
    size_t e = text.find('e');
    out += text.substr(0, e + 2);
    std::string_view power = text.substr(e + 2);
    out += power.size() == 2 && power[0] == '0' ? power.substr(1) : power;
  } else {
    // C++ writes all digits of the binary value; Go only those that identify it, then zeros.
    std::string digits;
    size_t e = text.find('e');
    for (char c : text.substr(0, e)) {
      if (c != '.') digits += c;
    }
    int power = 0;
    std::from_chars(text.data() + e + 2, text.data() + text.size(), power);
    digits.resize(static_cast<size_t>(power) + 1 + (number < 0 ? 1 : 0), '0');
    out += digits;
  }
}

void append_json_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t plain = 0;  // everything before it is written
  size_t i = 0;
  auto replace = [&](std::string_view with, size_t length) {
    out += text.substr(plain, i - plain);
    out += with;
    i += length;
    plain = i;
  };
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == '"') {
      replace("\\\"", 1);
    } else if (c == '\\') {
      replace("\\\\", 1);
    } else if (c < 0x20) {
      const char code[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      switch (c) {
        case '\b':
          replace("\\b", 1);
          break;
        case '\f':
          replace("\\f", 1);
          break;
        case '\n':
          replace("\\n", 1);
          break;
        case '\r':
          replace("\\r", 1);
          break;
        case '\t':
          replace("\\t", 1);
          break;
        default:
          replace({code, sizeof(code)}, 1);
      }
    } else if (c < 0x80) {
      ++i;
    } else {
      size_t length = utf8_length(text.substr(i));
      if (length == 0) {
        replace("\xEF\xBF\xBD", 1);
      } else if (text.substr(i, 3) == "\u2028" || text.substr(i, 3) == "\u2029") {
        replace(text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029", 3);
      } else {
        i += length;
      }
    }
  }
  out += text.substr(plain);
  out += '"';
}

void append_json(const Value& value, std::string& out) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += std::to_string(value.as_int());
  } else if (value.is_double()) {
    append_json_double(value.as_double(), out);
  } else if (value.is_string()) {
    append_json_string(value.as_string(), out);
  } else if (value.is_array()) {
    out += '[';
    bool first = true;
    for (const Value& element : value.as_array()) {
      if (!std::exchange(first, false)) out += ',';
      append_json(element, out);
    }
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : value.as_object()) {
      if (!std::exchange(first, false)) out += ',';
      append_json_string(key, out);
      out += ':';
      append_json(member, out);
    }
    out += '}';
  }
}

std::string to_json(const Value& value) {
  std::string out;
  append_json(value, out);
  return out;
}

Result<Value> to_value(const TypeInfo& type, const void* object) {
  std::string json;
  append_json(type, object, json);
  return parse_value(json);
}

Result<Value> to_value(const Object& object) { return to_value(object.type(), object.data()); }

Result<Object> from_value(const TypeInfo& type, const Value& value) {
  Object object(type);
  TRY(parse_json(type, to_json(value), object.data()));
  return object;
}

}  // namespace trireme::api
