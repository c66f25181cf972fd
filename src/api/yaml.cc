#include "api/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <istream>
#include <map>
#include <optional>
#include <set>
#include <streambuf>

#include "api/status_convert.h"

namespace trireme::api {
namespace {

/// Nodes that aliases may add to a document, against the "billion laughs".
constexpr size_t kMaxAliasedNodes = 100'000;
constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

/// Leaves the event handler; caught at the module's border.
struct YamlError {
  int line;
  std::string message;
};

bool is_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

/// Go's ParseInt with base 0: sign, then 0x, 0o, 0b, a leading 0 for octal, or decimal. Unsigned values beyond
/// int64 come back as double.
std::optional<Value> resolve_int(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    char kind = static_cast<char>(text[1] | 0x20);
    base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
    text.remove_prefix(kind == 'x' || kind == 'b' || kind == 'o' ? 2 : 1);
  }
  if (text.empty()) return std::nullopt;
  uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  constexpr uint64_t kLimit = uint64_t{1} << 63;
  if (negative && magnitude <= kLimit) return Value(static_cast<int64_t>(0 - magnitude));
  if (!negative && magnitude < kLimit) return Value(static_cast<int64_t>(magnitude));
  return Value(negative ? -static_cast<double>(magnitude) : static_cast<double>(magnitude));
}

std::optional<Value> resolve_float(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  // from_chars also takes "inf" and "nan", which are words here.
  if (digits.empty() || !((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '.')) return std::nullopt;
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Value(number);
}

/// What a plain scalar means by YAML 1.1 as go-yaml reads it.
Value resolve_plain(const std::string& text) {
  if (text.empty() || is_any(text, {"~", "null", "Null", "NULL"})) return Value();
  if (is_any(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})) return Value(true);
  if (is_any(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})) return Value(false);
  std::string_view unsigned_text = text;
  if (text[0] == '+' || text[0] == '-') unsigned_text.remove_prefix(1);
  if (is_any(unsigned_text, {".inf", ".Inf", ".INF"})) return Value(text[0] == '-' ? -HUGE_VAL : HUGE_VAL);
  if (is_any(text, {".nan", ".NaN", ".NAN"})) return Value(std::nan(""));
  char first = text[0];
  if (first == '.') return resolve_float(text).value_or(Value(text));
  if (first != '+' && first != '-' && (first < '0' || first > '9')) return Value(text);
  std::string digits = text;
  std::erase(digits, '_');
  if (auto whole = resolve_int(digits)) return *std::move(whole);
  return resolve_float(digits).value_or(Value(text));
}

size_t count_nodes(const Value& value) {
  size_t count = 1;
  if (value.is_array()) {
    for (const Value& element : value.as_array()) count += count_nodes(element);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.as_object()) count += count_nodes(member);
  }
  return count;
}

class Builder : public YAML::EventHandler {
 public:
  Value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(mark, Value(), anchor, false); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(mark, "anchor value contains itself");
    aliased_nodes_ += count_nodes(found->second);
    if (aliased_nodes_ > kMaxAliasedNodes) fail(mark, "document contains excessive aliasing");
    add(mark, Value(found->second), 0, false);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    bool plain = tag.empty() || tag == "?";
    add(mark, plain ? resolve_plain(text) : tagged(mark, tag, text), anchor, plain && text == "<<");
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, Value::array(), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, Value::object(), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YAML::Mark mark;
    YAML::anchor_t anchor;
    Value node;
    std::optional<std::string> key;  ///< read, its value still to come
    bool merge_key = false;          ///< that key is a plain "<<"
    std::vector<Value> merged;       ///< maps given with "<<"
  };

  [[noreturn]] static void fail(const YAML::Mark& mark, std::string message) {
    throw YamlError{mark.line + 1, std::move(message)};
  }

  static Value tagged(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    if (!tag.starts_with(kTagPrefix)) return Value(text);  // "!": quoted; or a tag of someone's own
    std::string_view name = std::string_view(tag).substr(kTagPrefix.size());
    if (!is_any(name, {"bool", "int", "float", "null"})) return Value(text);
    Value value = resolve_plain(text);
    if (name == "float" && value.is_int()) return Value(value.as_double());
    bool fits = name == "bool"   ? value.is_bool()
                : name == "int"  ? value.is_int()
                : name == "null" ? value.is_null()
                                 : value.is_double();
    if (!fits) fail(mark, fmt::format("cannot decode `{}` as a !!{}", text, name));
    return value;
  }

  void open(const YAML::Mark& mark, Value node, YAML::anchor_t anchor) {
    if (!stack_.empty() && stack_.back().node.is_object() && !stack_.back().key) fail(mark, "invalid map key");
    if (stack_.size() >= static_cast<size_t>(kMaxJsonDepth)) fail(mark, "nested too deeply");
    stack_.push_back({mark, anchor, std::move(node), std::nullopt, false, {}});
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    // What the map itself says wins over what it merges, and earlier merges win over later ones.
    for (Value& merged : frame.merged) {
      for (auto& [key, member] : merged.as_object()) frame.node.as_object().try_emplace(key, std::move(member));
    }
    add(frame.mark, std::move(frame.node), frame.anchor, false);
  }

  void add(const YAML::Mark& mark, Value value, YAML::anchor_t anchor, bool is_merge) {
    if (anchor != 0) anchors_[anchor] = value;
    if (value.is_double() && !std::isfinite(value.as_double())) fail(mark, "infinities and NaN have no JSON form");
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& top = stack_.back();
    if (top.node.is_array()) {
      top.node.push_back(std::move(value));
    } else if (!top.key) {
      top.key = key_text(mark, value);
      top.merge_key = is_merge;
    } else if (top.merge_key) {
      merge(mark, top, std::move(value));
      top.key.reset();
    } else {
      auto [at, added] = top.node.as_object().try_emplace(*std::exchange(top.key, std::nullopt), std::move(value));
      if (!added) fail(mark, fmt::format("key {} already set in map", go_quote(at->first)));
    }
  }

  static void merge(const YAML::Mark& mark, Frame& top, Value value) {
    if (value.is_object()) {
      top.merged.push_back(std::move(value));
      return;
    }
    if (!value.is_array()) fail(mark, "map merge requires map or sequence of maps as the value");
    for (Value& element : value.as_array()) {
      if (!element.is_object()) fail(mark, "map merge requires map or sequence of maps as the value");
      top.merged.push_back(std::move(element));
    }
  }

  static std::string key_text(const YAML::Mark& mark, const Value& key) {
    if (key.is_string()) return key.as_string();
    if (key.is_bool() || key.is_number()) return to_json(key);
    fail(mark, "invalid map key");
  }

  Value root_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Value> anchors_;
  size_t aliased_nodes_ = 0;
};

/// Reads a string_view without copying it.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // only ever read
    setg(begin, begin, begin + text.size());
  }
};

Status conversion_error(int line, std::string_view message) {
  std::string at = line > 0 ? fmt::format("line {}: ", line) : "";
  return Status::bad_request(fmt::format("error converting YAML to JSON: yaml: {}{}", at, message));
}

/// YAML 1.1 readers take "2026-11-24" and what begins so for a date, not for text.
bool looks_like_date(std::string_view text) {
  auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '9'; };
  return text.size() >= 8 && digit(0) && digit(1) && digit(2) && digit(3) && text[4] == '-' && digit(5);
}

void emit(YAML::Emitter& out, const Value& value) {
  if (value.is_null()) {
    out << YAML::Null;
  } else if (value.is_array()) {
    if (value.as_array().empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Value& element : value.as_array()) emit(out, element);
    out << YAML::EndSeq;
  } else if (value.is_object()) {
    if (value.as_object().empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.as_object()) {
      out << YAML::Key;
      emit(out, Value(key));
      out << YAML::Value;
      emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_string()) {
    const std::string& text = value.as_string();
    bool lines = text.find('\n') != std::string::npos;
    bool odd =
        std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n'; });
    // A literal block cannot begin with blanks, and always ends with one line break.
    if (lines && !odd && text[0] != ' ' && text[0] != '\n' && text.back() == '\n' && !text.ends_with("\n\n")) {
      out << YAML::Literal << text.substr(0, text.size() - 1);
    } else if (lines || odd || !resolve_plain(text).is_string() || looks_like_date(text) || text.starts_with("=") ||
               text == "<<") {
      out << YAML::DoubleQuoted << text;
    } else {
      out << text;
    }
  } else {
    out << to_json(value);
  }
}

}  // namespace

Result<Value> parse_yaml(std::string_view yaml) {
  // JSON is YAML, and its own parser is faster and stricter.
  size_t first = yaml.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && yaml[first] == '{') {
    if (auto json = parse_value(yaml); json.ok()) return json;
  }
  try {
    ViewBuffer buffer(yaml);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder;
    parser.HandleNextDocument(builder);
    return builder.take();
  } catch (const YamlError& error) {
    return conversion_error(error.line, error.message);
  } catch (const YAML::Exception& error) {
    return conversion_error(error.mark.line + 1, error.msg);
  } catch (const std::exception& error) {
    return conversion_error(0, error.what());
  }
}

Result<std::string> yaml_to_json(std::string_view yaml) {
  TRY_ASSIGN(Value value, parse_yaml(yaml));
  return to_json(value);
}

std::vector<std::string_view> split_yaml_documents(std::string_view yaml) {
  std::vector<std::string_view> documents;
  auto keep = [&](std::string_view document) {
    bool blank = true;
    for (size_t at = 0; at < document.size() && blank;) {
      size_t end = std::min(document.find('\n', at), document.size());
      size_t text = document.find_first_not_of(" \t\r", at);
      blank = text >= end || document[text] == '#';
      at = end + 1;
    }
    if (!blank) documents.push_back(document);
  };
  size_t start = 0;
  for (size_t line = 0; line < yaml.size();) {
    size_t end = std::min(yaml.find('\n', line), yaml.size());
    std::string_view text = yaml.substr(line, end - line);
    if (text.starts_with("---") && (text.size() == 3 || text[3] == ' ' || text[3] == '\t' || text[3] == '\r')) {
      keep(yaml.substr(start, line - start));
      // Content may follow on the separator's line: YAML reads it with the document.
      start = line;
      if (text.find_first_not_of(" \t\r", 3) == std::string_view::npos) start = std::min(end + 1, yaml.size());
    }
    line = end + 1;
  }
  keep(yaml.substr(start));
  return documents;
}

std::string to_yaml(const Value& value) {
  YAML::Emitter out;
  out.SetIndent(2);
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

Result<std::string> json_to_yaml(std::string_view json) {
  TRY_ASSIGN(Value value, parse_value(json));
  return to_yaml(value);
}

}  // namespace trireme::api
