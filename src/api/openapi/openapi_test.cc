#include "api/openapi/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "api/openapi/gnostic.h"
#include "api/scheme.h"
#include "api/value.h"

namespace trireme::api {
namespace {

constexpr std::string_view kVersion = "v1.32.0";

/// Calls `visit` with every string member called `key`, at any depth.
void each_text(const Value& value, std::string_view key, const std::function<void(const std::string&)>& visit) {
  if (value.is_array()) {
    for (const Value& element : value.as_array()) each_text(element, key, visit);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.as_object()) {
      if (name == key && member.is_string()) visit(member.as_string());
      each_text(member, key, visit);
    }
  }
}

const Value& v2() {
  static const Value document = [] {
    auto value = parse_value(openapi_v2_json(kVersion));
    EXPECT_TRUE(value.ok()) << value.status().to_string();
    return value.ok() ? *value : Value();
  }();
  return document;
}

const Value& v3(const std::string& group, const std::string& version) {
  static std::map<std::pair<std::string, std::string>, Value> documents;
  auto found = documents.find({group, version});
  if (found != documents.end()) return found->second;
  auto value = parse_value(openapi_v3(group, version, kVersion));
  EXPECT_TRUE(value.ok()) << group << version << value.status().to_string();
  return documents[{group, version}] = value.ok() ? *value : Value();
}

const Value& schema(const Value& document, const std::string& name) {
  static const Value none;
  const Value* found = document.find("definitions");
  if (found == nullptr) found = document.at_path({"components", "schemas"});
  const Value* result = found == nullptr ? nullptr : found->find(name);
  EXPECT_NE(result, nullptr) << name;
  return result == nullptr ? none : *result;
}

std::string text(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  return found == nullptr ? "(none)" : to_json(*found);
}

void expect_references_resolve(const Value& document, const Value& schemas, std::string_view prefix) {
  // In the schema of schemas "$ref" is also the name of a property; there it is no string.
  each_text(document, "$ref", [&](const std::string& reference) {
    ASSERT_TRUE(reference.starts_with(prefix)) << reference;
    EXPECT_NE(schemas.find(reference.substr(prefix.size())), nullptr) << reference;
  });
}

void expect_unique_operations(const Value& paths) {
  std::set<std::string> ids;
  each_text(paths, "operationId", [&](const std::string& id) { EXPECT_TRUE(ids.insert(id).second) << id; });
  EXPECT_FALSE(ids.empty());
}

TEST(OpenApiTest, Version2HoldsTogether) {
  EXPECT_EQ(text(v2(), {"swagger"}), R"("2.0")");
  EXPECT_EQ(text(v2(), {"info", "version"}), R"("v1.32.0")");
  expect_references_resolve(v2(), *v2().find("definitions"), "#/definitions/");
  expect_unique_operations(*v2().find("paths"));
}

TEST(OpenApiTest, Version2Schemas) {
  const Value& pod = schema(v2(), "io.k8s.api.core.v1.Pod");
  EXPECT_EQ(text(pod, {"x-kubernetes-group-version-kind"}), R"([{"group":"","kind":"Pod","version":"v1"}])");
  EXPECT_EQ(text(pod, {"properties", "spec", "$ref"}), R"("#/definitions/io.k8s.api.core.v1.PodSpec")");
  EXPECT_EQ(text(pod, {"properties", "kind", "type"}), R"("string")");
  const Value& spec = schema(v2(), "io.k8s.api.core.v1.PodSpec");
  EXPECT_EQ(text(spec, {"required"}), R"(["containers"])");
  EXPECT_EQ(text(spec, {"properties", "containers", "x-kubernetes-patch-merge-key"}), R"("name")");
  EXPECT_EQ(text(spec, {"properties", "containers", "x-kubernetes-patch-strategy"}), R"("merge")");
  EXPECT_EQ(text(spec, {"properties", "containers", "x-kubernetes-list-type"}), R"("map")");
  EXPECT_EQ(text(spec, {"properties", "containers", "x-kubernetes-list-map-keys"}), R"(["name"])");
  EXPECT_EQ(text(spec, {"properties", "containers", "items", "$ref"}),
            R"("#/definitions/io.k8s.api.core.v1.Container")");
  EXPECT_EQ(text(spec, {"properties", "nodeSelector", "additionalProperties", "type"}), R"("string")");
  EXPECT_EQ(text(spec, {"properties", "priority", "format"}), R"("int32")");
  EXPECT_EQ(text(spec, {"properties", "volumes", "x-kubernetes-patch-strategy"}), R"("merge,retainKeys")");
  EXPECT_EQ(text(schema(v2(), "io.k8s.api.core.v1.Volume"), {"properties", "configMap", "$ref"}),
            R"("#/definitions/io.k8s.api.core.v1.ConfigMapVolumeSource")");
  EXPECT_EQ(text(schema(v2(), "io.k8s.apimachinery.pkg.util.intstr.IntOrString"), {"format"}), R"("int-or-string")");
  EXPECT_EQ(text(schema(v2(), "io.k8s.apimachinery.pkg.apis.meta.v1.Time"), {"format"}), R"("date-time")");
  EXPECT_EQ(text(schema(v2(), "io.k8s.api.core.v1.Secret"), {"properties", "data", "additionalProperties", "format"}),
            R"("byte")");
  EXPECT_GT(schema(v2(), "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
                .find("x-kubernetes-group-version-kind")
                ->as_array()
                .size(),
            15u);
}

TEST(OpenApiTest, Version2Paths) {
  const Value& paths = *v2().find("paths");
  EXPECT_EQ(text(paths, {"/api/v1/namespaces/{namespace}/pods", "get", "operationId"}), R"("listCoreV1NamespacedPod")");
  EXPECT_EQ(text(paths, {"/api/v1/pods", "get", "operationId"}), R"("listCoreV1PodForAllNamespaces")");
  EXPECT_EQ(text(paths, {"/api/v1/namespaces/{namespace}/pods", "delete", "operationId"}),
            R"("deleteCoreV1CollectionNamespacedPod")");
  EXPECT_EQ(text(paths, {"/api/v1/namespaces/{namespace}/pods/{name}/log", "get", "operationId"}),
            R"("readCoreV1NamespacedPodLog")");
  EXPECT_EQ(text(paths, {"/api/v1/namespaces/{namespace}/pods/{name}/exec", "post", "operationId"}),
            R"("connectCoreV1PostNamespacedPodExec")");
  EXPECT_EQ(text(paths, {"/api/v1/nodes/{name}/proxy/{path}", "get", "operationId"}),
            R"("connectCoreV1GetNodeProxyWithPath")");
  EXPECT_EQ(text(paths, {"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "patch", "operationId"}),
            R"("patchAppsV1NamespacedDeploymentScale")");
  EXPECT_EQ(text(paths, {"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "patch",
                         "x-kubernetes-group-version-kind"}),
            R"({"group":"autoscaling","kind":"Scale","version":"v1"})");
  EXPECT_EQ(text(paths, {"/apis/rbac.authorization.k8s.io/v1/clusterroles", "post", "operationId"}),
            R"("createRbacAuthorizationV1ClusterRole")");
  EXPECT_EQ(text(paths, {"/apis/rbac.authorization.k8s.io/v1/clusterroles", "post", "tags"}),
            R"(["rbacAuthorization_v1"])");
  EXPECT_EQ(text(paths, {"/api/v1/namespaces/{name}/finalize", "put", "operationId"}),
            R"("replaceCoreV1NamespaceFinalize")");
  EXPECT_EQ(text(paths, {"/api/v1/componentstatuses", "post"}), "(none)");
  EXPECT_EQ(text(paths, {"/apis/authorization.k8s.io/v1/subjectaccessreviews", "get"}), "(none)");
}

/// What kubectl looks for before it sends dryRun or fieldValidation.
TEST(OpenApiTest, PatchesOfEveryWritableKindTakeDryRunAndFieldValidation) {
  for (const ResourceInfo& resource : resources()) {
    if (std::find(resource.verbs.begin(), resource.verbs.end(), "patch") == resource.verbs.end()) continue;
    const Value& document = v3(resource.group, resource.version);
    std::set<std::string> names;
    for (const auto& [path, item] : document.find("paths")->as_object()) {
      const Value* kind = item.at_path({"patch", "x-kubernetes-group-version-kind", "kind"});
      if (kind == nullptr || kind->string_or_empty() != resource.kind) continue;
      for (const Value& parameter : item.at_path({"patch", "parameters"})->as_array())
        names.insert(parameter.find("name")->as_string());
    }
    EXPECT_TRUE(names.contains("dryRun")) << resource.kind;
    EXPECT_TRUE(names.contains("fieldValidation")) << resource.kind;
    EXPECT_TRUE(names.contains("force")) << resource.kind;
  }
}

TEST(OpenApiTest, Version3DocumentsHoldTogether) {
  for (const OpenApiGroupVersion& one : openapi_v3_group_versions()) {
    const Value& document = v3(one.group, one.version);
    EXPECT_EQ(text(document, {"openapi"}), R"("3.0.0")") << one.path;
    const Value* schemas = document.at_path({"components", "schemas"});
    ASSERT_NE(schemas, nullptr);
    expect_references_resolve(document, *schemas, "#/components/schemas/");
    expect_unique_operations(*document.find("paths"));
  }
  EXPECT_EQ(openapi_v3("nobody", "v1", kVersion), "");
}

TEST(OpenApiTest, Version3Schemas) {
  const Value& core = v3("", "v1");
  const Value& pod = schema(core, "io.k8s.api.core.v1.Pod");
  EXPECT_EQ(text(pod, {"properties", "spec", "allOf"}),
            R"([{"$ref":"#/components/schemas/io.k8s.api.core.v1.PodSpec"}])");
  EXPECT_EQ(text(pod, {"properties", "spec", "default"}), "{}");
  const Value& container = schema(core, "io.k8s.api.core.v1.Container");
  EXPECT_EQ(text(container, {"properties", "name", "default"}), R"("")");
  EXPECT_EQ(text(container, {"properties", "imagePullPolicy", "enum"}), R"(["Always","IfNotPresent","Never"])");
  std::string policy = text(container, {"properties", "imagePullPolicy", "description"});
  EXPECT_NE(policy.find("Possible enum values"), std::string::npos);
  EXPECT_EQ(policy.find("Possible enum values"), policy.rfind("Possible enum values"));
  EXPECT_EQ(text(container, {"properties", "args", "items"}), R"({"default":"","type":"string"})");
  EXPECT_EQ(text(schema(core, "io.k8s.api.core.v1.ContainerPort"), {"properties", "protocol", "default"}), R"("TCP")");
  EXPECT_EQ(text(schema(core, "io.k8s.apimachinery.pkg.api.resource.Quantity"), {"oneOf"}),
            R"([{"type":"string"},{"type":"number"}])");
  EXPECT_EQ(core.at_path({"components", "schemas", "io.k8s.api.apps.v1.Deployment"}), nullptr);
  const Value& extensions = v3("apiextensions.k8s.io", "v1");
  const std::string prefix = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";
  EXPECT_EQ(text(schema(extensions, prefix + "JSON"), {"type"}), "(none)");
  EXPECT_EQ(text(schema(extensions, prefix + "JSONSchemaPropsOrBool"), {"properties"}), "(none)");
}

TEST(OpenApiTest, IndexNamesEveryDocumentByItsHash) {
  auto index = parse_value(openapi_v3_index(kVersion));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->find("paths")->as_object().size(), openapi_v3_group_versions().size());
  EXPECT_EQ(text(*index, {"paths", "apis/apps/v1", "serverRelativeURL"}),
            "\"/openapi/v3/apis/apps/v1?hash=" + openapi_hash(openapi_v3("apps", "v1", kVersion)) + "\"");
  EXPECT_NE(openapi_hash("a"), openapi_hash("b"));
}

/// A protobuf message as far as this test needs it: its fields in order, numbers as text.
using Fields = std::vector<std::pair<int, std::string>>;
Fields fields(std::string_view bytes) {
  Fields found;
  size_t at = 0;
  auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; at < bytes.size(); shift += 7) {
      auto byte = static_cast<unsigned char>(bytes[at++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < bytes.size()) {
    uint64_t tag = varint();
    uint64_t value = varint();
    if ((tag & 7) == 0) {
      found.emplace_back(static_cast<int>(tag >> 3), std::to_string(value));
      continue;
    }
    EXPECT_EQ(tag & 7, 2u);
    EXPECT_LE(value, bytes.size() - at);
    if ((tag & 7) != 2 || value > bytes.size() - at) break;
    found.emplace_back(static_cast<int>(tag >> 3), std::string(bytes.substr(at, value)));
    at += value;
  }
  return found;
}

std::string only(const Fields& all, int number) {
  std::string found = "(none)";
  for (const auto& [field, value] : all) {
    if (field == number) found = value;
  }
  return found;
}

TEST(OpenApiTest, ProtobufHasTheSameParts) {
  Fields document = fields(openapi_v2_proto(kVersion));
  EXPECT_EQ(only(document, 1), "2.0");
  EXPECT_EQ(only(fields(only(document, 2)), 2), "v1.32.0");
  std::map<std::string, std::string> definitions;
  for (const auto& [number, named] : fields(only(document, 9)))
    definitions[only(fields(named), 1)] = only(fields(named), 2);
  for (const auto& [name, schema] : v2().find("definitions")->as_object()) {
    EXPECT_TRUE(definitions.contains(name)) << name;
  }
  EXPECT_EQ(definitions.size(), v2().find("definitions")->as_object().size());
  EXPECT_EQ(fields(only(document, 8)).size(), v2().find("paths")->as_object().size());

  Fields spec = fields(definitions["io.k8s.api.core.v1.PodSpec"]);
  EXPECT_EQ(only(spec, 19), "containers");
  EXPECT_EQ(only(fields(only(spec, 22)), 1), "object");
  for (const auto& [number, named] : fields(only(spec, 25))) {
    if (only(fields(named), 1) != "containers") continue;
    Fields containers = fields(only(fields(named), 2));
    EXPECT_EQ(only(fields(only(containers, 22)), 1), "array");
    EXPECT_EQ(only(fields(only(fields(only(containers, 23)), 1)), 1), "#/definitions/io.k8s.api.core.v1.Container");
    Fields extension = fields(only(containers, 31));  // the last one
    EXPECT_EQ(only(extension, 1), "x-kubernetes-patch-strategy");
    EXPECT_EQ(only(fields(only(extension, 2)), 2), R"("merge")");
  }
}

TEST(OpenApiTest, ProtobufParameters) {
  auto item = parse_value(
      R"({"patch":{"operationId":"p","parameters":[{"in":"body","name":"body","required":true,"schema":{"$ref":"r"}},)"
      R"({"in":"query","name":"dryRun","type":"string","uniqueItems":true}],"responses":{"200":{"description":"OK"}}},)"
      R"("parameters":[{"in":"path","name":"name","required":true,"type":"string"}]})");
  ASSERT_TRUE(item.ok());
  Fields path = fields(openapi::gnostic_path_item(*item));
  Fields patch = fields(only(path, 8));
  EXPECT_EQ(only(patch, 5), "p");
  ASSERT_EQ(patch.size(), 4u);
  auto unwrap = [](std::string bytes, std::initializer_list<int> way) {
    for (int number : way) bytes = only(fields(bytes), number);
    return fields(bytes);
  };
  Fields body = unwrap(patch[1].second, {1, 1});
  EXPECT_EQ(only(body, 2), "body");
  EXPECT_EQ(only(body, 4), "1");
  EXPECT_EQ(only(fields(only(body, 5)), 1), "r");
  Fields query = unwrap(patch[2].second, {1, 2, 3});
  EXPECT_EQ(only(query, 4), "dryRun");
  EXPECT_EQ(only(query, 2), "query");
  EXPECT_EQ(only(query, 20), "1");
  Fields name = unwrap(only(path, 9), {1, 2, 4});
  EXPECT_EQ(only(name, 4), "name");
  EXPECT_EQ(only(name, 1), "1");
}

}  // namespace
}  // namespace trireme::api
