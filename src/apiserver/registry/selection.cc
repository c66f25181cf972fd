#include "apiserver/registry/selection.h"

#include <fmt/format.h>

#include "api/custom_resource.h"
#include "api/value.h"
#include "apiserver/extensions/custom_objects.h"
#include "apiserver/strategy/strategy.h"
#include "net/jwt.h"

namespace trireme::apiserver {

Result<Selection> Selection::parse(const api::ResourceInfo& resource, std::string_view ns, const Query& query,
                                   std::string_view prefix, extensions::CustomVersionPointer custom) {
  Selection selection;
  selection.custom_ = std::move(custom);
  TRY_ASSIGN(selection.labels_, api::LabelSelector::parse(query.get("labelSelector")));
  TRY_ASSIGN(selection.fields_, api::FieldSelector::parse(query.get("fieldSelector")));
  for (const api::FieldRequirement& requirement : selection.fields_.requirements()) {
    const bool selectable = selection.custom_ && selection.custom_->selectable.contains(requirement.field);
    if (!selectable && !strategy::field_supported(*resource.type, requirement.field)) {
      return Status::bad_request(fmt::format(
          "Unable to find \"{}\" that match label selector \"{}\", field selector \"{}\": field label not "
          "supported: {}",
          api::GroupVersion{resource.group, resource.version}.to_string() + ", Resource=" + resource.resource,
          selection.labels_.to_string(), selection.fields_.to_string(), requirement.field));
    }
  }
  WatchScope& scope = selection.scope_;
  scope.key_prefix = prefix;
  if (resource.namespaced && !ns.empty()) scope.key_prefix.append(ns) += '/';
  const std::string* name = selection.fields_.exact("metadata.name");
  if (name != nullptr && !name->empty() && (!resource.namespaced || !ns.empty())) {
    scope.key = scope.key_prefix + *name;
  } else if (const std::string* node = selection.fields_.exact("spec.nodeName");
             node != nullptr && resource.resource == "pods") {
    scope.node = *node;
  }
  return selection;
}

bool Selection::matches(const api::Object& object) const {
  if (!labels_.empty() && !labels_.matches(object.metadata().labels)) return false;
  if (fields_.empty()) return true;
  return fields_.matches([&](std::string_view field) {
    if (custom_) {
      const auto path = custom_->selectable.find(field);
      if (path != custom_->selectable.end()) return extensions::selected_text(path->second, *api::as_custom(object));
    }
    return strategy::field_value(object, field);
  });
}

std::string Selection::start() const { return scope_.key.empty() ? scope_.key_prefix : scope_.key; }

std::string Selection::end() const {
  return scope_.key.empty() ? store::prefix_end(scope_.key_prefix) : scope_.key + '\0';
}

std::string ContinueToken::encode() const {
  std::string json = fmt::format(R"({{"v":"meta.k8s.io/v1","rv":{},"start":)", revision);
  api::append_json_string(start, json);
  json += '}';
  return net::base64url_encode(json);
}

Result<ContinueToken> ContinueToken::decode(std::string_view token) {
  Status bad = Status::bad_request("continue key is not valid");
  auto json = net::base64url_decode(token);
  if (!json) return bad;
  auto value = api::parse_value(*json);
  if (!value.ok() || !value->is_object()) return bad;
  const api::Value* version = value->find("v");
  const api::Value* revision = value->find("rv");
  const api::Value* start = value->find("start");
  if (version == nullptr || version->string_or_empty() != "meta.k8s.io/v1") {
    return Status::bad_request("continue key is not valid: server does not recognize this encoded version");
  }
  if (revision == nullptr || !revision->is_int() || revision->as_int() == 0 || revision->as_int() < -1 ||
      start == nullptr || !start->is_string() || start->as_string().empty()) {
    return bad;
  }
  return ContinueToken{revision->as_int(), start->as_string()};
}

}  // namespace trireme::apiserver
