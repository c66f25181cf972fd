#include "api/codec.h"
#include "controllers/clusterroleaggregation/cluster_role_aggregation_controller.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::rbacv1::ClusterRole;

ClusterRole role(const std::string& name, const std::string& label, const std::string& more) {
  auto out = api::decode_json<ClusterRole>(R"({"metadata":{"name":")" + name + R"(","labels":{")" + label +
                                           R"(":"true"}},)" + more + "}");
  EXPECT_TRUE(out.ok()) << out.status().to_string();
  return *out;
}

std::string rules(const std::string& resource) {
  return R"("rules":[{"verbs":["get"],"apiGroups":[""],"resources":[")" + resource + R"("]}])";
}

const char* const kAggregates =
    R"("aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"true"}},{"matchLabels":{"b":"true"}}]})";

std::string text(const std::vector<api::rbacv1::PolicyRule>& rules) {
  std::string out;
  for (const auto& rule : rules) out += rule.resources[0] + " ";
  return out;
}

TEST(AggregatedRulesTest, OfAllThatAreSelectedEachOnce) {
  std::vector<std::shared_ptr<const ClusterRole>> all;
  for (const ClusterRole& each :
       {role("1", "a", rules("pods")), role("2", "b", rules("secrets")), role("3", "a", rules("nodes")),
        role("4", "c", rules("events")), role("5", "b", rules("pods"))}) {
    all.push_back(std::make_shared<const ClusterRole>(each));
  }
  const ClusterRole self = role("self", "a", kAggregates);
  all.push_back(std::make_shared<const ClusterRole>(role("self", "a", rules("own"))));
  EXPECT_EQ(text(aggregated_rules(self, all)), "pods nodes secrets ");
}

TEST_F(ControllersSuite, AggregatedRolesFollowTheirParts) {
  run("clusterrole-aggregation");
  Watched<ClusterRole> roles(raw());
  create(role("sum", "x", std::string(kAggregates) + ",\"rules\":[]"));
  create(role("above", "y", R"("aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"x":"true"}}]},"rules":[])"));
  create(role("part", "a", rules("pods")));
  const auto is = [&](const char* name, const std::string& want) {
    return advance_until(roles, std::chrono::milliseconds(20), [&] {
      const auto found = roles.get("", name);
      return found && text(found->rules) == want;
    });
  };
  EXPECT_TRUE(is("sum", "pods "));
  EXPECT_TRUE(is("above", "pods ")) << "an aggregated role can be a part, too";
  create(role("part2", "b", rules("secrets")));
  EXPECT_TRUE(is("sum", "pods secrets "));
  EXPECT_TRUE(is("above", "pods secrets "));
  EXPECT_TRUE(remove<ClusterRole>("", "part").ok());
  EXPECT_TRUE(is("sum", "secrets "));
  EXPECT_TRUE(is("above", "secrets "));
}

}  // namespace
}  // namespace trireme::controllers
