#include "apiserver/admission/plugins.h"

#include <gtest/gtest.h>

#include "api/codec.h"
#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "api/types/schedulingv1.h"
#include "api/value.h"
#include "integration/support/test_api_server.h"

namespace trireme::apiserver::admission {
namespace {

using api::corev1::Node;
using api::corev1::Pod;
using api::schedulingv1::PriorityClass;

/// Objects the plugins read come from a server without any admission; the plugins are called by hand.
class PluginsTest : public testing::Test {
 protected:
  PluginsTest() : caches_(std::shared_ptr<void>(), &server_.server().caches()) { user_.name = "jane"; }

  void create(const std::string& where, const std::string& body) {
    auto answer = server_.post(where, body);
    ASSERT_EQ(answer.status, 201) << answer.body;
  }

  template <typename T>
  static api::Object object(const std::string& json) {
    auto value = api::parse_value(json);
    EXPECT_TRUE(value.ok()) << json;
    auto result = api::from_value(api::type_info<T>(), *value);
    EXPECT_TRUE(result.ok()) << result.status().to_string();
    return std::move(*result);
  }

  Attributes attributes(Operation operation, api::Object* now, const api::Object* before = nullptr) {
    Attributes result;
    result.operation = operation;
    const api::TypeInfo& type = now != nullptr ? now->type() : before->type();
    result.resource = &type == &api::type_info<Pod>()             ? &api::resource_of<Pod>()
                      : &type == &api::type_info<Node>()          ? &api::resource_of<Node>()
                      : &type == &api::type_info<PriorityClass>() ? &api::resource_of<PriorityClass>()
                                                                  : &api::resource_of<api::coordinationv1::Lease>();
    const auto& metadata = now != nullptr ? now->metadata() : before->metadata();
    result.ns = result.resource->namespaced ? (metadata.namespace_.empty() ? "default" : metadata.namespace_) : "";
    result.name = metadata.name;
    result.user = &user_;
    result.object = now;
    result.old_object = before;
    return result;
  }
  Status admit(Plugin& plugin, Operation operation, api::Object* now, const api::Object* before = nullptr,
               std::string subresource = "") {
    Attributes all = attributes(operation, now, before);
    all.subresource = std::move(subresource);
    TRY(plugin.admit(all));
    return plugin.validate(all);
  }

  test::TestApiServer server_;
  std::shared_ptr<Caches> caches_;
  authn::UserInfo user_;
};

constexpr const char* kAccounts = "/api/v1/namespaces/default/serviceaccounts";
constexpr const char* kTokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

class ServiceAccountPluginTest : public PluginsTest {
 protected:
  ServiceAccountPluginTest() : plugin_(service_account_plugin(caches_)) {
    create(kAccounts, R"({"metadata":{"name":"default"},"imagePullSecrets":[{"name":"pull"}]})");
    create(kAccounts, R"({"metadata":{"name":"silent"},"automountServiceAccountToken":false})");
  }
  Status create_pod(api::Object& pod) { return admit(*plugin_, Operation::kCreate, &pod); }

  std::shared_ptr<Plugin> plugin_;
};

TEST_F(ServiceAccountPluginTest, MountsTheDefaultAccountsTokenIntoEveryContainer) {
  api::Object pod = object<Pod>(R"({"metadata":{"name":"p"},"spec":{
    "initContainers":[{"name":"i"}],"containers":[{"name":"a"},{"name":"b"}]}})");
  ASSERT_TRUE(create_pod(pod).ok());
  const auto& spec = pod.as<Pod>()->spec;
  EXPECT_EQ(spec.service_account_name, "default");
  EXPECT_EQ(spec.service_account, "default");
  ASSERT_EQ(spec.image_pull_secrets.size(), 1U);
  EXPECT_EQ(spec.image_pull_secrets[0].name, "pull");
  ASSERT_EQ(spec.volumes.size(), 1U);
  EXPECT_TRUE(std::string_view(spec.volumes[0].name).starts_with("kube-api-access-"));
  const auto& sources = spec.volumes[0].volume_source.projected->sources;
  ASSERT_EQ(sources.size(), 3U);
  EXPECT_EQ(sources[0].service_account_token->expiration_seconds, 3607);
  EXPECT_EQ(sources[1].config_map->local_object_reference.name, "kube-root-ca.crt");
  EXPECT_EQ(sources[2].downward_api->items[0].field_ref->field_path, "metadata.namespace");
  for (const auto* containers : {&spec.init_containers, &spec.containers}) {
    for (const auto& container : *containers) {
      ASSERT_EQ(container.volume_mounts.size(), 1U) << container.name;
      EXPECT_EQ(container.volume_mounts[0].name, spec.volumes[0].name);
      EXPECT_EQ(container.volume_mounts[0].mount_path, kTokenPath);
      EXPECT_EQ(container.volume_mounts[0].read_only, true);
    }
  }
}

TEST_F(ServiceAccountPluginTest, MountsItOnce) {
  api::Object pod = object<Pod>(R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"}]}})");
  ASSERT_TRUE(create_pod(pod).ok());
  std::string once = api::encode_json(*pod.as<Pod>());
  ASSERT_TRUE(create_pod(pod).ok());
  EXPECT_EQ(api::encode_json(*pod.as<Pod>()), once);
  // A container that mounts something of its own there keeps it.
  pod = object<Pod>(std::string(R"({"metadata":{"name":"p"},"spec":{"volumes":[{"name":"own","emptyDir":{}}],
    "containers":[{"name":"a","volumeMounts":[{"name":"own","mountPath":")") +
                    kTokenPath + R"("}]}]}})");
  ASSERT_TRUE(create_pod(pod).ok());
  EXPECT_EQ(pod.as<Pod>()->spec.volumes.size(), 1U);
  EXPECT_EQ(pod.as<Pod>()->spec.containers[0].volume_mounts.size(), 1U);
}

TEST_F(ServiceAccountPluginTest, ThePodDecidesOnMountingBeforeTheAccount) {
  struct Case {
    const char* account;
    const char* pod_says;
    bool mounted;
  };
  for (const Case& each :
       {Case{"default", "", true}, Case{"default", R"("automountServiceAccountToken":false,)", false},
        Case{"silent", "", false}, Case{"silent", R"("automountServiceAccountToken":true,)", true}}) {
    api::Object pod = object<Pod>(std::string(R"({"metadata":{"name":"p"},"spec":{)") + each.pod_says +
                                  R"("serviceAccountName":")" + each.account + R"(","containers":[{"name":"a"}]}})");
    ASSERT_TRUE(create_pod(pod).ok());
    EXPECT_EQ(pod.as<Pod>()->spec.volumes.size(), each.mounted ? 1U : 0U) << each.account << each.pod_says;
  }
}

TEST_F(ServiceAccountPluginTest, RefusesAnAccountThatIsNotThere) {
  api::Object pod = object<Pod>(R"({"metadata":{"name":"p"},"spec":{"serviceAccountName":"ghost","containers":[]}})");
  Status status = create_pod(pod);
  EXPECT_EQ(status.code(), 403);
  EXPECT_EQ(status.message(),
            "pods \"p\" is forbidden: error looking up service account default/ghost: serviceaccount \"ghost\" not "
            "found");
}

TEST_F(ServiceAccountPluginTest, KeepsThePodsOwnPullSecrets) {
  api::Object pod = object<Pod>(
      R"({"metadata":{"name":"p"},"spec":{"imagePullSecrets":[{"name":"mine"}],"containers":[{"name":"a"}]}})");
  ASSERT_TRUE(create_pod(pod).ok());
  ASSERT_EQ(pod.as<Pod>()->spec.image_pull_secrets.size(), 1U);
  EXPECT_EQ(pod.as<Pod>()->spec.image_pull_secrets[0].name, "mine");
}

TEST_F(ServiceAccountPluginTest, LeavesMirrorPodsAloneAndKeepsThemFromSecrets) {
  auto mirror = [&](const std::string& spec) {
    return object<Pod>(R"({"metadata":{"name":"p","annotations":{"kubernetes.io/config.mirror":"x"}},"spec":{)" + spec +
                       R"("containers":[{"name":"a"}]}})");
  };
  api::Object pod = mirror("");
  ASSERT_TRUE(create_pod(pod).ok());
  EXPECT_EQ(pod.as<Pod>()->spec.service_account_name, "");
  EXPECT_TRUE(pod.as<Pod>()->spec.volumes.empty());
  pod = mirror(R"("serviceAccountName":"default",)");
  EXPECT_EQ(create_pod(pod).message(), "pods \"p\" is forbidden: a mirror pod may not reference service accounts");
  pod = mirror(R"("volumes":[{"name":"s","secret":{"secretName":"x"}}],)");
  EXPECT_EQ(create_pod(pod).message(), "pods \"p\" is forbidden: a mirror pod may not reference secrets");
  pod = mirror(R"("volumes":[{"name":"s","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}],)");
  EXPECT_EQ(create_pod(pod).message(),
            "pods \"p\" is forbidden: a mirror pod may not use ServiceAccountToken volume projections");
}

constexpr const char* kClasses = "/apis/scheduling.k8s.io/v1/priorityclasses";

TEST_F(PluginsTest, PriorityResolvesClasses) {
  auto plugin = priority_plugin(caches_);
  auto pod = [&](const std::string& spec) {
    return object<Pod>(R"({"metadata":{"name":"p"},"spec":{)" + spec + R"("containers":[]}})");
  };
  api::Object plain = pod("");
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &plain).ok());
  EXPECT_EQ(plain.as<Pod>()->spec.priority, 0);
  EXPECT_EQ(plain.as<Pod>()->spec.preemption_policy, "PreemptLowerPriority");

  create(kClasses, R"({"metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"})");
  api::Object high = pod(R"("priorityClassName":"high",)");
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &high).ok());
  EXPECT_EQ(high.as<Pod>()->spec.priority, 1000);
  EXPECT_EQ(high.as<Pod>()->spec.preemption_policy, "Never");

  create(kClasses, R"({"metadata":{"name":"usual"},"value":7,"globalDefault":true})");
  api::Object usual = pod("");
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &usual).ok());
  EXPECT_EQ(usual.as<Pod>()->spec.priority, 7);
  EXPECT_EQ(usual.as<Pod>()->spec.priority_class_name, "usual");

  api::Object missing = pod(R"("priorityClassName":"ghost",)");
  EXPECT_EQ(admit(*plugin, Operation::kCreate, &missing).message(),
            "pods \"p\" is forbidden: no PriorityClass with name ghost was found");
  api::Object wrong = pod(R"("priorityClassName":"high","priority":5,)");
  EXPECT_EQ(admit(*plugin, Operation::kCreate, &wrong).code(), 403);
  api::Object right = pod(R"("priorityClassName":"high","priority":1000,)");
  EXPECT_TRUE(admit(*plugin, Operation::kCreate, &right).ok());
  api::Object policy = pod(R"("priorityClassName":"high","preemptionPolicy":"PreemptLowerPriority",)");
  EXPECT_EQ(admit(*plugin, Operation::kCreate, &policy).code(), 403);

  api::Object forgotten = pod(R"("priorityClassName":"high",)");
  ASSERT_TRUE(admit(*plugin, Operation::kUpdate, &forgotten, &high).ok());
  EXPECT_EQ(forgotten.as<Pod>()->spec.priority, 1000);

  api::Object second = object<PriorityClass>(R"({"metadata":{"name":"second"},"value":8,"globalDefault":true})");
  EXPECT_EQ(admit(*plugin, Operation::kCreate, &second).code(), 403);
  api::Object same = object<PriorityClass>(R"({"metadata":{"name":"usual"},"value":7,"globalDefault":true})");
  EXPECT_TRUE(admit(*plugin, Operation::kUpdate, &same, &same).ok());

  api::Object critical = pod(R"("priorityClassName":"system-node-critical",)");
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &critical).ok()) << "every cluster has it";
  EXPECT_EQ(critical.as<Pod>()->spec.priority, 2000001000);
  api::Object system = object<PriorityClass>(R"({"metadata":{"name":"system-node-critical"},"value":2000001000})");
  EXPECT_EQ(admit(*plugin, Operation::kDelete, nullptr, &system).message(),
            "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority class "
            "and cannot be deleted");
}

TEST_F(PluginsTest, DefaultTolerationsAreAddedWhereThePodHasNone) {
  auto plugin = default_toleration_seconds_plugin();
  struct Case {
    const char* tolerations;
    size_t wanted;
  };
  for (const Case& each :
       {Case{"", 2}, Case{R"({"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute"})", 2},
        Case{R"({"key":"node.kubernetes.io/not-ready","operator":"Exists"})", 2},
        Case{R"({"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoSchedule"})", 3},
        Case{R"({"operator":"Exists"})", 1}, Case{R"({"key":"other","operator":"Exists"})", 3}}) {
    api::Object pod =
        object<Pod>(std::string(R"({"metadata":{"name":"p"},"spec":{"tolerations":[)") + each.tolerations + "]}}");
    ASSERT_TRUE(admit(*plugin, Operation::kCreate, &pod).ok());
    const auto& tolerations = pod.as<Pod>()->spec.tolerations;
    EXPECT_EQ(tolerations.size(), each.wanted) << each.tolerations;
    if (*each.tolerations == '\0') {
      EXPECT_EQ(tolerations[0].key, "node.kubernetes.io/not-ready");
      EXPECT_EQ(tolerations[1].key, "node.kubernetes.io/unreachable");
      EXPECT_EQ(tolerations[1].toleration_seconds, 300);
      EXPECT_EQ(tolerations[1].effect, "NoExecute");
    }
  }
}

TEST_F(PluginsTest, NewNodesAreTaintedOnce) {
  auto plugin = taint_nodes_by_condition_plugin();
  api::Object node = object<Node>(R"({"metadata":{"name":"n1"}})");
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &node).ok());
  ASSERT_TRUE(admit(*plugin, Operation::kCreate, &node).ok());
  ASSERT_EQ(node.as<Node>()->spec.taints.size(), 1U);
  EXPECT_EQ(node.as<Node>()->spec.taints[0].key, "node.kubernetes.io/not-ready");
  EXPECT_EQ(node.as<Node>()->spec.taints[0].effect, "NoSchedule");
  api::Object known = object<Node>(R"({"metadata":{"name":"n1"}})");
  ASSERT_TRUE(admit(*plugin, Operation::kUpdate, &known, &node).ok());
  EXPECT_TRUE(known.as<Node>()->spec.taints.empty());
}

class NodeRestrictionTest : public PluginsTest {
 protected:
  NodeRestrictionTest() : plugin_(node_restriction_plugin(caches_)) {
    user_.name = "system:node:n1";
    user_.groups = {"system:nodes"};
  }
  static api::Object node(const std::string& name, const std::string& more = "", const std::string& spec = "{}") {
    return object<Node>(R"({"metadata":{"name":")" + name + "\"" + more + R"(},"spec":)" + spec + "}");
  }
  std::shared_ptr<Plugin> plugin_;
};

TEST_F(NodeRestrictionTest, AKubeletChangesItsOwnNodeOnly) {
  api::Object own = node("n1");
  api::Object other = node("n2");
  EXPECT_TRUE(admit(*plugin_, Operation::kCreate, &own).ok());
  EXPECT_TRUE(admit(*plugin_, Operation::kUpdate, &own, &own, "status").ok());
  EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &other, &other).message(),
            "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"");
  EXPECT_EQ(admit(*plugin_, Operation::kDelete, nullptr, &other).code(), 403);
  api::Object tainted = node("n1", "", R"({"taints":[{"key":"a","effect":"NoSchedule"}]})");
  EXPECT_TRUE(admit(*plugin_, Operation::kCreate, &tainted).ok());
  EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &own, &tainted).message(),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints");
  user_ = {.name = "jane", .uid = "", .groups = {}, .extra = {}};
  EXPECT_TRUE(admit(*plugin_, Operation::kUpdate, &other, &other).ok()) << "no kubelet: not restricted";
}

TEST_F(NodeRestrictionTest, AKubeletSetsOnlyLabelsMeantForIt) {
  struct Case {
    const char* label;
    bool allowed;
  };
  for (const Case& each : {Case{"example.com/a", true}, Case{"plain", true}, Case{"kubernetes.io/hostname", true},
                           Case{"topology.kubernetes.io/zone", true}, Case{"node.kubernetes.io/anything", true},
                           Case{"foo.kubelet.kubernetes.io/a", true}, Case{"kubernetes.io/other", false},
                           Case{"foo.k8s.io/a", false}, Case{"node-restriction.kubernetes.io/a", false},
                           Case{"x.node-restriction.kubernetes.io/a", false}, Case{"notkubernetes.io/a", true}}) {
    api::Object labelled = node("n1", std::string(R"(,"labels":{")") + each.label + R"(":"x"})");
    api::Object bare = node("n1");
    Status created = admit(*plugin_, Operation::kCreate, &labelled);
    EXPECT_EQ(created.ok(), each.allowed) << each.label;
    if (!created.ok()) {
      EXPECT_EQ(created.message(),
                std::string("nodes \"n1\" is forbidden: node \"n1\" is not allowed to set the following labels: ") +
                    each.label);
    }
    EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &labelled, &bare).ok(), each.allowed) << each.label;
    EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &bare, &labelled).ok(), each.allowed) << "removed: " << each.label;
    EXPECT_TRUE(admit(*plugin_, Operation::kUpdate, &labelled, &labelled).ok()) << "kept: " << each.label;
  }
  api::Object bare = node("n1");
  api::Object two = node("n1", R"(,"labels":{"b.k8s.io/x":"1","a.k8s.io/x":"1"})");
  EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &two, &bare).message(),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify labels: a.k8s.io/x, b.k8s.io/x");
}

TEST_F(NodeRestrictionTest, AKubeletCreatesOnlyMirrorsOfItsStaticPods) {
  auto pod = [&](const std::string& annotations, const std::string& spec) {
    return object<Pod>(R"({"metadata":{"name":"p","annotations":{)" + annotations + R"(}},"spec":{)" + spec + "}}");
  };
  const std::string mirror = R"("kubernetes.io/config.mirror":"x")";
  api::Object good = pod(mirror, R"("nodeName":"n1")");
  EXPECT_TRUE(admit(*plugin_, Operation::kCreate, &good).ok());
  struct Case {
    std::string annotations;
    std::string spec;
    std::string why;
  };
  for (const Case& each : {
           Case{
               "", R"("nodeName":"n1")",
               "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods"},
           Case{mirror, R"("nodeName":"n2")", "node \"n1\" can only create pods with spec.nodeName set to itself"},
           Case{mirror, R"("nodeName":"n1","serviceAccountName":"a")",
                "node \"n1\" can not create pods that reference a service account"},
           Case{mirror, R"("nodeName":"n1","imagePullSecrets":[{"name":"a"}])",
                "node \"n1\" can not create pods that reference secrets"},
           Case{mirror, R"("nodeName":"n1","containers":[{"name":"c","envFrom":[{"configMapRef":{"name":"a"}}]}])",
                "node \"n1\" can not create pods that reference configmaps"},
           Case{mirror, R"("nodeName":"n1","volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"a"}}])",
                "node \"n1\" can not create pods that reference persistentvolumeclaims"},
       }) {
    api::Object refused = pod(each.annotations, each.spec);
    EXPECT_EQ(admit(*plugin_, Operation::kCreate, &refused).message(), "pods \"p\" is forbidden: " + each.why);
  }
}

TEST_F(NodeRestrictionTest, AKubeletTouchesPodsOfItsOwnOnly) {
  create("/api/v1/namespaces/default/pods", test::pod("mine", "", R"("nodeName":"n1")"));
  create("/api/v1/namespaces/default/pods", test::pod("foreign", "", R"("nodeName":"n2")"));
  api::Object mine = object<Pod>(R"({"metadata":{"name":"mine"},"spec":{"nodeName":"n1"}})");
  // What the request claims does not count: the stored pod's node does.
  api::Object foreign = object<Pod>(R"({"metadata":{"name":"foreign"},"spec":{"nodeName":"n1"}})");
  EXPECT_TRUE(admit(*plugin_, Operation::kUpdate, &mine, &mine, "status").ok());
  EXPECT_TRUE(admit(*plugin_, Operation::kDelete, nullptr, &mine).ok());
  EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &foreign, &foreign, "status").code(), 403);
  EXPECT_EQ(admit(*plugin_, Operation::kDelete, nullptr, &foreign).message(),
            "pods \"foreign\" is forbidden: node \"n1\" can only delete pods with spec.nodeName set to itself");
}

TEST_F(NodeRestrictionTest, AKubeletRenewsItsOwnLeaseOnly) {
  using api::coordinationv1::Lease;
  auto lease = [&](const std::string& name, const std::string& ns) {
    return object<Lease>(R"({"metadata":{"name":")" + name + R"(","namespace":")" + ns + R"("}})");
  };
  api::Object own = lease("n1", "kube-node-lease");
  api::Object other = lease("n2", "kube-node-lease");
  api::Object elsewhere = lease("n1", "kube-system");
  EXPECT_TRUE(admit(*plugin_, Operation::kCreate, &own).ok());
  EXPECT_EQ(admit(*plugin_, Operation::kCreate, &other).code(), 403);
  EXPECT_EQ(admit(*plugin_, Operation::kUpdate, &elsewhere, &elsewhere).code(), 403);
}

}  // namespace
}  // namespace trireme::apiserver::admission
