// Create, get, update and patch of stored kinds, and their failures in upstream's words.

#include <gtest/gtest.h>

#include "api/types/corev1.h"
#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using test::Answer;
using test::config_map;
using test::TestApiServer;

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

std::string path(std::string_view name) { return std::string(kMaps) + "/" + std::string(name); }

TEST(Create, FillsSystemMetadataAndAnswers201) {
  TestApiServer server;
  Answer created = server.post(kMaps, config_map("a", R"("data":{"k":"v"})"));
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.at({"kind"}), "ConfigMap");
  EXPECT_EQ(created.at({"apiVersion"}), "v1");
  EXPECT_EQ(created.at({"metadata", "namespace"}), "default");
  EXPECT_EQ(created.at({"metadata", "creationTimestamp"}), "2024-01-01T00:00:00Z");
  EXPECT_EQ(created.at({"metadata", "uid"}).size(), 36u);
  EXPECT_NE(created.at({"metadata", "resourceVersion"}), "");
  Answer got = server.get(path("a"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, created.body);
  EXPECT_EQ(got.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(got.headers.get("Cache-Control"), "no-cache, private");
  EXPECT_NE(got.headers.get("Audit-Id"), "");
}

TEST(Create, TakesAVersionThatSaysNothing) {
  TestApiServer server;
  const std::string zero = R"({"metadata":{"name":"a","resourceVersion":"0"}})";
  const Answer created = server.post(kMaps, zero);
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_NE(created.at({"metadata", "resourceVersion"}), "0");
  EXPECT_EQ(server.post(kMaps, R"({"metadata":{"name":"b","resourceVersion":"7"}})").status, 400);
}

struct Failure {
  const char* what;
  const char* method;
  std::string target;
  std::string body;
  std::string content_type;
  int status;
  const char* reason;
  const char* message;  ///< A part of it.
};

TEST(Verbs, FailuresAreStatuses) {
  TestApiServer server;
  ASSERT_EQ(server.post(kMaps, config_map("there")).status, 201);
  const std::string json = "application/json";
  const std::vector<Failure> cases = {
      {"missing object", "GET", path("none"), "", "", 404, "NotFound", "configmaps \"none\" not found"},
      {"missing group", "GET", "/apis/none/v1/things", "", "", 404, "NotFound",
       "the server could not find the requested resource"},
      {"missing resource", "GET", "/api/v1/things", "", "", 404, "NotFound",
       "the server could not find the requested resource"},
      {"cluster resource in a namespace", "GET", "/api/v1/namespaces/default/nodes", "", "", 404, "NotFound",
       "the server could not find the requested resource"},
      {"missing subresource", "GET", path("there") + "/status", "", "", 404, "NotFound",
       "the server could not find the requested resource"},
      {"create exists", "POST", kMaps, config_map("there"), json, 409, "AlreadyExists",
       "configmaps \"there\" already exists"},
      {"create in no namespace", "POST", "/api/v1/namespaces/none/configmaps", config_map("a"), json, 404, "NotFound",
       "namespaces \"none\" not found"},
      {"namespace mismatch", "POST", kMaps, R"({"metadata":{"name":"a","namespace":"other"}})", json, 400, "BadRequest",
       "the namespace of the provided object does not match the namespace sent on the request"},
      {"resourceVersion on create", "POST", kMaps, R"({"metadata":{"name":"a","resourceVersion":"5"}})", json, 400,
       "BadRequest", "resourceVersion should not be set on objects to be created"},
      {"no name", "POST", kMaps, R"({"metadata":{}})", json, 422, "Invalid", "name or generateName is required"},
      {"bad name", "POST", kMaps, config_map("NOT_GOOD"), json, 422, "Invalid", "Invalid value: \"NOT_GOOD\""},
      {"post to an item", "POST", path("there"), config_map("there"), json, 405, "MethodNotAllowed",
       "the server does not allow this method on the requested resource"},
      {"put to a collection", "PUT", kMaps, config_map("there"), json, 405, "MethodNotAllowed", ""},
      {"broken JSON", "POST", kMaps, "{\"metadata\":", json, 400, "BadRequest", "json"},
      {"no JSON at all", "POST", kMaps, "hello", json, 400, "BadRequest", "must be of type ConfigMap"},
      {"empty body", "POST", kMaps, "", json, 400, "BadRequest", ""},
      {"ill-typed", "POST", kMaps, R"({"metadata":{"name":"a"},"data":[1]})", json, 400, "BadRequest",
       "ConfigMap in version \"v1\" cannot be handled as a ConfigMap"},
      {"other kind", "POST", kMaps, R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}})", json, 400,
       "BadRequest", "Pod in version \"v1\" cannot be handled as a ConfigMap"},
      {"other version", "POST", kMaps, R"({"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"}})", json,
       400, "BadRequest", "the API version in the data (apps/v1) does not match the expected API version (v1)"},
      {"unknown media", "POST", kMaps, config_map("a"), "text/plain", 415, "UnsupportedMediaType",
       "the body of the request was in an unknown format"},
      {"update with another name", "PUT", path("there"), config_map("b"), json, 400, "BadRequest",
       "the name of the object (b) does not match the name on the URL (there)"},
      {"update of nothing", "PUT", path("none"), config_map("none"), json, 404, "NotFound", "not found"},
      {"stale update", "PUT", path("there"), R"({"metadata":{"name":"there","resourceVersion":"1"}})", json, 409,
       "Conflict",
       "Operation cannot be fulfilled on configmaps \"there\": the object has been modified; please apply your changes "
       "to the latest version and try again"},
      {"update of another uid", "PUT", path("there"), R"({"metadata":{"name":"there","uid":"x"}})", json, 409,
       "Conflict", "Precondition failed: UID in precondition: x"},
      {"patch of nothing", "PATCH", path("none"), "{}", "application/merge-patch+json", 404, "NotFound", ""},
      {"patch of no kind", "PATCH", path("there"), "{}", json, 415, "UnsupportedMediaType", ""},
      {"apply", "PATCH", path("there"), "{}", "application/apply-patch+yaml", 415, "UnsupportedMediaType",
       "not supported"},
      {"broken patch", "PATCH", path("there"), "{", "application/merge-patch+json", 400, "BadRequest", ""},
      {"patch no object", "PATCH", path("there"), "[]", "application/merge-patch+json", 400, "BadRequest", ""},
      {"JSON patch that tests wrong", "PATCH", path("there"), R"([{"op":"test","path":"/metadata/name","value":"x"}])",
       "application/json-patch+json", 422, "Invalid", ""},
      {"dry run of something else", "POST", std::string(kMaps) + "?dryRun=Some", config_map("a"), json, 422, "Invalid",
       "Unsupported value: \"Some\""},
      {"field validation of another kind", "POST", std::string(kMaps) + "?fieldValidation=Maybe", config_map("a"), json,
       422, "Invalid", "Unsupported value: \"Maybe\""},
      {"delete nothing", "DELETE", path("none"), "", "", 404, "NotFound", "configmaps \"none\" not found"},
      {"delete a namespace that must stay", "DELETE", "/api/v1/namespaces/default", "", "", 403, "Forbidden",
       "this namespace may not be deleted"},
      {"bad escape", "GET", "/api/v1/namespaces/%zz/pods", "", "", 400, "BadRequest", ""},
      {"namespaced kind without a namespace", "POST", "/api/v1/configmaps", config_map("a"), json, 405,
       "MethodNotAllowed", ""},
  };
  for (const Failure& each : cases) {
    net::Request request;
    request.method = each.method;
    request.target = each.target;
    request.body = each.body;
    if (!each.content_type.empty()) request.headers.add("Content-Type", each.content_type);
    Answer answer = server.send(std::move(request));
    EXPECT_EQ(answer.status, each.status) << each.what << ": " << answer.body;
    EXPECT_EQ(answer.at({"kind"}), "Status") << each.what;
    EXPECT_EQ(answer.at({"status"}), "Failure") << each.what;
    EXPECT_EQ(answer.at({"reason"}), each.reason) << each.what << ": " << answer.body;
    EXPECT_EQ(answer.at({"code"}), std::to_string(each.status)) << each.what;
    EXPECT_NE(answer.at({"message"}).find(each.message), std::string::npos) << each.what << ": " << answer.body;
  }
}

TEST(Create, GeneratesNames) {
  TestApiServer server;
  Answer first = server.post(kMaps, R"({"metadata":{"generateName":"web-"}})");
  Answer second = server.post(kMaps, R"({"metadata":{"generateName":"web-"}})");
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.at({"metadata", "name"}).size(), 9u);
  EXPECT_TRUE(first.at({"metadata", "name"}).starts_with("web-"));
  EXPECT_NE(first.at({"metadata", "name"}), second.at({"metadata", "name"}));
}

TEST(Create, DryRunWritesNothing) {
  TestApiServer server;
  Answer dry = server.post(std::string(kMaps) + "?dryRun=All", config_map("a"));
  EXPECT_EQ(dry.status, 201);
  EXPECT_NE(dry.at({"metadata", "uid"}), "");
  EXPECT_EQ(dry.at({"metadata", "resourceVersion"}), "");
  EXPECT_EQ(server.get(path("a")).status, 404);
  ASSERT_EQ(server.post(kMaps, config_map("a")).status, 201);
  EXPECT_EQ(server.post(std::string(kMaps) + "?dryRun=All", config_map("a")).status, 409);
  EXPECT_EQ(server.put(path("a") + "?dryRun=All", config_map("a", R"("data":{"k":"v"})")).at({"data", "k"}), "v");
  EXPECT_EQ(server.remove(path("a") + "?dryRun=All").status, 200);
  EXPECT_EQ(server.get(path("a")).at({"data", "k"}), "");
}

TEST(Create, UnknownFieldsByFieldValidation) {
  TestApiServer server;
  auto body = [](std::string name) { return R"({"metadata":{"name":")" + name + R"("},"foo":1,"data":{},"data":{}})"; };
  Answer warned = server.post(kMaps, body("a"));
  EXPECT_EQ(warned.status, 201) << warned.body;
  EXPECT_EQ(warned.headers.all("Warning").size(), 2u);
  Answer ignored = server.post(std::string(kMaps) + "?fieldValidation=Ignore", body("b"));
  EXPECT_EQ(ignored.status, 201);
  EXPECT_FALSE(ignored.headers.has("Warning"));
  Answer refused = server.post(std::string(kMaps) + "?fieldValidation=Strict", body("c"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.at({"message"}).find("strict decoding error: "), std::string::npos) << refused.body;
  EXPECT_NE(refused.at({"message"}).find("unknown field \"foo\""), std::string::npos) << refused.body;
}

TEST(Create, YamlAndProtobufBodies) {
  TestApiServer server;
  Answer yaml = server.post(kMaps, "metadata:\n  name: yam\ndata:\n  a: b\n", "application/yaml");
  ASSERT_EQ(yaml.status, 201) << yaml.body;
  EXPECT_EQ(yaml.at({"data", "a"}), "b");
  Answer read = server.get(path("yam"), "application/yaml");
  EXPECT_EQ(read.headers.get("Content-Type"), "application/yaml");
  EXPECT_NE(read.body.find("data:\n  a: b\n"), std::string::npos) << read.body;

  api::corev1::ConfigMap map;
  map.metadata.name = "p";
  map.data["x"] = "y";
  Answer proto = server.post(kMaps, api::encode_proto(map), "application/vnd.kubernetes.protobuf");
  ASSERT_EQ(proto.status, 201) << proto.body;
  EXPECT_EQ(proto.at({"data", "x"}), "y");
  Answer bytes = server.get(path("p"), "application/vnd.kubernetes.protobuf");
  EXPECT_EQ(bytes.headers.get("Content-Type"), "application/vnd.kubernetes.protobuf");
  auto decoded = api::decode_proto<api::corev1::ConfigMap>(bytes.body);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(decoded->data["x"], "y");
  EXPECT_EQ(decoded->metadata.resource_version, proto.at({"metadata", "resourceVersion"}));
  EXPECT_EQ(server.get(path("p"), "text/html").status, 406);
}

TEST(Update, ReplacesAndNoticesNothingChanged) {
  TestApiServer server;
  Answer created = server.post(kMaps, config_map("a"));
  Answer updated = server.put(path("a"), config_map("a", R"("data":{"k":"1"})"));
  ASSERT_EQ(updated.status, 200) << updated.body;
  EXPECT_EQ(updated.at({"data", "k"}), "1");
  EXPECT_EQ(updated.at({"metadata", "uid"}), created.at({"metadata", "uid"}));
  EXPECT_NE(updated.at({"metadata", "resourceVersion"}), created.at({"metadata", "resourceVersion"}));
  Answer same = server.put(path("a"), updated.body);
  EXPECT_EQ(same.at({"metadata", "resourceVersion"}), updated.at({"metadata", "resourceVersion"}));
  EXPECT_EQ(server.put(path("a"), created.body).status, 409);
}

TEST(Update, CreatesWhereTheKindAllowsIt) {
  TestApiServer server;
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
  Answer created = server.put(leases + "/l", R"({"metadata":{"name":"l"},"spec":{"holderIdentity":"me"}})");
  EXPECT_EQ(created.status, 201) << created.body;
  Answer unconditional = server.put(leases + "/l", R"({"metadata":{"name":"l"}})");
  EXPECT_EQ(unconditional.status, 422) << unconditional.body;
  EXPECT_NE(unconditional.at({"message"})
                .find("metadata.resourceVersion: Invalid value: 0x0: must be specified for an "
                      "update"),
            std::string::npos);
}

TEST(Patch, AllThreeFormats) {
  TestApiServer server;
  ASSERT_EQ(server.post("/api/v1/namespaces/default/pods", test::pod("p", R"("a":"1")")).status, 201);
  const std::string target = "/api/v1/namespaces/default/pods/p";
  Answer merged = server.patch(target, R"({"metadata":{"labels":{"b":"2","a":null}}})");
  ASSERT_EQ(merged.status, 200) << merged.body;
  EXPECT_EQ(merged.at({"metadata", "labels"}), R"({"b":"2"})");
  Answer json =
      server.patch(target, R"([{"op":"add","path":"/metadata/labels/c","value":"3"}])", "application/json-patch+json");
  EXPECT_EQ(json.at({"metadata", "labels"}), R"({"b":"2","c":"3"})") << json.body;
  Answer strategic = server.patch(target, R"({"spec":{"containers":[{"name":"main","image":"redis"}]}})",
                                  "application/strategic-merge-patch+json");
  ASSERT_EQ(strategic.status, 200) << strategic.body;
  EXPECT_EQ(strategic.at({"spec", "containers", "0", "image"}), "redis");
  EXPECT_EQ(strategic.at({"spec", "containers", "0", "name"}), "main");
  Answer unchanged = server.patch(target, "{}");
  EXPECT_EQ(unchanged.at({"metadata", "resourceVersion"}), strategic.at({"metadata", "resourceVersion"}));
  EXPECT_EQ(server.patch(target, R"({"metadata":{"resourceVersion":"1"}})").status, 409);
}

TEST(Status, IsApartFromTheSpecification) {
  TestApiServer server;
  const std::string target = "/api/v1/namespaces/default/replicationcontrollers";
  Answer created = server.post(target, R"({"metadata":{"name":"rc"},"spec":{"replicas":2,"selector":{"a":"b"},
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}},
      "status":{"replicas":7}})");
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.at({"status", "replicas"}), "0");
  EXPECT_EQ(created.at({"metadata", "generation"}), "1");
  Answer status = server.patch(target + "/rc/status", R"({"spec":{"replicas":9},"status":{"replicas":3}})");
  ASSERT_EQ(status.status, 200) << status.body;
  EXPECT_EQ(status.at({"spec", "replicas"}), "2");
  EXPECT_EQ(status.at({"status", "replicas"}), "3");
  EXPECT_EQ(status.at({"metadata", "generation"}), "1");
  Answer spec = server.patch(target + "/rc", R"({"spec":{"replicas":9},"status":{"replicas":1}})");
  EXPECT_EQ(spec.at({"spec", "replicas"}), "9") << spec.body;
  EXPECT_EQ(spec.at({"status", "replicas"}), "3");
  EXPECT_EQ(spec.at({"metadata", "generation"}), "2");

  Answer scale = server.get(target + "/rc/scale");
  EXPECT_EQ(scale.at({"kind"}), "Scale");
  EXPECT_EQ(scale.at({"apiVersion"}), "autoscaling/v1");
  EXPECT_EQ(scale.at({"spec", "replicas"}), "9");
  EXPECT_EQ(scale.at({"status", "selector"}), "a=b");
  Answer scaled = server.put(target + "/rc/scale", R"({"kind":"Scale","apiVersion":"autoscaling/v1",
      "metadata":{"name":"rc","namespace":"default"},"spec":{"replicas":4}})");
  EXPECT_EQ(scaled.at({"spec", "replicas"}), "4") << scaled.body;
  Answer patched = server.patch(target + "/rc/scale", R"({"spec":{"replicas":5}})");
  EXPECT_EQ(patched.at({"spec", "replicas"}), "5") << patched.body;
  EXPECT_EQ(server.get(target + "/rc").at({"spec", "replicas"}), "5");
  EXPECT_EQ(server.put(target + "/rc/scale", R"({"metadata":{"name":"rc"},"spec":{"replicas":-1}})").status, 422);
}

TEST(Client, TypedCallsInBothEncodings) {
  for (bool protobuf : {true, false}) {
    TestApiServer server;
    client::Client client = server.client(protobuf);
    api::corev1::ConfigMap map;
    map.metadata.name = "m";
    map.metadata.namespace_ = "default";
    auto created = client.create(map);
    ASSERT_TRUE(created.ok()) << created.status().to_string();
    created->data["k"] = "v";
    auto updated = client.update(*created);
    ASSERT_TRUE(updated.ok()) << updated.status().to_string();
    EXPECT_TRUE(client.update(*created).status().is(Reason::kConflict));
    auto list = client.list<api::corev1::ConfigMap, api::corev1::ConfigMapList>("default");
    ASSERT_TRUE(list.ok()) << list.status().to_string();
    ASSERT_EQ(list->items.size(), 1u);
    EXPECT_EQ(list->items[0].data["k"], "v");
    EXPECT_TRUE(client.remove<api::corev1::ConfigMap>("default", "m").ok());
    EXPECT_TRUE(client.get<api::corev1::ConfigMap>("default", "m").status().is(Reason::kNotFound));
  }
}

}  // namespace
}  // namespace trireme
