#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/structural/check_schema.h"
#include "api/structural/json_path.h"
#include "api/structural/schema.h"
#include "api/structural/validate.h"

namespace trireme::api::structural {
namespace {

using apiextensionsv1::JSONSchemaProps;

JSONSchemaProps props(std::string_view json) {
  auto parsed = decode_json<JSONSchemaProps>(json);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? *parsed : JSONSchemaProps();
}

std::shared_ptr<const Schema> schema(std::string_view json) {
  auto compiled = compile(props(json));
  EXPECT_TRUE(compiled.ok()) << compiled.status().message();
  return compiled.ok() ? *compiled : std::make_shared<const Schema>();
}

Value value(std::string_view json) {
  auto parsed = parse_value(json);
  EXPECT_TRUE(parsed.ok()) << json;
  return parsed.ok() ? *parsed : Value();
}

std::string pruned(std::string_view json, std::string_view by, std::vector<std::string>* removed = nullptr) {
  Value object = value(json);
  prune(object, *schema(by), true, removed);
  return to_json(object);
}

std::string defaulted(std::string_view json, std::string_view by) {
  Value object = value(json);
  apply_defaults(object, *schema(by));
  return to_json(object);
}

std::vector<std::string> faults(std::string_view json, std::string_view by) {
  validation::ErrorList errors;
  validate(value(json), *schema(by), "spec", errors);
  std::vector<std::string> all;
  for (const StatusCause& cause : errors.causes()) all.push_back(cause.field + ": " + cause.message);
  return all;
}

std::vector<std::string> schema_faults(std::string_view json) {
  validation::ErrorList errors;
  check_schema(props(json), validation::Path("s"), errors);
  std::vector<std::string> all;
  for (const StatusCause& cause : errors.causes()) all.push_back(cause.field + ": " + cause.message);
  return all;
}

TEST(Prune, KeepsWhatIsSpecified) {
  std::vector<std::string> removed;
  EXPECT_EQ(
      pruned(
          R"({"metadata":{"x":1},"kind":"K","a":{"b":1,"c":2},"l":[{"d":1},{"e":2}],"m":{"any":{"f":1,"g":2}},"z":1})",
          R"({"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}},
                       "l":{"type":"array","items":{"type":"object","properties":{"d":{"type":"integer"}}}},
                       "m":{"type":"object","additionalProperties":{"type":"object","properties":{"f":{"type":"integer"}}}}}})",
          &removed),
      R"({"a":{"b":1},"kind":"K","l":[{"d":1},{}],"m":{"any":{"f":1}},"metadata":{"x":1}})");
  EXPECT_THAT(removed, testing::ElementsAre("a.c", "l[1].e", "m.any.g", "z"));
}

TEST(Prune, UnknownFieldsMayBePreserved) {
  constexpr std::string_view kFree =
      R"({"type":"object","properties":{"a":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
          "properties":{"b":{"type":"object","properties":{"c":{"type":"string"}}}}}}})";
  EXPECT_EQ(pruned(R"({"a":{"b":{"c":"x","d":1},"other":{"deep":[1,{"x":2}]}}})", kFree),
            R"({"a":{"b":{"c":"x"},"other":{"deep":[1,{"x":2}]}}})");
  EXPECT_EQ(pruned(R"({"a":{"x":1}})",
                   R"({"type":"object","properties":{"a":{"type":"object","additionalProperties":true}}})"),
            R"({"a":{"x":1}})");
}

TEST(Prune, EmbeddedResourcesKeepWhatEveryResourceHas) {
  EXPECT_EQ(pruned(R"({"a":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"y":1},"odd":1}})",
                   R"({"type":"object","properties":{"a":{"type":"object","x-kubernetes-embedded-resource":true,
                       "properties":{"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}})"),
            R"({"a":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"y":1}}})");
}

TEST(Defaults, FillWhatIsMissingOrNull) {
  constexpr std::string_view kSchema =
      R"({"type":"object","properties":{"a":{"type":"string","default":"x"},"n":{"type":"string","nullable":true,"default":"y"},
          "p":{"type":"string"},"o":{"type":"object","default":{},"properties":{"i":{"type":"integer","default":7}}},
          "q":{"type":"object","properties":{"i":{"type":"integer","default":7}}},
          "l":{"type":"array","items":{"type":"object","properties":{"j":{"type":"integer","default":8}}}},
          "m":{"type":"object","additionalProperties":{"type":"object","properties":{"k":{"type":"integer","default":9}}}}}})";
  EXPECT_EQ(defaulted("{}", kSchema), R"({"a":"x","n":"y","o":{"i":7}})");
  EXPECT_EQ(defaulted(R"({"a":null,"n":null,"p":null,"q":{},"l":[{},{"j":1}],"m":{"u":{}}})", kSchema),
            R"({"a":"x","l":[{"j":8},{"j":1}],"m":{"u":{"k":9}},"n":null,"o":{"i":7},"q":{"i":7}})");
}

TEST(Validate, Texts) {
  EXPECT_THAT(faults("[1,2,3]",
                     R"({"type":"array","maxItems":2,"items":{"type":"integer","maximum":2,"exclusiveMaximum":true}})"),
              testing::ElementsAre("spec: Too many: 3: must have at most 2 items",
                                   "spec[1]: Invalid value: 2: spec[1] in body should be less than 2",
                                   "spec[2]: Invalid value: 3: spec[2] in body should be less than 2"));
  EXPECT_THAT(faults(R"("abcd")", R"({"type":"string","maxLength":3,"minLength":1})"),
              testing::ElementsAre("spec: Too long: may not be more than 3 bytes"));
  EXPECT_THAT(faults(R"("öööö")", R"({"type":"string","maxLength":4})"), testing::IsEmpty());
  EXPECT_THAT(faults(R"("")", R"({"type":"string","minLength":1})"),
              testing::ElementsAre(R"(spec: Invalid value: "": spec in body should be at least 1 chars long)"));
  EXPECT_THAT(faults("7", R"({"type":"integer","multipleOf":2})"),
              testing::ElementsAre("spec: Invalid value: 7: spec in body should be a multiple of 2"));
  EXPECT_THAT(faults("1.5", R"({"type":"integer"})"),
              testing::ElementsAre(R"(spec: Invalid value: "number": spec in body must be of type integer: "number")"));
  EXPECT_THAT(faults("null", R"({"type":"integer"})"),
              testing::ElementsAre(R"(spec: Invalid value: "null": spec in body must be of type integer: "null")"));
  EXPECT_THAT(faults("null", R"({"type":"integer","nullable":true})"), testing::IsEmpty());
  EXPECT_THAT(faults("true", R"({"x-kubernetes-int-or-string":true})"),
              testing::ElementsAre(
                  R"(spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean")"));
  EXPECT_THAT(faults(R"({"a":1})",
                     R"({"type":"object","maxProperties":0,"properties":{"b":{"type":"string"}},"required":["b"]})"),
              testing::ElementsAre("spec: Too many: 1: must have at most 0 items", "spec.b: Required value"));
  EXPECT_THAT(faults("5", R"({"type":"integer","anyOf":[{"maximum":1},{"minimum":9}]})"),
              testing::ElementsAre("spec: Invalid value: 5: spec in body should be less than or equal to 1",
                                   R"(spec: Invalid value: 5: "spec" must validate at least one schema (anyOf))"));
  EXPECT_THAT(
      faults("5", R"({"type":"integer","oneOf":[{"minimum":1},{"minimum":2}]})"),
      testing::ElementsAre(
          R"(spec: Invalid value: 5: "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives)"));
  EXPECT_THAT(faults("5", R"({"type":"integer","not":{"minimum":1}})"),
              testing::ElementsAre(R"(spec: Invalid value: 5: "spec" must not validate the schema (not))"));
  EXPECT_THAT(
      faults(R"(["a","b","a"])", R"({"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}})"),
      testing::ElementsAre(R"(spec[2]: Duplicate value: "a")"));
}

TEST(Validate, Formats) {
  for (const auto& [format, good, bad] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"date-time", "2024-01-01T00:00:00Z", "yesterday"},
           {"date", "2024-02-29", "2024-02-30"},
           {"duration", "1h30m", "soon"},
           {"ipv4", "10.0.0.1", "10.0.0.256"},
           {"ipv6", "fd00::1", "10.0.0.1"},
           {"cidr", "10.0.0.0/8", "10.0.0.0"},
           {"mac", "00:11:22:aa:bb:cc", "00:11:22"},
           {"hostname", "a.example.com", "-a b"},
           {"email", "a@example.com", "example.com"},
           {"uri", "https://example.com/x", "no uri"},
           {"uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"},
           {"byte", "aGVsbG8=", "*"},
           {"whatever", "anything", ""}}) {
    EXPECT_TRUE(has_format(format, good)) << format;
    EXPECT_TRUE(bad.empty() || !has_format(format, bad)) << format;
  }
}

TEST(CheckSchema, WhatIsNotStructural) {
  EXPECT_THAT(
      schema_faults(
          R"({"type":"object","properties":{"metadata":{"type":"object","properties":{"labels":{"type":"object"}}}}})"),
      testing::ElementsAre(testing::HasSubstr("s.properties[metadata]: Forbidden: must not specify anything other")));
  EXPECT_THAT(schema_faults(R"({"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"string"}},
                                "additionalProperties":{"type":"string"}}}})"),
              testing::ElementsAre(testing::HasSubstr("additionalProperties: Forbidden")));
  EXPECT_THAT(schema_faults(R"({"type":"object","properties":{"a":{"type":"object","default":{"b":1,"c":2},
                                "properties":{"b":{"type":"integer"}}}}})"),
              testing::ElementsAre(testing::HasSubstr("must not have unknown fields: c")));
  EXPECT_THAT(schema_faults(R"({"type":"object","properties":{"a":{"type":"array","x-kubernetes-list-type":"map",
                                "x-kubernetes-list-map-keys":["k"],"items":{"type":"object","properties":{"k":{"type":"string"}}}}}})"),
              testing::ElementsAre(testing::HasSubstr("it must have a default or be a required property")));
  EXPECT_THAT(schema_faults(R"({"type":"object","properties":{"a":{"x-kubernetes-int-or-string":true,
                                "anyOf":[{"type":"integer"},{"type":"string"}]}}})"),
              testing::IsEmpty());
  EXPECT_THAT(schema_faults(R"({"type":"object","properties":{"a":{"x-kubernetes-int-or-string":true,
                                "anyOf":[{"type":"inte"}]}}})"),
              testing::ElementsAre(testing::HasSubstr("anyOf[0].type: Forbidden")));
  EXPECT_TRUE(has_rules(
      props(R"({"type":"object","properties":{"a":{"type":"string","x-kubernetes-validations":[{"rule":"true"}]}}})")));
}

TEST(CheckSchema, DepthIsLimited) {
  std::string deep = R"({"type":"string"})";
  for (int i = 0; i < 120; ++i) deep = R"({"type":"object","properties":{"a":)" + deep + "}}";
  EXPECT_THAT(schema_faults(deep), testing::Contains(testing::HasSubstr("nests deeper than")));
}

std::string found(std::string_view path, std::string_view json) {
  auto parsed = JsonPath::parse(path);
  if (!parsed.ok()) return "error: " + parsed.status().message();
  const Value root = value(json);
  std::string all;
  for (const Value* each : parsed->find(root)) all += (all.empty() ? "" : " ") + to_json(*each);
  return all;
}

TEST(JsonPath, Finds) {
  constexpr std::string_view kObject =
      R"({"a":{"b":[1,2,{"c":"x"}],"k.l/m":5},"conditions":[{"type":"Ready","status":"True"},{"type":"Other","status":"False"}]})";
  EXPECT_EQ(found(".a.b[0]", kObject), "1");
  EXPECT_EQ(found(".a.b[-1].c", kObject), R"("x")");
  EXPECT_EQ(found(".a['k.l/m']", kObject), "5");
  EXPECT_EQ(found(R"(.a.k\.l/m)", kObject), "5");
  EXPECT_EQ(found(R"(.conditions[?(@.type=="Ready")].status)", kObject), R"("True")");
  EXPECT_EQ(found(R"(.conditions[?(@.type != 'Ready')].status)", kObject), R"("False")");
  EXPECT_EQ(found(".conditions[*].type", kObject), R"("Ready" "Other")");
  EXPECT_EQ(found(".a.missing.deeper", kObject), "");
  for (const char* bad : {"", ".", "a", ".a[", ".a[x]", ".a['x", ".a[?(@.b)]", ".a[?(@.b==\"x\"]", ".a..b"}) {
    EXPECT_TRUE(found(bad, kObject).starts_with("error: ")) << bad << " " << found(bad, kObject);
  }
}

TEST(JsonPath, Sets) {
  Value root = value(R"({"spec":{"x":1}})");
  EXPECT_TRUE(JsonPath::parse(".spec.deep.replicas")->set(root, int64_t{3}));
  EXPECT_EQ(to_json(root), R"({"spec":{"deep":{"replicas":3},"x":1}})");
  EXPECT_FALSE(JsonPath::parse(".spec.x.y")->set(root, int64_t{3}));
  EXPECT_FALSE(JsonPath::parse(".a[0]")->is_simple());
}

}  // namespace
}  // namespace trireme::api::structural
