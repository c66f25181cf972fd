#pragma once

#include <string>
#include <string_view>
#include <vector>

/// The OpenAPI documents of the built-in API, written from the field tables and the list of served resources. Every
/// call builds its document anew, some 1 to 4 MB of text in about as much memory; callers keep what they serve.
/// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
namespace trireme::api {

/// `GET /openapi/v2`. `server_version` is that of /version, "v1.32.0".
std::string openapi_v2_json(std::string_view server_version);
/// The same for `Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf` (or `.v1.0`): gnostic's
/// openapi.v2.Document. Answer with kOpenApiV2ProtoType either way: clients' MIME parsers refuse the `@`.
inline constexpr std::string_view kOpenApiV2ProtoType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
std::string openapi_v2_proto(std::string_view server_version);

struct OpenApiGroupVersion {
  std::string path;  ///< Below /openapi/v3/: "api/v1", "apis/apps/v1"
  std::string group;
  std::string version;
};
/// In discovery order.
std::vector<OpenApiGroupVersion> openapi_v3_group_versions();
/// `GET /openapi/v3/<path>`; empty when the group's version is not served.
std::string openapi_v3(std::string_view group, std::string_view version, std::string_view server_version);
/// `GET /openapi/v3`: the paths with URLs that change with their documents' content, which clients cache by URL.
/// Builds every document once.
std::string openapi_v3_index(std::string_view server_version);
/// The hash in those URLs; for the index entries of documents that others contribute.
std::string openapi_hash(std::string_view document);

}  // namespace trireme::api
