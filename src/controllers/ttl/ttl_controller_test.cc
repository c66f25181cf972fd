#include "controllers/ttl/ttl_controller.h"

#include <gtest/gtest.h>

#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

TEST(TtlLadderTest, StepsLieApartOnTheWayDown) {
  TtlLadder ladder;
  struct Case {
    size_t nodes;
    int seconds;
  };
  for (const Case& each :
       {Case{1, 0}, {100, 0}, {101, 15}, {95, 15}, {89, 0}, {600, 30}, {449, 15}, {20000, 600}, {8999, 300}, {0, 0}}) {
    ladder.set_nodes(each.nodes);
    EXPECT_EQ(ladder.seconds(), each.seconds) << each.nodes;
  }
}

TEST_F(ControllersSuite, EveryNodeSaysHowLongItMayKeepSecrets) {
  run("ttl");
  Watched<Node> nodes(raw());
  create(node("a"));
  EXPECT_TRUE(nodes.until([&] {
    const auto a = nodes.get("", "a");
    return a && a->metadata.annotations.get("node.alpha.kubernetes.io/ttl") == "0";
  }));
}

}  // namespace
}  // namespace trireme::controllers
