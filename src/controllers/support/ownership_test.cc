#include "controllers/support/ownership.h"

#include <gtest/gtest.h>

#include "controllers/support/template_hash.h"

namespace trireme::controllers {
namespace {

using api::corev1::Pod;

void own(Pod& pod, const std::string& uid) {
  auto& reference = pod.metadata.owner_references.emplace_back();
  reference.uid = uid;
  reference.controller = true;
}

TEST(ClaimTest, FollowsReferenceAndLabels) {
  const auto selector = api::LabelSelector::from_map(api::Map<std::string>{{"app", "redis"}});
  Pod base;
  base.metadata.labels.insert_or_assign("app", "redis");
  Pod mine = base;
  own(mine, "rc1");
  Pod strayed = mine;
  strayed.metadata.labels.clear();
  Pod others = base;
  own(others, "rc2");
  Pod ending = base;
  ending.metadata.deletion_timestamp = api::Time::from_unix(1'700'000'000);
  Pod unlike = base;
  unlike.metadata.labels.clear();
  struct Case {
    const char* what;
    const Pod* pod;
    Claim alive;
    Claim deleting;
  };
  const Case cases[] = {
      {"orphan", &base, Claim::kAdopt, Claim::kIgnore},       {"mine", &mine, Claim::kOwned, Claim::kOwned},
      {"strayed", &strayed, Claim::kRelease, Claim::kIgnore}, {"another's", &others, Claim::kIgnore, Claim::kIgnore},
      {"ending", &ending, Claim::kIgnore, Claim::kIgnore},    {"unlike", &unlike, Claim::kIgnore, Claim::kIgnore},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(claim_of("rc1", false, selector, each.pod->metadata), each.alive) << each.what;
    EXPECT_EQ(claim_of("rc1", true, selector, each.pod->metadata), each.deleting) << each.what;
  }
}

TEST(TemplateHashTest, IsFnvInSafeLetters) {
  // The published test vectors of FNV-1a.
  EXPECT_EQ(fnv32a(""), 0x811c9dc5U);
  EXPECT_EQ(fnv32a("a"), 0xe40c292cU);
  EXPECT_EQ(fnv32a("foobar"), 0xbf9cf968U);
  EXPECT_EQ(fnv32a("bar", fnv32a("foo")), fnv32a("foobar"));
  // What upstream's encoding makes of digits: only these ten letters occur in hashes.
  EXPECT_EQ(safe_encode("0123456789"), "456789bcdf");
}

TEST(TemplateHashTest, ChangesWithTheTemplateAndTheCollisionCountOnly) {
  api::corev1::PodTemplateSpec one;
  one.metadata.labels.insert_or_assign("app", "redis");
  one.spec.containers.emplace_back().image = "redis:1";
  auto labelled = one;
  labelled.metadata.labels.insert_or_assign("pod-template-hash", "x");
  auto other = one;
  other.spec.containers[0].image = "redis:2";
  const std::string hash = template_hash(one, std::nullopt);
  EXPECT_FALSE(hash.empty());
  EXPECT_EQ(hash.find_first_not_of("456789bcdf"), std::string::npos) << hash;
  EXPECT_EQ(template_hash(labelled, std::nullopt), hash);
  EXPECT_NE(template_hash(other, std::nullopt), hash);
  EXPECT_NE(template_hash(one, 0), hash);
  EXPECT_NE(template_hash(one, 1), template_hash(one, 0));
  EXPECT_TRUE(equal_ignoring_hash(one, labelled));
  EXPECT_FALSE(equal_ignoring_hash(one, other));
}

}  // namespace
}  // namespace trireme::controllers
