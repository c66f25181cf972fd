#include "api/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/types/apiextensionsv1.h"
#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "api/types/metav1.h"
#include "api/types/rbacv1.h"

namespace trireme::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

template <typename T>
T decode(std::string_view json, DecodeNotes* notes = nullptr) {
  Result<T> object = decode_json<T>(json, notes);
  EXPECT_TRUE(object.ok()) << json << ": " << object.status().to_string();
  return object.ok() ? *std::move(object) : T();
}

template <typename T>
std::string failure(std::string_view json) {
  const Result<T> object = decode_json<T>(json);
  if (object.ok()) return "decoded";
  EXPECT_EQ(object.status().reason(), Reason::kBadRequest);
  return object.status().message();
}

TEST(JsonCodec, WritesWhatGoWrites) {
  corev1::Pod pod;
  EXPECT_EQ(encode_json(pod),
            R"({"kind":"Pod","apiVersion":"v1","metadata":{"creationTimestamp":null},"spec":{"containers":null},)"
            R"("status":{}})");
  pod.metadata.name = "web";
  pod.metadata.labels["b"] = "2";
  pod.metadata.labels["a"] = "1";
  pod.spec.containers.emplace_back().name = "c";
  pod.spec.termination_grace_period_seconds = 0;
  pod.spec.containers[0].command = {"sh", "-c", "a < b && c > d"};
  EXPECT_EQ(encode_json(pod), R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","creationTimestamp":null,)"
                              R"("labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"c",)"
                              R"("command":["sh","-c","a \u003c b \u0026\u0026 c \u003e d"],"resources":{}}],)"
                              R"("terminationGracePeriodSeconds":0},"status":{}})");
}

TEST(JsonCodec, EmptyListsHaveItems) {
  EXPECT_EQ(encode_json(corev1::PodList()), R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]})");
  // Other lists without omitempty are null, as in Go.
  EXPECT_EQ(encode_json(rbacv1::ClusterRole()), R"({"kind":"ClusterRole","apiVersion":"rbac.authorization.k8s.io/v1",)"
                                                R"("metadata":{"creationTimestamp":null},"rules":null})");
}

TEST(JsonCodec, ItemsHaveNoKindButClaimTemplatesDo) {
  appsv1::StatefulSetList list;
  list.items.emplace_back().spec.volume_claim_templates.emplace_back().metadata.name = "data";
  const std::string json = encode_json(list);
  EXPECT_THAT(json, HasSubstr(R"("items":[{"metadata")"));
  EXPECT_THAT(json, HasSubstr(R"("volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1",)"));
  EXPECT_EQ(encode_json(decode<appsv1::StatefulSetList>(json)), json);
}

TEST(JsonCodec, NullLeavesOrEmpties) {
  const auto pod = decode<corev1::Pod>(
      R"({"metadata":{"name":null,"labels":{"a":null},"creationTimestamp":null},)"
      R"("spec":{"containers":[null],"nodeName":null,"securityContext":null,"restartPolicy":"Never"},"status":null})");
  EXPECT_EQ(pod.metadata.name, "");
  EXPECT_TRUE(pod.metadata.creation_timestamp.is_zero());
  EXPECT_EQ(pod.metadata.labels.at("a"), "");
  EXPECT_EQ(pod.spec.containers.size(), 1U);
  EXPECT_FALSE(pod.spec.security_context);
}

TEST(JsonCodec, InlinedStructsShareTheLevel) {
  const auto volume = decode<corev1::Volume>(R"({"configMap":{"name":"c","defaultMode":420},"name":"v"})");
  EXPECT_EQ(volume.name, "v");
  ASSERT_TRUE(volume.volume_source.config_map);
  EXPECT_EQ(volume.volume_source.config_map->local_object_reference.name, "c");
  EXPECT_EQ(volume.volume_source.config_map->default_mode, 420);
  EXPECT_EQ(encode_json(volume), R"({"name":"v","configMap":{"name":"c","defaultMode":420}})");
}

TEST(JsonCodec, NotesCarryPaths) {
  DecodeNotes notes;
  decode<corev1::Pod>(
      R"({"kind":"Pod","apiVersion":"v1","foo":1,"metadata":{"name":"a","name":"b","labels":{"x":"1","x":"2"}},)"
      R"("spec":{"containers":[{"name":"a"},{"name":"b","imag":"x","ports":[{"containerport":80}]}],)"
      R"("volumes":[{"name":"v","emptyDir":{},"emptyDir":{"siz":1}}]},"kind":"Pod"})",
      &notes);
  EXPECT_THAT(notes.unknown, ElementsAre(R"(unknown field "foo")", R"(unknown field "spec.containers[1].imag")",
                                         R"(unknown field "spec.containers[1].ports[0].containerport")",
                                         R"(unknown field "spec.volumes[0].emptyDir.siz")"));
  EXPECT_THAT(notes.duplicate,
              ElementsAre(R"(duplicate field "metadata.name")", R"(duplicate field "metadata.labels.x")",
                          R"(duplicate field "spec.volumes[0].emptyDir")", R"(duplicate field "kind")"));
}

TEST(JsonCodec, TheLastDuplicateWins) {
  EXPECT_EQ(decode<corev1::Pod>(R"({"metadata":{"name":"a","name":"b"}})").metadata.name, "b");
}

TEST(JsonCodec, IllTypedValuesAreNamedAsUpstreamDoes) {
  const struct {
    std::string_view json, message;
  } cases[] = {
      {R"({"spec":{"replicas":"3"}})",
       "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"},
      {R"({"spec":{"replicas":1.5}})",
       "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"},
      {R"({"spec":{"replicas":3000000000}})",
       "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"},
      {R"({"spec":{"template":{"spec":{"containers":{}}}}})",
       "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type "
       "[]v1.Container"},
      {R"({"spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":1}]}]}}}})",
       "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type "
       "string"},
      {R"({"metadata":{"labels":"x"}})",
       "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string"},
      {R"({"metadata":{"labels":{"x":true}}})",
       "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string"},
      {R"({"spec":[]})", "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"},
      {R"({"kind":1})", "json: cannot unmarshal number into Go struct field TypeMeta.kind of type string"},
      {R"({"spec":{"paused":"yes"}})",
       "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"},
      {R"([])", "json: cannot unmarshal array into Go value of type Deployment"},
  };
  for (const auto& [json, message] : cases) {
    EXPECT_EQ(failure<appsv1::Deployment>(json),
              "Deployment in version \"v1\" cannot be handled as a Deployment: " + std::string(message))
        << json;
  }
}

TEST(JsonCodec, BadScalarsSayWhatIsWrong) {
  EXPECT_THAT(failure<corev1::Pod>(R"({"spec":{"containers":[{"resources":{"limits":{"cpu":"x"}}}]}})"),
              HasSubstr("quantities must match the regular expression"));
  EXPECT_THAT(failure<corev1::Pod>(R"({"metadata":{"creationTimestamp":"yesterday"}})"), HasSubstr("yesterday"));
  EXPECT_THAT(failure<corev1::Secret>(R"({"data":{"a":"%%"}})"), HasSubstr("illegal base64 data at input byte 0"));
}

TEST(JsonCodec, RefusesBrokenDocuments) {
  for (const std::string_view json : {"",
                                      " ",
                                      "{",
                                      "}",
                                      "nul",
                                      R"({"metadata")",
                                      R"({"metadata":})",
                                      R"({"metadata":{},})",
                                      R"({"metadata":{}}})",
                                      R"({"metadata":{}} x)",
                                      R"({"metadata":{}}{})",
                                      R"({"metadata":{"name":"a" "b"}})",
                                      R"({'metadata':{}})",
                                      R"({"zz":[1,})",
                                      R"({"zz":tru})",
                                      R"({"zz":01})",
                                      R"({"zz":"\x"})",
                                      "{\"metadata\":{\"name\":\"\xff\"}}",
                                      "{\"metadata\":{\"name\":\"a\nb\"}}",
                                      R"({"metadata":{"generation":01}})",
                                      R"({"spec":{"hostPID":truth}})"}) {
    EXPECT_NE(failure<corev1::Pod>(json), "decoded") << json;
  }
}

TEST(JsonCodec, NestingIsBounded) {
  std::string schema = R"({"spec":{"versions":[{"schema":{"openAPIV3Schema":)";
  const std::string raw = R"({"spec":{"versions":[{"schema":{"openAPIV3Schema":{"default":)";
  for (int i = 0; i < 100'000; ++i) schema += R"({"items":)";
  EXPECT_NE(failure<apiextensionsv1::CustomResourceDefinition>(schema), "decoded");
  EXPECT_NE(failure<apiextensionsv1::CustomResourceDefinition>(raw + std::string(100'000, '[')), "decoded");
  EXPECT_NE(failure<corev1::Pod>(R"({"unknown":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
            "decoded");
}

TEST(JsonCodec, RawJsonKeepsItsText) {
  const auto revision = decode<appsv1::ControllerRevision>(
      R"({"data": { "b" : 1.50, "a": [ 1e3 , "x y\u00e4" ], "b": null } ,"revision":1})");
  EXPECT_EQ(revision.data.text, R"({"b":1.50,"a":[1e3,"x y\u00e4"],"b":null})");
  EXPECT_TRUE(decode<appsv1::ControllerRevision>(R"({"data":null})").data.empty());
  EXPECT_EQ(decode<appsv1::ControllerRevision>(R"({"data": 5 })").data.text, "5");
}

TEST(JsonCodec, QuantitiesMayBeNumbers) {
  const auto pod = decode<corev1::Pod>(
      R"({"spec":{"containers":[{"resources":{"limits":{"cpu":0.5,"memory": 1024, "x": " 1Ki " }}}]}})");
  const auto& limits = pod.spec.containers[0].resources.limits;
  EXPECT_EQ(limits.at("cpu").to_string(), "500m");
  EXPECT_EQ(limits.at("memory").value(), 1024);
  EXPECT_EQ(limits.at("x").to_string(), "1Ki");
}

TEST(JsonCodec, IntOrStringTakesBoth) {
  auto port = decode<corev1::ServicePort>(R"({"port":80,"targetPort":"http"})");
  EXPECT_EQ(port.target_port, IntOrString("http"));
  EXPECT_EQ(decode<corev1::ServicePort>(R"({"targetPort":8080})").target_port, IntOrString(8080));
  EXPECT_THAT(failure<corev1::ServicePort>(R"({"targetPort":1.5})"), HasSubstr("number 1.5"));
  EXPECT_THAT(failure<corev1::ServicePort>(R"({"targetPort":true})"), HasSubstr("bool"));
}

TEST(JsonCodec, SchemasTakeAllTheirForms) {
  const std::string json =
      R"({"items":[{"type":"string"}],"properties":{"a":{"additionalProperties":false},)"
      R"("b":{"items":{"type":"integer"},"additionalProperties":{"type":"string"}}},"dependencies":{"x":["y"],)"
      R"("z":{"type":"object"}},"x-kubernetes-int-or-string":true})";
  const auto schema = decode<apiextensionsv1::JSONSchemaProps>(json);
  EXPECT_EQ(encode_json(schema), json);
  EXPECT_EQ(schema.items->json_schemas.size(), 1U);
  EXPECT_FALSE(schema.properties.at("a").additional_properties->allows);
  EXPECT_TRUE(schema.properties.at("b").additional_properties->allows);
  EXPECT_EQ(schema.properties.at("b").items->schema->type, "integer");
  EXPECT_NE(failure<apiextensionsv1::JSONSchemaProps>(R"({"additionalProperties":"x"})"), "decoded");
}

TEST(ProtoCodec, EnvelopeIsRead) {
  corev1::ConfigMap map;
  map.metadata.name = "m";
  map.data["k"] = "v";
  const std::string bytes = encode_proto(map);
  EXPECT_THAT(bytes, StartsWith(std::string("k8s\0", 4)));
  const Result<UnwrappedProto> envelope = unwrap_proto(bytes);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->api_version, "v1");
  EXPECT_EQ(envelope->kind, "ConfigMap");
  const Result<corev1::ConfigMap> decoded = decode_proto<corev1::ConfigMap>(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->data.at("k"), "v");
  EXPECT_FALSE(unwrap_proto("{}").ok());
  EXPECT_FALSE(unwrap_proto(bytes.substr(0, 8)).ok());
}

TEST(ProtoCodec, RefusesMalformedMessages) {
  const std::string_view cases[] = {
      "\x0a",                                          // a tag without its length
      "\x0a\x05",                                      // a length beyond the end
      "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // a huge length
      "\x08\x01",                                      // metadata as a number
      "\x0b",                                          // a group
      "\x02\x01x",                                     // field number 0
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // a varint without end
  };
  for (const std::string_view bytes : cases) {
    corev1::Pod pod;
    EXPECT_FALSE(parse_proto(type_info<corev1::Pod>(), bytes, &pod).ok()) << testing::PrintToString(bytes);
  }
}

TEST(ProtoCodec, NestingIsBounded) {
  // Schemas within schemas: each level is field 28 ("not") around the one before.
  std::string bytes;
  for (int i = 0; i < 3000; ++i) {
    std::string outer = "\xe2\x01";
    for (size_t length = bytes.size();; length >>= 7) {
      outer.push_back(static_cast<char>(length < 0x80 ? length : length | 0x80));
      if (length < 0x80) break;
    }
    bytes = outer + bytes;
  }
  apiextensionsv1::JSONSchemaProps schema;
  EXPECT_FALSE(parse_proto(type_info<apiextensionsv1::JSONSchemaProps>(), bytes, &schema).ok());
}

TEST(ProtoCodec, BrokenRawJsonIsRefused) {
  appsv1::ControllerRevision revision;
  std::string bytes;
  for (const std::string_view text : {"{\"a\":", "nonsense", "{} {}", "\x01\x02"}) {
    revision.data.text = text;
    bytes.clear();
    append_proto(type_info<appsv1::ControllerRevision>(), &revision, bytes);
    appsv1::ControllerRevision decoded;
    EXPECT_FALSE(parse_proto(type_info<appsv1::ControllerRevision>(), bytes, &decoded).ok()) << text;
  }
}

}  // namespace
}  // namespace trireme::api
