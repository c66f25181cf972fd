// A claim's whole life with real containers: API server with real rights, controllers, scheduler and kubelet.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "api/local_path.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/authn/x509.h"
#include "apiserver/authz/bootstrap_policy.h"
#include "apiserver/authz/node.h"
#include "apiserver/authz/rbac.h"
#include "controllers/all.h"
#include "controllers/runtime/manager.h"
#include "linux/file.h"
#include "linux/mounts.h"
#include "node_suite.h"
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

class StorageRootTest : public test::NodeSuite {
 protected:
  void SetUp() override {
    need_containerd();
    if (IsSkipped() || HasFatalFailure()) return;
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
    start_server(std::move(options));
    ASSERT_TRUE(apiserver::authz::reconcile_bootstrap_policy(*server_, {}).ok());
    start_controllers();
    start_scheduler();
    kubelet::KubeletOptions kubelet;
    kubelet.local_path_dir = volumes();
    kubelet.enable_server = false;
    start_kubelet(std::move(kubelet), raw("system:node:test-node", {"system:nodes"}));
  }
  void stop_components() override {
    scheduler_.reset();
    manager_.reset();
  }

  static std::string volumes() { return containerd_->directory() + "/volumes"; }

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
  /// A pod that runs `script` once, with a volume "data" that is yet to be said.
  static Pod make_pod(const std::string& name, const std::string& script) {
    Pod pod = NodeSuite::make_pod(name, {"sh", "-c", script});
    pod.spec.restart_policy = "Never";
    pod.spec.automount_service_account_token = false;
    auto& mount = pod.spec.containers[0].volume_mounts.emplace_back();
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
  std::optional<PersistentVolumeClaim> claim(const std::string& name) {
    auto found = client_->get<PersistentVolumeClaim>("default", name);
    if (!found.ok()) return std::nullopt;
    return *found;
  }
  bool told(std::string_view about, std::string_view reason, std::string_view message) {
    auto events = client_->list<api::corev1::Event, api::corev1::EventList>("default");
    for (const auto& event : events.ok() ? events->items : std::vector<api::corev1::Event>()) {
      if (event.involved_object.name == about && event.reason == reason && event.message == message) return true;
    }
    return false;
  }

  std::unique_ptr<controllers::Manager> manager_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
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

  remove("writer", 1);
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
  remove("reader", 1);
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
  remove("scratching", 1);
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
