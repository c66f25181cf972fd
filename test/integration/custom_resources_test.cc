#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "api/codec.h"
#include "api/types/apiextensionsv1.h"
#include "base/bytes.h"
#include "integration/support/test_api_server.h"

namespace trireme::test {
namespace {

constexpr std::string_view kDefinitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
constexpr std::string_view kTabs = "/apis/stable.example.com/v1/namespaces/default/crontabs";

/// The definition of the API documentation's CronTab, with `version` members added to its version and `schema` to
/// its spec's properties.
std::string cron_tabs(std::string_view version = "", std::string_view more_names = "") {
  return R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
    "metadata":{"name":"crontabs.stable.example.com"},
    "spec":{"group":"stable.example.com","scope":"Namespaced",
      "names":{"plural":"crontabs","singular":"crontab","kind":"CronTab","shortNames":["ct"])" +
         std::string(more_names) + R"(},
      "versions":[{"name":"v1","served":true,"storage":true,)" +
         std::string(version) + R"("schema":{"openAPIV3Schema":{"type":"object","properties":{
        "spec":{"type":"object","required":["cronSpec"],"properties":{
          "cronSpec":{"type":"string","pattern":"^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
          "image":{"type":"string","default":"busybox"},
          "replicas":{"type":"integer","minimum":1,"maximum":10,"default":1},
          "port":{"x-kubernetes-int-or-string":true},
          "labels":{"type":"object","additionalProperties":{"type":"string"}},
          "extra":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
          "kindOf":{"type":"string","enum":["a","b"]},
          "parts":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
            "items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},
              "size":{"type":"integer","default":3}}}}}},
        "status":{"type":"object","properties":{"replicas":{"type":"integer"},"selector":{"type":"string"}}}}}}}]}})";
}

std::string cron_tab(std::string_view name, std::string_view spec = R"("cronSpec":"* * * * */5")",
                     std::string_view more = "") {
  return R"({"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":")" + std::string(name) +
         R"("},"spec":{)" + std::string(spec) + "}" + std::string(more) + "}";
}

class CustomResources : public ::testing::Test {
 protected:
  void define(std::string_view version = "") {
    const Answer created = server_.post(std::string(kDefinitions), cron_tabs(version));
    ASSERT_EQ(created.status, 201) << created.body;
  }
  static std::string tab(std::string_view name) { return std::string(kTabs) + "/" + std::string(name); }
  /// Whether `path` is answered with `code` within a few seconds.
  bool soon(const std::string& path, int code) {
    for (int i = 0; i < 500; ++i) {
      if (server_.get(path).status == code) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  TestApiServer server_;
};

TEST_F(CustomResources, AreServedAsSoonAsTheirDefinitionIsThere) {
  EXPECT_EQ(server_.get(std::string(kTabs)).status, 404);
  const Answer created = server_.post(std::string(kDefinitions), cron_tabs());
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.at({"status", "conditions", "0", "type"}), "NamesAccepted");
  EXPECT_EQ(created.at({"status", "conditions", "0", "status"}), "True");
  EXPECT_EQ(created.at({"status", "conditions", "1", "type"}), "Established");
  EXPECT_EQ(created.at({"status", "conditions", "1", "reason"}), "InitialNamesAccepted");
  EXPECT_EQ(created.at({"status", "acceptedNames", "listKind"}), "CronTabList");
  EXPECT_EQ(created.at({"status", "storedVersions", "0"}), "v1");

  const Answer tab_made = server_.post(std::string(kTabs), cron_tab("a"));
  ASSERT_EQ(tab_made.status, 201) << tab_made.body;
  EXPECT_EQ(tab_made.at({"kind"}), "CronTab");
  EXPECT_EQ(tab_made.at({"metadata", "generation"}), "1");
  EXPECT_FALSE(tab_made.at({"metadata", "uid"}).empty());
  const Answer list = server_.get(std::string(kTabs));
  EXPECT_EQ(list.at({"kind"}), "CronTabList");
  EXPECT_EQ(list.at({"items", "0", "kind"}), "CronTab");
  EXPECT_EQ(list.at({"items", "0", "apiVersion"}), "stable.example.com/v1");
  EXPECT_EQ(server_.get("/apis/stable.example.com/v1/crontabs").names(), std::vector<std::string>{"a"});
  EXPECT_EQ(server_.get("/apis/stable.example.com/v2/crontabs").status, 404);
}

TEST_F(CustomResources, DefaultsAndPruning) {
  define();
  const Answer made = server_.post(
      std::string(kTabs),
      cron_tab("a", R"("cronSpec":"* * * * */5","bogus":1,"image":null,"labels":{"x":"y"},"extra":{"any":{"thing":1}},
                       "parts":[{"name":"p","more":true}],"port":"http")",
               R"(,"other":{"a":1})"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.at({"spec", "image"}), "busybox");
  EXPECT_EQ(made.at({"spec", "replicas"}), "1");
  EXPECT_EQ(made.at({"spec", "labels", "x"}), "y");
  EXPECT_EQ(made.at({"spec", "extra", "any", "thing"}), "1");
  EXPECT_EQ(made.at({"spec", "parts", "0", "size"}), "3");
  EXPECT_EQ(made.at({"spec", "bogus"}), "");
  EXPECT_EQ(made.at({"spec", "parts", "0", "more"}), "");
  EXPECT_EQ(made.json().find("other"), nullptr);
  std::vector<std::string> warnings;
  for (std::string_view warning : made.headers.all("Warning")) warnings.emplace_back(warning);
  EXPECT_EQ(warnings,
            (std::vector<std::string>{R"(299 - "unknown field \"other\"")", R"(299 - "unknown field \"spec.bogus\"")",
                                      R"(299 - "unknown field \"spec.parts[0].more\"")"}));
  const Answer strict = server_.post(std::string(kTabs) + "?fieldValidation=Strict",
                                     cron_tab("b", R"("cronSpec":"* * * * *","bogus":1)"));
  EXPECT_EQ(strict.status, 400);
  EXPECT_NE(strict.body.find(R"(strict decoding error: unknown field \"spec.bogus\")"), std::string::npos)
      << strict.body;
}

TEST_F(CustomResources, WhatTheSchemaRefuses) {
  define();
  const auto message = [&](std::string_view spec) {
    const Answer answer = server_.post(std::string(kTabs), cron_tab("a", spec));
    EXPECT_EQ(answer.status, 422) << answer.body;
    return answer.at({"message"});
  };
  EXPECT_EQ(
      message(R"("cronSpec":"* * * *")"),
      R"(CronTab.stable.example.com "a" is invalid: spec.cronSpec: Invalid value: "* * * *": spec.cronSpec in body should match '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$')");
  EXPECT_EQ(
      message(R"("replicas":20,"cronSpec":"* * * * *")"),
      R"(CronTab.stable.example.com "a" is invalid: spec.replicas: Invalid value: 20: spec.replicas in body should be less than or equal to 10)");
  EXPECT_EQ(
      message(R"("replicas":"many","cronSpec":"* * * * *")"),
      R"(CronTab.stable.example.com "a" is invalid: spec.replicas: Invalid value: "many": spec.replicas in body must be of type integer: "string")");
  EXPECT_EQ(message(""), R"(CronTab.stable.example.com "a" is invalid: spec.cronSpec: Required value)");
  EXPECT_EQ(
      message(R"("kindOf":"c","cronSpec":"* * * * *")"),
      R"(CronTab.stable.example.com "a" is invalid: spec.kindOf: Unsupported value: "c": supported values: "a", "b")");
  EXPECT_EQ(message(R"("parts":[{"name":"x"},{"name":"x","size":4}],"cronSpec":"* * * * *")"),
            R"(CronTab.stable.example.com "a" is invalid: spec.parts[1]: Duplicate value: {"name":"x"})");
  EXPECT_EQ(server_.post(std::string(kTabs), cron_tab("Bad_Name")).status, 422);
}

TEST_F(CustomResources, UpdatesNeedAVersionAndCountGenerations) {
  define();
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  const Answer blind = server_.put(tab("a"), cron_tab("a", R"("cronSpec":"1 * * * *")"));
  EXPECT_EQ(blind.status, 422);
  EXPECT_NE(blind.body.find("must be specified for an update"), std::string::npos) << blind.body;
  const Answer merged = server_.patch(tab("a"), R"({"spec":{"cronSpec":"1 * * * *"}})");
  ASSERT_EQ(merged.status, 200) << merged.body;
  EXPECT_EQ(merged.at({"metadata", "generation"}), "2");
  EXPECT_EQ(merged.at({"spec", "image"}), "busybox");
  EXPECT_EQ(server_.patch(tab("a"), R"({"metadata":{"labels":{"x":"y"}}})").at({"metadata", "generation"}), "2");
  const Answer json =
      server_.patch(tab("a"), R"([{"op":"replace","path":"/spec/replicas","value":4}])", "application/json-patch+json");
  EXPECT_EQ(json.at({"spec", "replicas"}), "4") << json.body;
  EXPECT_EQ(server_.patch(tab("a"), "{}", "application/strategic-merge-patch+json").status, 415);
}

TEST_F(CustomResources, StatusAndScaleStandApart) {
  define(R"("subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas",
            "statusReplicasPath":".status.replicas","labelSelectorPath":".status.selector"}},)");
  const Answer made =
      server_.post(std::string(kTabs), cron_tab("a", R"("cronSpec":"* * * * *")", R"(,"status":{"replicas":9})"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.json().find("status"), nullptr);
  const Answer status = server_.patch(
      tab("a") + "/status",
      R"({"spec":{"replicas":7},"status":{"replicas":2,"selector":"app=x"},"metadata":{"labels":{"q":"r"}}})");
  ASSERT_EQ(status.status, 200) << status.body;
  EXPECT_EQ(status.at({"status", "replicas"}), "2");
  EXPECT_EQ(status.at({"spec", "replicas"}), "1");
  EXPECT_EQ(status.at({"metadata", "generation"}), "1");
  EXPECT_EQ(status.at({"metadata", "labels", "q"}), "");
  const Answer main = server_.patch(tab("a"), R"({"spec":{"replicas":5},"status":{"replicas":8}})");
  EXPECT_EQ(main.at({"status", "replicas"}), "2") << main.body;
  EXPECT_EQ(main.at({"metadata", "generation"}), "2");
  const Answer scale = server_.get(tab("a") + "/scale");
  EXPECT_EQ(scale.at({"kind"}), "Scale") << scale.body;
  EXPECT_EQ(scale.at({"spec", "replicas"}), "5");
  EXPECT_EQ(scale.at({"status", "replicas"}), "2");
  EXPECT_EQ(scale.at({"status", "selector"}), "app=x");
  const Answer scaled = server_.patch(tab("a") + "/scale", R"({"spec":{"replicas":3}})");
  ASSERT_EQ(scaled.status, 200) << scaled.body;
  EXPECT_EQ(server_.get(tab("a")).at({"spec", "replicas"}), "3");
  EXPECT_EQ(server_.patch(tab("a") + "/scale", R"({"spec":{"replicas":30}})").status, 422);
}

TEST_F(CustomResources, TablesShowTheDefinitionsColumns) {
  define(R"("additionalPrinterColumns":[{"name":"Spec","type":"string","jsonPath":".spec.cronSpec"},
            {"name":"Replicas","type":"integer","jsonPath":".spec.replicas","description":"How many"},
            {"name":"Size","type":"integer","jsonPath":".spec.parts[?(@.name==\"p\")].size","priority":1},
            {"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}],)");
  ASSERT_EQ(server_
                .post(std::string(kTabs),
                      cron_tab("a", R"("cronSpec":"* * * * *","parts":[{"name":"o"},{"name":"p","size":8}])"))
                .status,
            201);
  const Answer table = server_.get(std::string(kTabs), "application/json;as=Table;g=meta.k8s.io;v=v1");
  EXPECT_EQ(table.at({"columnDefinitions", "0", "name"}), "Name");
  EXPECT_EQ(table.at({"columnDefinitions", "2", "description"}), "How many");
  EXPECT_EQ(table.at({"rows", "0", "cells", "0"}), "a");
  EXPECT_EQ(table.at({"rows", "0", "cells", "1"}), "* * * * *");
  EXPECT_EQ(table.at({"rows", "0", "cells", "2"}), "1");
  EXPECT_EQ(table.at({"rows", "0", "cells", "3"}), "8");
  EXPECT_EQ(table.at({"rows", "0", "cells", "4"}), "0s") << table.body;
}

TEST_F(CustomResources, WatchesAndSelectors) {
  define(R"("selectableFields":[{"jsonPath":".spec.image"}],)");
  TestWatch watch = server_.watch(std::string(kTabs) + "?watch=1");
  ASSERT_EQ(watch.status(), 200);
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("b", R"("cronSpec":"* * * * *","image":"nginx")")).status, 201);
  ASSERT_EQ(server_.remove(tab("a")).status, 200);
  EXPECT_EQ(watch.next_names(3), (std::vector<std::string>{"ADDED a", "ADDED b", "DELETED a"}));
  EXPECT_EQ(server_.get(std::string(kTabs) + "?fieldSelector=spec.image%3Dnginx").names(),
            std::vector<std::string>{"b"});
  EXPECT_EQ(server_.get(std::string(kTabs) + "?fieldSelector=metadata.name%3Db").names(),
            std::vector<std::string>{"b"});
  EXPECT_EQ(server_.get(std::string(kTabs) + "?fieldSelector=spec.cronSpec%3Db").status, 400);
  EXPECT_EQ(server_.get(std::string(kTabs), "application/vnd.kubernetes.protobuf").status, 406);
}

TEST_F(CustomResources, SurviveARestart) {
  define();
  const Answer made = server_.post(std::string(kTabs), cron_tab("a"));
  ASSERT_EQ(made.status, 201);
  server_.restart();
  const Answer found = server_.get(tab("a"));
  EXPECT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(found.body, made.body);
}

TEST_F(CustomResources, ANewSchemaHoldsForWhatIsStored) {
  define();
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  const Answer changed =
      server_.patch(std::string(kDefinitions) + "/crontabs.stable.example.com",
                    R"([{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/late",
                         "value":{"type":"string","default":"yes"}}])",
                    "application/json-patch+json");
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_EQ(server_.get(tab("a")).at({"spec", "late"}), "yes");
}

TEST_F(CustomResources, VersionsShareTheirObjects) {
  const Answer made =
      server_.post(std::string(kDefinitions),
                   R"({"metadata":{"name":"things.x.example.com"},"spec":{"group":"x.example.com","scope":"Cluster",
          "names":{"plural":"things","kind":"Thing"},"versions":[
            {"name":"v1beta1","served":true,"storage":false,"deprecated":true,"schema":{"openAPIV3Schema":{"type":"object",
               "x-kubernetes-preserve-unknown-fields":true}}},
            {"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object",
               "x-kubernetes-preserve-unknown-fields":true}}}]}})");
  ASSERT_EQ(made.status, 201) << made.body;
  const Answer old =
      server_.post("/apis/x.example.com/v1beta1/things",
                   R"({"apiVersion":"x.example.com/v1beta1","kind":"Thing","metadata":{"name":"t"},"a":1})");
  ASSERT_EQ(old.status, 201) << old.body;
  EXPECT_EQ(old.at({"apiVersion"}), "x.example.com/v1beta1");
  EXPECT_EQ(old.headers.get("Warning"), R"(299 - "x.example.com/v1beta1 Thing is deprecated")");
  const Answer fresh = server_.get("/apis/x.example.com/v1/things/t");
  EXPECT_EQ(fresh.at({"apiVersion"}), "x.example.com/v1");
  EXPECT_EQ(fresh.at({"a"}), "1");
  const Answer group = server_.get("/apis/x.example.com");
  EXPECT_EQ(group.at({"preferredVersion", "version"}), "v1") << group.body;
  EXPECT_EQ(group.at({"versions", "1", "version"}), "v1beta1");
}

TEST_F(CustomResources, DiscoveryAndOpenApiTellOfThem) {
  define(R"("subresources":{"status":{}},)");
  const Answer resources = server_.get("/apis/stable.example.com/v1");
  EXPECT_EQ(resources.at({"resources", "0", "name"}), "crontabs") << resources.body;
  EXPECT_EQ(resources.at({"resources", "0", "shortNames", "0"}), "ct");
  EXPECT_EQ(resources.at({"resources", "1", "name"}), "crontabs/status");
  const Answer aggregated =
      server_.get("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  EXPECT_NE(aggregated.body.find("\"crontabs\""), std::string::npos);
  EXPECT_NE(server_.get("/openapi/v3").body.find("apis/stable.example.com/v1"), std::string::npos);
  const Answer document = server_.get("/openapi/v3/apis/stable.example.com/v1");
  ASSERT_EQ(document.status, 200);
  EXPECT_EQ(document.at({"components", "schemas", "com.example.stable.v1.CronTab", "properties", "spec", "properties",
                         "image", "default"}),
            "busybox")
      << document.body;
  EXPECT_NE(document.body.find("/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}/status"),
            std::string::npos);
  const Answer swagger = server_.get("/openapi/v2");
  EXPECT_NE(swagger.body.find("\"com.example.stable.v1.CronTab\""), std::string::npos);
  ASSERT_EQ(server_.remove(std::string(kDefinitions) + "/crontabs.stable.example.com").status, 200);
  EXPECT_TRUE(soon("/apis/stable.example.com/v1", 404));
  EXPECT_EQ(server_.get("/openapi/v3/apis/stable.example.com/v1").status, 404);
}

TEST_F(CustomResources, ADefinitionGoesWithItsObjects) {
  define();
  const std::string definition = std::string(kDefinitions) + "/crontabs.stable.example.com";
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("held")).status, 201);
  ASSERT_EQ(server_.patch(tab("held"), R"({"metadata":{"finalizers":["example.com/hold"]}})").status, 200);
  const Answer deleting = server_.remove(definition);
  ASSERT_EQ(deleting.status, 200) << deleting.body;
  EXPECT_EQ(deleting.at({"metadata", "finalizers", "0"}), "customresourcecleanup.apiextensions.k8s.io");
  EXPECT_TRUE(soon(tab("a"), 404));
  const Answer held = server_.get(tab("held"));
  ASSERT_EQ(held.status, 200);
  EXPECT_FALSE(held.at({"metadata", "deletionTimestamp"}).empty());
  EXPECT_EQ(server_.post(std::string(kTabs), cron_tab("new")).status, 405);
  EXPECT_EQ(server_.get(definition).status, 200);
  server_.restart();
  ASSERT_EQ(server_.patch(tab("held"), R"({"metadata":{"finalizers":null}})").status, 200);
  EXPECT_TRUE(soon(definition, 404));
  EXPECT_EQ(server_.get(std::string(kTabs)).status, 404);
  // The same name again, of another kind: nothing of the old one is left.
  define();
  EXPECT_TRUE(server_.get(std::string(kTabs)).names().empty());
}

TEST_F(CustomResources, WhatAStopInterruptedGoesOn) {
  define();
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  // As a server that is killed after its first write leaves it: marked, with everything still there.
  const std::string key = "/registry/apiextensions.k8s.io/customresourcedefinitions/crontabs.stable.example.com";
  auto stored = server_.store().get(key);
  ASSERT_TRUE(stored.ok());
  api::apiextensionsv1::CustomResourceDefinition definition =
      *api::decode_proto<api::apiextensionsv1::CustomResourceDefinition>(*stored->value);
  definition.metadata.deletion_timestamp = api::Time(server_.clock().now());
  definition.metadata.deletion_grace_period_seconds = 0;
  definition.metadata.finalizers = {"customresourcecleanup.apiextensions.k8s.io"};
  ASSERT_TRUE(server_.store().put(key, share(api::encode_proto(definition)), stored->mod_revision, 0).ok());
  server_.restart();
  EXPECT_TRUE(soon(std::string(kDefinitions) + "/crontabs.stable.example.com", 404));
}

TEST_F(CustomResources, NamesBelongToOneDefinition) {
  define();
  std::string other = cron_tabs("", R"(,"listKind":"CronTabList")");
  other.replace(other.find("crontabs.stable"), 8, "cronlist");
  other.replace(other.find("\"plural\":\"crontabs\""), 19, "\"plural\":\"cronlist\"");
  const Answer refused = server_.post(std::string(kDefinitions), other);
  ASSERT_EQ(refused.status, 201) << refused.body;
  EXPECT_EQ(refused.at({"status", "conditions", "0", "status"}), "False");
  EXPECT_EQ(refused.at({"status", "conditions", "0", "reason"}), "SingularConflict");
  EXPECT_EQ(refused.at({"status", "conditions", "0", "message"}), R"("crontab" is already in use)");
  EXPECT_EQ(refused.at({"status", "conditions", "1", "reason"}), "NotAccepted");
  EXPECT_EQ(server_.get("/apis/stable.example.com/v1/cronlist").status, 404);
  ASSERT_EQ(server_.remove(std::string(kDefinitions) + "/crontabs.stable.example.com").status, 200);
  EXPECT_TRUE(soon("/apis/stable.example.com/v1/cronlist", 200));
}

TEST_F(CustomResources, UnsoundDefinitionsAreRefused) {
  const auto problems = [&](std::string_view spec_schema) {
    std::string body = cron_tabs();
    const size_t at = body.find("\"spec\":{\"type\":\"object\",\"required\"");
    body.insert(at, "\"odd\":" + std::string(spec_schema) + ",");
    const Answer answer = server_.post(std::string(kDefinitions), body);
    EXPECT_EQ(answer.status, 422) << answer.body;
    std::string all;
    for (size_t i = 0; i < 3; ++i) {
      const std::string field = answer.at({"details", "causes", std::to_string(i), "field"});
      if (!field.empty()) all += (all.empty() ? "" : " ") + field.substr(field.find("odd"));
    }
    return all;
  };
  EXPECT_EQ(problems(R"({"description":"no type"})"), "odd].type");
  EXPECT_EQ(problems(R"({"type":"array"})"), "odd].items");
  EXPECT_EQ(problems(R"({"type":"string","pattern":"("})"), "odd].pattern");
  EXPECT_EQ(problems(R"({"type":"string","default":5})"), "odd].default");
  EXPECT_EQ(problems(R"({"type":"object","$ref":"#/a"})"), "odd].$ref");
  EXPECT_EQ(problems(R"({"type":"string","allOf":[{"type":"string"}]})"), "odd].allOf[0].type");
  EXPECT_EQ(problems(R"({"type":"array","x-kubernetes-list-type":"map","items":{"type":"object"}})"),
            "odd].x-kubernetes-list-map-keys");
}

TEST_F(CustomResources, MetadataAloneIsServedAsProtobufToo) {
  define();
  ASSERT_EQ(server_.post(std::string(kTabs), cron_tab("a")).status, 201);
  const Answer metadata = server_.get(
      std::string(kTabs),
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json");
  EXPECT_EQ(metadata.status, 200);
  EXPECT_EQ(metadata.body.substr(0, 4), std::string("k8s\0", 4));
}

}  // namespace
}  // namespace trireme::test
