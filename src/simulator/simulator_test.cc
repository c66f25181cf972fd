#include <gtest/gtest.h>

#include "base/log.h"
#include "simulator/scenario.h"
#include "simulator/simulate.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

SimulateOptions tiny(uint64_t seed) {
  SimulateOptions options;
  options.seed = seed;
  options.nodes = 50;
  options.pods = 500;
  options.duration = minutes(4);
  return options;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

class EveryScenario : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { log::set_level(log::Level::kError); }
  void TearDown() override { log::set_level(log::Level::kInfo); }
};

TEST_P(EveryScenario, OneSeedIsOneStory) {
  const auto first = simulate(GetParam(), tiny(3));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(joined(first->violations), "");
  const auto again = simulate(GetParam(), tiny(3));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(first->hash, again->hash);
  EXPECT_EQ(first->writes, again->writes);
  EXPECT_EQ(first->virtual_time, again->virtual_time);
  const auto other = simulate(GetParam(), tiny(4));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(joined(other->violations), "");
  EXPECT_NE(first->hash, other->hash);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const ScenarioDescriptor& each : scenarios()) out.emplace_back(each.name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, EveryScenario, ::testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::erase(name, '-');
  return name;
});

TEST(SimulateTest, RefusesWhatCannotBe) {
  EXPECT_FALSE(simulate("nonsense", tiny(1)).ok());
  SimulateOptions crowded = tiny(1);
  crowded.pods = 100'000;
  EXPECT_FALSE(simulate("fill", crowded).ok());
  SimulateOptions zones = tiny(1);
  zones.zones = zones.nodes + 1;
  EXPECT_FALSE(simulate("fill", zones).ok());
}

}  // namespace
}  // namespace trireme::simulator
