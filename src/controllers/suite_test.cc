// The controllers on the real API server, in this process, over the memory store.

#include <gtest/gtest.h>

#include <condition_variable>

#include "api/types/appsv1.h"
#include "api/types/coordinationv1.h"
#include "api/types/discoveryv1.h"
#include "apiserver/api_server.h"
#include "client/leader_election.h"
#include "client/retry.h"
#include "controllers/all.h"
#include "controllers/support/recent_writes.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::controllers {
namespace {

using namespace api::corev1;  // NOLINT: the suite speaks of little else
using api::discoveryv1::EndpointSlice;
using std::chrono::seconds;

/// Waits for the server's objects of one kind to look as expected: driven by a watch, not by the clock.
template <typename T>
class Watched {
 public:
  using Pointer = std::shared_ptr<const T>;
  explicit Watched(std::shared_ptr<client::RawClient> raw) : factory_(std::move(raw), real_clock()) {
    factory_.informer<T>().add_handler([this](const auto&, const auto&) {
      { const std::lock_guard lock(mutex_); }
      changed_.notify_all();
    });
    factory_.start();
    EXPECT_TRUE(factory_.wait_synced());
  }
  std::vector<Pointer> list(std::string_view ns = {}) { return factory_.informer<T>().list(ns); }
  Pointer get(std::string_view ns, std::string_view name) { return factory_.informer<T>().get(ns, name); }

  [[nodiscard]] bool until(const std::function<bool()>& holds, Duration limit = seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, holds);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  client::InformerFactory factory_;
};

/// Refuses pods while it is closed, as a quota would.
class Gate final : public apiserver::admission::Plugin {
 public:
  std::string_view name() const override { return "Gate"; }
  Status admit(apiserver::admission::Attributes& attributes) override {
    const bool pod = attributes.resource->resource == "pods" && attributes.subresource.empty();
    if (!closed || !pod || attributes.operation != apiserver::admission::Operation::kCreate) return {};
    return apiserver::admission::forbidden(attributes, "the gate is closed");
  }
  std::atomic<bool> closed = false;
};

class ControllersSuite : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = store::memory_store(real_clock());
    apiserver::Options options;
    options.store = store_;
    options.clock = real_clock();
    options.advertise_address = "192.0.2.1";
    options.admission.add(gate_);
    auto server = apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    server_ = std::move(*server);
    client_.emplace(raw());
  }
  void TearDown() override {
    manager_.reset();
    if (server_) server_->begin_shutdown();
  }

  std::shared_ptr<client::RawClient> raw(std::string agent = "test") {
    return std::make_shared<client::RawClient>(std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})),
                                               std::move(agent));
  }
  void run(std::string_view selection, ControllerOptions options = {}) {
    auto own = raw("kube-controller-manager");
    auto selected = select_controllers(all_controllers(), selection);
    ASSERT_TRUE(selected.ok());
    ControllerContext context{client::Client(own), std::make_shared<client::InformerFactory>(own, clock_),
                              std::make_shared<client::EventBroadcaster>(client::Client(own), clock_), clock_,
                              std::move(options)};
    events_ = context.events;
    manager_ = std::make_unique<Manager>(std::move(context));
    for (const auto* descriptor : *selected) manager_->add(*descriptor);
    ASSERT_TRUE(manager_->start().ok());
  }
  client::Client& client() { return *client_; }

  template <typename T>
  T create(const T& object) {
    Result<T> made = client().create(object);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? *made : T();
  }
  /// A server may lose the race against a controller's write of the same object.
  template <typename T>
  Status remove(std::string_view ns, std::string_view name, const client::DeleteOptions& options = {}) {
    return client::retry_on_conflict(*real_clock(), [&] { return client().remove<T>(ns, name, options); });
  }
  template <typename T>
  void change(const std::string& ns, const std::string& name, const std::function<void(T&)>& edit,
              bool status = false) {
    const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
      TRY_ASSIGN(T fresh, client().get<T>(ns, name));
      edit(fresh);
      return (status ? client().update_status(fresh) : client().update(fresh)).status();
    });
    EXPECT_TRUE(done.ok()) << done.to_string();
  }

  /// Moves the controllers' time on in steps until `holds`; each step waits a moment for its consequences. `alive`:
  /// meanwhile the node of that name goes on reporting.
  template <typename T>
  [[nodiscard]] bool advance_until(Watched<T>& watched, Duration step, const std::function<bool()>& holds,
                                   bool alive = false) {
    for (int i = 0; i < 100; ++i) {
      if (watched.until(holds, std::chrono::milliseconds(100))) return true;
      if (alive) set_ready("alive", "True");
      clock_->advance(step);
    }
    return false;
  }

  static Pod pod(const std::string& name, const std::string& ns = "default") {
    Pod out;
    out.metadata.namespace_ = ns;
    out.metadata.name = name;
    out.metadata.labels.insert_or_assign("app", "redis");
    auto& container = out.spec.containers.emplace_back();
    container.name = "main";
    container.image = "redis";
    auto& port = container.ports.emplace_back();
    port.name = "redis";
    port.container_port = 6379;
    return out;
  }
  static ReplicationController controller(int32_t replicas, const std::string& ns = "default") {
    ReplicationController out;
    out.metadata.namespace_ = ns;
    out.metadata.name = "redis";
    out.spec.replicas = replicas;
    out.spec.selector.insert_or_assign("app", "redis");
    auto& pod_template = out.spec.template_.emplace();
    pod_template.metadata.labels = pod("x").metadata.labels;
    pod_template.spec = pod("x").spec;
    return out;
  }
  static Node node(const std::string& name) {
    Node out;
    out.metadata.name = name;
    return out;
  }
  void set_ready(const std::string& name, std::string_view ready) {
    change<Node>(
        "", name,
        [&](Node& node) {
          node.status.conditions.clear();
          auto& condition = node.status.conditions.emplace_back();
          condition.type = "Ready";
          condition.status = ready;
          condition.last_heartbeat_time = api::Time(clock_->now());
          condition.last_transition_time = api::Time(clock_->now());
        },
        true);
  }
  void set_running(const std::string& name, const std::string& ip, bool ready = true) {
    change<Pod>(
        "default", name,
        [&](Pod& pod) {
          pod.status.phase = "Running";
          pod.status.pod_ip = ip;
          pod.status.pod_ips.clear();
          pod.status.pod_ips.emplace_back().ip = ip;
          pod.status.conditions.clear();
          auto& condition = pod.status.conditions.emplace_back();
          condition.type = "Ready";
          condition.status = ready ? "True" : "False";
          condition.last_transition_time = api::Time(clock_->now());
        },
        true);
  }

  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>(std::chrono::system_clock::now());
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  std::shared_ptr<client::EventBroadcaster> events_;
  std::unique_ptr<Manager> manager_;
};

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
