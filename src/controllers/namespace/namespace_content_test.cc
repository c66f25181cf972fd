#include "controllers/namespace/namespace_content.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

std::string condition(const api::corev1::NamespaceStatus& status, std::string_view type) {
  for (const auto& each : status.conditions) {
    if (each.type == type) return each.status + " " + each.reason + ": " + each.message;
  }
  return "none";
}

TEST(NamespaceConditionsTest, TellWhatRemains) {
  const WallTime now{std::chrono::seconds(1'700'000'000)};
  api::corev1::NamespaceStatus status;
  ContentReport report;
  report.remaining = {{"pods.", 2}, {"deployments.apps", 1}};
  report.finalizers = {{"example.com/hold", 3}};
  report.deletion_failures = {"secrets.: forbidden"};
  EXPECT_TRUE(update_conditions(status, report, now));
  ASSERT_EQ(status.conditions.size(), 5u);
  EXPECT_EQ(condition(status, "NamespaceDeletionDiscoveryFailure"),
            "False ResourcesDiscovered: All resources successfully discovered");
  EXPECT_EQ(condition(status, "NamespaceDeletionGroupVersionParsingFailure"),
            "False ParsedGroupVersions: All legacy kube types successfully parsed");
  EXPECT_EQ(condition(status, "NamespaceContentRemaining"),
            "True SomeResourcesRemain: Some resources are remaining: deployments.apps has 1 resource instances, pods. "
            "has 2 resource instances");
  EXPECT_EQ(condition(status, "NamespaceFinalizersRemaining"),
            "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 3 "
            "resource instances");
  EXPECT_EQ(condition(status, "NamespaceDeletionContentFailure"),
            "True ContentDeletionFailed: Failed to delete all resource types, 1 remaining: secrets.: forbidden");
  EXPECT_FALSE(update_conditions(status, report, now + std::chrono::hours(1)));
  EXPECT_TRUE(update_conditions(status, {}, now + std::chrono::hours(1)));
  EXPECT_EQ(condition(status, "NamespaceContentRemaining"), "False ContentRemoved: All content successfully removed");
  EXPECT_EQ(status.conditions[3].last_transition_time, api::Time(now + std::chrono::hours(1)));
  EXPECT_EQ(status.conditions[0].last_transition_time, api::Time(now));
}

}  // namespace
}  // namespace trireme::controllers
