
#include "api/openapi/openapi.h"

#include <map>
#include <mutex>

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

/// Documents made at their first request and kept, under the path and form they are asked for by.
class Documents {
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

Documents& documents() {
  static Documents kept;
  return kept;
}

void send(RequestContext& context, std::string_view type, const Document& document) {
  net::Headers headers{{"ETag", document.etag}, {"Vary", "Accept"}, {"Accept-Ranges", "bytes"}};
  if (context.request().headers.get("If-None-Match") == document.etag) {
    return context.respond(304, type, std::vector<SharedBytes>(), std::move(headers));
  }
  context.respond(200, type, {document.bytes}, std::move(headers));
}

void serve_v2(RequestContext& context) {
  for (const AcceptClause& clause : parse_accept(context.request().headers.get("Accept"))) {
    if (clause.type == kSwaggerProto || clause.type == kSwaggerProtoAnswer) {
      return send(context, kSwaggerProtoAnswer,
                  documents().get("v2.proto", [] { return api::openapi_v2_proto(kVersion); }));
    }
    if (matches(clause, kJsonMedia)) break;
  }
  send(context, kJsonMedia, documents().get("v2", [] { return api::openapi_v2_json(kVersion); }));
}

}  // namespace

bool serve_openapi(RequestContext& context) {
  std::string_view path = context.info.path;
  if (path == "/openapi/v2") {
    serve_v2(context);
    return true;
  }
  if (path == "/openapi/v3") {
    send(context, kJsonMedia, documents().get("v3", [] { return api::openapi_v3_index(kVersion); }));
    return true;
  }
  constexpr std::string_view prefix = "/openapi/v3/";
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  for (const api::OpenApiGroupVersion& each : api::openapi_v3_group_versions()) {
    if (each.path != path) continue;
    send(context, kJsonMedia,
         documents().get(each.path, [&] { return api::openapi_v3(each.group, each.version, kVersion); }));
    return true;
  }
  return false;
}

}  // namespace trireme::apiserver
