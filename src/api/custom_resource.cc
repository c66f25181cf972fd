#include "api/custom_resource.h"

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "api/type_ops.h"

// As in the generated tables: offsetof is exact for these in every standard library this builds with.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace trireme::api {
namespace {

constexpr uint16_t kInOrder[] = {0, 1};

/// A type and the texts that it points to.
struct CustomType {
  std::string api_version;
  std::string kind;
  std::string schema_name;
  std::array<FieldInfo, 2> fields;
  TypeInfo type{};
};

/// "io.example.stable.v1.CronTab" for CronTab in stable.example.io/v1: upstream turns the group's domain around.
std::string schema_name(std::string_view api_version, std::string_view kind) {
  const size_t slash = api_version.find('/');
  std::string_view group = api_version.substr(0, slash);
  std::string name;
  while (!group.empty()) {
    const size_t dot = group.rfind('.');
    name.append(group.substr(dot == std::string_view::npos ? 0 : dot + 1)) += '.';
    group = dot == std::string_view::npos ? std::string_view() : group.substr(0, dot);
  }
  return name.append(api_version.substr(slash + 1)).append(".").append(kind);
}

template <typename T>
void use_functions(TypeInfo& type) {
  using F = TypeFunctions<T>;
  type.size = sizeof(T);
  type.construct = &F::construct;
  type.destroy = &F::destroy;
  type.create = &F::create;
  type.copy = &F::copy;
  type.clone = &F::clone;
  type.remove = &F::remove;
}

FieldInfo field(std::string_view name, size_t offset, uint16_t number, FieldKind kind, const TypeInfo* type) {
  return {.json_name = name,
          .offset = static_cast<uint32_t>(offset),
          .proto_number = number,
          .kind = kind,
          .shape = FieldShape::kPlain,
          .omit_empty = false,
          .required = false,
          .type = type,
          .ops = nullptr,
          .patch_strategy = {},
          .patch_merge_key = {},
          .list_type = {},
          .list_map_keys = {},
          .map_type = {},
          .default_json = {},
          .enum_values = {},
          .doc = {}};
}

std::unique_ptr<CustomType> make_type(std::string_view api_version, std::string_view kind) {
  auto made = std::make_unique<CustomType>();
  made->api_version = api_version;
  made->kind = kind;
  made->schema_name = schema_name(api_version, kind);
  made->type.name = made->type.kind = made->kind;
  made->type.schema_name = made->schema_name;
  made->type.api_version = made->api_version;
  made->type.metadata_offset = made->type.list_metadata_offset = -1;
  made->type.proto_order = kInOrder;
  return made;
}

/// Makes each thing once and keeps it.
template <typename Key, typename T>
class Kept {
 public:
  template <typename Make>
  const T& get(const Key& key, Make make) {
    const std::scoped_lock lock(mutex_);
    std::unique_ptr<T>& place = things_[key];
    if (!place) place = make();
    return *place;
  }

 private:
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<T>> things_;
};

using KindKey = std::tuple<std::string, std::string, std::string>;

}  // namespace

const TypeInfo& custom_type(std::string_view api_version, std::string_view kind) {
  static Kept<KindKey, CustomType> kept;
  return kept
      .get({std::string(api_version), std::string(kind), ""},
           [&] {
             auto made = make_type(api_version, kind);
             made->fields = {field("metadata", offsetof(CustomResource, metadata), 1, FieldKind::kStruct,
                                   &type_info<metav1::ObjectMeta>()),
                             field("", offsetof(CustomResource, members), 2, FieldKind::kRawJson, nullptr)};
             made->type.fields = made->fields;
             made->type.metadata_offset = offsetof(CustomResource, metadata);
             use_functions<CustomResource>(made->type);
             return made;
           })
      .type;
}

const TypeInfo& custom_list_type(std::string_view api_version, std::string_view kind, std::string_view list_kind) {
  static Kept<KindKey, CustomType> kept;
  return kept
      .get({std::string(api_version), std::string(kind), std::string(list_kind)},
           [&] {
             auto made = make_type(api_version, list_kind);
             made->fields = {field("metadata", offsetof(CustomResourceList, metadata), 1, FieldKind::kStruct,
                                   &type_info<metav1::ListMeta>()),
                             field("items", offsetof(CustomResourceList, items), 2, FieldKind::kStruct,
                                   &custom_type(api_version, kind))};
             made->fields[1].shape = FieldShape::kSlice;
             made->fields[1].required = made->fields[1].empty_list = made->fields[1].nested_type_meta = true;
             made->fields[1].ops = &kContainerOps<std::vector<CustomResource>>;
             made->type.fields = made->fields;
             made->type.list_metadata_offset = offsetof(CustomResourceList, metadata);
             use_functions<CustomResourceList>(made->type);
             return made;
           })
      .type;
}

bool is_custom(const TypeInfo& type) { return type.create == &TypeFunctions<CustomResource>::create; }

const ResourceInfo& custom_resource(ResourceInfo info, std::string_view list_kind) {
  using List = std::vector<std::string>;
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::string, std::string,
                         bool, List, List, List, List>;
  static Kept<Key, ResourceInfo> kept;
  const Key key{info.group,
                info.version,
                info.resource,
                info.singular,
                info.kind,
                std::string(list_kind),
                info.storage.to_string(),
                info.namespaced,
                info.short_names,
                info.categories,
                info.verbs,
                info.subresources};
  return kept.get(key, [&] {
    info.type = &custom_type(info.api_version(), info.kind);
    info.list_type = &custom_list_type(info.api_version(), info.kind, list_kind);
    return std::make_unique<ResourceInfo>(std::move(info));
  });
}

CustomResource* as_custom(Object& object) {
  return is_custom(object.type()) ? static_cast<CustomResource*>(object.data()) : nullptr;
}

const CustomResource* as_custom(const Object& object) {
  return is_custom(object.type()) ? static_cast<const CustomResource*>(object.data()) : nullptr;
}

Value members_of(const CustomResource& object) {
  if (object.members.empty()) return Value::object();
  auto parsed = parse_value(object.members.text);
  return parsed.ok() && parsed->is_object() ? std::move(*parsed) : Value::object();
}

void set_members(CustomResource& object, const Value& members) {
  object.members.text.clear();
  if (members.is_object() && !members.as_object().empty()) append_json(members, object.members.text);
  object.members.text.shrink_to_fit();
}

}  // namespace trireme::api
