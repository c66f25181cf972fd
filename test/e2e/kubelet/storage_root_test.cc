// A claim's whole life with real containers: API server with real rights, controllers, scheduler and kubelet.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "api/local_path.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/api_server.h"
#include "apiserver/authn/x509.h"
#include "apiserver/authz/bootstrap_policy.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/rbac.h"
#include "client/client.h"
#include "containerd_instance.h"
#include "controllers/all.h"
#include "controllers/runtime/manager.h"
#include "kubelet/kubelet.h"
#include "linux/cgroup.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "net/transport.h"
#include "scheduler/scheduler.h"
#include "store/memory_store.h"

namespace trireme {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::PersistentVolumeList;
using api::corev1::Pod;
using std::chrono::milliseconds;
using std::chrono::seconds;

class StorageRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = test::ContainerdInstance::why_not()) GTEST_SKIP() << *reason;
    containerd_ = *test::ContainerdInstance::start();
    apiserver::Options options;
    options.clock = real_clock();
    options.store = store::memory_store(options.clock);
    options.caches =
        std::make_shared<apiserver::Caches>(apiserver::CachesOptions{.store = options.store, .clock = options.clock});
    options.authenticator = std::make_shared<apiserver::authn::X509Authenticator>();
    options.authorizer = apiserver::authz::union_of(
        {apiserver::authz::masters_authorizer(), std::make_shared<apiserver::authz::NodeAuthorizer>(options.caches),
         std::make_shared<apiserver::authz::RbacAuthorizer>(options.caches)});
    options.admission = apiserver::admission::default_chain(options.caches, options.authorizer);
    server_ = *apiserver::ApiServer::create(std::move(options));
    ASSERT_TRUE(apiserver::authz::reconcile_bootstrap_policy(*server_, {}).ok());
    client_.emplace(raw("admin", {"system:masters"}));
    start_controllers();
    start_scheduler();
    start_kubelet();
  }
  void TearDown() override {
    if (!kubelet_) return;
    auto pods = client_->list<Pod, api::corev1::PodList>("");
    if (pods.ok()) {
      for (const Pod& pod : pods->items) remove_pod(pod.metadata.name);
    }
    EXPECT_TRUE(eventually([&] { return kubelet_->pod_count() == 0; }));
    scheduler_.reset();
    manager_.reset();
    kubelet_.reset();
    auto cgroups = linux::Cgroups::detect();
    if (cgroups.ok()) EXPECT_TRUE(cgroups->remove(cgroup_root()).ok());
    EXPECT_TRUE(linux::unmount_under(root()).ok());
    EXPECT_TRUE(linux::list_dir(root() + "/pods").empty());
    server_.reset();
    containerd_.reset();
  }

  std::string root() const { return containerd_->directory() + "/kubelet"; }
  std::string volumes() const { return containerd_->directory() + "/volumes"; }
  std::string cgroup_root() const { return fmt::format("/trireme-storage-{}", ::getpid()); }

  std::shared_ptr<client::RawClient> raw(const std::string& user, std::vector<std::string> groups = {}) {
    net::Peer peer;
    peer.certificate = net::CertificateSubject{user, std::move(groups)};
    return std::make_shared<client::RawClient>(
        std::shared_ptr<net::Transport>(net::in_process_transport(*server_, std::move(peer))), user);
  }
  void start_controllers() {
    auto own = raw("system:kube-controller-manager");
    controllers::ControllerContext context{
        client::Client(own),
        std::make_shared<client::InformerFactory>(own, real_clock()),
        std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock()),
        real_clock(),
        {}};
    manager_ = std::make_unique<controllers::Manager>(std::move(context));
    auto selected = controllers::select_controllers(controllers::all_controllers(), "*");
    ASSERT_TRUE(selected.ok());
    for (const auto* descriptor : *selected) manager_->add(*descriptor);
    ASSERT_TRUE(manager_->start().ok());
  }
  void start_scheduler() {
    auto own = raw("system:kube-scheduler");
    scheduler_ =
        scheduler::Scheduler::create({client::Client(own),
                                      std::make_shared<client::InformerFactory>(own, real_clock()),
                                      std::make_shared<client::EventBroadcaster>(client::Client(own), real_clock()),
                                      real_clock(),
                                      {}});
    ASSERT_TRUE(scheduler_->start().ok());
  }
  void start_kubelet() {
    kubelet::KubeletOptions options;
    options.node_name = "test-node";
    options.root_dir = root();
    options.local_path_dir = volumes();
    options.pod_logs_dir = containerd_->directory() + "/logs";
    options.container_logs_dir = "";
    options.container_runtime_endpoint = containerd_->endpoint();
    options.node_ip = {"127.0.0.1"};
    options.cgroup_root = cgroup_root();
    options.enable_server = false;
    auto kubelet =
        kubelet::Kubelet::start(options, {raw("system:node:test-node", {"system:nodes"}), real_clock(), nullptr});
    ASSERT_TRUE(kubelet.ok()) << kubelet.status().to_string();
    kubelet_ = std::move(*kubelet);
  }

  template <typename Condition>
  static bool eventually(Condition condition, seconds limit = seconds(40)) {
    auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return true;
  }

  static Pod make_pod(const std::string& name, const std::string& script) {
    Pod pod;
    pod.metadata.name = name;
    pod.metadata.namespace_ = "default";
    pod.spec.termination_grace_period_seconds = 1;
    pod.spec.restart_policy = "Never";
    pod.spec.automount_service_account_token = false;
    auto& container = pod.spec.containers.emplace_back();
    container.name = "main";
    container.image = "busybox:1";
    container.command = {"sh", "-c", script};
    auto& mount = container.volume_mounts.emplace_back();
    mount.name = "data";
    mount.mount_path = "/data";
    pod.spec.volumes.emplace_back().name = "data";
    return pod;
  }
  static PersistentVolumeClaim make_claim(const std::string& name) {
    PersistentVolumeClaim claim;
    claim.metadata.name = name;
    claim.metadata.namespace_ = "default";
    claim.spec.access_modes = {"ReadWriteOnce"};
    claim.spec.resources.requests["storage"] = Quantity::of(1 << 20);
    return claim;
  }
  template <typename T>
  T create(const T& object) {
    Result<T> made = Status::unavailable("");
    // The namespace's service account and the roles are a moment away at first.
    EXPECT_TRUE(eventually([&] {
      made = client_->create(object);
      return made.ok();
    })) << made.status().to_string();
    return made.ok() ? *made : T();
  }
  Pod get(const std::string& name) {
    auto pod = client_->get<Pod>("default", name);
    return pod.ok() ? *pod : Pod();
  }
  std::optional<PersistentVolumeClaim> claim(const std::string& name) {
    auto found = client_->get<PersistentVolumeClaim>("default", name);
    if (!found.ok()) return std::nullopt;
    return *found;
  }
  bool wait_phase(const std::string& name, std::string_view phase) {
    const bool reached = eventually([&] { return get(name).status.phase == phase; });
    if (!reached) {
      ADD_FAILURE() << name << " is " << api::encode_json(get(name).status);
      auto events = client_->list<api::corev1::Event, api::corev1::EventList>("default");
      for (const auto& event : events.ok() ? events->items : std::vector<api::corev1::Event>()) {
        std::cout << event.involved_object.name << " " << event.reason << ": " << event.message << "\n";
      }
    }
    return reached;
  }
  void remove_pod(const std::string& name) {
    client::DeleteOptions options;
    options.grace_period_seconds = 1;
    (void)client_->remove<Pod>("default", name, options);
  }
  std::string log_of(const Pod& pod) {
    auto text = linux::read_file(
        fmt::format("{}/logs/default_{}_{}/main/0.log", containerd_->directory(), pod.metadata.name, pod.metadata.uid));
    return text.ok() ? *text : text.status().to_string();
  }
  bool told(std::string_view about, std::string_view reason, std::string_view message) {
    auto events = client_->list<api::corev1::Event, api::corev1::EventList>("default");
    for (const auto& event : events.ok() ? events->items : std::vector<api::corev1::Event>()) {
      if (event.involved_object.name == about && event.reason == reason && event.message == message) return true;
    }
    return false;
  }

  std::unique_ptr<test::ContainerdInstance> containerd_;
  std::unique_ptr<apiserver::ApiServer> server_;
  std::optional<client::Client> client_;
  std::unique_ptr<controllers::Manager> manager_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<kubelet::Kubelet> kubelet_;
};

TEST_F(StorageRootTest, AClaimOutlivesItsPodsAndItsDirectoryGoesWithIt) {
  // The default class is there before any claim needs it.
  ASSERT_TRUE(eventually([&] { return client_->get<api::storagev1::StorageClass>("", "local-path").ok(); }));
  ASSERT_EQ(create(make_claim("data")).spec.storage_class_name, std::string(api::kLocalPathClass));
  Pod writer =
      make_pod("writer", "echo written > /data/file && mkdir /data/deep && echo below > /data/deep/file && id");
  writer.spec.volumes[0].volume_source.persistent_volume_claim.emplace().claim_name = "data";
  auto& security = writer.spec.security_context.emplace();
  security.run_as_user = 1000;
  security.fs_group = 2000;
  writer = create(writer);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_phase("writer", "Succeeded")) << log_of(writer);
  fmt::print("claim to a finished pod: {} ms\n",
             std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun).count());

  const auto bound = claim("data");
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->status.phase, "Bound");
  EXPECT_EQ(bound->metadata.annotations.get(api::kSelectedNode), "test-node");
  const std::string directory = volumes() + "/" + api::local_path_directory(bound->spec.volume_name, "default", "data");
  EXPECT_EQ(*linux::read_file(directory + "/file"), "written\n");
  struct stat info {};
  ASSERT_EQ(::stat((directory + "/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  EXPECT_EQ(info.st_gid, 2000U) << "files belong to the pod's group";

  remove_pod("writer");
  ASSERT_TRUE(eventually([&] { return get("writer").metadata.name.empty(); }));
  EXPECT_TRUE(linux::mounts_under(root() + "/pods").empty());
  EXPECT_TRUE(linux::exists(directory + "/file"));

  Pod reader = make_pod("reader", "cat /data/file /deep/file; touch /data/no || echo refused; sleep 1000");
  auto& source = reader.spec.volumes[0].volume_source.persistent_volume_claim.emplace();
  source.claim_name = "data";
  source.read_only = true;
  auto& part = reader.spec.containers[0].volume_mounts.emplace_back();
  part.name = "data";
  part.mount_path = "/deep";
  part.sub_path = "deep";
  reader = create(reader);
  ASSERT_TRUE(wait_phase("reader", "Running"));
  EXPECT_TRUE(eventually([&] { return log_of(reader).find("refused") != std::string::npos; })) << log_of(reader);
  EXPECT_NE(log_of(reader).find("written"), std::string::npos);
  EXPECT_NE(log_of(reader).find("below"), std::string::npos);

  // In use: it goes with its last pod only.
  ASSERT_TRUE(client_->remove<PersistentVolumeClaim>("default", "data").ok());
  EXPECT_TRUE(claim("data") && claim("data")->metadata.deletion_timestamp);
  EXPECT_TRUE(linux::exists(directory + "/file"));
  remove_pod("reader");
  ASSERT_TRUE(eventually([&] { return !claim("data"); }));
  ASSERT_TRUE(eventually([&] { return !linux::exists(directory); }));
  ASSERT_TRUE(eventually([&] {
    auto left = client_->list<PersistentVolume, PersistentVolumeList>("");
    return left.ok() && left->items.empty();
  }));
  ASSERT_TRUE(eventually([&] {
    auto node = client_->get<api::corev1::Node>("", "test-node");
    return node.ok() &&
           !node->metadata.annotations.contains(std::string(api::kLocalPathRemoval) + bound->spec.volume_name);
  }));
}

TEST_F(StorageRootTest, EphemeralVolumesGoWithTheirPods) {
  ASSERT_TRUE(eventually([&] { return client_->get<api::storagev1::StorageClass>("", "local-path").ok(); }));
  Pod pod = make_pod("scratching", "echo x > /data/file && cat /data/file");
  pod.spec.volumes[0].volume_source.ephemeral.emplace().volume_claim_template.emplace().spec = make_claim("x").spec;
  pod = create(pod);
  ASSERT_TRUE(wait_phase("scratching", "Succeeded")) << log_of(pod);
  ASSERT_EQ(linux::list_dir(volumes()).size(), 1U);
  remove_pod("scratching");
  EXPECT_TRUE(eventually([&] { return linux::list_dir(volumes()).empty(); }));
  EXPECT_FALSE(claim("scratching-data"));
}

TEST_F(StorageRootTest, WhatCannotBeMountedIsTold) {
  PersistentVolume absent;
  absent.metadata.name = "absent";
  absent.spec.capacity["storage"] = Quantity::of(1 << 20);
  absent.spec.access_modes = {"ReadWriteOnce"};
  absent.spec.storage_class_name = "manual";
  const std::string path = containerd_->directory() + "/disk";
  absent.spec.persistent_volume_source.local.emplace().path = path;
  auto& requirement = absent.spec.node_affinity.emplace()
                          .required.emplace()
                          .node_selector_terms.emplace_back()
                          .match_expressions.emplace_back();
  requirement.key = "kubernetes.io/hostname";
  requirement.operator_ = "In";
  requirement.values = {"test-node"};
  create(absent);
  PersistentVolumeClaim own = make_claim("own");
  own.spec.storage_class_name = "manual";
  create(own);
  Pod pod = make_pod("waiting", "echo x > /data/file");
  pod.spec.volumes[0].volume_source.persistent_volume_claim.emplace().claim_name = "own";
  create(pod);
  EXPECT_TRUE(eventually([&] {
    return told("waiting", "FailedMount",
                fmt::format("MountVolume.NewMounter initialization failed for volume \"absent\" : path \"{}\" does not "
                            "exist",
                            path));
  }));
  ASSERT_TRUE(linux::make_dirs(path).ok());
  ASSERT_TRUE(wait_phase("waiting", "Succeeded"));
  EXPECT_EQ(*linux::read_file(path + "/file"), "x\n");
}

}  // namespace
}  // namespace trireme
