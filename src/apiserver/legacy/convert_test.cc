#include "apiserver/legacy/convert.h"

#include <gtest/gtest.h>

#include <random>

#include "api/yaml.h"

namespace trireme::apiserver::legacy {
namespace {

using api::Value;

Value parse(std::string_view json) {
  auto value = api::parse_value(json);
  EXPECT_TRUE(value.ok()) << json;
  return value.ok() ? std::move(*value) : Value();
}

const Kind& kind(std::string_view resource) { return *find_kind(resource); }

std::string text(const Value& value, std::initializer_list<std::string_view> path) {
  const Value* found = value.at_path(path);
  return found != nullptr ? api::to_json(*found) : "absent";
}

Value to(std::string_view resource, std::string_view legacy) {
  auto converted = to_v1(kind(resource), parse(legacy));
  EXPECT_TRUE(converted.ok()) << legacy << ": " << converted.status().to_string();
  return converted.ok() ? std::move(*converted) : Value();
}

Value from(std::string_view resource, std::string_view v1, Version version = Version::kV1Beta1) {
  return from_v1(kind(resource), version, parse(v1));
}

/// The v1 spec of a pod whose manifest has `members`.
Value spec_of(const std::string& members) {
  Value pod = to("pods", R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1",)" + members + "}}}");
  Value* spec = pod.find("spec");
  return spec != nullptr ? *spec : Value();
}
Value container_of(const std::string& members) {
  const Value spec = spec_of(R"("containers":[{)" + members + "}]");
  const Value* container = spec.at_path({"containers", "0"});
  return container != nullptr ? *container : Value();
}
/// And the v1beta1 manifest of a pod whose spec has `members`.
Value manifest_from(const std::string& members, Version version = Version::kV1Beta1) {
  Value pod = from("pods", R"({"metadata":{"name":"p"},"spec":{)" + members + "}}", version);
  const Value* manifest = pod.at_path({"desiredState", "manifest"});
  return manifest != nullptr ? *manifest : Value();
}
Value container_from(const std::string& members, Version version = Version::kV1Beta1) {
  const Value manifest = manifest_from(R"("containers":[{)" + members + "}]", version);
  const Value* container = manifest.at_path({"containers", "0"});
  return container != nullptr ? *container : Value();
}

/// deploy/examples/redis.json as it was shipped.
constexpr std::string_view kSeed = R"({
  "id": "redis",
  "desiredState": {
    "manifest": {
      "version": "v1beta1",
      "id": "redis",
      "containers": [{
        "name": "redis",
        "image": "dockerfile/redis",
        "ports": [{
          "containerPort": 6379,
          "hostPort": 6379
        }]
      }]
    }
  },
  "labels": {
    "name": "redis"
  }
}
)";

TEST(ToV1, TakesTheFirstExampleAsItStands) {
  auto json = api::yaml_to_json(kSeed);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(api::to_json(to("pods", *json)),
            R"({"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"name":"redis"},"name":"redis"},)"
            R"("spec":{"containers":[{"image":"dockerfile/redis","name":"redis",)"
            R"("ports":[{"containerPort":6379,"hostPort":6379}]}]}})");
}

TEST(ToV1, TakesTrailingCommasBecauseBodiesAreYaml) {
  auto json = api::yaml_to_json(
      R"({"id": "redisSlaveController", "desiredState": {"replicas": 2, "replicaSelector": {"name": "redisslave"},
          "podTemplate": {"desiredState": {"manifest": {"version": "v1beta1", "containers": [{"name": "slave",
          "image": "brendanburns/redis-slave", "ports": [{"containerPort": 6379, "hostPort": 6380,}],},]}},
          "labels": {"name": "redisslave"},},}, "labels": {"name": "redisslave"},})");
  ASSERT_TRUE(json.ok()) << json.status().to_string();
  Value controller = to("replicationControllers", *json);
  EXPECT_EQ(text(controller, {"metadata", "name"}), "\"redisslavecontroller\"");
  EXPECT_EQ(text(controller, {"metadata", "annotations", kIdAnnotation}), "\"redisSlaveController\"");
  EXPECT_EQ(text(controller, {"spec", "replicas"}), "2");
  EXPECT_EQ(text(controller, {"spec", "selector", "name"}), "\"redisslave\"");
  EXPECT_EQ(text(controller, {"spec", "template", "metadata", "labels", "name"}), "\"redisslave\"");
  EXPECT_EQ(text(controller, {"spec", "template", "spec", "containers", "0", "ports", "0", "hostPort"}), "6380");
  // And it is shown under the id it was given.
  EXPECT_EQ(text(from_v1(kind("replicationControllers"), Version::kV1Beta1, controller), {"id"}),
            "\"redisSlaveController\"");
}

TEST(NameOfId, MakesNamesOfIds) {
  const std::pair<const char*, const char*> cases[] = {
      {"redis", "redis"}, {"redisSlave", "redisslave"}, {"a_b", "a-b"}, {"a.b-c", "a.b-c"},
      {"-a-", "a"},       {"10.0.0.1", "10.0.0.1"},     {"", ""},       {"..", ""},
      {"ä", ""},          {"a/../b", "a-..-b"}};
  for (const auto& [id, name] : cases) EXPECT_EQ(name_of_id(id), name) << id;
}

TEST(ToV1, Metadata) {
  Value pod = to("pods", R"({"kind":"Pod","apiVersion":"v1beta1","id":"p","uid":"u","namespace":"n",
    "resourceVersion":17,"creationTimestamp":"2014-07-10T00:00:00Z","selfLink":"/x","labels":{"a":"b"},
    "annotations":{"c":"d"},"surprise":1,"desiredState":{"manifest":{"version":"v1beta2"}}})");
  EXPECT_EQ(
      api::to_json(*pod.find("metadata")),
      R"({"annotations":{"c":"d"},"labels":{"a":"b"},"name":"p","namespace":"n","resourceVersion":"17","uid":"u"})");
  EXPECT_EQ(text(pod, {"surprise"}), "absent");
  EXPECT_EQ(text(to("pods", R"({"id":"p","resourceVersion":0,"desiredState":{"manifest":{"version":"v1beta1"}}})"),
                 {"metadata", "resourceVersion"}),
            "absent");
}

TEST(FromV1, Metadata) {
  Value pod = from("pods", R"({"metadata":{"name":"p","namespace":"n","uid":"u","resourceVersion":"17",
    "labels":{"a":"b"},"annotations":{"c":"d"},"creationTimestamp":"2014-07-10T00:00:00Z"},"spec":{},"status":{}})");
  EXPECT_EQ(text(pod, {"kind"}), "\"Pod\"");
  EXPECT_EQ(text(pod, {"apiVersion"}), "\"v1beta1\"");
  EXPECT_EQ(text(pod, {"id"}), "\"p\"");
  EXPECT_EQ(text(pod, {"uid"}), "\"u\"");
  EXPECT_EQ(text(pod, {"namespace"}), "\"n\"");
  EXPECT_EQ(text(pod, {"resourceVersion"}), "17") << "a number";
  EXPECT_EQ(text(pod, {"selfLink"}), "\"/api/v1beta1/pods/p?namespace=n\"");
  EXPECT_EQ(text(pod, {"creationTimestamp"}), "\"2014-07-10T00:00:00Z\"");
  EXPECT_EQ(text(pod, {"labels"}), R"({"a":"b"})");
  EXPECT_EQ(text(pod, {"annotations"}), R"({"c":"d"})");
  EXPECT_EQ(text(from("minions", R"({"metadata":{"name":"m"}})"), {"selfLink"}), "\"/api/v1beta1/minions/m\"");
  EXPECT_EQ(text(from("minions", R"({"metadata":{"name":"m"}})"), {"creationTimestamp"}), "null");
  // A copied annotation does not rename another object.
  EXPECT_EQ(text(from("pods", R"({"metadata":{"name":"p","annotations":{"v1beta1.trireme.io/id":"Other"}}})"), {"id"}),
            "\"p\"");
}

TEST(ToV1, WhatIsWrongIsNamed) {
  struct Case {
    const char* resource;
    const char* body;
    const char* message;
  };
  for (
      const Case& each : {
          Case{"pods", R"([])", "the body must be an object"},
          Case{"pods", R"({"kind":"Service","id":"p"})", "the body's kind is Service, but pods were addressed"},
          Case{"pods", R"({"id":"p"})", "desiredState.manifest: Required value"},
          Case{"pods", R"({"id":"p","desiredState":{"manifest":{}}})", "desiredState.manifest.version: Required value"},
          Case{"pods", R"({"id":"p","desiredState":{"manifest":{"version":"v2"}}})",
               "desiredState.manifest.version: Unsupported value: \"v2\": supported values: \"v1beta1\", "
               "\"v1beta2\""},
          Case{"replicationControllers", R"({"id":"c","desiredState":{}})",
               "desiredState.podTemplate.desiredState.manifest: Required value"},
          Case{
              "pods",
              R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1","containers":[{"ports":[{"containerPort":"x"}]}]}}})",
              "desiredState.manifest.containers[0].ports[0].containerPort: \"x\" is not a number"},
          Case{"pods", R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1","containers":{}}}})",
               "desiredState.manifest.containers: expected an array"},
          Case{"pods", R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1","volumes":["v"]}}})",
               "desiredState.manifest.volumes[0]: expected an object"},
          Case{"services", R"({"port":80})", "id: Required value"},
          Case{"services", R"({"id":"--","port":80})", "id: Required value"},
          Case{"bindings", R"({"host":"h"})", "podID: Required value"},
          Case{"endpoints", R"({"id":"e","endpoints":["nonsense"]})", "endpoints[0]: \"nonsense\" is not IP:port"},
      }) {
    auto converted = to_v1(kind(each.resource), parse(each.body));
    ASSERT_FALSE(converted.ok()) << each.body;
    EXPECT_TRUE(converted.status().is(Reason::kBadRequest));
    EXPECT_EQ(converted.status().message(), each.message);
  }
}

TEST(ToV1, APodWithoutAnIdGetsOne) {
  const char* body = R"({"desiredState":{"manifest":{"version":"V1Beta1"}}})";
  std::string first = text(to("pods", body), {"metadata", "name"});
  EXPECT_GT(first.size(), 10U);
  EXPECT_NE(first, text(to("pods", body), {"metadata", "name"}));
}

TEST(ToV1, PodsRowByRow) {
  Value pod = to("pods", R"({"id":"p","nodeSelector":{"disk":"ssd"},"desiredState":{"host":"Minion_1","manifest":
    {"version":"v1beta1","dnsPolicy":"Default","hostNetwork":true}}})");
  EXPECT_EQ(text(pod, {"spec", "nodeName"}), "\"minion-1\"");
  EXPECT_EQ(text(pod, {"spec", "nodeSelector"}), R"({"disk":"ssd"})");
  EXPECT_EQ(text(pod, {"spec", "dnsPolicy"}), "\"Default\"");
  EXPECT_EQ(text(pod, {"spec", "hostNetwork"}), "true");
  const std::pair<const char*, const char*> policies[] = {{R"({"always":{}})", "\"Always\""},
                                                          {R"({"onFailure":{}})", "\"OnFailure\""},
                                                          {R"({"never":{}})", "\"Never\""},
                                                          {R"({})", "absent"}};
  for (const auto& [legacy, policy] : policies) {
    EXPECT_EQ(text(spec_of(std::string(R"("restartPolicy":)") + legacy), {"restartPolicy"}), policy);
  }
}

TEST(ToV1, ContainersRowByRow) {
  struct Case {
    const char* legacy;
    const char* v1;
  };
  for (
      const Case& each : {
          Case{R"("name":"c","image":"i","workingDir":"/w")", R"({"image":"i","name":"c","workingDir":"/w"})"},
          Case{R"("command":["a"])", R"({"args":["a"]})"},
          Case{R"("entrypoint":["e"],"command":["a"])", R"({"args":["a"],"command":["e"]})"},
          Case{R"("cpu":100,"memory":1048576)", R"({"resources":{"limits":{"cpu":"100m","memory":"1048576"}}})"},
          Case{R"("cpu":"250")", R"({"resources":{"limits":{"cpu":"250m"}}})"},
          Case{R"("cpu":0,"memory":-1)", R"({})"},
          Case{R"("cpu":100,"resources":{"limits":"odd"})", R"({"resources":{"limits":{"cpu":"100m"}}})"},
          Case{R"("cpu":1e300)", R"({"resources":{"limits":{"cpu":"9000000000000000000m"}}})"},
          Case{R"("env":[{"key":"K","value":"v"}])", R"({"env":[{"name":"K","value":"v"}]})"},
          Case{R"("env":[{"key":"K","name":"N"}])", R"({"env":[{"name":"N"}]})"},
          Case{R"("volumeMounts":[{"name":"v","path":"/p","mountType":"HOST"}])",
               R"({"volumeMounts":[{"mountPath":"/p","name":"v"}]})"},
          Case{R"("volumeMounts":[{"name":"v","path":"/p","mountPath":"/m","readOnly":true}])",
               R"({"volumeMounts":[{"mountPath":"/m","name":"v","readOnly":true}]})"},
          Case{R"("ports":[{"name":"n","hostPort":1,"containerPort":"2","protocol":"UDP","hostIP":"127.0.0.1"}])",
               R"({"ports":[{"containerPort":2,"hostIP":"127.0.0.1","hostPort":1,"name":"n","protocol":"UDP"}]})"},
          Case{R"("ports":[{"containerPort":80,"hostPort":0}])", R"({"ports":[{"containerPort":80}]})"},
          Case{
              R"("livenessProbe":{"enabled":true,"type":"http","httpGet":{"path":"/h","port":"8080"},
                   "initialDelaySeconds":30,"timeoutSeconds":2})",
              R"({"livenessProbe":{"httpGet":{"path":"/h","port":8080},"initialDelaySeconds":30,"timeoutSeconds":2}})"},
          Case{R"("readinessProbe":{"tcpSocket":{"port":"web"}})",
               R"({"readinessProbe":{"tcpSocket":{"port":"web"}}})"},
          Case{R"("livenessProbe":{"exec":{"command":["ok"]}})", R"({"livenessProbe":{"exec":{"command":["ok"]}}})"},
          Case{R"("imagePullPolicy":"PullAlways")", R"({"imagePullPolicy":"Always"})"},
          Case{R"("imagePullPolicy":"pullNever")", R"({"imagePullPolicy":"Never"})"},
          Case{R"("imagePullPolicy":"PullIfNotPresent")", R"({"imagePullPolicy":"IfNotPresent"})"},
          Case{R"("imagePullPolicy":"")", R"({})"},
          Case{R"("privileged":true,"capabilities":{"add":["NET_ADMIN"]})",
               R"({"securityContext":{"capabilities":{"add":["NET_ADMIN"]},"privileged":true}})"},
          Case{R"("privileged":false,"capabilities":{})", R"({})"},
          Case{R"("lifecycle":{"preStop":{"exec":{"command":["bye"]}}})",
               R"({"lifecycle":{"preStop":{"exec":{"command":["bye"]}}}})"},
      }) {
    EXPECT_EQ(api::to_json(container_of(each.legacy)), each.v1) << each.legacy;
  }
}

TEST(FromV1, ContainersRowByRow) {
  struct Case {
    const char* v1;
    const char* legacy;
  };
  for (const Case& each : {
           Case{R"("command":["e"],"args":["a"])", R"({"command":["a"],"entrypoint":["e"]})"},
           Case{R"("resources":{"limits":{"cpu":"1500m","memory":"1Mi"}})", R"({"cpu":1500,"memory":1048576})"},
           Case{R"("env":[{"name":"N","value":"v"}])", R"({"env":[{"key":"N","name":"N","value":"v"}]})"},
           Case{R"("volumeMounts":[{"name":"v","mountPath":"/m"}])",
                R"({"volumeMounts":[{"mountPath":"/m","name":"v","path":"/m"}]})"},
           Case{R"("ports":[{"containerPort":80,"protocol":"TCP"}])",
                R"({"ports":[{"containerPort":80,"protocol":"TCP"}]})"},
           Case{R"("imagePullPolicy":"IfNotPresent")", R"({"imagePullPolicy":"PullIfNotPresent"})"},
           Case{R"("securityContext":{"privileged":true,"capabilities":{"add":["A"]}})",
                R"({"capabilities":{"add":["A"]},"privileged":true})"},
       }) {
    EXPECT_EQ(api::to_json(container_from(each.v1)), each.legacy) << each.v1;
  }
  // v1beta2 never had the older names.
  EXPECT_EQ(api::to_json(container_from(R"("env":[{"name":"N"}],"volumeMounts":[{"name":"v","mountPath":"/m"}])",
                                        Version::kV1Beta2)),
            R"({"env":[{"name":"N"}],"volumeMounts":[{"mountPath":"/m","name":"v"}]})");
}

TEST(Volumes, BothWays) {
  struct Case {
    const char* legacy;
    const char* v1;
    const char* back;
  };
  for (const Case& each : {
           Case{R"({"name":"v"})", R"({"emptyDir":{},"name":"v"})", R"({"name":"v","source":{"emptyDir":{}}})"},
           Case{R"({"name":"v","source":{"emptyDir":{}}})", R"({"emptyDir":{},"name":"v"})",
                R"({"name":"v","source":{"emptyDir":{}}})"},
           Case{R"({"name":"v","source":{"emptyDir":null,"hostDir":{"path":"/d"}}})",
                R"({"hostPath":{"path":"/d"},"name":"v"})", R"({"name":"v","source":{"hostDir":{"path":"/d"}}})"},
           Case{R"({"name":"v","source":{"persistentDisk":{"pdName":"d"}}})",
                R"({"gcePersistentDisk":{"pdName":"d"},"name":"v"})",
                R"({"name":"v","source":{"persistentDisk":{"pdName":"d"}}})"},
           Case{R"({"name":"v","source":{"gitRepo":{"repository":"r"}}})",
                R"({"gitRepo":{"repository":"r"},"name":"v"})",
                R"({"name":"v","source":{"gitRepo":{"repository":"r"}}})"},
           Case{R"({"name":"v","source":{"secret":{"target":{"kind":"Secret","name":"s"}}}})",
                R"({"name":"v","secret":{"secretName":"s"}})",
                R"({"name":"v","source":{"secret":{"target":{"kind":"Secret","name":"s"}}}})"},
       }) {
    Value spec = spec_of(std::string(R"("volumes":[)") + each.legacy + "]");
    EXPECT_EQ(text(spec, {"volumes", "0"}), each.v1);
    EXPECT_EQ(text(manifest_from(std::string(R"("volumes":[)") + each.v1 + "]"), {"volumes", "0"}), each.back);
  }
}

TEST(FromV1, APodsState) {
  Value pod = from("pods", R"({"metadata":{"name":"p","uid":"u"},
    "spec":{"nodeName":"m1","nodeSelector":{"a":"b"},"restartPolicy":"Never","dnsPolicy":"ClusterFirst",
            "hostNetwork":true,"containers":[{"name":"c","image":"i"}]},
    "status":{"phase":"Running","hostIP":"10.0.0.1","podIP":"10.1.0.2","message":"m",
      "conditions":[{"type":"Ready","status":"True"},{"type":"Other","status":"False"},{"type":"X","status":"Unknown"}],
      "containerStatuses":[{"name":"c","restartCount":2,"image":"i","ready":true,"containerID":"containerd://1",
        "state":{"running":{"startedAt":"2014-07-10T00:00:00Z"}},
        "lastState":{"terminated":{"exitCode":3,"reason":"Error"}}}]}})");
  EXPECT_EQ(text(pod, {"desiredState", "host"}), "\"m1\"");
  EXPECT_EQ(text(pod, {"desiredState", "manifest", "version"}), "\"v1beta2\"");
  EXPECT_EQ(text(pod, {"desiredState", "manifest", "id"}), "\"p\"");
  EXPECT_EQ(text(pod, {"desiredState", "manifest", "uuid"}), "\"u\"");
  EXPECT_EQ(text(pod, {"desiredState", "manifest", "restartPolicy"}), R"({"never":{}})");
  EXPECT_EQ(text(pod, {"desiredState", "manifest", "hostNetwork"}), "true");
  EXPECT_EQ(text(pod, {"nodeSelector"}), R"({"a":"b"})");
  EXPECT_EQ(text(pod, {"currentState", "status"}), "\"Running\"");
  EXPECT_EQ(text(pod, {"currentState", "host"}), "\"m1\"");
  EXPECT_EQ(text(pod, {"currentState", "hostIP"}), "\"10.0.0.1\"");
  EXPECT_EQ(text(pod, {"currentState", "podIP"}), "\"10.1.0.2\"");
  EXPECT_EQ(text(pod, {"currentState", "message"}), "\"m\"");
  EXPECT_EQ(text(pod, {"currentState", "Condition"}),
            R"([{"kind":"Ready","status":"Full"},{"kind":"Other","status":"None"},{"kind":"X","status":"Unknown"}])");
  EXPECT_EQ(
      text(pod, {"currentState", "info", "c"}),
      R"({"containerID":"containerd://1","image":"i","lastState":{"termination":{"exitCode":3,"reason":"Error"}},)"
      R"("ready":true,"restartCount":2,"state":{"running":{"startedAt":"2014-07-10T00:00:00Z"}}})");
  const std::pair<const char*, const char*> phases[] = {{"Pending", "\"Waiting\""},   {"Running", "\"Running\""},
                                                        {"Failed", "\"Terminated\""}, {"Succeeded", "\"Succeeded\""},
                                                        {"Unknown", "\"Unknown\""},   {"", "\"Waiting\""}};
  for (const auto& [phase, status] : phases) {
    EXPECT_EQ(text(from("pods", std::string(R"({"metadata":{"name":"p"},"status":{"phase":")") + phase + "\"}}"),
                   {"currentState", "status"}),
              status);
  }
}

TEST(Controllers, BothWays) {
  Value v1 = to("replicationControllers", R"({"id":"c","labels":{"l":"1"},"desiredState":{"replicas":3,
    "podTemplate":{"labels":{"name":"x"},"annotations":{"a":"b"},"nodeSelector":{"disk":"ssd"},
      "desiredState":{"manifest":{"version":"v1beta1","containers":[{"name":"c","image":"i"}]}}}}})");
  EXPECT_EQ(text(v1, {"spec", "selector"}), R"({"name":"x"})") << "from the template's labels";
  EXPECT_EQ(text(v1, {"spec", "template", "metadata"}), R"({"annotations":{"a":"b"},"labels":{"name":"x"}})");
  EXPECT_EQ(text(v1, {"spec", "template", "spec"}),
            R"({"containers":[{"image":"i","name":"c"}],"nodeSelector":{"disk":"ssd"}})");
  v1["status"]["replicas"] = 2;
  Value legacy = from_v1(kind("replicationControllers"), Version::kV1Beta1, v1);
  EXPECT_EQ(text(legacy, {"desiredState", "replicas"}), "3");
  EXPECT_EQ(text(legacy, {"desiredState", "replicaSelector"}), R"({"name":"x"})");
  EXPECT_EQ(text(legacy, {"desiredState", "podTemplate", "labels"}), R"({"name":"x"})");
  EXPECT_EQ(text(legacy, {"desiredState", "podTemplate", "nodeSelector"}), R"({"disk":"ssd"})");
  EXPECT_EQ(text(legacy, {"desiredState", "podTemplate", "desiredState", "manifest", "containers", "0", "image"}),
            "\"i\"");
  EXPECT_EQ(text(legacy, {"currentState", "replicas"}), "2");
}

TEST(Services, BothWays) {
  struct Case {
    const char* legacy;
    const char* spec;
  };
  for (
      const Case& each : {
          Case{R"("port":6379,"selector":{"name":"redis"})",
               R"({"ports":[{"port":6379}],"selector":{"name":"redis"}})"},
          Case{R"("port":"80","protocol":"UDP","containerPort":"8080","portName":"web")",
               R"({"ports":[{"name":"web","port":80,"protocol":"UDP","targetPort":8080}]})"},
          Case{R"("port":80,"containerPort":"http")", R"({"ports":[{"port":80,"targetPort":"http"}]})"},
          Case{R"("port":80,"containerPort":0)", R"({"ports":[{"port":80}]})"},
          Case{R"("port":80,"containerPort":"")", R"({"ports":[{"port":80}]})"},
          Case{R"("port":1,"ports":[{"name":"a","port":80,"containerPort":81},{"name":"b","port":90}])",
               R"({"ports":[{"name":"a","port":80,"targetPort":81},{"name":"b","port":90}]})"},
          Case{
              R"("port":80,"portalIP":"10.0.0.9","publicIPs":["1.2.3.4"],"createExternalLoadBalancer":true,
                   "sessionAffinity":"ClientIP")",
              R"({"clusterIP":"10.0.0.9","externalIPs":["1.2.3.4"],"ports":[{"port":80}],"sessionAffinity":"ClientIP","type":"LoadBalancer"})"},
          Case{R"("port":80,"portalIP":"","createExternalLoadBalancer":false)", R"({"ports":[{"port":80}]})"},
      }) {
    EXPECT_EQ(text(to("services", std::string(R"({"id":"s",)") + each.legacy + "}"), {"spec"}), each.spec);
  }
  Value legacy = from("services", R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.0.0.9","type":"LoadBalancer",
    "externalIPs":["1.2.3.4"],"selector":{"a":"b"},"sessionAffinity":"None",
    "ports":[{"name":"web","port":80,"protocol":"TCP","targetPort":8080},{"port":90}]}})");
  EXPECT_EQ(text(legacy, {"port"}), "80");
  EXPECT_EQ(text(legacy, {"protocol"}), "\"TCP\"");
  EXPECT_EQ(text(legacy, {"containerPort"}), "8080");
  EXPECT_EQ(text(legacy, {"portName"}), "\"web\"");
  EXPECT_EQ(text(legacy, {"ports"}), R"([{"containerPort":8080,"name":"web","port":80,"protocol":"TCP"},{"port":90}])");
  EXPECT_EQ(text(legacy, {"portalIP"}), "\"10.0.0.9\"");
  EXPECT_EQ(text(legacy, {"publicIPs"}), R"(["1.2.3.4"])");
  EXPECT_EQ(text(legacy, {"createExternalLoadBalancer"}), "true");
  EXPECT_EQ(text(legacy, {"selector"}), R"({"a":"b"})");
}

TEST(Endpoints, BothWays) {
  EXPECT_EQ(text(to("endpoints", R"({"id":"e","endpoints":["10.0.0.1:80","10.0.0.2:81"]})"), {"subsets"}),
            R"([{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]},)"
            R"({"addresses":[{"ip":"10.0.0.2"}],"ports":[{"port":81}]}])");
  EXPECT_EQ(text(from("endpoints", R"({"metadata":{"name":"e"},"subsets":[
                   {"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"ports":[{"port":80},{"port":90}]}]})"),
                 {"endpoints"}),
            R"(["10.0.0.1:80","10.0.0.2:80","10.0.0.1:90","10.0.0.2:90"])");
  EXPECT_EQ(text(from("endpoints", R"({"metadata":{"name":"e"}})"), {"endpoints"}), "[]");
}

TEST(Minions, BothWays) {
  Value node = to("minions", R"({"id":"m","hostIP":"10.0.0.1","externalID":"x","podCIDR":"10.1.0.0/24",
    "unschedulable":true,"resources":{"capacity":{"cpu":1000,"memory":3221225472}}})");
  EXPECT_EQ(text(node, {"kind"}), "\"Node\"");
  EXPECT_EQ(text(node, {"spec"}), R"({"podCIDR":"10.1.0.0/24","providerID":"x","unschedulable":true})");
  EXPECT_EQ(
      text(node, {"status"}),
      R"({"addresses":[{"address":"10.0.0.1","type":"InternalIP"}],"capacity":{"cpu":"1000m","memory":"3221225472"}})");
  EXPECT_EQ(text(to("nodes", R"({"kind":"Node","id":"m","resources":{"capacity":{"cpu":"0.5"}}})"),
                 {"status", "capacity", "cpu"}),
            "\"0.5\"");
  Value minion = from("minions", R"({"metadata":{"name":"m"},"spec":{"providerID":"x","unschedulable":true},
    "status":{"capacity":{"cpu":"4"},"addresses":[{"type":"Hostname","address":"h"},
              {"type":"InternalIP","address":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True","reason":"r"}]}})");
  EXPECT_EQ(text(minion, {"kind"}), "\"Minion\"");
  EXPECT_EQ(text(minion, {"hostIP"}), "\"10.0.0.1\"");
  EXPECT_EQ(text(minion, {"externalID"}), "\"x\"");
  EXPECT_EQ(text(minion, {"unschedulable"}), "true");
  EXPECT_EQ(text(minion, {"resources", "capacity", "cpu"}), "\"4\"");
  EXPECT_EQ(text(minion, {"status", "conditions", "0"}), R"({"kind":"Ready","reason":"r","status":"Full"})");
}

TEST(Events, BothWays) {
  Value event = to("events", R"({"involvedObject":{"kind":"Pod","name":"p"},"reason":"started","message":"m",
    "source":"kubelet","host":"m1","timestamp":"2014-07-10T00:00:00Z"})");
  EXPECT_EQ(text(event, {"source"}), R"({"component":"kubelet","host":"m1"})");
  EXPECT_EQ(text(event, {"firstTimestamp"}), "\"2014-07-10T00:00:00Z\"");
  EXPECT_EQ(text(event, {"lastTimestamp"}), "\"2014-07-10T00:00:00Z\"");
  EXPECT_EQ(text(event, {"count"}), "1");
  EXPECT_EQ(text(event, {"involvedObject", "name"}), "\"p\"");
  Value legacy = from_v1(kind("events"), Version::kV1Beta1, event);
  EXPECT_EQ(text(legacy, {"source"}), "\"kubelet\"");
  EXPECT_EQ(text(legacy, {"host"}), "\"m1\"");
  EXPECT_EQ(text(legacy, {"timestamp"}), "\"2014-07-10T00:00:00Z\"");
  EXPECT_EQ(text(legacy, {"reason"}), "\"started\"");
}

TEST(Bindings, NamePodAndHost) {
  EXPECT_EQ(api::to_json(to("bindings", R"({"podID":"redisMaster","host":"m1"})")),
            R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":"redismaster"},)"
            R"("target":{"apiVersion":"v1","kind":"Node","name":"m1"}})");
}

TEST(Lists, CarryANumericVersion) {
  Value list = list_from_v1(kind("minions"), Version::kV1Beta1,
                            parse(R"({"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"m"}}]})"));
  EXPECT_EQ(text(list, {"kind"}), "\"MinionList\"");
  EXPECT_EQ(text(list, {"resourceVersion"}), "9");
  EXPECT_EQ(text(list, {"creationTimestamp"}), "null");
  EXPECT_EQ(text(list, {"selfLink"}), "\"/api/v1beta1/minions\"");
  EXPECT_EQ(text(list, {"items", "0", "id"}), "\"m\"");
  EXPECT_EQ(text(list, {"minions"}), text(list, {"items"}));
  EXPECT_EQ(text(list_from_v1(kind("minions"), Version::kV1Beta2, parse(R"({"items":null})")), {"minions"}), "absent");
}

TEST(Statuses, NameTheObjectById) {
  EXPECT_EQ(api::to_json(status_from_v1(Version::kV1Beta1,
                                        parse(R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
      "message":"m","reason":"NotFound","details":{"name":"p","kind":"pods","uid":"u"},"code":404})"))),
            R"({"apiVersion":"v1beta1","code":404,"creationTimestamp":null,"details":{"id":"p","kind":"pods"},)"
            R"("kind":"Status","message":"m","reason":"NotFound","status":"Failure"})");
}

TEST(Overlay, KeepsWhatTheOldWordsCannotSay) {
  Value stored = parse(R"({"metadata":{"name":"s","uid":"u","labels":{"old":"1"},"annotations":{"keep":"1"}},
    "spec":{"clusterIP":"10.0.0.9","ports":[{"port":80,"nodePort":30000}],"ipFamilies":["IPv4"],"selector":{"a":"b"}}})");
  auto merged =
      overlay(kind("services"), stored, parse(R"({"id":"s","port":81,"labels":{"new":"1"},"resourceVersion":5})"));
  ASSERT_TRUE(merged.ok());
  EXPECT_EQ(
      api::to_json(*merged),
      R"({"metadata":{"annotations":{"keep":"1"},"labels":{"new":"1"},"name":"s","resourceVersion":"5","uid":"u"},)"
      R"("spec":{"clusterIP":"10.0.0.9","ipFamilies":["IPv4"],"ports":[{"port":81}]}})");
  auto pod = overlay(
      kind("pods"),
      parse(R"({"metadata":{},"spec":{"nodeName":"n","containers":[{"name":"c","image":"a","tty":true}]}})"),
      parse(R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1","containers":[{"name":"c","image":"b"}]}}})"));
  ASSERT_TRUE(pod.ok());
  EXPECT_EQ(text(*pod, {"spec"}), R"({"containers":[{"image":"b","name":"c","tty":true}],"nodeName":"n"})");
}

TEST(FieldSelectors, AreTranslated) {
  const std::pair<const char*, const char*> cases[] = {
      {"name=a", "metadata.name=a"},
      {"DesiredState.Host=", "spec.nodeName="},
      {"DesiredState.Host=m1,DesiredState.Status=Waiting", "spec.nodeName=m1,status.phase=Pending"},
      {"DesiredState.Status!=Terminated", "status.phase!=Failed"},
      {"DesiredState.Status==Running", "status.phase==Running"},
      {"", ""}};
  for (const auto& [legacy, v1] : cases) {
    auto selector = field_selector_to_v1(kind("pods"), legacy);
    ASSERT_TRUE(selector.ok()) << legacy;
    EXPECT_EQ(*selector, v1);
  }
  EXPECT_EQ(*field_selector_to_v1(kind("events"), "involvedObject.name=p,reason=x"), "involvedObject.name=p,reason=x");
  for (const char* wrong : {"name", "nonsense=1", "spec.nodeName=x"}) {
    EXPECT_FALSE(field_selector_to_v1(kind("pods"), wrong).ok()) << wrong;
  }
}

/// Documents that use the members the converter looks at with values of every wrong type.
class RandomDocument {
 public:
  explicit RandomDocument(unsigned seed) : random_(seed) {}

  Value value(int depth) {
    switch (random_() % (depth > 0 ? 9 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return random_() % 2 == 0;
      case 2:
        return static_cast<int64_t>(random_()) - 1000;
      case 3:
        return 1e300 * (random_() % 2 == 0 ? 1 : -1);
      case 4:
      case 5:
        return kTexts[random_() % std::size(kTexts)];
      case 6: {
        Value array = Value::array();
        for (size_t i = random_() % 3; i > 0; --i) array.push_back(value(depth - 1));
        return array;
      }
      default: {
        Value object = Value::object();
        for (size_t i = random_() % 6; i > 0; --i) object[kNames[random_() % std::size(kNames)]] = value(depth - 1);
        return object;
      }
    }
  }
  /// Like `value`, but the way to the containers is open, so that the deeper members are met too.
  Value pod() {
    Value object = value(4);
    if (!object.is_object()) object = Value::object();
    Value manifest = value(3);
    if (!manifest.is_object()) manifest = Value::object();
    manifest["version"] = "v1beta1";
    manifest["containers"] = Value::Array{value(4), value(4)};
    manifest["volumes"] = Value::Array{value(3)};
    object["kind"] = nullptr;
    object["desiredState"] = Value::object();
    object["desiredState"]["manifest"] = manifest;
    object["desiredState"]["podTemplate"]["desiredState"]["manifest"] = std::move(manifest);
    return object;
  }

 private:
  static constexpr const char* kTexts[] = {"",     "redis", "A_b",     "1.2.3.4:80", ":",
                                           "8080", "-1",    "v1beta1", "\xff",       "100Mi"};
  static constexpr const char* kNames[] = {"id",
                                           "labels",
                                           "annotations",
                                           "resourceVersion",
                                           "namespace",
                                           "name",
                                           "env",
                                           "ports",
                                           "volumeMounts",
                                           "cpu",
                                           "memory",
                                           "resources",
                                           "limits",
                                           "capacity",
                                           "source",
                                           "secret",
                                           "target",
                                           "hostDir",
                                           "livenessProbe",
                                           "httpGet",
                                           "tcpSocket",
                                           "port",
                                           "exec",
                                           "lifecycle",
                                           "preStop",
                                           "restartPolicy",
                                           "always",
                                           "host",
                                           "portalIP",
                                           "endpoints",
                                           "privileged",
                                           "capabilities",
                                           "podID",
                                           "timestamp",
                                           "containerPort",
                                           "imagePullPolicy",
                                           "nodeSelector",
                                           "replicaSelector",
                                           "podTemplate",
                                           "hostIP",
                                           "metadata",
                                           "spec",
                                           "status",
                                           "containers",
                                           "volumes",
                                           "containerStatuses",
                                           "conditions",
                                           "subsets",
                                           "addresses"};
  std::mt19937 random_;
};

TEST(AnyDocument, IsConvertedOrRefused) {
  constexpr const char* kResources[] = {
      "pods", "replicationControllers", "services", "endpoints", "minions", "events", "bindings"};
  RandomDocument documents(20140710);
  int converted = 0;
  for (int i = 0; i < 3000; ++i) {
    Value document = i % 2 == 0 ? documents.pod() : documents.value(5);
    const Kind& each = kind(kResources[i % std::size(kResources)]);
    auto v1 = to_v1(each, document);
    if (v1.ok()) {
      ++converted;
      Value back = from_v1(each, Version::kV1Beta1, *v1);
      EXPECT_EQ(text(back, {"kind"}), '"' + std::string(each.kind) + '"');
      [[maybe_unused]] auto merged = overlay(each, *v1, document);
      EXPECT_TRUE(merged.ok());
    } else {
      EXPECT_TRUE(v1.status().is(Reason::kBadRequest));
    }
    // What a server answers is odd only when it is broken, but even then nothing may fall over.
    [[maybe_unused]] Value shown = from_v1(each, Version::kV1Beta2, document);
    [[maybe_unused]] Value list = list_from_v1(each, Version::kV1Beta1, document);
    [[maybe_unused]] Value status = status_from_v1(Version::kV1Beta1, document);
  }
  EXPECT_GT(converted, 200) << "the documents should not all be refused";
}

}  // namespace
}  // namespace trireme::apiserver::legacy
