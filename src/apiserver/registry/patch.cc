#include "api/patch/patch.h"

#include <fmt/format.h>

#include "api/conversion.h"
#include "api/defaults/defaults.h"
#include "api/status_convert.h"
#include "api/value.h"
#include "apiserver/extensions/custom_objects.h"
#include "apiserver/http/body.h"
#include "apiserver/registry/registry.h"
#include "apiserver/registry/scale.h"

namespace trireme::apiserver {

namespace {

constexpr std::string_view kJsonPatch = "application/json-patch+json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kStrategicPatch = "application/strategic-merge-patch+json";
constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";

std::string_view without_parameters(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return content_type;
}

/// Custom kinds do not say how their lists merge.
Status check_patch_type(std::string_view type, bool custom) {
  if (custom && type == kStrategicPatch) {
    return {Reason::kUnsupportedMediaType,
            fmt::format("the body of the request was in an unknown format - accepted media types include: {}, {}",
                        kJsonPatch, kMergePatch)};
  }
  if (type == kJsonPatch || type == kMergePatch || type == kStrategicPatch) return {};
  if (type == kApplyPatch) {
    return {Reason::kUnsupportedMediaType,
            "server-side apply (application/apply-patch+yaml) is not supported by this server yet"};
  }
  return {Reason::kUnsupportedMediaType,
          fmt::format("the body of the request was in an unknown format - accepted media types include: {}, {}, {}",
                      kJsonPatch, kMergePatch, kStrategicPatch)};
}

}  // namespace

Result<api::Object> Registry::apply_patch(RequestContext& context, const api::ResourceInfo& resource,
                                          const api::TypeInfo& type, const api::Object& stored,
                                          std::string_view content_type, const std::string& body) {
  TRY_ASSIGN(api::Value document, api::to_value(stored));
  auto patch = api::parse_value(body);
  if (!patch.ok()) return Status::bad_request("error decoding patch: " + patch.status().message());
  api::Value patched;
  if (content_type == kJsonPatch) {
    TRY_ASSIGN(patched, api::apply_json_patch(std::move(document), *patch));
  } else if (!patch->is_object()) {
    return Status::bad_request("error decoding patch: json: cannot unmarshal " + std::string(patch->type_name()) +
                               " into Go value of type map[string]interface {}");
  } else if (content_type == kMergePatch) {
    patched = api::apply_merge_patch(std::move(document), *patch);
  } else {
    TRY_ASSIGN(patched, api::apply_strategic_merge_patch(std::move(document), *patch, type));
  }
  TRY_ASSIGN(api::Object object, decode_json(context, api::to_json(patched), type));
  if (type.metadata_offset >= 0 && object.metadata().name != context.info.name) {
    return api::invalid(resource.group, resource.kind, context.info.name,
                        {api::field_error::invalid("metadata.name", object.metadata().name, "field is immutable")});
  }
  api::apply_defaults(object);
  return object;
}

void Registry::patch(const Context& context, const api::ResourceInfo& resource) {
  respond_written(context, resource, [&]() -> Result<Writer::Updated> {
    std::string_view type = without_parameters(context->request().headers.get("Content-Type"));
    TRY(check_patch_type(type, context->custom != nullptr));
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    std::string body = context->exchange()->take_body();
    return writer_->update(request, [&](const CachedObject* stored) -> Result<api::Object> {
      if (stored == nullptr) return api::not_found(resource, request.name);
      // Each try starts from the newest state; what it noticed before does not count.
      context->warnings.clear();
      api::Object converted;
      TRY_ASSIGN(const api::Object* object, stored->as_version(*resource.type, converted));
      return apply_patch(*context, resource, *resource.type, *object, type, body);
    });
  }());
}

void Registry::scale(const Context& context, const api::ResourceInfo& resource) {
  const api::TypeInfo& scale_type = api::type_info<api::autoscalingv1::Scale>();
  const std::string& verb = context->info.verb;
  auto scale_of = [&](const CachedObject& object) -> Result<api::Object> {
    if (!context->custom) return api::Object::of(read_scale(object));
    TRY_ASSIGN(auto scale, extensions::read_scale(*context->custom, object.object()));
    return api::Object::of(std::move(scale));
  };
  auto run = [&]() -> Result<api::Object> {
    TRY_ASSIGN(WriteRequest request, write_request(context, resource));
    if (verb == "get") {
      TRY_ASSIGN(CachedPointer object, storage_->get(resource, request.ns, request.name));
      return scale_of(*object);
    }
    std::string body = context->exchange()->take_body();
    std::string_view type = without_parameters(context->request().headers.get("Content-Type"));
    if (verb == "patch") TRY(check_patch_type(type, false));
    api::Object given;
    if (verb == "update") {
      TRY_ASSIGN(given, decode_body(*context, std::move(body), scale_type));
    }
    TRY_ASSIGN(Writer::Updated updated,
               writer_->update(request, [&](const CachedObject* stored) -> Result<api::Object> {
                 if (stored == nullptr) return api::not_found(resource, request.name);
                 api::Object wanted = given ? given.clone() : api::Object();
                 if (!wanted) {
                   TRY_ASSIGN(const api::Object current, scale_of(*stored));
                   TRY_ASSIGN(wanted, apply_patch(*context, resource, scale_type, current, type, body));
                 }
                 api::Object changed = stored->object().clone();
                 TRY(write_scale(*wanted.as<api::autoscalingv1::Scale>(), changed, context->custom.get()));
                 return changed;
               }));
    return scale_of(*updated.object);
  };
  auto result = run();
  if (!result.ok()) return context->fail(result.status());
  context->respond_object(200, *result);
}

}  // namespace trireme::apiserver
