// Quotas and limit ranges: admission and the controller together, on the real API server.

#include "api/codec.h"
#include "api/quota/evaluator.h"
#include "api/types/appsv1.h"
#include "apiserver/admission/plugins.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using namespace api::corev1;  // NOLINT: the suite speaks of little else

class QuotaSuite : public ControllersSuite {
 protected:
  void configure(apiserver::Options& options) override {
    options.caches =
        std::make_shared<apiserver::Caches>(apiserver::CachesOptions{.store = options.store, .clock = options.clock});
    options.admission.add(apiserver::admission::limit_ranger_plugin(options.caches));
    options.admission.add(apiserver::admission::resource_quota_plugin(options.caches, limited()));
  }
  /// What may be consumed only where a quota covers it.
  virtual std::vector<apiserver::admission::LimitedResource> limited() { return {}; }
  template <typename T>
  Result<T> post(const std::string& json) {
    Result<T> object = api::decode_json<T>(json);
    if (!object.ok()) return object;
    object->metadata.namespace_ = "default";
    return client().create(*object);
  }
  template <typename T>
  std::string refusal(const std::string& json) {
    return post<T>(json).status().message();
  }
  static std::string pod_of(const std::string& name, const std::string& resources, const std::string& more = "") {
    return R"({"metadata":{"name":")" + name + R"("},"spec":{)" + more +
           R"("containers":[{"name":"c","image":"i","resources":)" + resources + "}]}}";
  }
  /// Waits until the quota's usage reads like this.
  [[nodiscard]] bool used_is(Watched<ResourceQuota>& quotas, const std::string& name, const std::string& used) {
    const auto text = [&] {
      const auto quota = quotas.get("default", name);
      return quota ? api::quota::to_string(quota->status.used) : std::string();
    };
    // Steps that let a write which lost a race come back, and are too short for the recounts by time.
    const bool reached = advance_until(quotas, std::chrono::milliseconds(20), [&] { return text() == used; });
    EXPECT_EQ(text(), used);
    return reached;
  }
};

TEST_F(QuotaSuite, TheLifeOfAPod) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"pods":"3","cpu":"1","memory":"500Mi",
      "requests.example.com/dongle":"3"}}})")
                  .ok());
  ASSERT_TRUE(used_is(quotas, "q", "cpu=0,memory=0,pods=0,requests.example.com/dongle=0"));
  const std::string fits = R"({"requests":{"cpu":"500m","memory":"252Mi","example.com/dongle":"2"},
                              "limits":{"example.com/dongle":"2"}})";
  ASSERT_TRUE(post<Pod>(pod_of("a", fits)).ok());
  // Admission has charged already: nobody had to recount.
  ASSERT_TRUE(used_is(quotas, "q", "cpu=500m,memory=252Mi,pods=1,requests.example.com/dongle=2"));
  EXPECT_EQ(refusal<Pod>(pod_of("b", R"({"requests":{"cpu":"600m","memory":"100Mi"}})")),
            "pods \"b\" is forbidden: exceeded quota: q, requested: cpu=600m, used: cpu=500m, limited: cpu=1");
  EXPECT_EQ(refusal<Pod>(pod_of("b", fits)),
            "pods \"b\" is forbidden: exceeded quota: q, requested: memory=252Mi,requests.example.com/dongle=2, used: "
            "memory=252Mi,requests.example.com/dongle=2, limited: memory=500Mi,requests.example.com/dongle=3");
  EXPECT_EQ(refusal<Pod>(pod_of("b", R"({"requests":{"cpu":"1m"}})")),
            "pods \"b\" is forbidden: failed quota: q: must specify memory for: c");
  // Finished pods give back what they had.
  change<Pod>(
      "default", "a", [](Pod& pod) { pod.status.phase = "Succeeded"; }, true);
  EXPECT_TRUE(used_is(quotas, "q", "cpu=0,memory=0,pods=0,requests.example.com/dongle=0"));
  ASSERT_TRUE(post<Pod>(pod_of("b", fits)).ok());
  EXPECT_TRUE(used_is(quotas, "q", "cpu=500m,memory=252Mi,pods=1,requests.example.com/dongle=2"));
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  EXPECT_TRUE(remove<Pod>("default", "b", now).ok());
  EXPECT_TRUE(used_is(quotas, "q", "cpu=0,memory=0,pods=0,requests.example.com/dongle=0"));
}

TEST_F(QuotaSuite, ScopesTellPodsApart) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  for (const std::string scope : {"BestEffort", "NotBestEffort", "Terminating", "NotTerminating"}) {
    std::string name = scope;
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":")" + name +
                                    R"("},"spec":{"hard":{"pods":"5"},"scopes":[")" + scope + R"("]}})")
                    .ok());
    ASSERT_TRUE(used_is(quotas, name, "pods=0"));
  }
  ASSERT_TRUE(post<Pod>(pod_of("effort", R"({"requests":{"cpu":"1"}})")).ok());
  ASSERT_TRUE(post<Pod>(pod_of("best", "{}", R"("activeDeadlineSeconds":60,)")).ok());
  ASSERT_TRUE(post<Pod>(pod_of("best2", "{}")).ok());
  EXPECT_TRUE(used_is(quotas, "besteffort", "pods=2"));
  EXPECT_TRUE(used_is(quotas, "notbesteffort", "pods=1"));
  EXPECT_TRUE(used_is(quotas, "terminating", "pods=1"));
  EXPECT_TRUE(used_is(quotas, "notterminating", "pods=2"));
}

TEST_F(QuotaSuite, ServicesClaimsAndCounts) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"services":"3","services.nodeports":"1",
      "services.loadbalancers":"0","requests.storage":"3Gi","gold.storageclass.storage.k8s.io/requests.storage":"1Gi",
      "count/replicasets.apps":"1","secrets":"1"}}})")
                  .ok());
  const auto used = [](const std::string& gold, int sets, int secrets, int ports, int services, const char* storage) {
    return "count/replicasets.apps=" + std::to_string(sets) +
           ",gold.storageclass.storage.k8s.io/requests.storage=" + gold + ",requests.storage=" + storage +
           ",secrets=" + std::to_string(secrets) + ",services=" + std::to_string(services) +
           ",services.loadbalancers=0,services.nodeports=" + std::to_string(ports);
  };
  // The namespace's own "kubernetes" counts, too.
  ASSERT_TRUE(used_is(quotas, "q", used("0", 0, 0, 0, 1, "0")));
  ASSERT_TRUE(post<Service>(R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}})").ok());
  EXPECT_EQ(refusal<Service>(R"({"metadata":{"name":"lb"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}})"),
            "services \"lb\" is forbidden: exceeded quota: q, requested: services.loadbalancers=1, used: "
            "services.loadbalancers=0, limited: services.loadbalancers=0");
  // An update is charged the difference.
  change<Service>("default", "s", [](Service& service) { service.spec.type = "NodePort"; });
  ASSERT_TRUE(post<PersistentVolumeClaim>(R"({"metadata":{"name":"c"},"spec":{"storageClassName":"gold",
      "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})")
                  .ok());
  ASSERT_TRUE(post<Secret>(R"({"metadata":{"name":"s"}})").ok());
  EXPECT_EQ(
      refusal<Secret>(R"({"metadata":{"name":"s2"}})"),
      "secrets \"s2\" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1");
  ASSERT_TRUE(post<api::appsv1::ReplicaSet>(R"({"metadata":{"name":"r"},"spec":{"selector":{"matchLabels":{"a":"b"}},
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})")
                  .ok());
  EXPECT_TRUE(used_is(quotas, "q", used("1Gi", 1, 1, 1, 2, "1Gi")));
  EXPECT_TRUE(remove<Secret>("default", "s").ok());
  EXPECT_TRUE(remove<api::appsv1::ReplicaSet>("default", "r").ok());
  change<Service>("default", "s", [](Service& service) {
    service.spec.type = "ClusterIP";
    service.spec.ports[0].node_port = 0;
  });
  EXPECT_TRUE(used_is(quotas, "q", used("1Gi", 0, 0, 0, 2, "1Gi")));
}

TEST_F(QuotaSuite, WhatWasChargedAndNotWrittenIsGivenBack) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"secrets":"5"}}})").ok());
  ASSERT_TRUE(used_is(quotas, "q", "secrets=0"));
  ASSERT_TRUE(post<Secret>(R"({"metadata":{"name":"s"}})").ok());
  EXPECT_TRUE(post<Secret>(R"({"metadata":{"name":"s"}})").status().is(Reason::kAlreadyExists));
  ASSERT_TRUE(quotas.until([&] { return quotas.get("default", "q")->status.used.get("secrets").value() == 2; }));
  EXPECT_TRUE(advance_until(quotas, std::chrono::seconds(1),
                            [&] { return quotas.get("default", "q")->status.used.get("secrets").value() == 1; }));
}

TEST_F(QuotaSuite, ManyAtOnceNeverExceed) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"configmaps":"10"}}})").ok());
  ASSERT_TRUE(used_is(quotas, "q", "configmaps=0"));
  std::atomic<int> created = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5; ++i) {
          const std::string name = "m" + std::to_string(t) + "-" + std::to_string(i);
          if (post<ConfigMap>(R"({"metadata":{"name":")" + name + R"("}})").ok()) ++created;
        }
      });
    }
  }
  EXPECT_EQ(created, 10);
  EXPECT_TRUE(used_is(quotas, "q", "configmaps=10"));
}

TEST_F(QuotaSuite, ADryRunCostsNothing) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"secrets":"1"}}})").ok());
  ASSERT_TRUE(used_is(quotas, "q", "secrets=0"));
  net::Request request;
  request.method = "POST";
  request.target = "/api/v1/namespaces/default/secrets?dryRun=All";
  request.headers.set("Content-Type", "application/json");
  request.body = R"({"metadata":{"name":"s"}})";
  const auto answer = net::in_process_transport(*server_, {})->round_trip(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 201) << answer->body;
  EXPECT_TRUE(post<Secret>(R"({"metadata":{"name":"real"}})").ok()) << "the only one is still to be had";
}

TEST_F(QuotaSuite, ALargerLimitIsTakenUp) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"secrets":"0"}}})").ok());
  ASSERT_TRUE(used_is(quotas, "q", "secrets=0"));
  EXPECT_FALSE(post<Secret>(R"({"metadata":{"name":"s"}})").ok());
  change<ResourceQuota>("default", "q", [](ResourceQuota& quota) {
    quota.spec.hard.clear();
    quota.spec.hard.insert_or_assign("secrets", Quantity::of(1));
    quota.spec.hard.insert_or_assign("count/secrets", Quantity::of(1));
  });
  ASSERT_TRUE(used_is(quotas, "q", "count/secrets=0,secrets=0"));
  EXPECT_TRUE(post<Secret>(R"({"metadata":{"name":"s"}})").ok());
}

TEST_F(QuotaSuite, LimitRangesGiveDefaultsAndBounds) {
  ASSERT_TRUE(post<LimitRange>(R"({"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container",
      "min":{"cpu":"50m","memory":"100Mi"},"max":{"cpu":"500m","memory":"500Mi"},
      "default":{"cpu":"500m","memory":"500Mi"},"defaultRequest":{"cpu":"100m","memory":"200Mi"},
      "maxLimitRequestRatio":{"cpu":"10"}},
      {"type":"Pod","max":{"cpu":"800m"}},
      {"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"2Gi"}}]}})")
                  .ok());
  const auto plain = post<Pod>(pod_of("plain", "{}"));
  ASSERT_TRUE(plain.ok()) << plain.status().to_string();
  EXPECT_EQ(api::quota::to_string(plain->spec.containers[0].resources.requests), "cpu=100m,memory=200Mi");
  EXPECT_EQ(api::quota::to_string(plain->spec.containers[0].resources.limits), "cpu=500m,memory=500Mi");
  EXPECT_EQ(plain->metadata.annotations.get("kubernetes.io/limit-ranger"),
            "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c");
  // What has a limit gets its request from that, before any range is asked.
  const auto partial = post<Pod>(pod_of("partial", R"({"requests":{"cpu":"300m"},"limits":{"memory":"300Mi"}})"));
  ASSERT_TRUE(partial.ok()) << partial.status().to_string();
  EXPECT_EQ(partial->metadata.annotations.get("kubernetes.io/limit-ranger"),
            "LimitRanger plugin set: cpu limit for container c");
  EXPECT_EQ(refusal<Pod>(pod_of("low", R"({"requests":{"memory":"50Mi"}})")),
            "pods \"low\" is forbidden: minimum memory usage per Container is 100Mi, but request is 50Mi");
  EXPECT_EQ(refusal<Pod>(pod_of("high", R"({"limits":{"cpu":"600m","memory":"600Mi"}})")),
            "pods \"high\" is forbidden: [maximum cpu usage per Container is 500m, but limit is 600m, maximum memory "
            "usage per Container is 500Mi, but limit is 600Mi]");
  EXPECT_EQ(refusal<Pod>(pod_of("ratio", R"({"requests":{"cpu":"49m"},"limits":{"cpu":"500m"}})")),
            "pods \"ratio\" is forbidden: [minimum cpu usage per Container is 50m, but request is 49m, cpu max limit "
            "to request ratio per Container is 10, but provided ratio is 10.204082]");
  EXPECT_EQ(refusal<Pod>(R"({"metadata":{"name":"two"},"spec":{"containers":[{"name":"a","image":"i"},
                              {"name":"b","image":"i"}]}})"),
            "pods \"two\" is forbidden: maximum cpu usage per Pod is 800m, but limit is 1");
  const auto claim = [](const std::string& storage) {
    return R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":")" +
           storage + R"("}}}})";
  };
  EXPECT_EQ(refusal<PersistentVolumeClaim>(claim("3Gi")),
            "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but "
            "request is 3Gi");
  EXPECT_EQ(refusal<PersistentVolumeClaim>(claim("1Mi")),
            "persistentvolumeclaims \"c\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but "
            "request is 1Mi");
  EXPECT_TRUE(post<PersistentVolumeClaim>(claim("2Gi")).ok());
}

TEST_F(QuotaSuite, CustomResourcesAreCounted) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  ResourceQuota quota;
  quota.metadata.namespace_ = "default";
  quota.metadata.name = "q";
  quota.spec.hard.insert_or_assign("count/widgets.example.com", Quantity::of(1));
  create(quota);
  const net::Response defined =
      send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
           R"({"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
          "names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,
          "schema":{"openAPIV3Schema":{"type":"object"}}}]}})");
  ASSERT_EQ(defined.status, 201) << defined.body;
  ASSERT_TRUE(used_is(quotas, "q", "count/widgets.example.com=0"));
  const std::string widgets = "/apis/example.com/v1/namespaces/default/widgets";
  const auto make = [&](const std::string& name) {
    return send("POST", widgets,
                R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":")" + name + R"("}})");
  };
  ASSERT_EQ(make("one").status, 201);
  ASSERT_TRUE(used_is(quotas, "q", "count/widgets.example.com=1"));
  const net::Response refused = make("two");
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("exceeded quota: q"), std::string::npos) << refused.body;
  ASSERT_EQ(send("DELETE", widgets + "/one").status, 200);
  EXPECT_TRUE(used_is(quotas, "q", "count/widgets.example.com=0"));
}

class LimitedResources : public QuotaSuite {
 protected:
  std::vector<apiserver::admission::LimitedResource> limited() override {
    return *apiserver::admission::parse_limited_resources(R"(
apiVersion: apiserver.config.k8s.io/v1
kind: ResourceQuotaConfiguration
limitedResources:
- {resource: persistentvolumeclaims, matchContains: [gold.storageclass.storage.k8s.io/]}
- {resource: services, matchContains: [services.loadbalancers]}
- {apiGroup: apps, resource: deployments, matchContains: [count/deployments.apps]}
- {resource: pods, matchScopes: [{scopeName: PriorityClass, operator: In, values: [cluster-services]}]}
)");
  }
  static std::string claim(const std::string& name, const std::string& storage_class) {
    return R"({"metadata":{"name":")" + name + R"("},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":")" +
           storage_class + R"(","resources":{"requests":{"storage":"1Gi"}}}})";
  }
};

TEST_F(LimitedResources, AreConsumedOnlyWhereAQuotaCoversThem) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  EXPECT_TRUE(post<PersistentVolumeClaim>(claim("tin", "tin")).ok());
  const std::string refused =
      "persistentvolumeclaims \"gold\" is forbidden: insufficient quota to consume: "
      "gold.storageclass.storage.k8s.io/persistentvolumeclaims,gold.storageclass.storage.k8s.io/requests.storage";
  EXPECT_EQ(refusal<PersistentVolumeClaim>(claim("gold", "gold")), refused);
  // A quota that covers a part is not enough.
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{
      "gold.storageclass.storage.k8s.io/requests.storage":"1Gi"}}})")
                  .ok());
  ASSERT_TRUE(used_is(quotas, "q", "gold.storageclass.storage.k8s.io/requests.storage=0"));
  EXPECT_EQ(refusal<PersistentVolumeClaim>(claim("gold", "gold")),
            "persistentvolumeclaims \"gold\" is forbidden: insufficient quota to consume: "
            "gold.storageclass.storage.k8s.io/persistentvolumeclaims");
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"r"},"spec":{"hard":{
      "gold.storageclass.storage.k8s.io/persistentvolumeclaims":"5"}}})")
                  .ok());
  ASSERT_TRUE(used_is(quotas, "r", "gold.storageclass.storage.k8s.io/persistentvolumeclaims=0"));
  EXPECT_TRUE(post<PersistentVolumeClaim>(claim("gold", "gold")).ok());
  EXPECT_NE(refusal<PersistentVolumeClaim>(claim("more", "gold")).find("exceeded quota: q"), std::string::npos);

  const std::string deployment = R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{
      "metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";
  EXPECT_EQ(refusal<api::appsv1::Deployment>(deployment),
            "deployments.apps \"d\" is forbidden: insufficient quota to consume: count/deployments.apps");
}

TEST_F(LimitedResources, CountWhenTheyAreConsumedLater) {
  const std::string service = R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}})";
  ASSERT_TRUE(post<Service>(service).ok()) << "no balancer is wanted yet";
  Service wanted = *client().get<Service>("default", "s");
  wanted.metadata.labels.insert_or_assign("a", "b");
  ASSERT_TRUE(client().update(wanted).ok());
  wanted = *client().get<Service>("default", "s");
  wanted.spec.type = "LoadBalancer";
  EXPECT_EQ(client().update(wanted).status().message(),
            "services \"s\" is forbidden: insufficient quota to consume: services.loadbalancers");
}

TEST_F(LimitedResources, ScopesNeedAQuotaWithThem) {
  run("resourcequota");
  Watched<ResourceQuota> quotas(raw());
  const auto pod = [](const std::string& name, const std::string& priority) {
    return pod_of(name, "{}", R"("priorityClassName":")" + priority + R"(",)");
  };
  EXPECT_TRUE(post<Pod>(pod("plain", "other")).ok());
  const Status refused = post<Pod>(pod("high", "cluster-services")).status();
  EXPECT_EQ(refused.message(), "insufficient quota to match these scopes: [{PriorityClass In [cluster-services]}]");
  EXPECT_EQ(refused.code(), 500) << "as upstream answers";
  ASSERT_TRUE(post<ResourceQuota>(R"({"metadata":{"name":"q"},"spec":{"hard":{"pods":"1"},"scopeSelector":{
      "matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["cluster-services"]}]}}})")
                  .ok());
  ASSERT_TRUE(used_is(quotas, "q", "pods=0"));
  EXPECT_TRUE(post<Pod>(pod("high", "cluster-services")).ok());
  EXPECT_NE(refusal<Pod>(pod("higher", "cluster-services")).find("exceeded quota: q"), std::string::npos);
}

}  // namespace
}  // namespace trireme::controllers
