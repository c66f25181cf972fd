#include "apiserver/discovery/openapi.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "api/types/apiextensionsv1.h"
#include "apiserver/http/version.h"
#include "base/version.h"

namespace trireme::apiserver {

namespace {

constexpr std::string_view kSwaggerProto = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
constexpr std::string_view kSwaggerProtoAnswer = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

struct Document {
  SharedBytes bytes;
  std::string etag;
};

void send(RequestContext& context, std::string_view type, const Document& document) {
  net::Headers headers{{"ETag", document.etag}, {"Vary", "Accept"}, {"Accept-Ranges", "bytes"}};
  if (context.request().headers.get("If-None-Match") == document.etag) {
    return context.respond(304, type, std::vector<SharedBytes>(), std::move(headers));
  }
  context.respond(200, type, {document.bytes}, std::move(headers));
}

}  // namespace

/// Documents under the path and form they are asked for by.
class OpenApi::Documents {
 public:
  template <typename Make>
  Document get(const std::string& key, Make make) {
    std::scoped_lock lock(mutex_);
    Document& document = documents_[key];
    if (!document.bytes) {
      document.bytes = share(make());
      document.etag = "\"" + api::openapi_hash(*document.bytes) + "\"";
    }
    return document;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Document> documents_;
};

OpenApi::OpenApi(const extensions::Served& served) {
  for (const extensions::DefinitionPointer& definition : served.definitions) {
    for (const extensions::CustomVersion& version : definition->versions) {
      if (!version.spec->served) continue;
      api::CustomSchema& custom = custom_.emplace_back();
      custom.resource = version.resource;
      if (!version.spec->schema || !version.spec->schema->open_apiv_3_schema) continue;
      auto schema = api::to_value(api::type_info<api::apiextensionsv1::JSONSchemaProps>(),
                                  &*version.spec->schema->open_apiv_3_schema);
      if (schema.ok()) custom.schema = std::move(*schema);
    }
  }
  if (!custom_.empty()) documents_ = std::make_unique<Documents>();
}

OpenApi::~OpenApi() = default;

OpenApi::Documents& OpenApi::built_in() {
  static Documents kept;
  return kept;
}

OpenApi::Documents& OpenApi::all() const { return documents_ ? *documents_ : built_in(); }

void OpenApi::serve_v2(RequestContext& context) const {
  for (const AcceptClause& clause : parse_accept(context.request().headers.get("Accept"))) {
    if (clause.type == kSwaggerProto || clause.type == kSwaggerProtoAnswer) {
      return send(context, kSwaggerProtoAnswer,
                  all().get("v2.proto", [&] { return api::openapi_v2_proto(kVersion, custom_); }));
    }
    if (matches(clause, kJsonMedia)) break;
  }
  send(context, kJsonMedia, all().get("v2", [&] { return api::openapi_v2_json(kVersion, custom_); }));
}

bool OpenApi::serve(RequestContext& context) const {
  std::string_view path = context.info.path;
  if (path == "/openapi/v2") {
    serve_v2(context);
    return true;
  }
  if (path == "/openapi/v3") {
    send(context, kJsonMedia, all().get("v3", [&] { return api::openapi_v3_index(kVersion, custom_); }));
    return true;
  }
  constexpr std::string_view prefix = "/openapi/v3/";
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  for (const api::OpenApiGroupVersion& each : api::openapi_v3_group_versions(custom_)) {
    if (each.path != path) continue;
    const bool has_custom = std::ranges::any_of(custom_, [&](const api::CustomSchema& custom) {
      return custom.resource->group == each.group && custom.resource->version == each.version;
    });
    Documents& documents = has_custom ? all() : built_in();
    send(context, kJsonMedia,
         documents.get(each.path, [&] { return api::openapi_v3(each.group, each.version, kVersion, custom_); }));
    return true;
  }
  return false;
}

}  // namespace trireme::apiserver
