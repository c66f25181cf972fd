// The controllers on the real API server, in this process, over the memory store.

#include "controllers/testing/suite.h"

#include "api/types/appsv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/discoveryv1.h"
#include "client/leader_election.h"
#include "controllers/support/recent_writes.h"

namespace trireme::controllers {
namespace {

using namespace api::corev1;  // NOLINT: the suite speaks of little else
using api::discoveryv1::EndpointSlice;
using std::chrono::seconds;

TEST_F(ControllersSuite, AReplicationControllerKeepsItsNumber) {
  run("replicationcontroller");
  Watched<Pod> pods(raw());
  Watched<ReplicationController> controllers(raw());
  create(controller(3));
  ASSERT_TRUE(pods.until([&] { return pods.list().size() == 3; }));
  const auto status_is = [&](int32_t replicas) {
    return controllers.until([&] {
      const auto rc = controllers.get("default", "redis");
      return rc && rc->status.replicas == replicas && rc->status.observed_generation == rc->metadata.generation;
    });
  };
  EXPECT_TRUE(status_is(3));
  for (const auto& each : pods.list()) {
    EXPECT_TRUE(each->metadata.name.starts_with("redis-"));
    ASSERT_EQ(each->metadata.owner_references.size(), 1u);
    EXPECT_EQ(each->metadata.owner_references[0].kind, "ReplicationController");
  }
  // One is lost: another comes.
  const std::string lost = pods.list()[0]->metadata.name;
  EXPECT_EQ(remove<Pod>("default", lost).to_string(), "OK");
  EXPECT_TRUE(pods.until([&] { return !pods.get("default", lost) && pods.list().size() == 3; }));

  change<ReplicationController>("default", "redis", [](auto& rc) { rc.spec.replicas = 1; });
  EXPECT_TRUE(pods.until([&] { return pods.list().size() == 1; }));
  EXPECT_TRUE(status_is(1));

  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  ASSERT_TRUE(events.ok());
  std::map<std::string, int> reasons;
  for (const auto& event : events->items) {
    reasons[event.reason] += event.count;
    EXPECT_EQ(event.source.component, "replication-controller");
    EXPECT_EQ(event.involved_object.name, "redis");
  }
  EXPECT_EQ(reasons["SuccessfulCreate"], 4);
  EXPECT_EQ(reasons["SuccessfulDelete"], 2);
}

TEST_F(ControllersSuite, AReplicationControllerAdoptsAndReleases) {
  create(pod("orphan"));
  run("replicationcontroller");
  Watched<Pod> pods(raw());
  create(controller(2));
  const auto owned = [](const auto& each) { return each && !each->metadata.owner_references.empty(); };
  ASSERT_TRUE(pods.until([&] { return pods.list().size() == 2 && owned(pods.get("default", "orphan")); }));
  change<Pod>("default", "orphan", [](Pod& each) { each.metadata.labels.insert_or_assign("app", "other"); });
  EXPECT_TRUE(pods.until([&] { return pods.list().size() == 3 && !owned(pods.get("default", "orphan")); }));
}

TEST_F(ControllersSuite, APodThatIsRefusedShowsInTheStatus) {
  gate_->closed = true;
  run("replicationcontroller");
  Watched<ReplicationController> controllers(raw());
  Watched<Pod> pods(raw());
  create(controller(2));
  const auto condition = [&]() -> std::string {
    const auto rc = controllers.get("default", "redis");
    return rc && !rc->status.conditions.empty() ? rc->status.conditions[0].type + " " + rc->status.conditions[0].reason
                                                : "";
  };
  EXPECT_TRUE(controllers.until([&] { return condition() == "ReplicaFailure FailedCreate"; }));
  events_->flush();
  const auto events = client().list<Event, EventList>("default");
  ASSERT_TRUE(events.ok());
  ASSERT_FALSE(events->items.empty());
  EXPECT_EQ(events->items[0].reason, "FailedCreate");
  EXPECT_EQ(events->items[0].type, "Warning");
  EXPECT_NE(events->items[0].message.find("the gate is closed"), std::string::npos);
  // The back-off brings it back; then the condition goes.
  gate_->closed = false;
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(1));
  EXPECT_TRUE(pods.until([&] { return pods.list().size() == 2; }));
  EXPECT_TRUE(controllers.until([&] { return condition().empty(); }));
}

TEST_F(ControllersSuite, AReplicaSetWorksTheSame) {
  run("replicaset,garbagecollector");
  Watched<Pod> pods(raw());
  api::appsv1::ReplicaSet set;
  set.metadata.namespace_ = "default";
  set.metadata.name = "redis";
  set.spec.replicas = 2;
  set.spec.selector.emplace().match_labels.insert_or_assign("app", "redis");
  set.spec.template_ = *controller(1).spec.template_;
  create(set);
  EXPECT_TRUE(pods.until([&] { return pods.list().size() == 2; }));
  EXPECT_EQ(remove<api::appsv1::ReplicaSet>("default", "redis").to_string(), "OK");
  EXPECT_TRUE(pods.until([&] { return pods.list().empty(); }));
}

TEST_F(ControllersSuite, DeletingAnOwnerCollectsWhatItOwns) {
  run("replicationcontroller,garbagecollector");
  Watched<Pod> pods(raw());
  Watched<ReplicationController> controllers(raw());
  for (const char* policy : {"Background", "Foreground"}) {
    create(controller(3));
    ASSERT_TRUE(pods.until([&] { return pods.list().size() == 3; }));
    client::DeleteOptions options;
    options.propagation_policy = policy;
    ASSERT_EQ(remove<ReplicationController>("default", "redis", options).to_string(), "OK");
    EXPECT_TRUE(pods.until([&] { return pods.list().empty(); })) << policy;
    EXPECT_TRUE(controllers.until([&] { return controllers.list().empty(); })) << policy;
  }
}

TEST_F(ControllersSuite, OrphaningKeepsThePods) {
  run("replicationcontroller,garbagecollector");
  Watched<Pod> pods(raw());
  Watched<ReplicationController> controllers(raw());
  create(controller(2));
  ASSERT_TRUE(pods.until([&] { return pods.list().size() == 2; }));
  client::DeleteOptions options;
  options.propagation_policy = "Orphan";
  ASSERT_EQ(remove<ReplicationController>("default", "redis", options).to_string(), "OK");
  ASSERT_TRUE(controllers.until([&] { return controllers.list().empty(); }));
  EXPECT_TRUE(pods.until([&] {
    return std::ranges::all_of(pods.list(), [](const auto& each) { return each->metadata.owner_references.empty(); });
  }));
  EXPECT_EQ(pods.list().size(), 2u);
}

TEST_F(ControllersSuite, ADependentOfAnAbsentOwnerGoesAndOneOfTwoOwnersIsEnough) {
  ConfigMap owner;
  owner.metadata.namespace_ = "default";
  owner.metadata.name = "owner";
  owner = create(owner);
  const auto owned_by = [](const std::string& name, const std::vector<std::pair<std::string, std::string>>& owners) {
    Secret out;
    out.metadata.namespace_ = "default";
    out.metadata.name = name;
    for (const auto& [owner_name, uid] : owners) {
      auto& reference = out.metadata.owner_references.emplace_back();
      reference.api_version = "v1";
      reference.kind = "ConfigMap";
      reference.name = owner_name;
      reference.uid = uid;
    }
    return out;
  };
  create(owned_by("lost", {{"gone", "11111111-1111-1111-1111-111111111111"}}));
  create(owned_by("impostor", {{"owner", "22222222-2222-2222-2222-222222222222"}}));
  create(owned_by("both", {{"owner", owner.metadata.uid}, {"gone", "11111111-1111-1111-1111-111111111111"}}));
  create(owned_by("fine", {{"owner", owner.metadata.uid}}));
  run("garbagecollector");
  Watched<Secret> secrets(raw());
  EXPECT_TRUE(secrets.until([&] {
    const auto both = secrets.get("default", "both");
    return !secrets.get("default", "lost") && !secrets.get("default", "impostor") && both &&
           both->metadata.owner_references.size() == 1;
  }));
  EXPECT_TRUE(secrets.get("default", "fine"));
  EXPECT_EQ(remove<ConfigMap>("default", "owner").to_string(), "OK");
  EXPECT_TRUE(secrets.until([&] { return secrets.list("default").empty(); }));
}

TEST_F(ControllersSuite, EveryNamespaceGetsItsAccountAndCertificate) {
  ControllerOptions options;
  options.root_ca_pem = "PEM";
  run("serviceaccount,root-ca-cert-publisher", options);
  Watched<ServiceAccount> accounts(raw());
  Watched<ConfigMap> maps(raw());
  Namespace ns;
  ns.metadata.name = "work";
  create(ns);
  ASSERT_TRUE(accounts.until([&] { return accounts.get("work", "default") && accounts.get("default", "default"); }));
  ASSERT_TRUE(maps.until([&] { return maps.get("work", "kube-root-ca.crt") != nullptr; }));
  EXPECT_EQ(maps.get("work", "kube-root-ca.crt")->data.get("ca.crt"), "PEM");

  const std::string uid = accounts.get("work", "default")->metadata.uid;
  EXPECT_EQ(remove<ServiceAccount>("work", "default").to_string(), "OK");
  EXPECT_TRUE(accounts.until([&] {
    const auto account = accounts.get("work", "default");
    return account && account->metadata.uid != uid;
  }));
  auto forged = client().get<ConfigMap>("work", "kube-root-ca.crt");
  ASSERT_TRUE(forged.ok());
  forged->data.insert_or_assign("ca.crt", "evil");
  forged = client().update(*forged);
  ASSERT_TRUE(forged.ok());
  EXPECT_TRUE(maps.until([&] {
    const auto map = maps.get("work", "kube-root-ca.crt");
    return version_number(map->metadata.resource_version) > version_number(forged->metadata.resource_version) &&
           map->data.get("ca.crt") == "PEM";
  }));
}

TEST_F(ControllersSuite, ANamespaceTakesItsContentAlong) {
  run("namespace,replicationcontroller,serviceaccount,garbagecollector");
  Watched<Namespace> namespaces(raw());
  Watched<Pod> pods(raw());
  Namespace ns;
  ns.metadata.name = "work";
  create(ns);
  create(controller(2, "work"));
  ConfigMap map;
  map.metadata.namespace_ = "work";
  map.metadata.name = "held";
  map.metadata.finalizers = {"example.com/hold"};
  create(map);
  ASSERT_TRUE(pods.until([&] { return pods.list("work").size() == 2; }));
  ASSERT_EQ(remove<Namespace>("", "work").to_string(), "OK");
  ASSERT_TRUE(namespaces.until([&] {
    const auto now = namespaces.get("", "work");
    return now && std::ranges::any_of(now->status.conditions, [](const auto& each) {
             return each.type == "NamespaceFinalizersRemaining" && each.status == "True";
           });
  }));
  EXPECT_TRUE(pods.until([&] { return pods.list("work").empty(); }));
  change<ConfigMap>("work", "held", [](ConfigMap& each) { each.metadata.finalizers.clear(); });
  // Nothing tells of the finalizer's end; the controller looks again when its estimate is over.
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  clock_->advance(seconds(30));
  EXPECT_TRUE(namespaces.until([&] { return !namespaces.get("", "work"); }));
}

TEST_F(ControllersSuite, ASilentNodeIsTaintedAndItsPodsGo) {
  run("nodelifecycle,taint-eviction-controller");
  Watched<Node> nodes(raw());
  Watched<Pod> pods(raw());
  for (const char* name : {"alive", "silent"}) {
    create(node(name));
    set_ready(name, "True");
  }
  auto short_lived = pod("tolerant");
  for (auto* each : {&short_lived}) {
    each->spec.node_name = "silent";
    for (const char* key : {"node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"}) {
      auto& toleration = each->spec.tolerations.emplace_back();
      toleration.key = key;
      toleration.operator_ = "Exists";
      toleration.effect = "NoExecute";
      toleration.toleration_seconds = 300;
    }
  }
  create(short_lived);
  set_running("tolerant", "10.0.0.9");
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  const auto taints_of = [&](const std::string& name) {
    std::string out;
    for (const auto& taint : nodes.get("", name)->spec.taints) out += taint.key + ":" + taint.effect + " ";
    return out;
  };
  // The status counts as a heartbeat, so that one node goes on living.
  clock_->advance(seconds(25));
  set_ready("alive", "True");
  ASSERT_TRUE(nodes.until([&] {
    const auto alive = nodes.get("", "alive");
    return alive && alive->status.conditions[0].last_heartbeat_time == api::Time(clock_->now());
  }));
  ASSERT_TRUE(advance_until(
      nodes, seconds(6), [&] { return taints_of("silent").find("unreachable:NoExecute") != std::string::npos; },
      /*alive=*/true))
      << taints_of("silent");
  EXPECT_NE(taints_of("silent").find("unreachable:NoSchedule"), std::string::npos);
  EXPECT_TRUE(nodes.until([&] { return taints_of("alive").empty(); }));
  ASSERT_TRUE(pods.until([&] {
    const auto each = pods.get("default", "tolerant");
    return each && !each->status.conditions.empty() && each->status.conditions[0].status == "False";
  }));
  EXPECT_FALSE(pods.get("default", "tolerant")->metadata.deletion_timestamp);

  // Ready again: the taints go, and the pod stays.
  set_ready("silent", "True");
  ASSERT_TRUE(nodes.until([&] { return taints_of("silent").empty(); })) << taints_of("silent");

  // Not ready for longer than is tolerated.
  set_ready("silent", "False");
  set_ready("alive", "True");
  ASSERT_TRUE(advance_until(nodes, seconds(5), [&] {
    return taints_of("silent").find("not-ready:NoExecute") != std::string::npos;
  })) << taints_of("silent");
  ASSERT_TRUE(advance_until(
      pods, seconds(20),
      [&] {
        const auto each = pods.get("default", "tolerant");
        return !each || each->metadata.deletion_timestamp;
      },
      /*alive=*/true));
}

TEST_F(ControllersSuite, AServiceFollowsItsPods) {
  run("endpoint,endpointslice,garbagecollector");
  Watched<Endpoints> endpoints(raw());
  Watched<EndpointSlice> slices(raw());
  Service service;
  service.metadata.namespace_ = "default";
  service.metadata.name = "redis";
  service.spec.selector.insert_or_assign("app", "redis");
  auto& port = service.spec.ports.emplace_back();
  port.port = 80;
  port.protocol = "TCP";
  port.target_port = "redis";
  create(service);
  create(pod("a"));
  create(pod("b"));
  set_running("a", "10.0.0.1");
  set_running("b", "10.0.0.2", /*ready=*/false);
  const auto shape = [&] {
    std::string out;
    const auto now = endpoints.get("default", "redis");
    if (!now) return out;
    for (const auto& subset : now->subsets) {
      for (const auto& address : subset.addresses) out += address.ip + " ";
      out += "| ";
      for (const auto& address : subset.not_ready_addresses) out += address.ip + " ";
      for (const auto& each : subset.ports) out += ":" + std::to_string(each.port);
    }
    return out;
  };
  EXPECT_TRUE(endpoints.until([&] { return shape() == "10.0.0.1 | 10.0.0.2 :6379"; })) << shape();
  const auto ready = [&] {
    int count = 0;
    for (const auto& slice : slices.list("default")) {
      if (slice->metadata.labels.get("kubernetes.io/service-name") != "redis") continue;
      for (const auto& endpoint : slice->endpoints) count += endpoint.conditions.ready.value_or(false) ? 1 : 0;
    }
    return count;
  };
  EXPECT_TRUE(slices.until([&] { return ready() == 1; }));
  set_running("b", "10.0.0.2");
  EXPECT_TRUE(endpoints.until([&] { return shape() == "10.0.0.1 10.0.0.2 | :6379"; })) << shape();
  EXPECT_TRUE(slices.until([&] { return ready() == 2; }));

  EXPECT_EQ(remove<Service>("default", "redis").to_string(), "OK");
  EXPECT_TRUE(endpoints.until([&] { return !endpoints.get("default", "redis"); }));
  EXPECT_TRUE(slices.until([&] { return ready() == 0; }));
}

TEST_F(ControllersSuite, OneOfTwoCandidatesLeads) {
  client::LeaderElectionOptions options;
  options.name = "test";
  options.identity = "a";
  client::LeaderElector a(client(), clock_, options);
  options.identity = "b";
  client::LeaderElector b(client(), clock_, options);
  EXPECT_TRUE(a.try_acquire_or_renew());
  EXPECT_FALSE(b.try_acquire_or_renew());
  EXPECT_EQ(b.leader(), "a");
  clock_->advance(seconds(14));
  EXPECT_FALSE(b.try_acquire_or_renew());
  EXPECT_TRUE(a.try_acquire_or_renew());
  clock_->advance(seconds(14));
  // Seen to change: the time begins anew.
  EXPECT_FALSE(b.try_acquire_or_renew());
  clock_->advance(seconds(16));
  EXPECT_TRUE(b.try_acquire_or_renew());
  EXPECT_FALSE(a.try_acquire_or_renew());
  const auto lease = client().get<api::coordinationv1::Lease>("kube-system", "test");
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->spec.lease_transitions, 1);

  // A leader that is stopped hands over at once.
  std::stop_source stop;
  std::jthread leading(
      [&] { EXPECT_TRUE(b.run(stop.get_token(), [&](std::stop_token) { stop.request_stop(); }).ok()); });
  leading.join();
  EXPECT_TRUE(a.try_acquire_or_renew());
}

}  // namespace
}  // namespace trireme::controllers
