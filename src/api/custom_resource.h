#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/object.h"
#include "api/raw_json.h"
#include "api/scheme.h"
#include "api/types/metav1.h"
#include "api/value.h"

/// Kinds that a CustomResourceDefinition defines, in the form that the pipeline of built-in kinds handles: a struct and
/// field tables, the tables made when the kind becomes known.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
namespace trireme::api {

/// An object of any custom kind.
struct CustomResource {
  metav1::ObjectMeta metadata;
  /// Every other member (but kind and apiVersion): the text of one JSON object, or empty for none.
  RawJson members;
};

struct CustomResourceList {
  metav1::ListMeta metadata;
  std::vector<CustomResource> items;
};

/// The type of `kind` in `api_version`. Made at the first call and kept for the life of the process, so that there is
/// one for each name, whichever server asks. Thread-safe.
const TypeInfo& custom_type(std::string_view api_version, std::string_view kind);
/// The type of lists of it; `list_kind` is mostly the kind and "List".
const TypeInfo& custom_list_type(std::string_view api_version, std::string_view kind, std::string_view list_kind);
bool is_custom(const TypeInfo& type);

/// The resource with these names, one for each set of names, kept likewise: `type` and `list_type` of `info` are
/// filled in. Thread-safe.
const ResourceInfo& custom_resource(ResourceInfo info, std::string_view list_kind);

/// Null when the object is of a built-in kind.
CustomResource* as_custom(Object& object);
const CustomResource* as_custom(const Object& object);

/// All members but metadata, kind and apiVersion as one JSON object. The text was checked when it was decoded.
Value members_of(const CustomResource& object);
void set_members(CustomResource& object, const Value& members);

}  // namespace trireme::api
