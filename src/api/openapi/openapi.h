#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/scheme.h"
#include "api/value.h"

/// The OpenAPI documents of the API, written from the field tables and the list of served resources. Every
/// call builds its document anew, some 1 to 4 MB of text in about as much memory; callers keep what they serve.
/// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
namespace trireme::api {

/// What a custom resource adds to the documents.
struct CustomSchema {
  const ResourceInfo* resource = nullptr;
  Value schema;  ///< Its OpenAPI v3 schema as the definition has it.
};
using CustomSchemas = std::span<const CustomSchema>;

/// `GET /openapi/v2`. `server_version` is that of /version, "v1.32.0".
std::string openapi_v2_json(std::string_view server_version, CustomSchemas custom = {});
/// The same for `Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf` (or `.v1.0`): gnostic's
/// openapi.v2.Document. Answer with kOpenApiV2ProtoType either way: clients' MIME parsers refuse the `@`.
inline constexpr std::string_view kOpenApiV2ProtoType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
std::string openapi_v2_proto(std::string_view server_version, CustomSchemas custom = {});

struct OpenApiGroupVersion {
  std::string path;  ///< Below /openapi/v3/: "api/v1", "apis/apps/v1"
  std::string group;
  std::string version;
};
/// In discovery order, custom ones last.
std::vector<OpenApiGroupVersion> openapi_v3_group_versions(CustomSchemas custom = {});
/// `GET /openapi/v3/<path>`; empty when the group's version is not served.
std::string openapi_v3(std::string_view group, std::string_view version, std::string_view server_version,
                       CustomSchemas custom = {});
/// `GET /openapi/v3`: the paths with URLs that change with their documents' content, which clients cache by URL.
/// Builds every document once.
std::string openapi_v3_index(std::string_view server_version, CustomSchemas custom = {});
/// The hash in those URLs; for the index entries of documents that others contribute.
std::string openapi_hash(std::string_view document);

}  // namespace trireme::api
