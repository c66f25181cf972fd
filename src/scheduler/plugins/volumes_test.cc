// The plugins about volumes, on the caches of real informers.

#include "scheduler/plugins/volumes.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "apiserver/api_server.h"
#include "client/retry.h"
#include "net/transport.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/testing.h"
#include "store/memory_store.h"
#include "support/virtual_clock.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::storagev1::StorageClass;
using scheduler::testing::Cluster;
using scheduler::testing::from_yaml;
using scheduler::testing::make_info;
using scheduler::testing::make_node;

/// Objects are created before `begin`, which fills the caches and the nodes.
class VolumePluginsTest : public ::testing::Test {
 protected:
  VolumePluginsTest() {
    apiserver::Options options;
    options.store = store::memory_store(real_clock());
    options.clock = real_clock();
    server_ = *apiserver::ApiServer::create(std::move(options));
    auto raw = std::make_shared<client::RawClient>(
        std::shared_ptr<net::Transport>(net::in_process_transport(*server_, {})), "test");
    client_.emplace(raw);
    informers_ = std::make_unique<client::InformerFactory>(raw, real_clock());
    context_.informers = informers_.get();
    context_.client = *client_;
    context_.clock = clock_;
    context_.args.volume_binding.bind_timeout = std::chrono::seconds(600);
    binding_ = volume_binding(context_);
    zone_ = volume_zone(context_);
    restrictions_ = volume_restrictions(context_);
    limits_ = node_volume_limits(context_);
    for (const char* node : {"n1", "n2"}) {
      cluster_.cache.set_node(make_node(node, "{topology.kubernetes.io/zone: z-" + std::string(node) + "}"));
    }
  }
  ~VolumePluginsTest() override {
    informers_->stop();
    server_->begin_shutdown();
  }

  template <typename T>
  T create(const std::string& yaml, bool with_status = false) {
    const auto wanted = from_yaml<T>(yaml);
    auto made = client_->create(*wanted);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    if (with_status && made.ok()) {
      if constexpr (requires { made->status; }) {
        made->status = wanted->status;
        made = client_->update_status(*made);
        EXPECT_TRUE(made.ok()) << made.status().to_string();
      }
    }
    return made.ok() ? *made : T();
  }
  void storage_class(const std::string& name, const std::string& provisioner, const std::string& more = "") {
    create<StorageClass>("{metadata: {name: " + name + "}, provisioner: " + provisioner +
                         ", volumeBindingMode: WaitForFirstConsumer" + more + "}");
  }
  PersistentVolume volume(const std::string& name, const std::string& class_name, const std::string& node,
                          const std::string& more = "") {
    const std::string affinity = node.empty() ? ""
                                              : ", nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: "
                                                "[{key: kubernetes.io/hostname, operator: In, values: [" +
                                                    node + "]}]}]}}";
    return create<PersistentVolume>("{metadata: {name: " + name + more + "}, spec: {capacity: {storage: 10Gi}, " +
                                        "accessModes: [ReadWriteOnce], storageClassName: '" + class_name +
                                        "', local: {path: /mnt}" +
                                        (node.empty() ? ", nodeAffinity: {required: {nodeSelectorTerms: "
                                                        "[{matchExpressions: [{key: kubernetes.io/hostname, operator: "
                                                        "Exists}]}]}}"
                                                      : affinity) +
                                        "}, status: {phase: Available}}",
                                    true);
  }
  PersistentVolumeClaim claim(const std::string& name, const std::string& class_name,
                              const std::string& volume_name = {}, const std::string& mode = "ReadWriteOnce") {
    const std::string bound = volume_name.empty() ? "" : ", annotations: {pv.kubernetes.io/bind-completed: 'yes'}";
    return create<PersistentVolumeClaim>("{metadata: {name: " + name + ", namespace: default" + bound +
                                         "}, spec: {storageClassName: '" + class_name + "', accessModes: [" + mode +
                                         "], resources: {requests: {storage: 1Gi}}" +
                                         (volume_name.empty() ? "" : ", volumeName: " + volume_name) + "}}");
  }
  static PodInfoPointer pod(const std::string& name, const std::vector<std::string>& claims) {
    std::string volumes;
    for (const std::string& each : claims) {
      volumes += "{name: v-" + each + ", persistentVolumeClaim: {claimName: " + each + "}},";
    }
    return make_info(name, "{containers: [{name: c, image: i}], volumes: [" + volumes + "]}");
  }
  void begin() {
    informers_->start();
    ASSERT_TRUE(informers_->wait_synced());
  }
  /// "" when the node fits, else why not; "(all) …" when no node is looked at.
  std::string filter(Plugin& plugin, const PodInfoPointer& pod, const std::string& node) {
    FilterPlan plan = plugin.plan_filter(*pod, cluster_.cache);
    if (!plan.refused.empty()) return "(all) " + plan.refused;
    return cluster_.filter(plugin, *pod, node);
  }
  template <typename T>
  void wait_for(const std::string& key, const std::function<bool(const T&)>& holds) {
    std::mutex mutex;
    std::condition_variable changed;
    auto& informer = informers_->informer<T>();
    auto wake = std::make_shared<std::function<void()>>([&] {
      { const std::lock_guard lock(mutex); }
      changed.notify_all();
    });
    informer.add_handler([weak = std::weak_ptr(wake)](const auto&, const auto&) {
      if (const auto alive = weak.lock()) (*alive)();
    });
    {
      std::unique_lock lock(mutex);
      EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] {
        const auto found = informer.get(key);
        return found && holds(*found);
      }));
    }
    const std::weak_ptr watched = wake;
    wake.reset();
    while (!watched.expired()) std::this_thread::yield();
  }

  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  std::shared_ptr<test::VirtualClock> clock_ = std::make_shared<test::VirtualClock>();
  std::unique_ptr<client::InformerFactory> informers_;
  PluginContext context_;
  std::shared_ptr<Plugin> binding_, zone_, restrictions_, limits_;
  Cluster cluster_;
};

TEST_F(VolumePluginsTest, ClaimsThatCannotBeUsedKeepThePodWaiting) {
  claim("immediate", "");
  claim("dangling", "", "gone");
  begin();
  EXPECT_EQ(filter(*binding_, make_info("plain"), "n1"), "");
  EXPECT_EQ(filter(*binding_, pod("p", {"absent"}), "n1"), "(all) persistentvolumeclaim \"absent\" not found");
  EXPECT_EQ(filter(*binding_, pod("p", {"immediate"}), "n1"), "(all) pod has unbound immediate PersistentVolumeClaims");
  EXPECT_EQ(filter(*binding_, pod("p", {"dangling"}), "n1"),
            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
  const auto ephemeral = make_info("p", "{containers: [{name: c, image: i}], volumes: [{name: s, ephemeral: {}}]}");
  EXPECT_EQ(filter(*binding_, ephemeral, "n1"),
            "(all) waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-s\"");
}

TEST_F(VolumePluginsTest, BoundVolumesDecideOnNodes) {
  volume("v1", "", "n1");
  claim("data", "", "v1");
  begin();
  EXPECT_EQ(filter(*binding_, pod("p", {"data"}), "n1"), "");
  EXPECT_EQ(filter(*binding_, pod("p", {"data"}), "n2"), "node(s) had volume node affinity conflict");
  const auto reserved = binding_->reserve(*pod("p", {"data"}), *cluster_.cache.node("n1"), cluster_.cache);
  ASSERT_TRUE(reserved.ok());
  EXPECT_FALSE(*reserved) << "nothing is to be done";
}

TEST_F(VolumePluginsTest, DelayedClaimsGetVolumesOfTheNode) {
  storage_class("local", "kubernetes.io/no-provisioner");
  volume("v1", "local", "n1");
  claim("a", "local");
  claim("b", "local");
  begin();
  EXPECT_EQ(filter(*binding_, pod("p", {"a"}), "n1"), "");
  EXPECT_EQ(filter(*binding_, pod("p", {"a"}), "n2"), "node(s) didn't find available persistent volumes to bind");
  EXPECT_EQ(filter(*binding_, pod("p", {"a", "b"}), "n1"), "node(s) didn't find available persistent volumes to bind")
      << "one volume for two claims";

  auto reserved = binding_->reserve(*pod("p", {"a"}), *cluster_.cache.node("n1"), cluster_.cache);
  ASSERT_TRUE(reserved.ok() && *reserved);
  EXPECT_EQ(filter(*binding_, pod("q", {"b"}), "n1"), "node(s) didn't find available persistent volumes to bind")
      << "it is set aside";
  (*reserved)->unreserve();
  EXPECT_EQ(filter(*binding_, pod("q", {"b"}), "n1"), "");

  reserved = binding_->reserve(*pod("p", {"a"}), *cluster_.cache.node("n1"), cluster_.cache);
  ASSERT_TRUE(reserved.ok() && *reserved);
  auto progress = (*reserved)->pre_bind();
  ASSERT_TRUE(progress.ok()) << progress.status().to_string();
  EXPECT_FALSE(progress->done);
  const auto written = client_->get<PersistentVolume>("", "v1");
  ASSERT_TRUE(written.ok() && written->spec.claim_ref);
  EXPECT_EQ(written->spec.claim_ref->name, "a");
  EXPECT_EQ(written->metadata.annotations.get(api::kBoundByController), "yes");
  // The binder's part.
  auto bound = *client_->get<PersistentVolumeClaim>("default", "a");
  bound.spec.volume_name = "v1";
  bound.metadata.annotations.insert_or_assign(api::kBindCompleted, std::string("yes"));
  ASSERT_TRUE(client_->update(bound).ok());
  wait_for<PersistentVolumeClaim>("default/a", [](const auto& each) { return !each.spec.volume_name.empty(); });
  wait_for<PersistentVolume>("v1", [](const auto& each) { return each.spec.claim_ref.has_value(); });
  progress = (*reserved)->pre_bind();
  ASSERT_TRUE(progress.ok()) << progress.status().to_string();
  EXPECT_TRUE(progress->done);
  (*reserved)->post_bind();
}

TEST_F(VolumePluginsTest, ClaimsAreProvisionedOnTheNodeThatWasChosen) {
  storage_class("disks", "csi.example.com",
                ", allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [z-n1]}]}]");
  claim("data", "disks");
  begin();
  const auto web = pod("p", {"data"});
  EXPECT_EQ(filter(*binding_, web, "n1"), "");
  EXPECT_EQ(filter(*binding_, web, "n2"), "node(s) didn't find available persistent volumes to bind");
  auto reserved = binding_->reserve(*web, *cluster_.cache.node("n1"), cluster_.cache);
  ASSERT_TRUE(reserved.ok() && *reserved);
  EXPECT_EQ(filter(*binding_, pod("q", {"data"}), "n1"), "") << "another pod with the same claim, same node";
  auto progress = (*reserved)->pre_bind();
  ASSERT_TRUE(progress.ok() && !progress->done);
  EXPECT_EQ(client_->get<PersistentVolumeClaim>("default", "data")->metadata.annotations.get(api::kSelectedNode), "n1");
  ASSERT_TRUE(progress->look_again);
  EXPECT_EQ(*progress->look_again, clock_->monotonic() + std::chrono::seconds(600));
  wait_for<PersistentVolumeClaim>(
      "default/data", [](const auto& each) { return each.metadata.annotations.contains(api::kSelectedNode); });
  EXPECT_TRUE((*reserved)->pre_bind().ok());
  clock_->advance(std::chrono::seconds(600));
  const auto late = (*reserved)->pre_bind();
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.status().message(), "binding volumes: context deadline exceeded");

  // The provisioner hands it back.
  auto given_back = *client_->get<PersistentVolumeClaim>("default", "data");
  given_back.metadata.annotations.erase(api::kSelectedNode);
  ASSERT_TRUE(client_->update(given_back).ok());
  wait_for<PersistentVolumeClaim>(
      "default/data", [](const auto& each) { return !each.metadata.annotations.contains(api::kSelectedNode); });
  const auto failed = (*reserved)->pre_bind();
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().message(), "binding volumes: provisioning failed for PVC \"data\"");
  (*reserved)->unreserve();
}

TEST_F(VolumePluginsTest, DriversThatTellTheirSpaceAreBelieved) {
  storage_class("disks", "csi.example.com");
  create<api::storagev1::CSIDriver>("{metadata: {name: csi.example.com}, spec: {storageCapacity: true}}");
  create<api::storagev1::CSIStorageCapacity>(
      "{metadata: {name: one, namespace: default}, storageClassName: disks, capacity: 5Gi, nodeTopology: "
      "{matchLabels: {kubernetes.io/hostname: n1}}}");
  create<api::storagev1::CSIStorageCapacity>(
      "{metadata: {name: two, namespace: default}, storageClassName: disks, capacity: 1Mi, nodeTopology: "
      "{matchLabels: {kubernetes.io/hostname: n2}}}");
  claim("data", "disks");
  begin();
  EXPECT_EQ(filter(*binding_, pod("p", {"data"}), "n1"), "");
  EXPECT_EQ(filter(*binding_, pod("p", {"data"}), "n2"), "node(s) did not have enough free storage");
}

TEST_F(VolumePluginsTest, ZonesOfVolumes) {
  volume("v1", "", "", ", labels: {topology.kubernetes.io/zone: z-n1__z-n3}");
  volume("v2", "", "", ", labels: {failure-domain.beta.kubernetes.io/zone: z-n2}");
  claim("a", "", "v1");
  claim("b", "", "v2");
  cluster_.cache.set_node(make_node("bare"));
  begin();
  EXPECT_EQ(filter(*zone_, pod("p", {"a"}), "n1"), "");
  EXPECT_EQ(filter(*zone_, pod("p", {"a"}), "n2"), "node(s) had no available volume zone");
  EXPECT_EQ(filter(*zone_, pod("p", {"b"}), "n2"), "") << "the label's old name";
  EXPECT_EQ(filter(*zone_, pod("p", {"b"}), "n1"), "node(s) had no available volume zone");
  EXPECT_EQ(filter(*zone_, pod("p", {"a"}), "bare"), "") << "a node that names no zone";
}

TEST_F(VolumePluginsTest, OnePodAtATime) {
  claim("mine", "", {}, "ReadWriteOncePod");
  begin();
  EXPECT_EQ(filter(*restrictions_, pod("p", {"mine"}), "n1"), "");
  const auto other = pod("q", {"mine"});
  cluster_.place("n2", other);
  const std::string taken =
      "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
  EXPECT_EQ(filter(*restrictions_, pod("p", {"mine"}), "n1"), taken) << "on any node";
  const auto waiting = pod("p", {"mine"});  // the plan refers to it
  FilterPlan plan = restrictions_->plan_filter(*waiting, cluster_.cache);
  Reasons reasons;
  EXPECT_EQ(plan.filter->check(*cluster_.cache.node("n1"), reasons), Fit::kUnschedulable);
  plan.filter->remove_pod(*other, *cluster_.cache.node("n2"));
  EXPECT_EQ(plan.filter->check(*cluster_.cache.node("n1"), reasons), Fit::kFits) << "preempting it would help";

  const auto disk = [](const std::string& name, bool read_only) {
    return make_info(name, std::string("{containers: [{name: c, image: i}], volumes: [{name: d, gcePersistentDisk: "
                                       "{pdName: d1, readOnly: ") +
                               (read_only ? "true" : "false") + "}}]}");
  };
  cluster_.place("n1", disk("d", true));
  EXPECT_EQ(filter(*restrictions_, disk("e", true), "n1"), "");
  EXPECT_EQ(filter(*restrictions_, disk("e", false), "n1"), "node(s) had no available disk");
  EXPECT_EQ(filter(*restrictions_, disk("e", false), "n2"), "");
}

TEST_F(VolumePluginsTest, NoMoreVolumesThanTheDriverAllows) {
  storage_class("disks", "csi.example.com");
  create<api::storagev1::CSINode>(
      "{metadata: {name: n1}, spec: {drivers: [{name: csi.example.com, nodeID: x, allocatable: {count: 2}}]}}");
  for (const char* name : {"a", "b", "c"}) {
    create<PersistentVolume>(std::string("{metadata: {name: v") + name +
                             "}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], csi: {driver: "
                             "csi.example.com, volumeHandle: h" +
                             name + "}}}");
    claim(name, "", std::string("v") + name);
  }
  claim("new", "disks");
  begin();
  cluster_.place("n1", pod("p", {"a"}));
  EXPECT_EQ(filter(*limits_, pod("q", {"b"}), "n1"), "");
  EXPECT_EQ(filter(*limits_, pod("q", {"b", "new"}), "n1"), "node(s) exceed max volume count");
  cluster_.place("n1", pod("r", {"b"}));
  EXPECT_EQ(filter(*limits_, pod("q", {"c"}), "n1"), "node(s) exceed max volume count");
  EXPECT_EQ(filter(*limits_, pod("q", {"new"}), "n1"), "node(s) exceed max volume count");
  EXPECT_EQ(filter(*limits_, pod("q", {"a", "b"}), "n1"), "") << "they are there already";
  EXPECT_EQ(filter(*limits_, pod("q", {"c"}), "n2"), "") << "a node that names no limit";
}

}  // namespace
}  // namespace trireme::scheduler::plugins
