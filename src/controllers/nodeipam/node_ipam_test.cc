#include <gtest/gtest.h>

#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

TEST_F(ControllersSuite, EveryNodeGetsARangeOfEachFamily) {
  ControllerOptions options;
  options.allocate_node_cidrs = true;
  options.cluster_cidrs = {"10.244.0.0/23", "fd00:10:244::/56"};
  auto first = node("first");
  first.spec.pod_cidr = "10.244.0.0/24";
  first.spec.pod_cidrs = {"10.244.0.0/24", "fd00:10:244::/64"};
  create(first);
  run("nodeipam", options);
  Watched<Node> nodes(raw());
  const auto ranges = [&](const std::string& name) {
    std::string out;
    const auto now = nodes.get("", name);
    if (!now) return out;
    for (const auto& each : now->spec.pod_cidrs) out += each + " ";
    return out;
  };
  create(node("second"));
  ASSERT_TRUE(nodes.until([&] { return ranges("second") == "10.244.1.0/24 fd00:10:244:1::/64 "; })) << ranges("second");
  EXPECT_EQ(nodes.get("", "second")->spec.pod_cidr, "10.244.1.0/24");

  // None is left until a node goes.
  create(node("third"));
  ASSERT_TRUE(nodes.until([&] { return nodes.get("", "third") != nullptr; }));
  EXPECT_EQ(remove<Node>("", "first").to_string(), "OK");
  EXPECT_TRUE(nodes.until([&] { return ranges("third").starts_with("10.244.0.0/24 "); })) << ranges("third");
}

}  // namespace
}  // namespace trireme::controllers
