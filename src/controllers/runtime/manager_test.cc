#include "controllers/runtime/manager.h"

#include <gtest/gtest.h>

#include "controllers/all.h"

namespace trireme::controllers {
namespace {

TEST(SelectControllersTest, FollowsUpstreamsRules) {
  const ControllerDescriptor all[] = {{"namespace-controller", "namespace", {}},
                                      {"garbage-collector-controller", "garbagecollector", {}},
                                      {"x", "", {}}};
  struct Case {
    std::string_view selection;
    std::string expected;
  };
  const Case cases[] = {
      {"", ""},
      {"*", "namespace-controller garbage-collector-controller x "},
      {"*,-x", "namespace-controller garbage-collector-controller "},
      {"*, -namespace", "garbage-collector-controller x "},
      {"garbagecollector", "garbage-collector-controller "},
      {"-x,x", ""},
      {"x,-x", "x "},
  };
  for (const Case& each : cases) {
    const auto chosen = select_controllers(all, each.selection);
    ASSERT_TRUE(chosen.ok());
    std::string names;
    for (const auto* entry : *chosen) names += std::string(entry->name) + " ";
    EXPECT_EQ(names, each.expected) << each.selection;
  }
  EXPECT_FALSE(select_controllers(all, "nonsense").ok());
  EXPECT_FALSE(select_controllers(all, "*,-nonsense").ok());
  EXPECT_FALSE(select_controllers(all, "-").ok());
}

TEST(AllControllersTest, TheGarbageCollectorIsLast) {
  EXPECT_EQ(all_controllers().back().name, "garbage-collector-controller");
}

}  // namespace
}  // namespace trireme::controllers
