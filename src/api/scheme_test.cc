#include "api/scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "api/types/autoscalingv1.h"
#include "api/types/corev1.h"
#include "api/types/eventsv1.h"
#include "api/types/metav1.h"

namespace trireme::api {
namespace {

using testing::ElementsAre;

TEST(Scheme, EveryResourceIsWhole) {
  std::set<std::string> seen;
  for (const ResourceInfo& info : resources()) {
    const std::string name = info.api_version() + "/" + info.resource;
    EXPECT_TRUE(seen.insert(name).second) << name << " twice";
    ASSERT_NE(info.type, nullptr) << name;
    EXPECT_EQ(info.type->api_version, info.api_version()) << name;
    EXPECT_EQ(info.type->kind, info.kind) << name;
    EXPECT_TRUE(std::ranges::is_sorted(info.verbs)) << name;
    EXPECT_TRUE(std::ranges::is_sorted(info.subresources)) << name;
    const bool lists = std::ranges::find(info.verbs, "list") != info.verbs.end();
    EXPECT_EQ(info.list_type != nullptr, lists) << name;
    EXPECT_TRUE(!lists || info.list_type->list_metadata_offset >= 0) << name;
    EXPECT_TRUE(!lists || info.type->metadata_offset >= 0) << name;
    EXPECT_EQ(find_resource(info.group, info.version, info.resource), &info);
    EXPECT_EQ(find_kind(info.api_version(), info.kind), &info);
    EXPECT_EQ(find_type(*info.type), &info);
    EXPECT_NE(find_type(info.storage.to_string(), info.kind), nullptr) << name;
  }
  EXPECT_EQ(seen.size(), 61U);
}

TEST(Scheme, PodsAreAsUpstreamServesThem) {
  const ResourceInfo& pods = resource_of<corev1::Pod>();
  EXPECT_EQ(pods.resource, "pods");
  EXPECT_EQ(pods.singular, "pod");
  EXPECT_TRUE(pods.namespaced);
  EXPECT_THAT(pods.short_names, ElementsAre("po"));
  EXPECT_THAT(pods.categories, ElementsAre("all"));
  EXPECT_THAT(pods.verbs,
              ElementsAre("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"));
  EXPECT_THAT(pods.subresources, ElementsAre("attach", "binding", "ephemeralcontainers", "eviction", "exec", "log",
                                             "portforward", "proxy", "status"));
  EXPECT_EQ(pods.list_type, &type_info<corev1::PodList>());
}

TEST(Scheme, ScopesFollowTheTypes) {
  const struct {
    std::string_view group, version, resource;
    bool namespaced;
  } cases[] = {{"", "v1", "nodes", false},
               {"", "v1", "namespaces", false},
               {"", "v1", "persistentvolumes", false},
               {"", "v1", "componentstatuses", false},
               {"", "v1", "bindings", true},
               {"", "v1", "events", true},
               {"rbac.authorization.k8s.io", "v1", "clusterroles", false},
               {"rbac.authorization.k8s.io", "v1", "roles", true},
               {"authorization.k8s.io", "v1", "subjectaccessreviews", false},
               {"authorization.k8s.io", "v1", "localsubjectaccessreviews", true},
               {"storage.k8s.io", "v1", "csistoragecapacities", true},
               {"storage.k8s.io", "v1", "csinodes", false},
               {"apiextensions.k8s.io", "v1", "customresourcedefinitions", false},
               {"coordination.k8s.io", "v1", "leases", true}};
  for (const auto& [group, version, resource, namespaced] : cases) {
    const ResourceInfo* info = find_resource(group, version, resource);
    ASSERT_NE(info, nullptr) << resource;
    EXPECT_EQ(info->namespaced, namespaced) << resource;
  }
}

TEST(Scheme, SharedKindsAreStoredOnce) {
  EXPECT_EQ(resource_of<eventsv1::Event>().storage.to_string(), "v1");
  EXPECT_EQ(resource_of<autoscalingv1::HorizontalPodAutoscaler>().storage.to_string(), "autoscaling/v2");
  EXPECT_EQ(resource_of<corev1::Pod>().storage.to_string(), "v1");
}

TEST(Scheme, FindsTypesByKind) {
  EXPECT_EQ(find_type("v1", "Pod"), &type_info<corev1::Pod>());
  EXPECT_EQ(find_type("v1", "PodList"), &type_info<corev1::PodList>());
  EXPECT_EQ(find_type("v1", "List"), &type_info<corev1::List>());
  EXPECT_EQ(find_type("v1", "Status"), &type_info<metav1::Status>());
  EXPECT_EQ(find_type("meta.k8s.io/v1", "Status"), &type_info<metav1::Status>());
  EXPECT_EQ(find_type("meta.k8s.io/v1", "Table"), &type_info<metav1::Table>());
  EXPECT_EQ(find_type("v1", "DeleteOptions"), &type_info<metav1::DeleteOptions>());
  EXPECT_EQ(find_type("apps/v1", "DeleteOptions"), &type_info<metav1::DeleteOptions>());
  EXPECT_EQ(find_type("v1", "PodLogOptions"), &type_info<corev1::PodLogOptions>());
  EXPECT_EQ(find_type("apps/v1", "Pod"), nullptr);
  EXPECT_EQ(find_type("v2", "Pod"), nullptr);
  EXPECT_EQ(find_type("v1", "pod"), nullptr);
  EXPECT_EQ(find_resource("", "v1", "pod"), nullptr);
  EXPECT_EQ(find_kind("v1", "PodList"), nullptr);
}

}  // namespace
}  // namespace trireme::api
