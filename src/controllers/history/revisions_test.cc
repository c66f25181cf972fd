#include "controllers/history/revisions.h"

#include <gtest/gtest.h>

#include "api/validation/equal.h"
#include "controllers/support/template_hash.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers::history {
namespace {

api::corev1::PodTemplateSpec with_image(const std::string& image) {
  api::corev1::PodTemplateSpec out;
  out.metadata.labels.insert_or_assign("app", "web");
  auto& container = out.spec.containers.emplace_back();
  container.name = "c";
  container.image = image;
  return out;
}

RevisionPointer stored(const std::string& image, int64_t number) {
  ControllerRevision out;
  out.metadata.name = image;
  out.data.text = template_patch(with_image(image));
  out.revision = number;
  return std::make_shared<const ControllerRevision>(std::move(out));
}

TEST(RevisionsTest, KeepATemplateAsAPatch) {
  const RevisionPointer revision = stored("a", 1);
  EXPECT_TRUE(revision->data.text.starts_with(R"({"spec":{"template":{"$patch":"replace",)")) << revision->data.text;
  const auto back = template_of(*revision);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_TRUE(api::validation::semantic_equal(*back, with_image("a")));
  EXPECT_FALSE(template_of(ControllerRevision()).ok());
}

TEST(RevisionsTest, IsWhatUpstreamWouldWrite) {
  EXPECT_NE(template_patch(with_image("a<b>&c")).find(R"("image":"a\u003cb\u003e\u0026c")"), std::string::npos);
  Owner owner;
  owner.reference.name = "web";
  owner.hash_label = "hash";
  // FNV-1 of "a", then of "a0".
  EXPECT_EQ(make_revision(owner, "a", 1, std::nullopt).metadata.name, "web-" + safe_encode("84696446"));
  const ControllerRevision counted = make_revision(owner, "a", 1, 0);
  EXPECT_EQ(counted.metadata.name, "web-" + safe_encode("1886858602"));
  EXPECT_EQ(counted.metadata.labels.get("hash"), safe_encode("1886858602"));
}

TEST(RevisionsTest, EqualContentIsFoundWhateverItsOrder) {
  std::vector<RevisionPointer> revisions{stored("b", 2), stored("a", 1), stored("c", 3)};
  sort_revisions(revisions);
  EXPECT_EQ(revisions.front()->metadata.name, "a");
  EXPECT_EQ(highest_number(revisions), 3);
  EXPECT_EQ(find_equal(revisions, template_patch(with_image("b")))->metadata.name, "b");
  EXPECT_EQ(find_equal(revisions, template_patch(with_image("x"))), nullptr);
  ControllerRevision other;
  other.data.text = R"({"b":1,"a":[1,2]})";
  revisions.push_back(std::make_shared<const ControllerRevision>(other));
  EXPECT_TRUE(find_equal(revisions, R"({"a":[1,2],"b":1})"));
}

TEST_F(ControllersSuite, ACollidingRevisionGetsAnotherName) {
  Owner owner;
  owner.reference.namespace_ = "default";
  owner.reference.name = "web";
  owner.reference.kind = "StatefulSet";
  owner.reference.api_version = "apps/v1";
  owner.reference.uid = "1";
  owner.hash_label = "controller.kubernetes.io/hash";
  const std::string data = template_patch(with_image("a"));
  ControllerRevision squatter = make_revision(owner, data, 1, {});
  squatter.data.text = "{}";
  create(squatter);
  std::optional<int32_t> collisions;
  const auto made = create_revision(client(), owner, data, 1, collisions);
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  EXPECT_EQ(collisions, 1);
  EXPECT_NE((*made)->metadata.name, squatter.metadata.name);
  // Once more: it is there already.
  const auto again = create_revision(client(), owner, data, 1, collisions);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->metadata.uid, (*made)->metadata.uid);
}

}  // namespace
}  // namespace trireme::controllers::history
