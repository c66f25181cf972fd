#include "api/volumes.h"

#include <gtest/gtest.h>

namespace trireme::api {
namespace {

corev1::PersistentVolumeClaim claim(int64_t size) {
  corev1::PersistentVolumeClaim out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "data";
  out.metadata.uid = "u1";
  out.spec.access_modes = {"ReadWriteOnce"};
  out.spec.resources.requests["storage"] = Quantity::of(size);
  return out;
}

corev1::PersistentVolume volume(const std::string& name, int64_t size) {
  corev1::PersistentVolume out;
  out.metadata.name = name;
  out.spec.capacity["storage"] = Quantity::of(size);
  out.spec.access_modes = {"ReadWriteOnce"};
  out.status.phase = "Available";
  return out;
}

VolumePointer share(corev1::PersistentVolume volume) {
  return std::make_shared<const corev1::PersistentVolume>(volume);
}

std::string found(const corev1::PersistentVolumeClaim& claim, std::vector<VolumePointer> volumes, bool delayed = false,
                  const VolumeFilter& usable = nullptr) {
  auto result = find_matching_volume(claim, volumes, delayed, usable);
  EXPECT_TRUE(result.ok());
  return *result ? (*result)->metadata.name : "";
}

TEST(FindMatchingVolume, PassesOverWhatDoesNotFit) {
  corev1::PersistentVolume good = volume("good", 10);
  EXPECT_EQ(found(claim(10), {share(good)}), "good");
  EXPECT_EQ(found(claim(11), {share(good)}), "") << "too small";
  const auto without = [&](auto edit) {
    corev1::PersistentVolume changed = good;
    edit(changed);
    return found(claim(10), {share(changed)});
  };
  EXPECT_EQ(without([](auto& v) { v.status.phase = "Released"; }), "");
  EXPECT_EQ(without([](auto& v) { v.spec.storage_class_name = "fast"; }), "");
  EXPECT_EQ(without([](auto& v) { v.spec.volume_mode = "Block"; }), "");
  EXPECT_EQ(without([](auto& v) { v.spec.volume_mode = "Filesystem"; }), "good");
  EXPECT_EQ(without([](auto& v) { v.spec.access_modes = {"ReadOnlyMany"}; }), "");
  EXPECT_EQ(without([](auto& v) { v.metadata.deletion_timestamp = Time::from_unix(1); }), "");
  EXPECT_EQ(without([](auto& v) { v.spec.claim_ref.emplace().name = "other"; }), "");
  corev1::PersistentVolumeClaim selecting = claim(10);
  selecting.spec.selector.emplace().match_labels["a"] = "b";
  EXPECT_EQ(found(selecting, {share(good)}), "");
  good.metadata.labels["a"] = "b";
  EXPECT_EQ(found(selecting, {share(good)}), "good");
}

TEST(FindMatchingVolume, TakesTheReservedOneElseTheSmallest) {
  corev1::PersistentVolume reserved = volume("reserved", 100);
  reserved.spec.claim_ref.emplace().name = "data";
  reserved.spec.claim_ref->namespace_ = "default";
  reserved.status.phase = "Bound";
  const auto large = share(volume("large", 50)), small = share(volume("small", 20));
  EXPECT_EQ(found(claim(10), {large, small}), "small");
  EXPECT_EQ(found(claim(10), {large, small, share(reserved)}), "reserved");
  EXPECT_EQ(found(claim(10), {large, small}, true), "") << "without a node nothing is chosen";
  EXPECT_EQ(found(claim(10), {large, share(reserved)}, true), "reserved");
  const auto only_large = [](const corev1::PersistentVolume& v) { return v.metadata.name == "large"; };
  EXPECT_EQ(found(claim(10), {small, large}, true, only_large), "large");
  EXPECT_EQ(found(claim(10), {share(reserved), large}, true, only_large), "") << "the reserved one or none";
  reserved.spec.claim_ref->uid = "another";
  EXPECT_EQ(found(claim(10), {share(reserved)}), "") << "reserved for a claim of that name that is gone";
}

TEST(DefaultClass, IsTheNewestThenTheFirstByName) {
  const auto make = [](const std::string& name, int64_t at, std::string_view annotation) {
    auto out = std::make_shared<storagev1::StorageClass>();
    out->metadata.name = name;
    out->metadata.creation_timestamp = Time::from_unix(at);
    if (!annotation.empty()) out->metadata.annotations.insert_or_assign(annotation, std::string("true"));
    return ClassPointer(out);
  };
  const std::vector<ClassPointer> classes{make("plain", 9, ""), make("old", 1, kIsDefaultClass),
                                          make("b", 5, kBetaIsDefaultClass), make("a", 5, kIsDefaultClass)};
  EXPECT_EQ(default_class(classes)->metadata.name, "a");
  EXPECT_EQ(default_class(std::span(classes).first(1)), nullptr);
}

TEST(Mismatch, NamesTheFirstReason) {
  EXPECT_EQ(mismatch(volume("v", 10), claim(10)), "");
  EXPECT_EQ(mismatch(volume("v", 9), claim(10)), "requested PV is too small");
  corev1::PersistentVolumeClaim fast = claim(10);
  fast.spec.storage_class_name = "fast";
  EXPECT_EQ(mismatch(volume("v", 10), fast), "storageClassName does not match");
  corev1::PersistentVolumeClaim shared = claim(10);
  shared.spec.access_modes = {"ReadWriteMany"};
  EXPECT_EQ(mismatch(volume("v", 10), shared), "incompatible accessMode");
}

}  // namespace
}  // namespace trireme::api
