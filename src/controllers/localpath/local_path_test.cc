// The storage controllers together: directories on nodes, protection, ephemeral volumes, attaching.

#include "api/local_path.h"

#include <gtest/gtest.h>

#include "controllers/attachdetach/attach_detach_controller.h"
#include "controllers/expand/volume_expand_controller.h"
#include "controllers/localpath/local_path_provisioner.h"
#include "controllers/testing/storage.h"

namespace trireme::controllers {
namespace {

using api::corev1::Event;
using api::storagev1::VolumeAttachment;
constexpr int64_t kGi = int64_t{1} << 30;
constexpr std::string_view kVolumes =
    "persistentvolume-binder-controller,persistentvolumeclaim-protection-controller,"
    "persistentvolume-protection-controller,local-path-provisioner-controller";

TEST(LocalPathTest, TellsWhatADirectoryCannotBe) {
  api::corev1::PersistentVolumeClaim claim;
  claim.spec.access_modes = {"ReadWriteOnce"};
  EXPECT_EQ(why_no_directory(claim), "");
  claim.spec.access_modes = {"ReadWriteOncePod"};
  EXPECT_EQ(why_no_directory(claim), "");
  claim.spec.access_modes = {"ReadWriteOnce", "ReadOnlyMany"};
  EXPECT_NE(why_no_directory(claim), "");
  claim.spec.access_modes = {"ReadWriteOnce"};
  claim.spec.volume_mode = "Block";
  EXPECT_NE(why_no_directory(claim), "");
}

TEST(LocalPathTest, NamesStayBelowTheFolder) {
  for (const char* bad : {"", ".", "..", "a/b", "/"}) EXPECT_FALSE(api::is_plain_name(bad)) << bad;
  EXPECT_TRUE(api::is_plain_name("pvc-1_default_data"));
  api::corev1::PersistentVolume volume;
  volume.spec.persistent_volume_source.local.emplace().path = "/data/pvc-1_default_data";
  EXPECT_EQ(api::local_path_directory(volume), "") << "somebody else's";
  volume.metadata.annotations.insert_or_assign(api::kProvisionedBy, std::string(api::kLocalPathProvisioner));
  EXPECT_EQ(api::local_path_directory(volume), "pvc-1_default_data");
  volume.spec.persistent_volume_source.local->path = "/data/..";
  EXPECT_EQ(api::local_path_directory(volume), "");
  EXPECT_EQ(api::local_path_directory("pvc-1", std::string(63, 'n'), std::string(253, 'c')).size(), 255U);
}

class LocalPathSuite : public StorageSuite {
 protected:
  void SetUp() override {
    StorageSuite::SetUp();
    claims_.emplace(raw());
    volumes_.emplace(raw());
    nodes_.emplace(raw());
    classes_.emplace(raw());
  }
  void TearDown() override {
    claims_.reset();
    volumes_.reset();
    nodes_.reset();
    classes_.reset();
    StorageSuite::TearDown();
  }
  void make_node(const std::string& name) {
    Node made = node(name);
    made.metadata.labels["kubernetes.io/hostname"] = name;
    made.metadata.annotations.insert_or_assign(api::kLocalPathRoot, std::string("/data/volumes"));
    create(made);
  }
  void select_node(const std::string& claim_name, const std::string& name) {
    change<Claim>("default", claim_name,
                  [&](Claim& each) { each.metadata.annotations.insert_or_assign(api::kSelectedNode, name); });
  }
  [[nodiscard]] bool is_bound(const std::string& name) {
    return claims_->until([&] {
      const auto found = claims_->get("default", name);
      return found && found->status.phase == "Bound";
    });
  }

  std::optional<Watched<Claim>> claims_;
  std::optional<Watched<Volume>> volumes_;
  std::optional<Watched<Node>> nodes_;
  std::optional<Watched<StorageClass>> classes_;
};

TEST_F(LocalPathSuite, AClaimBecomesADirectoryAndGoesWithIt) {
  run(kVolumes);
  make_node("n1");
  ASSERT_TRUE(classes_->until([&] { return classes_->get("", "local-path") != nullptr; }));
  EXPECT_TRUE(api::is_default_class(*classes_->get("", "local-path")));
  create(claim("data", kGi, "local-path"));
  select_node("data", "n1");
  ASSERT_TRUE(is_bound("data"));
  const auto bound = claims_->get("default", "data");
  const std::string name = "pvc-" + bound->metadata.uid;
  EXPECT_EQ(bound->spec.volume_name, name);
  ASSERT_TRUE(volumes_->until([&] { return volumes_->get("", name) != nullptr; }));
  const auto made = volumes_->get("", name);
  const std::string directory = name + "_default_data";
  EXPECT_EQ(made->spec.persistent_volume_source.local->path, "/data/volumes/" + directory);
  EXPECT_EQ(made->spec.node_affinity->required->node_selector_terms[0].match_expressions[0].values,
            std::vector<std::string>{"n1"});

  ASSERT_TRUE(remove<Claim>("default", "data").ok());
  const std::string key = std::string(api::kLocalPathRemoval) + name;
  ASSERT_TRUE(nodes_->until([&] {
    const auto found = nodes_->get("", "n1");
    return found && found->metadata.annotations.get(key) == directory;
  }));
  EXPECT_TRUE(volumes_->get("", name)) << "it stands for data that is still there";
  change<Node>("", "n1", [&](Node& each) {
    each.metadata.annotations.insert_or_assign(key, std::string(api::kLocalPathRemoved));
  });
  ASSERT_TRUE(volumes_->until([&] { return !volumes_->get("", name); }));
  ASSERT_TRUE(nodes_->until([&] { return !nodes_->get("", "n1")->metadata.annotations.contains(key); }));
}

TEST_F(LocalPathSuite, AVolumeDeletedBeforeItsClaimTakesItsDirectoryToo) {
  run(kVolumes);
  make_node("n1");
  ASSERT_TRUE(classes_->until([&] { return classes_->get("", "local-path") != nullptr; }));
  create(claim("data", kGi, "local-path"));
  select_node("data", "n1");
  ASSERT_TRUE(is_bound("data"));
  const std::string name = claims_->get("default", "data")->spec.volume_name;
  ASSERT_TRUE(remove<Volume>("", name).ok());
  ASSERT_TRUE(remove<Claim>("default", "data").ok());
  const std::string key = std::string(api::kLocalPathRemoval) + name;
  ASSERT_TRUE(nodes_->until(
      [&] { return nodes_->get("", "n1") && nodes_->get("", "n1")->metadata.annotations.contains(key); }));
  EXPECT_TRUE(volumes_->get("", name));
  // The node goes instead of answering.
  ASSERT_TRUE(remove<Node>("", "n1").ok());
  ASSERT_TRUE(volumes_->until([&] { return !volumes_->get("", name); }));
}

TEST_F(LocalPathSuite, TheClassIsMadeOnce) {
  run(kVolumes);
  ASSERT_TRUE(classes_->until([&] { return classes_->get("", "local-path") != nullptr; }));
  Watched<api::corev1::ConfigMap> maps(raw());
  ASSERT_TRUE(maps.until([&] { return maps.get("kube-system", "trireme-addons") != nullptr; }));
  ASSERT_TRUE(remove<StorageClass>("", "local-path").ok());
  manager_.reset();
  run(kVolumes);
  // Once it has provided a volume it has certainly decided about its class.
  create(storage_class("mine", std::string(api::kLocalPathProvisioner), true));
  make_node("n1");
  create(claim("data", kGi, "mine"));
  select_node("data", "n1");
  ASSERT_TRUE(is_bound("data"));
  EXPECT_FALSE(classes_->get("", "local-path"));
}

TEST_F(LocalPathSuite, ANodeThatIsGoneIsNotWaitedFor) {
  run(kVolumes);
  ASSERT_TRUE(classes_->until([&] { return classes_->get("", "local-path") != nullptr; }));
  create(claim("data", kGi, "local-path"));
  select_node("data", "gone");
  ASSERT_TRUE(claims_->until([&] {
    const auto found = claims_->get("default", "data");
    if (!found) return false;
    const auto& annotations = found->metadata.annotations;
    return annotations.contains(api::kStorageProvisioner) && !annotations.contains(api::kSelectedNode);
  }));
}

TEST_F(LocalPathSuite, WhatIsInUseOutlivesItsDeletion) {
  run(kVolumes);
  create(node("n1"));
  create(volume("v", kGi));
  create(claim("data", kGi));
  ASSERT_TRUE(is_bound("data"));
  ASSERT_TRUE(claims_->until(
      [&] { return api::has_finalizer(claims_->get("default", "data")->metadata, api::kClaimProtection); }));
  ASSERT_TRUE(volumes_->until([&] {
    const auto found = volumes_->get("", "v");
    return found && api::has_finalizer(found->metadata, api::kVolumeProtection);
  }));
  create(user("web", "data", "n1"));
  ASSERT_TRUE(remove<Volume>("", "v").ok());
  ASSERT_TRUE(remove<Claim>("default", "data").ok());
  create(claim("unused", kGi));
  ASSERT_TRUE(remove<Claim>("default", "unused").ok());
  ASSERT_TRUE(claims_->until([&] { return !claims_->get("default", "unused"); }));
  EXPECT_TRUE(claims_->get("default", "data")) << "its pod still has it";
  EXPECT_TRUE(volumes_->get("", "v"));
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  ASSERT_TRUE(remove<Pod>("default", "web", now).ok());
  ASSERT_TRUE(claims_->until([&] { return !claims_->get("default", "data"); }));
  ASSERT_TRUE(volumes_->until([&] { return !volumes_->get("", "v"); }));
}

TEST_F(LocalPathSuite, LivesOfAVolumeAndAClaim) {
  // [sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC
  run(kVolumes);
  Volume labelled = volume("pv-1", kGi, "lifecycle");
  labelled.metadata.labels["e2e"] = "yes";
  labelled.spec.persistent_volume_source.host_path.reset();
  labelled.spec.persistent_volume_source.csi.emplace().driver = "csi.example.com";
  labelled.spec.persistent_volume_source.csi->volume_handle = "h";
  create(labelled);
  Claim asked = claim("pvc-1", kGi, "lifecycle");
  asked.metadata.labels["e2e"] = "yes";
  create(asked);
  ASSERT_TRUE(is_bound("pvc-1"));
  ASSERT_TRUE(client()
                  .patch<Claim>("default", "pvc-1", client::PatchType::kStrategicMerge,
                                R"({"metadata":{"labels":{"patched":"yes"}}})")
                  .ok());
  ASSERT_TRUE(
      client()
          .patch<Volume>("", "pv-1", client::PatchType::kStrategicMerge, R"({"metadata":{"labels":{"patched":"yes"}}})")
          .ok());
  client::ListOptions selection;
  selection.label_selector = "e2e=yes";
  ASSERT_TRUE(client().raw().remove_collection(api::resource_of<Claim>(), "default", {}, selection).ok());
  ASSERT_TRUE(claims_->until([&] { return claims_->list().empty(); }));
  ASSERT_TRUE(client().raw().remove_collection(api::resource_of<Volume>(), "", {}, selection).ok());
  ASSERT_TRUE(volumes_->until([&] { return volumes_->list().empty(); }));
}

TEST_F(LocalPathSuite, EphemeralVolumesBringTheirClaims) {
  Watched<Event> events(raw());
  run("ephemeral-volume-controller");
  const auto with_scratch = [](const std::string& name) {
    Pod out = pod(name);
    auto& source = out.spec.volumes.emplace_back();
    source.name = "scratch";
    auto& pod_template = source.volume_source.ephemeral.emplace().volume_claim_template.emplace();
    pod_template.metadata.labels["type"] = "scratch";
    pod_template.spec = claim("x", kGi, "local-path").spec;
    return out;
  };
  const Pod made = create(with_scratch("web"));
  ASSERT_TRUE(claims_->until([&] { return claims_->get("default", "web-scratch") != nullptr; }));
  const auto own = claims_->get("default", "web-scratch");
  EXPECT_TRUE(api::check_ephemeral_owner(made, *own).ok());
  EXPECT_TRUE(own->metadata.owner_references[0].block_owner_deletion.value_or(false));
  EXPECT_EQ(own->metadata.labels.get("type"), "scratch");
  ASSERT_TRUE(remove<Claim>("default", "web-scratch").ok());
  ASSERT_TRUE(claims_->until([&] {
    const auto again = claims_->get("default", "web-scratch");
    return again && again->metadata.uid != own->metadata.uid;
  }));

  create(claim("other-scratch", kGi));
  create(with_scratch("other"));
  ASSERT_TRUE(events.until([&] {
    return told(events, "other", "FailedBinding",
                "ephemeral volume scratch: PVC default/other-scratch was not created for pod default/other (pod is not "
                "owner)");
  }));
}

TEST_F(LocalPathSuite, AClaimThatGrowsIsHandedOver) {
  Watched<Event> events(raw());
  run("persistentvolume-binder-controller,persistentvolume-expander-controller");
  create(volume("v", kGi));
  create(claim("data", kGi));
  ASSERT_TRUE(is_bound("data"));
  EXPECT_FALSE(wants_to_grow(*claims_->get("default", "data")));
  change<Claim>("default", "data",
                [](Claim& each) { each.spec.resources.requests["storage"] = Quantity::of(2 * kGi); });
  ASSERT_TRUE(events.until([&] {
    return told(events, "data", "ExternalExpanding",
                "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external "
                "controller to process this PVC.");
  }));
}

class AttachSuite : public LocalPathSuite {
 protected:
  void SetUp() override {
    LocalPathSuite::SetUp();
    attachments_.emplace(raw());
    events_seen_.emplace(raw());
    run("persistentvolume-binder-controller,persistentvolume-attach-detach-controller");
    for (const char* name : {"n1", "n2"}) {
      Node made = node(name);
      made.metadata.annotations.insert_or_assign("volumes.kubernetes.io/controller-managed-attach-detach",
                                                 std::string("true"));
      create(made);
    }
    Volume disk = volume("disk", kGi);
    disk.spec.persistent_volume_source.host_path.reset();
    disk.spec.persistent_volume_source.csi.emplace().driver = "csi.example.com";
    disk.spec.persistent_volume_source.csi->volume_handle = "h1";
    create(disk);
    create(claim("data", kGi));
    ASSERT_TRUE(is_bound("data"));
  }
  void TearDown() override {
    attachments_.reset();
    events_seen_.reset();
    LocalPathSuite::TearDown();
  }
  std::string on(const std::string& node) { return attachment_name("h1", "csi.example.com", node); }
  void set_attached(const std::string& node) {
    change<VolumeAttachment>(
        "", on(node), [](VolumeAttachment& each) { each.status.attached = true; }, true);
  }
  void set_in_use(const std::string& name, bool in_use, std::string_view ready) {
    change<Node>(
        "", name,
        [&](Node& each) {
          each.status.volumes_in_use.clear();
          if (in_use) each.status.volumes_in_use.emplace_back("kubernetes.io/csi/csi.example.com^h1");
          each.status.conditions.clear();
          auto& condition = each.status.conditions.emplace_back();
          condition.type = "Ready";
          condition.status = ready;
        },
        true);
  }
  [[nodiscard]] bool exists(const std::string& node, bool wanted) {
    return attachments_->until([&] { return (attachments_->get("", on(node)) != nullptr) == wanted; });
  }
  void end_pod(const std::string& name) {
    client::DeleteOptions now;
    now.grace_period_seconds = 0;
    ASSERT_TRUE(remove<Pod>("default", name, now).ok());
  }

  std::optional<Watched<VolumeAttachment>> attachments_;
  std::optional<Watched<Event>> events_seen_;
};

TEST_F(AttachSuite, AVolumeFollowsItsPods) {
  EXPECT_EQ(on("n1").size(), 4U + 64U);
  create(user("web", "data", "n1"));
  ASSERT_TRUE(exists("n1", true));
  EXPECT_EQ(attachments_->get("", on("n1"))->spec.attacher, "csi.example.com");
  set_attached("n1");
  ASSERT_TRUE(nodes_->until([&] {
    const auto found = nodes_->get("", "n1");
    if (!found) return false;
    const auto& attached = found->status.volumes_attached;
    return attached.size() == 1 && attached[0].name == "kubernetes.io/csi/csi.example.com^h1";
  }));
  ASSERT_TRUE(events_seen_->until([&] {
    return told(*events_seen_, "web", "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume \"disk\" ");
  }));
  set_in_use("n1", true, "True");

  // One node at a time.
  create(user("second", "data", "n2"));
  ASSERT_TRUE(events_seen_->until([&] {
    return told(*events_seen_, "second", "FailedAttachVolume",
                "Multi-Attach error for volume \"disk\" Volume is already used by pod(s) web");
  }));
  EXPECT_FALSE(attachments_->get("", on("n2")));

  end_pod("web");
  create(user("third", "data", "n2"));
  ASSERT_TRUE(events_seen_->until([&] {
    return told(*events_seen_, "third", "FailedAttachVolume",
                "Multi-Attach error for volume \"disk\" Volume is already exclusively attached to one node and can't "
                "be attached to another");
  })) << "the node has not let go";
  EXPECT_TRUE(attachments_->get("", on("n1")));
  set_in_use("n1", false, "True");
  ASSERT_TRUE(exists("n1", false));
  ASSERT_TRUE(exists("n2", true));
  EXPECT_TRUE(nodes_->until([&] { return nodes_->get("", "n1")->status.volumes_attached.empty(); }));
}

TEST_F(AttachSuite, ADeadNodeHoldsAVolumeNoLongerThanSixMinutes) {
  create(user("web", "data", "n1"));
  ASSERT_TRUE(exists("n1", true));
  set_attached("n1");
  ASSERT_TRUE(nodes_->until([&] {
    const auto found = nodes_->get("", "n1");
    return found && found->status.volumes_attached.size() == 1;
  }));
  set_in_use("n1", true, "Unknown");
  end_pod("web");
  EXPECT_FALSE(attachments_->until([&] { return !attachments_->get("", on("n1")); }, std::chrono::milliseconds(200)));
  ASSERT_TRUE(advance_until(*attachments_, std::chrono::minutes(1),
                            [&] { return attachments_->get("", on("n1")) == nullptr; }));
}

TEST_F(AttachSuite, ANodeOutOfServiceHoldsNothing) {
  create(user("web", "data", "n1"));
  ASSERT_TRUE(exists("n1", true));
  set_attached("n1");
  ASSERT_TRUE(nodes_->until([&] {
    const auto found = nodes_->get("", "n1");
    return found && found->status.volumes_attached.size() == 1;
  }));
  set_in_use("n1", true, "Unknown");
  end_pod("web");
  change<Node>("", "n1", [](Node& each) {
    auto& taint = each.spec.taints.emplace_back();
    taint.key = api::corev1::kTaintNodeOutOfService;
    taint.effect = "NoExecute";
  });
  ASSERT_TRUE(exists("n1", false));
}

}  // namespace
}  // namespace trireme::controllers
