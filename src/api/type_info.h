#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The static field tables that tools/apigen writes: the reflection on which codecs, patches, field paths and
/// OpenAPI are built.
namespace trireme::api {

struct TypeInfo;

enum class FieldKind : uint8_t {
  kBool,
  kInt32,
  kInt64,
  kDouble,
  kString,
  kBytes,
  kTime,
  kMicroTime,
  kDuration,
  kQuantity,
  kIntOrString,
  kRawJson,
  kStruct,
};

/// How the value above is held.
enum class FieldShape : uint8_t {
  kPlain,        ///< T
  kPointer,      ///< std::optional<T>, or Box<T> for structs and texts
  kSlice,        ///< std::vector<T>
  kMap,          ///< Map<T>, keyed by string
  kMapOfSlices,  ///< Map<std::vector<T>> (authentication's ExtraValue and the like)
};

/// Type-erased access to one container type; written once per element type by templates.
struct ContainerOps {
  // pointer: presence; slice and map: element count
  size_t (*size)(const void* container);
  void (*clear)(void* container);
  // pointer: the value (null when absent); slice: element i
  const void* (*at)(const void* container, size_t index);
  // pointer: emplace; slice: append a default element. Returns the element.
  void* (*add)(void* container);
  // map: inserts or finds `key`
  void* (*insert)(void* container, std::string_view key);
  const void* (*find)(const void* container, std::string_view key);
  // map: calls `visit(context, key, value)` in key order
  void (*each)(const void* container, void* context,
               void (*visit)(void* context, std::string_view key, const void* value));
};

struct FieldInfo {
  /// Empty for an inlined struct (always kPlain), whose fields stand at this level of the JSON.
  std::string_view json_name;
  uint32_t offset;
  uint16_t proto_number;
  FieldKind kind;
  FieldShape shape;
  bool omit_empty;
  bool required;            ///< Neither +optional nor omitempty: listed as required in OpenAPI.
  bool empty_list = false;  ///< A list's `items`: written as [] when empty, never null.
  bool nested_type_meta =
      false;                ///< Embedded kinds that upstream writes with kind and apiVersion (volumeClaimTemplates).
  const TypeInfo* type;     ///< Of a struct (or the struct in the container); else null.
  const ContainerOps* ops;  ///< Null for kPlain.
  std::string_view patch_strategy;   ///< "merge", "replace", "retainKeys", "merge,retainKeys"
  std::string_view patch_merge_key;  ///< "name"
  std::string_view list_type;        ///< "atomic", "set", "map"
  std::span<const std::string_view> list_map_keys;
  std::string_view map_type;      ///< "atomic", "granular"
  std::string_view default_json;  ///< +default marker's value as JSON, or empty
  std::span<const std::string_view> enum_values;
  std::string_view doc;  ///< The description `kubectl explain` prints.
};

struct TypeInfo {
  std::string_view name;         ///< "Pod"
  std::string_view schema_name;  ///< "io.k8s.api.core.v1.Pod"
  std::string_view api_version;  ///< "v1", "apps/v1"; empty when the type is no kind of its own
  std::string_view kind;         ///< "Pod"; empty likewise
  std::string_view doc;
  uint32_t size;
  int32_t metadata_offset;                ///< Of its ObjectMeta; -1 when it has none
  int32_t list_metadata_offset;           ///< Of its ListMeta; -1 when it is no list
  std::span<const FieldInfo> fields;      ///< In declaration order, which is the JSON's order
  std::span<const uint16_t> proto_order;  ///< Indexes into `fields` by ascending protobuf number
  /// In JSON the struct stands for one of its fields, chosen by the value's type (apiextensions' JSONSchemaPropsOr…).
  bool json_union = false;
  void (*construct)(void* storage);
  void (*destroy)(void* object);
  void* (*create)();
  void (*copy)(void* to, const void* from);
  void* (*clone)(const void* from);
  void (*remove)(void* object);
};

/// The table of a generated struct; specialised in its generated header.
template <typename T>
const TypeInfo& type_info();

}  // namespace trireme::api
