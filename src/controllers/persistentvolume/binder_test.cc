// The binder on the real API server: how claims and volumes find each other, and what becomes of them.

#include <gtest/gtest.h>

#include "controllers/testing/storage.h"

namespace trireme::controllers {
namespace {

using api::corev1::Event;
constexpr int64_t kGi = int64_t{1} << 30;

class BinderSuite : public StorageSuite {
 protected:
  void SetUp() override {
    StorageSuite::SetUp();
    claims_.emplace(raw());
    volumes_.emplace(raw());
    events_seen_.emplace(raw());
  }
  void TearDown() override {
    claims_.reset();
    volumes_.reset();
    events_seen_.reset();
    StorageSuite::TearDown();
  }
  [[nodiscard]] bool claim_is(const std::string& name, std::string_view phase) {
    const bool reached = claims_->until([&] {
      const auto found = claims_->get("default", name);
      return found && found->status.phase == phase;
    });
    if (!reached && claims_->get("default", name)) ADD_FAILURE() << claims_->get("default", name)->status.phase;
    return reached;
  }
  [[nodiscard]] bool volume_is(const std::string& name, std::string_view phase) {
    const bool reached = volumes_->until([&] {
      const auto found = volumes_->get("", name);
      return found && found->status.phase == phase;
    });
    if (!reached && volumes_->get("", name)) ADD_FAILURE() << volumes_->get("", name)->status.phase;
    return reached;
  }
  [[nodiscard]] bool is_told(std::string_view about, std::string_view reason, std::string_view message) {
    const bool reached = events_seen_->until([&] { return told(*events_seen_, about, reason, message); });
    if (!reached) {
      for (const auto& event : events_seen_->list()) {
        ADD_FAILURE() << event->involved_object.name << " " << event->reason << ": " << event->message;
      }
    }
    return reached;
  }

  std::optional<Watched<Claim>> claims_;
  std::optional<Watched<Volume>> volumes_;
  std::optional<Watched<Event>> events_seen_;
};

TEST_F(BinderSuite, AClaimGetsTheSmallestVolumeThatSuffices) {
  run("persistentvolume-binder-controller");
  create(volume("small", kGi));
  create(volume("large", 10 * kGi));
  create(volume("middle", 5 * kGi));
  create(volume("shared", 3 * kGi, {}, {"ReadWriteOnce", "ReadWriteMany"}));
  for (const char* name : {"small", "large", "middle", "shared"}) ASSERT_TRUE(volume_is(name, "Available"));
  create(claim("data", 2 * kGi));
  ASSERT_TRUE(claim_is("data", "Bound"));
  const auto bound = claims_->get("default", "data");
  EXPECT_EQ(bound->spec.volume_name, "middle") << "what can do no more than is asked for goes first";
  EXPECT_EQ(bound->metadata.annotations.get(api::kBindCompleted), "yes");
  EXPECT_EQ(bound->metadata.annotations.get(api::kBoundByController), "yes");
  EXPECT_EQ(bound->status.capacity.get("storage"), Quantity::of(5 * kGi));
  EXPECT_EQ(bound->status.access_modes, std::vector<std::string>{"ReadWriteOnce"});
  ASSERT_TRUE(volume_is("middle", "Bound"));
  const auto taken = volumes_->get("", "middle");
  EXPECT_EQ(taken->spec.claim_ref->uid, bound->metadata.uid);
  EXPECT_EQ(taken->metadata.annotations.get(api::kBoundByController), "yes");

  // Retained for the administrator.
  ASSERT_TRUE(remove<Claim>("default", "data").ok());
  ASSERT_TRUE(volume_is("middle", "Released"));
  create(claim("next", 4 * kGi));
  ASSERT_TRUE(claim_is("next", "Bound"));
  EXPECT_EQ(claims_->get("default", "next")->spec.volume_name, "large");
  change<Volume>("", "middle", [](Volume& each) { each.spec.claim_ref.reset(); });
  EXPECT_TRUE(volume_is("middle", "Available"));
}

TEST_F(BinderSuite, ManyClaimsNeverShareAVolume) {
  run("persistentvolume-binder-controller");
  constexpr int kCount = 20;
  for (int i = 0; i < kCount; ++i) create(claim("c" + std::to_string(i), kGi));
  for (int i = 0; i < kCount; ++i) create(volume("v" + std::to_string(i), kGi));
  std::set<std::string> used;
  for (int i = 0; i < kCount; ++i) {
    const std::string name = "c" + std::to_string(i);
    ASSERT_TRUE(claim_is(name, "Bound"));
    const auto bound = claims_->get("default", name);
    EXPECT_TRUE(used.insert(bound->spec.volume_name).second);
    EXPECT_TRUE(volume_is(bound->spec.volume_name, "Bound"));
    EXPECT_EQ(volumes_->get("", bound->spec.volume_name)->spec.claim_ref->uid, bound->metadata.uid);
  }
}

TEST_F(BinderSuite, SelectorsClassesAndModesAreKept) {
  run("persistentvolume-binder-controller");
  create(volume("plain", kGi));
  Volume fast = volume("fast", 2 * kGi, "manual");
  fast.metadata.labels["speed"] = "fast";
  create(fast);
  create(volume("slow", kGi, "manual"));
  Volume block = volume("block", kGi, "manual");
  block.spec.volume_mode = "Block";
  block.spec.persistent_volume_source.host_path.reset();
  block.spec.persistent_volume_source.csi.emplace().driver = "csi.example.com";
  block.spec.persistent_volume_source.csi->volume_handle = "h1";
  create(block);
  for (const char* name : {"plain", "fast", "slow", "block"}) ASSERT_TRUE(volume_is(name, "Available"));

  Claim selecting = claim("selecting", kGi, "manual");
  selecting.spec.selector.emplace().match_labels["speed"] = "fast";
  create(selecting);
  ASSERT_TRUE(claim_is("selecting", "Bound"));
  EXPECT_EQ(claims_->get("default", "selecting")->spec.volume_name, "fast");

  Claim device = claim("device", kGi, "manual");
  device.spec.volume_mode = "Block";
  create(device);
  ASSERT_TRUE(claim_is("device", "Bound"));
  EXPECT_EQ(claims_->get("default", "device")->spec.volume_name, "block");

  create(claim("other", kGi, "absent"));
  EXPECT_TRUE(is_told("other", "ProvisioningFailed", "storageclass.storage.k8s.io \"absent\" not found"));
  Claim many = claim("many", kGi);
  many.spec.access_modes = {"ReadWriteMany"};
  create(many);
  EXPECT_TRUE(
      is_told("many", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"));
  EXPECT_TRUE(claim_is("many", "Pending"));
}

TEST_F(BinderSuite, EitherSideMayNameTheOther) {
  run("persistentvolume-binder-controller");
  Volume reserved = volume("reserved", kGi);
  auto& reference = reserved.spec.claim_ref.emplace();
  reference.namespace_ = "default";
  reference.name = "late";
  create(reserved);
  ASSERT_TRUE(volume_is("reserved", "Available"));
  create(claim("early", kGi, "another"));
  EXPECT_TRUE(is_told("early", "ProvisioningFailed", "storageclass.storage.k8s.io \"another\" not found"));
  create(claim("late", kGi));
  ASSERT_TRUE(claim_is("late", "Bound"));
  EXPECT_EQ(claims_->get("default", "late")->spec.volume_name, "reserved");
  EXPECT_FALSE(volumes_->get("", "reserved")->metadata.annotations.contains(api::kBoundByController));

  Claim choosy = claim("choosy", 2 * kGi);
  choosy.spec.volume_name = "chosen";
  create(choosy);
  create(volume("chosen", kGi));
  EXPECT_TRUE(
      is_told("choosy", "VolumeMismatch", "Cannot bind to requested volume \"chosen\": requested PV is too small"));
  Claim modest = claim("modest", kGi);
  modest.spec.volume_name = "chosen";
  create(modest);
  ASSERT_TRUE(claim_is("modest", "Bound"));
  EXPECT_FALSE(claims_->get("default", "modest")->metadata.annotations.contains(api::kBoundByController));
  EXPECT_TRUE(is_told("choosy", "FailedBinding", "volume \"chosen\" already bound to a different claim."));
}

TEST_F(BinderSuite, AClaimWhoseVolumeVanishesIsLost) {
  run("persistentvolume-binder-controller");
  create(volume("v", kGi));
  create(claim("data", kGi));
  ASSERT_TRUE(claim_is("data", "Bound"));
  ASSERT_TRUE(remove<Volume>("", "v").ok());
  ASSERT_TRUE(claim_is("data", "Lost"));
  EXPECT_TRUE(is_told("data", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"));
}

TEST_F(BinderSuite, ReclaimingWhatNobodyCanReclaimFails) {
  run("persistentvolume-binder-controller");
  Volume deleted = volume("deleted", kGi, "a");
  deleted.spec.persistent_volume_reclaim_policy = "Delete";
  create(deleted);
  Volume recycled = volume("recycled", kGi, "b");
  recycled.spec.persistent_volume_reclaim_policy = "Recycle";
  create(recycled);
  create(claim("one", kGi, "a"));
  create(claim("two", kGi, "b"));
  ASSERT_TRUE(claim_is("one", "Bound"));
  ASSERT_TRUE(claim_is("two", "Bound"));
  ASSERT_TRUE(remove<Claim>("default", "one").ok());
  ASSERT_TRUE(remove<Claim>("default", "two").ok());
  ASSERT_TRUE(volume_is("deleted", "Failed"));
  EXPECT_TRUE(
      is_told("deleted", "VolumeFailedDelete",
              "error getting deleter volume plugin for volume \"deleted\": no deletable volume plugin matched"));
  ASSERT_TRUE(volume_is("recycled", "Failed"));
  EXPECT_EQ(volumes_->get("", "recycled")->status.message, "No recycler plugin found for the volume!");
  EXPECT_TRUE(is_told("recycled", "VolumeFailedRecycle", "No recycler plugin found for the volume!"));
}

TEST_F(BinderSuite, DelayedClaimsWaitForTheirPod) {
  create(storage_class("late", "csi.example.com", true));
  run("persistentvolume-binder-controller");
  create(volume("v", kGi, "late"));
  ASSERT_TRUE(volume_is("v", "Available"));
  create(claim("data", kGi, "late"));
  ASSERT_TRUE(is_told("data", "WaitForFirstConsumer", "waiting for first consumer to be created before binding"));
  create(user("web", "data", ""));
  ASSERT_TRUE(is_told("data", "WaitForPodScheduled", "waiting for pod web to be scheduled"));
  EXPECT_TRUE(claim_is("data", "Pending"));
  EXPECT_FALSE(volumes_->get("", "v")->spec.claim_ref);
  change<Claim>("default", "data",
                [](Claim& each) { each.metadata.annotations.insert_or_assign(api::kSelectedNode, std::string("n1")); });
  ASSERT_TRUE(is_told("data", "ExternalProvisioning",
                      "Waiting for a volume to be created either by the external provisioner 'csi.example.com' or "
                      "manually by the system administrator. If volume creation is delayed, please verify that the "
                      "provisioner is running and correctly registered."));
  EXPECT_EQ(claims_->get("default", "data")->metadata.annotations.get(api::kStorageProvisioner), "csi.example.com");

  // What the provisioner makes is bound at once.
  Volume made = volume("made", kGi, "late");
  made.spec.claim_ref = client::reference_to(*claims_->get("default", "data"));
  made.metadata.annotations.insert_or_assign(api::kProvisionedBy, std::string("csi.example.com"));
  create(made);
  ASSERT_TRUE(claim_is("data", "Bound"));
  EXPECT_EQ(claims_->get("default", "data")->spec.volume_name, "made");
}

TEST_F(BinderSuite, ADefaultClassReachesClaimsThatWereThereBefore) {
  run("persistentvolume-binder-controller");
  create(claim("old", kGi, std::nullopt));
  create(claim("never", kGi, ""));
  ASSERT_TRUE(
      is_told("old", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"));
  StorageClass standard = storage_class("standard", "csi.example.com", true);
  standard.metadata.annotations.insert_or_assign(api::kIsDefaultClass, std::string("true"));
  create(standard);
  ASSERT_TRUE(claims_->until([&] {
    const auto found = claims_->get("default", "old");
    return found && found->spec.storage_class_name == std::string("standard");
  }));
  ASSERT_TRUE(claims_->until([&] { return claims_->get("default", "never") != nullptr; }));
  EXPECT_EQ(claims_->get("default", "never")->spec.storage_class_name, std::string());
}

TEST_F(BinderSuite, AVolumeWhoseClaimWentElsewhereIsFree) {
  run("persistentvolume-binder-controller");
  create(volume("first", kGi));
  create(claim("data", kGi));
  ASSERT_TRUE(claim_is("data", "Bound"));
  Volume stray = volume("stray", kGi);
  stray.spec.claim_ref = client::reference_to(*claims_->get("default", "data"));
  stray.metadata.annotations.insert_or_assign(api::kBoundByController, std::string("yes"));
  create(stray);
  ASSERT_TRUE(volumes_->until([&] {
    const auto found = volumes_->get("", "stray");
    return found && !found->spec.claim_ref && found->status.phase == "Available";
  }));
  EXPECT_FALSE(volumes_->get("", "stray")->metadata.annotations.contains(api::kBoundByController));
}

}  // namespace
}  // namespace trireme::controllers
