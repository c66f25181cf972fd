#include <gtest/gtest.h>

#include "controllers/endpointslicemirroring/mirroring_controller.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::corev1::Endpoints;
using api::corev1::Service;
using api::discoveryv1::EndpointSlice;

Endpoints two_subsets() {
  Endpoints out;
  out.metadata.namespace_ = "default";
  out.metadata.name = "db";
  auto& subset = out.subsets.emplace_back();
  subset.addresses.emplace_back().ip = "192.0.2.1";
  subset.addresses.emplace_back().ip = "2001:db8::1";
  subset.not_ready_addresses.emplace_back().ip = "192.0.2.2";
  auto& port = subset.ports.emplace_back();
  port.name = "sql";
  port.port = 5432;
  port.protocol = "TCP";
  return out;
}

TEST(MirroredGroupsTest, SplitsByFamilyAndStopsAtTheLimit) {
  Endpoints endpoints = two_subsets();
  endpoints.subsets[0].addresses.emplace_back().ip = "nonsense";
  size_t dropped = 0;
  size_t invalid = 0;
  auto groups = mirrored_groups(endpoints, 1000, dropped, invalid);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].address_type, "IPv4");
  ASSERT_EQ(groups[0].endpoints.size(), 2u);
  EXPECT_EQ(groups[0].endpoints[0].conditions.ready, true);
  EXPECT_EQ(groups[0].endpoints[1].conditions.ready, false);
  EXPECT_EQ(groups[1].endpoints[0].addresses, std::vector<std::string>{"2001:db8::1"});
  EXPECT_EQ(dropped, 0u);
  EXPECT_EQ(invalid, 1u);
  groups = mirrored_groups(endpoints, 2, dropped, invalid);
  EXPECT_EQ(dropped, 1u);
}

TEST(MirroredGroupsTest, SomeAskNotToBeMirrored) {
  Endpoints endpoints = two_subsets();
  EXPECT_FALSE(skips_mirroring(endpoints));
  endpoints.metadata.labels.insert_or_assign("endpointslice.kubernetes.io/skip-mirror", "true");
  EXPECT_TRUE(skips_mirroring(endpoints));
  endpoints.metadata.labels.clear();
  endpoints.metadata.annotations.insert_or_assign("control-plane.alpha.kubernetes.io/leader", "{}");
  EXPECT_TRUE(skips_mirroring(endpoints));
}

TEST_F(ControllersSuite, EndpointsByHandAreMirroredWhileTheServiceSelectsNothing) {
  run("endpointslicemirroring,endpointslice,garbagecollector");
  Watched<EndpointSlice> slices(raw());
  Service service;
  service.metadata.namespace_ = "default";
  service.metadata.name = "db";
  auto& port = service.spec.ports.emplace_back();
  port.name = "sql";
  port.port = 5432;
  create(service);
  create(two_subsets());
  const auto mirrored = [&] {
    std::string out;
    for (const auto& slice : slices.list("default")) {
      if (slice->metadata.labels.get("endpointslice.kubernetes.io/managed-by") !=
          "endpointslicemirroring-controller.k8s.io") {
        continue;
      }
      out += slice->address_type + ":";
      for (const auto& endpoint : slice->endpoints) out += endpoint.addresses[0] + ",";
      out += " ";
    }
    return out;
  };
  ASSERT_TRUE(slices.until([&] {
    const std::string now = mirrored();
    return now.find("IPv4:192.0.2.1,192.0.2.2,") != std::string::npos &&
           now.find("IPv6:2001:db8::1,") != std::string::npos;
  })) << mirrored();
  change<Endpoints>("default", "db", [](Endpoints& each) { each.subsets[0].not_ready_addresses.clear(); });
  EXPECT_TRUE(slices.until([&] { return mirrored().find("IPv4:192.0.2.1, ") != std::string::npos; })) << mirrored();

  change<Service>("default", "db", [](Service& each) { each.spec.selector.insert_or_assign("app", "db"); });
  EXPECT_TRUE(slices.until([&] { return mirrored().empty(); })) << mirrored();
  change<Service>("default", "db", [](Service& each) { each.spec.selector.clear(); });
  EXPECT_TRUE(slices.until([&] { return !mirrored().empty(); }));
  EXPECT_EQ(remove<Endpoints>("default", "db").to_string(), "OK");
  EXPECT_TRUE(slices.until([&] { return mirrored().empty(); })) << mirrored();
}

}  // namespace
}  // namespace trireme::controllers
