#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <bitset>
#include <limits>

#include "api/codec.h"
#include "api/int_or_string.h"
#include "api/json_syntax.h"
#include "api/map.h"
#include "api/raw_json.h"
#include "api/time.h"
#include "api/value.h"
#include "base/base64.h"
#include "base/quantity.h"

namespace trireme::api {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::ondemand::json_type;

/// Far above what real objects nest (their schemas are a dozen levels deep), far below what a stack holds.
constexpr int kMaxDepth = 300;
/// Upstream too stops collecting notes somewhere.
constexpr size_t kMaxNotes = 100;
/// A parser that grew beyond this is not kept by its thread.
constexpr size_t kKeptCapacity = 1 << 20;

/// Where the decoder stands; a chain on the stack that becomes text only for notes and errors.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;  // of a field or map key; empty for an element
  size_t index = 0;
  bool is_map_key = false;

  std::string to_string(bool with_indexes) const {
    std::string text = parent != nullptr ? parent->to_string(with_indexes) : "";
    if (!name.empty()) {
      if (!text.empty()) text += '.';
      text += name;
    } else if (with_indexes && parent != nullptr) {
      text += '[' + std::to_string(index) + ']';
    }
    return text;
  }
  /// As Go names fields in errors: without indexes and map keys.
  std::string field_path() const {
    std::string text = parent != nullptr ? parent->field_path() : "";
    if (name.empty() || is_map_key) return text;
    if (!text.empty()) text += '.';
    return text += name;
  }
};

std::string_view go_name(json_type type) {
  switch (type) {
    case json_type::array:
      return "array";
    case json_type::object:
      return "object";
    case json_type::number:
      return "number";
    case json_type::string:
      return "string";
    case json_type::boolean:
      return "bool";
    default:
      return "null";
  }
}

std::string go_name(const FieldInfo& field, bool element) {
  static constexpr std::string_view kNames[] = {"bool",
                                                "int32",
                                                "int64",
                                                "float64",
                                                "string",
                                                "[]uint8",
                                                "v1.Time",
                                                "v1.MicroTime",
                                                "v1.Duration",
                                                "resource.Quantity",
                                                "intstr.IntOrString",
                                                "json.RawMessage"};
  std::string name(field.kind == FieldKind::kStruct ? "" : kNames[static_cast<size_t>(field.kind)]);
  if (field.kind == FieldKind::kStruct) {
    // "io.k8s.api.core.v1.Pod" is v1.Pod in Go.
    const std::string_view schema = field.type->schema_name;
    const size_t last = schema.rfind('.');
    name = schema.substr(schema.rfind('.', last - 1) + 1);
  }
  if (element) return name;
  switch (field.shape) {
    case FieldShape::kSlice:
      return "[]" + name;
    case FieldShape::kMap:
      return "map[string]" + name;
    case FieldShape::kMapOfSlices:
      return "map[string][]" + name;
    default:
      return name;
  }
}

Status syntax_error(simdjson::error_code error) {
  return Status::bad_request(std::string("json: invalid document: ") + simdjson::error_message(error));
}

/// A thread's parser and its padded copy of the input.
struct Scratch {
  ondemand::parser parser;
  simdjson::dom::parser validator;
  std::string buffer;

  void trim() {
    if (buffer.capacity() <= kKeptCapacity) return;
    *this = Scratch();
  }
};

Scratch& scratch() {
  static thread_local Scratch instance;
  return instance;
}

#define TRY_JSON(expression)                                                           \
  do {                                                                                 \
    if (const simdjson::error_code error_ = (expression)) return syntax_error(error_); \
  } while (false)

class Reader {
 public:
  Reader(Scratch& scratch, DecodeNotes* notes) : scratch_(scratch), notes_(notes) {}

  Status object(const TypeInfo& type, ondemand::object& json, void* target, const Path* path, int depth) {
    if (depth > kMaxDepth) return Status::bad_request("json: exceeded max depth");
    std::bitset<256> seen;
    size_t hint = 0;
    for (auto entry : json) {
      ondemand::field member;
      TRY_JSON(std::move(entry).get(member));
      std::string_view name;
      TRY_JSON(member.unescaped_key().get(name));
      ondemand::value value = member.value();
      const Path here{path, name};
      if (!type.kind.empty() && (name == "kind" || name == "apiVersion")) {
        TRY(type_meta(name, value, here, seen));
        continue;
      }
      const Found found = find(type, name, target, hint);
      if (found.field != nullptr && found.field->json_name.empty()) {
        TRY(member_of_rest(name, value, static_cast<RawJson*>(found.member)->text, here));
        continue;
      }
      if (found.field == nullptr) {
        if (notes_ != nullptr && notes_->unknown.size() < kMaxNotes) {
          notes_->unknown.push_back("unknown field \"" + here.to_string(true) + "\"");
        }
        TRY(skip(value));
        continue;
      }
      note_duplicate(seen, found.index, here);
      TRY(field(type, *found.field, value, found.member, here, depth));
    }
    return {};
  }

 private:
  struct Found {
    const FieldInfo* field = nullptr;
    void* member = nullptr;
    size_t index = 0;  // among all fields at this level of the JSON
  };

  /// Finds a field at this level, inlined structs included. `hint` is where the last one was found: documents mostly
  /// keep some order.
  static Found find(const TypeInfo& type, std::string_view name, void* object, size_t& hint) {
    const size_t count = type.fields.size();
    for (size_t i = 0, at = hint; i < count; ++i, ++at) {
      if (at >= count) at = 0;
      const FieldInfo& field = type.fields[at];
      if (field.json_name.size() == name.size() && field.json_name == name && !name.empty()) {
        hint = at + 1;
        return {&field, static_cast<char*>(object) + field.offset, at};
      }
    }
    size_t base = count;
    for (const FieldInfo& field : type.fields) {
      if (!field.json_name.empty()) continue;
      if (field.kind == FieldKind::kRawJson) return {&field, static_cast<char*>(object) + field.offset, base};
      size_t inner_hint = 0;
      Found found = find(*field.type, name, static_cast<char*>(object) + field.offset, inner_hint);
      found.index += base;
      if (found.field != nullptr) return found;
      base += field.type->fields.size();
    }
    return {};
  }

  void note_duplicate(std::bitset<256>& seen, size_t index, const Path& path) {
    if (notes_ == nullptr || index >= seen.size()) return;
    if (seen[index] && notes_->duplicate.size() < kMaxNotes) {
      notes_->duplicate.push_back("duplicate field \"" + path.to_string(true) + "\"");
    }
    seen.set(index);
  }

  /// kind and apiVersion: the caller chose the type by them; here they only must be strings.
  Status type_meta(std::string_view name, ondemand::value& value, const Path& path, std::bitset<256>& seen) {
    note_duplicate(seen, name == "kind" ? 255 : 254, path);
    json_type type;
    TRY_JSON(value.type().get(type));
    if (type == json_type::null) return skip(value);
    if (type != json_type::string) {
      return Status::bad_request(
          fmt::format("json: cannot unmarshal {} into Go struct field TypeMeta.{} of type string", go_name(type),
                      path.field_path()));
    }
    std::string_view text;
    TRY_JSON(value.get_string().get(text));
    return {};
  }

  Status mismatch(const TypeInfo& owner, const FieldInfo& field, std::string_view found, const Path& path,
                  bool element) {
    return Status::bad_request(fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type {}", found,
                                           owner.name, path.field_path(), go_name(field, element)));
  }

  Status field(const TypeInfo& owner, const FieldInfo& field, ondemand::value& value, void* member, const Path& path,
               int depth) {
    json_type type;
    TRY_JSON(value.type().get(type));
    if (type == json_type::null) {
      TRY(skip(value));
      // As in Go: null empties what can be nil and leaves the rest.
      if (field.shape != FieldShape::kPlain) field.ops->clear(member);
      return {};
    }
    switch (field.shape) {
      case FieldShape::kPlain:
        return element(owner, field, type, value, member, path, depth);
      case FieldShape::kPointer: {
        const void* present = field.ops->at(member, 0);
        void* target = present != nullptr ? const_cast<void*>(present) : field.ops->add(member);
        return element(owner, field, type, value, target, path, depth);
      }
      case FieldShape::kSlice:
        if (type != json_type::array) return mismatch(owner, field, go_name(type), path, false);
        return slice(owner, field, value, member, path, depth);
      case FieldShape::kMap:
      case FieldShape::kMapOfSlices:
        if (type != json_type::object) return mismatch(owner, field, go_name(type), path, false);
        return map(owner, field, value, member, path, depth);
    }
    return {};
  }

  Status slice(const TypeInfo& owner, const FieldInfo& field, ondemand::value& value, void* member, const Path& path,
               int depth) {
    ondemand::array array;
    TRY_JSON(value.get_array().get(array));
    field.ops->clear(member);
    size_t index = 0;
    for (auto entry : array) {
      ondemand::value item;
      TRY_JSON(std::move(entry).get(item));
      TRY(nullable_element(owner, field, item, field.ops->add(member), Path{&path, {}, index++}, depth));
    }
    return {};
  }

  Status map(const TypeInfo& owner, const FieldInfo& field, ondemand::value& value, void* member, const Path& path,
             int depth) {
    ondemand::object object;
    TRY_JSON(value.get_object().get(object));
    for (auto entry : object) {
      ondemand::field item;
      TRY_JSON(std::move(entry).get(item));
      std::string_view key;
      TRY_JSON(item.unescaped_key().get(key));
      const Path here{&path, key, 0, true};
      if (notes_ != nullptr && notes_->duplicate.size() < kMaxNotes && field.ops->find(member, key) != nullptr) {
        notes_->duplicate.push_back("duplicate field \"" + here.to_string(true) + "\"");
      }
      void* target = field.ops->insert(member, key);
      ondemand::value inner = item.value();
      if (field.shape == FieldShape::kMap) {
        TRY(nullable_element(owner, field, inner, target, here, depth));
      } else {
        TRY(strings(owner, field, inner, *static_cast<std::vector<std::string>*>(target), here));
      }
    }
    return {};
  }

  Status strings(const TypeInfo& owner, const FieldInfo& field, ondemand::value& value, std::vector<std::string>& out,
                 const Path& path) {
    json_type type;
    TRY_JSON(value.type().get(type));
    out.clear();
    if (type == json_type::null) return skip(value);
    if (type != json_type::array) return mismatch(owner, field, go_name(type), path, false);
    ondemand::array array;
    TRY_JSON(value.get_array().get(array));
    for (auto entry : array) {
      ondemand::value item;
      TRY_JSON(std::move(entry).get(item));
      TRY(nullable_element(owner, field, item, &out.emplace_back(), path, 0));
    }
    return {};
  }

  Status nullable_element(const TypeInfo& owner, const FieldInfo& field, ondemand::value& value, void* target,
                          const Path& path, int depth) {
    json_type type;
    TRY_JSON(value.type().get(type));
    if (type == json_type::null) return skip(value);
    return element(owner, field, type, value, target, path, depth);
  }

  Status element(const TypeInfo& owner, const FieldInfo& field, json_type type, ondemand::value& value, void* target,
                 const Path& path, int depth) {
    switch (field.kind) {
      case FieldKind::kStruct:
        return structure(owner, field, type, value, target, path, depth);
      case FieldKind::kRawJson:
        return raw(value, static_cast<RawJson*>(target)->text);
      case FieldKind::kBool:
        if (type != json_type::boolean) return mismatch(owner, field, go_name(type), path, true);
        TRY_JSON(value.get_bool().get(*static_cast<bool*>(target)));
        return {};
      case FieldKind::kInt32:
      case FieldKind::kInt64:
        return integer(owner, field, type, value, target, path);
      case FieldKind::kDouble:
        if (type != json_type::number) return mismatch(owner, field, go_name(type), path, true);
        TRY_JSON(value.get_double().get(*static_cast<double*>(target)));
        return {};
      case FieldKind::kIntOrString:
        if (type == json_type::number) {
          int32_t number = 0;
          TRY(integer(owner, kInt32Field, type, value, &number, path));
          *static_cast<IntOrString*>(target) = IntOrString(number);
          return {};
        }
        if (type != json_type::string) {
          return Status::bad_request(
              fmt::format("json: cannot unmarshal {} into Go value of type int32", go_name(type)));
        }
        return text(field, value, target);
      case FieldKind::kQuantity:
        // A bare number is a quantity too.
        if (type == json_type::number) {
          TRY_ASSIGN(*static_cast<Quantity*>(target), Quantity::parse(literal(value)));
          return skip(value);
        }
        break;
      default:
        break;
    }
    if (type != json_type::string) return mismatch(owner, field, go_name(type), path, true);
    return text(field, value, target);
  }

  /// Everything that JSON writes as a string.
  Status text(const FieldInfo& field, ondemand::value& value, void* target) {
    std::string_view text;
    TRY_JSON(value.get_string().get(text));
    switch (field.kind) {
      case FieldKind::kString:
        static_cast<std::string*>(target)->assign(text);
        return {};
      case FieldKind::kBytes: {
        TRY_ASSIGN(*static_cast<Bytes*>(target), base64_decode(text));
        return {};
      }
      case FieldKind::kTime: {
        TRY_ASSIGN(*static_cast<Time*>(target), Time::parse(text));
        return {};
      }
      case FieldKind::kMicroTime: {
        TRY_ASSIGN(*static_cast<MicroTime*>(target), MicroTime::parse(text));
        return {};
      }
      case FieldKind::kDuration: {
        TRY_ASSIGN(*static_cast<GoDuration*>(target), GoDuration::parse(text));
        return {};
      }
      case FieldKind::kQuantity: {
        // Upstream too forgives space around quantities.
        const size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
        const size_t end = text.find_last_not_of(" \t\r\n") + 1;
        TRY_ASSIGN(*static_cast<Quantity*>(target), Quantity::parse(text.substr(begin, end - begin)));
        return {};
      }
      default:
        *static_cast<IntOrString*>(target) = IntOrString(std::string(text));
        return {};
    }
  }

  Status integer(const TypeInfo& owner, const FieldInfo& field, json_type type, ondemand::value& value, void* target,
                 const Path& path) {
    if (type != json_type::number) return mismatch(owner, field, go_name(type), path, true);
    const std::string_view digits = literal(value);
    int64_t number = 0;
    const bool valid = value.get_int64().get(number) == simdjson::SUCCESS;
    const bool narrow = field.kind == FieldKind::kInt32;
    if (!valid ||
        (narrow && (number < std::numeric_limits<int32_t>::min() || number > std::numeric_limits<int32_t>::max()))) {
      return mismatch(owner, field, "number " + std::string(digits.substr(0, 64)), path, true);
    }
    if (narrow) {
      *static_cast<int32_t*>(target) = static_cast<int32_t>(number);
    } else {
      *static_cast<int64_t*>(target) = number;
    }
    return {};
  }

  Status structure(const TypeInfo& owner, const FieldInfo& field, json_type type, ondemand::value& value, void* target,
                   const Path& path, int depth) {
    if (field.type->json_union) return union_value(*field.type, type, value, target, path, depth);
    if (type != json_type::object) return mismatch(owner, field, go_name(type), path, true);
    ondemand::object object;
    TRY_JSON(value.get_object().get(object));
    return this->object(*field.type, object, target, &path, depth + 1);
  }

  /// A schema, or what else the type allows, told apart by the value's type.
  Status union_value(const TypeInfo& type, json_type found, ondemand::value& value, void* target, const Path& path,
                     int depth) {
    if (depth > kMaxDepth) return Status::bad_request("json: exceeded max depth");
    const FieldInfo* chosen = nullptr;
    for (const FieldInfo& field : type.fields) {
      void* member = static_cast<char*>(target) + field.offset;
      const bool fits = field.shape == FieldShape::kSlice  ? found == json_type::array
                        : field.kind == FieldKind::kStruct ? found == json_type::object
                                                           : found == json_type::boolean;
      if (fits) chosen = &field;
      // A schema allows as `true` does.
      if (field.kind == FieldKind::kBool && found == json_type::object) *static_cast<bool*>(member) = true;
    }
    if (chosen == nullptr) {
      return Status::bad_request(fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type v1.{}",
                                             go_name(found), type.name, path.field_path(), type.name));
    }
    return field(type, *chosen, value, static_cast<char*>(target) + chosen->offset, path, depth + 1);
  }

  /// The token as written, without the space behind it.
  static std::string_view literal(ondemand::value& value) {
    const std::string_view token = value.raw_json_token();
    return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  }

  /// The text of a whole value, which this also checks.
  Status source(ondemand::value& value, std::string_view& text) {
    json_type type;
    TRY_JSON(value.type().get(type));
    if (type == json_type::object) {
      ondemand::object object;
      TRY_JSON(value.get_object().get(object));
      TRY_JSON(object.raw_json().get(text));
    } else if (type == json_type::array) {
      ondemand::array array;
      TRY_JSON(value.get_array().get(array));
      TRY_JSON(array.raw_json().get(text));
    } else {
      text = literal(value);
      if (text == "null") return {};
    }
    simdjson::dom::element checked;
    TRY_JSON(scratch_.validator.parse(text.data(), text.size()).get(checked));
    return {};
  }

  Status raw(ondemand::value& value, std::string& out) {
    std::string_view text;
    TRY(source(value, text));
    out.resize(text.size());
    size_t length = 0;
    TRY_JSON(simdjson::minify(text.data(), text.size(), out.data(), length));
    out.resize(length);
    return {};
  }

  /// A member of a custom kind's object, added to the raw object that holds all but the metadata.
  Status member_of_rest(std::string_view name, ondemand::value& value, std::string& rest, const Path& path) {
    if (notes_ != nullptr) {
      if (std::ranges::find(rest_names_, name) != rest_names_.end() && notes_->duplicate.size() < kMaxNotes) {
        notes_->duplicate.push_back("duplicate field \"" + path.to_string(true) + "\"");
      }
      rest_names_.emplace_back(name);
    }
    std::string text;
    TRY(raw(value, text));
    if (rest.empty()) {
      rest = '{';
    } else {
      rest.back() = ',';
    }
    append_json_string(name, rest);
    rest += ':';
    rest += text;
    rest += '}';
    return {};
  }

  /// Unused values must be well-formed all the same.
  Status skip(ondemand::value& value) {
    std::string_view text;
    return source(value, text);
  }

  static constexpr FieldInfo kInt32Field{.kind = FieldKind::kInt32};

  Scratch& scratch_;
  DecodeNotes* notes_;
  std::vector<std::string> rest_names_;
};

Status parse_document(const TypeInfo& type, std::string_view json, void* object, DecodeNotes* notes) {
  Scratch& space = scratch();
  space.buffer.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  space.buffer.assign(json);
  ondemand::document document;
  TRY_JSON(space.parser.iterate(simdjson::padded_string_view(space.buffer.data(), json.size(), space.buffer.capacity()))
               .get(document));
  json_type root_type;
  TRY_JSON(document.type().get(root_type));
  if (root_type != json_type::object) {
    return Status::bad_request(
        fmt::format("json: cannot unmarshal {} into Go value of type {}", go_name(root_type), type.name));
  }
  ondemand::object root;
  TRY_JSON(document.get_object().get(root));
  TRY(Reader(space, notes).object(type, root, object, nullptr, 0));
  // In bounds means that something follows the top-level value.
  const char* rest = nullptr;
  if (document.current_location().get(rest) == simdjson::SUCCESS) {
    return Status::bad_request("json: invalid document: data after the top-level value");
  }
  return {};
}

}  // namespace

bool is_json(std::string_view text) {
  simdjson::dom::element element;
  return scratch().validator.parse(text.data(), text.size()).get(element) == simdjson::SUCCESS;
}

Status parse_json(const TypeInfo& type, std::string_view json, void* object, DecodeNotes* notes) {
  const Status status = parse_document(type, json, object, notes);
  scratch().trim();
  if (status.ok() || type.kind.empty()) return status;
  const std::string_view version = type.api_version.substr(type.api_version.find('/') + 1);
  return status.with_context(
      fmt::format("{} in version \"{}\" cannot be handled as a {}", type.kind, version, type.kind));
}

}  // namespace trireme::api
