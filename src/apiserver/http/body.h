#pragma once

#include <string>
#include <string_view>

#include "api/object.h"
#include "api/type_info.h"
#include "apiserver/http/context.h"
#include "base/result.h"

namespace trireme::apiserver {

/// How unknown and duplicate fields of a body are treated.
enum class FieldValidation : uint8_t { kIgnore, kWarn, kStrict };
/// The `fieldValidation` parameter; Warn when missing. BadRequest.
Result<FieldValidation> field_validation(const Query& query);

/// kind and apiVersion of a JSON object, without parsing the rest of it more than needed; empty where missing.
struct TypeMeta {
  std::string api_version;
  std::string kind;
};
Result<TypeMeta> peek_type(std::string_view json);

/// Decodes a request body in the form its Content-Type names into `expected` (which a body without kind is taken for).
/// Warnings are added to the context. BadRequest in upstream's words; UnsupportedMediaType.
Result<api::Object> decode_body(RequestContext& context, std::string body, const api::TypeInfo& expected);
/// JSON text made on the server (a patched object) under the same field validation.
Result<api::Object> decode_json(RequestContext& context, std::string_view json, const api::TypeInfo& expected);

/// Like decode_body for DeleteOptions; an empty body gives the options of the query.
Result<api::metav1::DeleteOptions> delete_options(RequestContext& context, std::string body);
/// Whether `dryRun=All` was asked for. BadRequest (Invalid) for other values.
Result<bool> dry_run(const std::vector<std::string>& values);

}  // namespace trireme::apiserver
