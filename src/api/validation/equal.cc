#include "api/validation/equal.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "api/codec.h"
#include "api/int_or_string.h"
#include "api/map.h"
#include "api/raw_json.h"
#include "api/time.h"
#include "base/quantity.h"

namespace trireme::api::validation {
namespace {

template <typename T>
bool same(const void* a, const void* b) {
  return *static_cast<const T*>(a) == *static_cast<const T*>(b);
}

bool equal_value(const FieldInfo& field, const void* a, const void* b) {
  switch (field.kind) {
    case FieldKind::kBool:
      return same<bool>(a, b);
    case FieldKind::kInt32:
      return same<int32_t>(a, b);
    case FieldKind::kInt64:
      return same<int64_t>(a, b);
    case FieldKind::kDouble:
      return same<double>(a, b);
    case FieldKind::kString:
      return same<std::string>(a, b);
    case FieldKind::kBytes:
      return same<Bytes>(a, b);
    case FieldKind::kTime:
      return same<Time>(a, b);
    case FieldKind::kMicroTime:
      return same<MicroTime>(a, b);
    case FieldKind::kDuration:
      return same<GoDuration>(a, b);
    case FieldKind::kQuantity:
      return same<Quantity>(a, b);
    case FieldKind::kIntOrString:
      return same<IntOrString>(a, b);
    case FieldKind::kRawJson:
      return same<RawJson>(a, b);
    case FieldKind::kStruct:
      return semantic_equal(*field.type, a, b);
  }
  return false;
}

struct MapComparison {
  const FieldInfo& field;
  const void* other;
  bool equal = true;
};

bool equal_field(const FieldInfo& field, const void* a, const void* b) {
  if (field.shape == FieldShape::kPlain) return equal_value(field, a, b);
  const ContainerOps& ops = *field.ops;
  const size_t size = ops.size(a);
  if (size != ops.size(b)) return false;
  if (field.shape == FieldShape::kMapOfSlices) return same<Map<std::vector<std::string>>>(a, b);
  if (field.shape == FieldShape::kMap) {
    MapComparison comparison{field, b};
    ops.each(a, &comparison, [](void* context, std::string_view key, const void* value) {
      auto& state = *static_cast<MapComparison*>(context);
      if (!state.equal) return;
      const void* other = state.field.ops->find(state.other, key);
      state.equal = other != nullptr && equal_value(state.field, value, other);
    });
    return comparison.equal;
  }
  for (size_t i = 0; i < size; ++i) {
    if (!equal_value(field, ops.at(a, i), ops.at(b, i))) return false;
  }
  return true;
}

const void* at_offset(const void* object, const FieldInfo& field) {
  return static_cast<const char*>(object) + field.offset;
}

/// Collects one line for each difference until there are too many.
class Describer {
 public:
  explicit Describer(size_t max_lines) : left_(max_lines) {}

  void compare(const TypeInfo& type, const void* a, const void* b, const std::string& path) {
    for (const FieldInfo& field : type.fields) {
      const void* old_field = at_offset(a, field);
      const void* new_field = at_offset(b, field);
      if (equal_field(field, old_field, new_field)) continue;
      std::string below = path;
      if (!field.json_name.empty()) {
        if (!below.empty()) below += '.';
        below += field.json_name;
      }
      if (field.kind != FieldKind::kStruct) {
        line(below, text(type, a, field), text(type, b, field));
      } else if (field.shape == FieldShape::kPlain) {
        compare(*field.type, old_field, new_field, below);
      } else {
        container(field, old_field, new_field, below);
      }
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void container(const FieldInfo& field, const void* a, const void* b, const std::string& path) {
    const size_t size = field.ops->size(a);
    if (field.ops->at == nullptr || size != field.ops->size(b)) {
      line(path, fmt::format("{} item(s)", size), fmt::format("{} item(s)", field.ops->size(b)));
      return;
    }
    for (size_t i = 0; i < size; ++i) {
      compare(*field.type, field.ops->at(a, i), field.ops->at(b, i),
              field.shape == FieldShape::kSlice ? fmt::format("{}[{}]", path, i) : path);
    }
  }

  /// The JSON of one field: that of a struct whose table is cut to this field.
  static std::string text(const TypeInfo& type, const void* object, const FieldInfo& field) {
    TypeInfo one = type;
    one.api_version = one.kind = {};
    one.fields = std::span(&field, 1);
    std::string json;
    append_json(one, object, json);
    const size_t colon = json.find(':');
    return colon == std::string::npos ? "unset" : json.substr(colon + 1, json.size() - colon - 2);
  }

  void line(const std::string& path, std::string_view before, std::string_view after) {
    if (left_ == 0) return;
    --left_;
    fmt::format_to(std::back_inserter(out_), "  {}: {} -> {}\n", path, before, after);
  }

  size_t left_;
  std::string out_;
};

}  // namespace

bool semantic_equal(const TypeInfo& type, const void* a, const void* b) {
  for (const FieldInfo& field : type.fields) {
    if (!equal_field(field, at_offset(a, field), at_offset(b, field))) return false;
  }
  return true;
}

std::string describe_changes(const TypeInfo& type, const void* old, const void* updated, size_t max_lines) {
  Describer describer(max_lines);
  describer.compare(type, old, updated, "");
  return describer.take();
}

}  // namespace trireme::api::validation
