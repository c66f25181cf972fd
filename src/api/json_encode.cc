#include <optional>

#include "api/codec.h"
#include "api/int_or_string.h"
#include "api/json_text.h"
#include "api/map.h"
#include "api/raw_json.h"
#include "api/time.h"
#include "api/value.h"
#include "base/base64.h"
#include "base/box.h"
#include "base/quantity.h"

namespace trireme::api {
namespace {

template <typename T>
const T& as(const void* value) {
  return *static_cast<const T*>(value);
}

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void object(const TypeInfo& type, const void* value, bool type_meta) {
    if (type.json_union) return union_value(type, value);
    out_.push_back('{');
    bool first = true;
    if (type_meta && !type.kind.empty()) {
      key("kind", first);
      append_escaped_string(type.kind, out_);
      key("apiVersion", first);
      append_escaped_string(type.api_version, out_);
    }
    fields(type, value, first);
    out_.push_back('}');
  }

 private:
  void key(std::string_view name, bool& first) {
    if (!first) out_.push_back(',');
    first = false;
    out_.push_back('"');
    out_ += name;
    out_ += "\":";
  }

  void fields(const TypeInfo& type, const void* object, bool& first) {
    for (const FieldInfo& field : type.fields) {
      const void* const member = static_cast<const char*>(object) + field.offset;
      if (field.json_name.empty() && field.kind == FieldKind::kRawJson) {
        members(as<RawJson>(member).text, first);
      } else if (field.json_name.empty()) {
        fields(*field.type, member, first);
      } else if (!field.omit_empty || !is_empty(field, member)) {
        key(field.json_name, first);
        this->field(field, member);
      }
    }
  }

  /// Go's omitempty: zero scalars and empty containers; structs, and what marshals itself, are never empty.
  static bool is_empty(const FieldInfo& field, const void* member) {
    if (field.shape != FieldShape::kPlain) return field.ops->size(member) == 0;
    switch (field.kind) {
      case FieldKind::kBool:
        return !as<bool>(member);
      case FieldKind::kInt32:
        return as<int32_t>(member) == 0;
      case FieldKind::kInt64:
        return as<int64_t>(member) == 0;
      case FieldKind::kDouble:
        return as<double>(member) == 0;
      case FieldKind::kString:
      case FieldKind::kBytes:
        return as<std::string>(member).empty();
      default:
        return false;
    }
  }

  void field(const FieldInfo& field, const void* member) {
    switch (field.shape) {
      case FieldShape::kPlain:
        if (field.kind == FieldKind::kBytes && as<Bytes>(member).empty()) return null();
        return value(field, member);
      case FieldShape::kPointer: {
        const void* target = field.ops->at(member, 0);
        return target == nullptr ? null() : value(field, target);
      }
      case FieldShape::kSlice:
        return slice(field, member);
      case FieldShape::kMap:
      case FieldShape::kMapOfSlices:
        return map(field, member);
    }
  }

  void slice(const FieldInfo& field, const void* member) {
    const size_t count = field.ops->size(member);
    if (count == 0 && !field.empty_list) return null();
    out_.push_back('[');
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_.push_back(',');
      value(field, field.ops->at(member, i));
    }
    out_.push_back(']');
  }

  void map(const FieldInfo& field, const void* member) {
    if (field.ops->size(member) == 0) return null();
    struct Visit {
      Writer& writer;
      const FieldInfo& field;
      bool first = true;
    } visit{*this, field};
    out_.push_back('{');
    field.ops->each(member, &visit, [](void* context, std::string_view key, const void* value) {
      Visit& visit = *static_cast<Visit*>(context);
      std::string& out = visit.writer.out_;
      if (!visit.first) out.push_back(',');
      visit.first = false;
      append_escaped_string(key, out);
      out.push_back(':');
      if (visit.field.shape == FieldShape::kMap) {
        visit.writer.value(visit.field, value);
      } else {
        visit.writer.strings(as<std::vector<std::string>>(value));
      }
    });
    out_.push_back('}');
  }

  void strings(const std::vector<std::string>& texts) {
    if (texts.empty()) return null();
    char separator = '[';
    for (const std::string& text : texts) {
      out_.push_back(separator);
      append_escaped_string(text, out_);
      separator = ',';
    }
    out_.push_back(']');
  }

  void value(const FieldInfo& field, const void* value) {
    switch (field.kind) {
      case FieldKind::kBool:
        out_ += as<bool>(value) ? "true" : "false";
        return;
      case FieldKind::kInt32:
        return append_json_integer(as<int32_t>(value), out_);
      case FieldKind::kInt64:
        return append_json_integer(as<int64_t>(value), out_);
      case FieldKind::kDouble:
        return append_json_double(as<double>(value), out_);
      case FieldKind::kString:
        return append_escaped_string(as<std::string>(value), out_);
      case FieldKind::kBytes:
        out_.push_back('"');
        append_base64(as<Bytes>(value), out_);
        out_.push_back('"');
        return;
      case FieldKind::kTime:
        return as<Time>(value).is_zero() ? null() : plain(as<Time>(value).to_string());
      case FieldKind::kMicroTime:
        return as<MicroTime>(value).is_zero() ? null() : plain(as<MicroTime>(value).to_string());
      case FieldKind::kDuration:
        return plain(as<GoDuration>(value).to_string());
      case FieldKind::kQuantity:
        return plain(as<Quantity>(value).to_string());
      case FieldKind::kIntOrString:
        if (as<IntOrString>(value).is_int()) return append_json_integer(as<IntOrString>(value).int_value(), out_);
        return append_escaped_string(as<IntOrString>(value).string_value(), out_);
      case FieldKind::kRawJson:
        return raw(as<RawJson>(value).text);
      case FieldKind::kStruct:
        return object(*field.type, value, field.nested_type_meta);
    }
  }

  /// One of the fields stands for the whole: a schema if there is one, else the list or the boolean beside it.
  void union_value(const TypeInfo& type, const void* object) {
    const auto member = [&](const FieldInfo& field) { return static_cast<const char*>(object) + field.offset; };
    for (const FieldInfo& field : type.fields) {
      if (field.kind == FieldKind::kStruct && field.shape == FieldShape::kPointer &&
          field.ops->size(member(field)) != 0) {
        return this->field(field, member(field));
      }
    }
    for (const FieldInfo& field : type.fields) {
      if (field.shape != FieldShape::kPointer) return this->field(field, member(field));
    }
    null();
  }

  /// The members of a raw object, without its braces: what a custom kind has besides its metadata.
  void members(std::string_view object, bool& first) {
    if (object.size() <= 2) return;
    if (!first) out_.push_back(',');
    first = false;
    raw(object.substr(1, object.size() - 2));
  }

  /// Raw text is valid JSON already (decoders see to it); only the HTML characters in its strings are escaped.
  void raw(std::string_view text) {
    if (text.empty() || text.starts_with('k')) return null();  // nil, or protobuf in a protobuf-only place
    size_t special;
    while ((special = text.find_first_of("<>&")) != std::string_view::npos) {
      out_ += text.substr(0, special);
      out_ += text[special] == '<' ? "\\u003c" : text[special] == '>' ? "\\u003e" : "\\u0026";
      text.remove_prefix(special + 1);
    }
    out_ += text;
  }

  /// A string that needs no escapes.
  void plain(std::string_view text) {
    out_.push_back('"');
    out_ += text;
    out_.push_back('"');
  }
  void null() { out_ += "null"; }

  std::string& out_;
};

}  // namespace

void append_json(const TypeInfo& type, const void* object, std::string& out) { Writer(out).object(type, object, true); }

}  // namespace trireme::api
